//! CSV that is safe to open: for people's spreadsheets and for scripts.

use std::borrow::Cow;

use super::safe_text::clean;

/// Rows of cells as CSV (RFC 4180, lines end in a line feed). The first row is the headings.
///
/// Every cell is cleaned to one line as [`clean`] does. A cell that a spreadsheet would take
/// for a formula gets a leading `'`; numbers stay numbers.
pub fn csv<Row, Cell>(rows: impl IntoIterator<Item = Row>) -> String
where
    Row: IntoIterator<Item = Cell>,
    Cell: AsRef<str>,
{
    let mut out = String::new();
    for row in rows {
        for (i, cell) in row.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            push(&mut out, cell.as_ref());
        }
        out.push('\n');
    }
    out
}

fn push(out: &mut String, cell: &str) {
    let mut text = clean(cell);
    // Asked of the text as it came: cleaning makes a space of the tab.
    if is_formula(cell) || is_formula(&text) {
        text = Cow::Owned(format!("'{text}"));
    }
    if text.contains(['"', ',']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(&text);
    }
}

/// Whether a spreadsheet may calculate it; the wide forms count where the locale is Japanese.
fn is_formula(cell: &str) -> bool {
    match cell.chars().next() {
        Some('\t' | '\r') => true,
        _ if is_number(cell) => false,
        _ => cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']),
    }
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, part].iter().all(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        csv([[text]]).trim_end_matches('\n').to_owned()
    }

    #[test]
    fn cells_are_quoted_where_they_need_it() {
        assert_eq!(csv([["a", "b"], ["1", "x,y"]]), "a,b\n1,\"x,y\"\n");
        assert_eq!(csv(Vec::<Vec<String>>::new()), "");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("Contoso DE"), "Contoso DE");
    }

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("+A1", "'+A1"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("\r=1", "'\u{fffd}=1"),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("-", "'-"),
            ("-.", "'-."),
            ("-inf", "'-inf"),
            ("-5", "-5"),
            ("+5", "+5"),
            ("12.5", "12.5"),
            ("-0.5", "-0.5"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
    }

    #[test]
    fn a_cell_is_one_line_without_anything_a_terminal_acts_on() {
        assert_eq!(cell("a\nb"), "a␊b");
        assert_eq!(cell("a\r\n=b\u{1b}[2J"), "a␊=b\u{fffd}[2J");
    }
}
