//! Reads a theme file: palette, roles, and the theme it starts from.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{EMBEDDED, Role, Theme};
use crate::Result;
use crate::domain::safe_text::quoted;
use crate::tui::source_file::{SourceFile, nearest};

/// The terminal's own colours, by the names that files use.
const NAMED: &[(&str, Color)] = &[
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
    ("default", Color::Reset),
];

const MODIFIERS: &[(&str, Modifier)] = &[
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underline", Modifier::UNDERLINED),
    ("reverse", Modifier::REVERSED),
];

type Palette = BTreeMap<String, Color>;

pub(super) fn parse(file_name: &str, text: &str) -> Result<Theme> {
    let file = SourceFile::new(file_name, text);
    let table = file.table()?;
    let mut styles: Vec<Option<Style>> = vec![None; Role::ALL.len()];
    let mut palette = Palette::new();

    let mut top: Vec<_> = table.iter().collect();
    // The palette is read first, wherever it stands, because roles use its names.
    top.sort_by_key(|(name, _)| (name.get_ref().as_ref() == "roles", name.span().start));
    for (name, value) in top {
        match name.get_ref().as_ref() {
            "inherits" => {
                let base = inherited(&file, value)?;
                styles = base.styles.into_iter().map(Some).collect();
            }
            "palette" => palette = read_palette(&file, file.section(value, "[palette]")?)?,
            "roles" => read_roles(&file, file.section(value, "[roles]")?, &palette, &mut styles)?,
            word => {
                let allowed = ["inherits", "palette", "roles"];
                return Err(file.unknown(&name.span(), "key", word, &allowed, "allowed"));
            }
        }
    }

    let missing: Vec<&str> = Role::ALL
        .iter()
        .filter(|role| styles[**role as usize].is_none())
        .map(|role| role.id())
        .collect();
    if !missing.is_empty() {
        return Err(file
            .error(&(0..0), format!("no style for: {}", missing.join(", ")))
            .hint("give them in [roles], or start from a theme: inherits = \"default\""));
    }
    Ok(Theme { styles: styles.into_iter().flatten().collect() })
}

fn inherited(file: &SourceFile<'_>, value: &Spanned<DeValue<'_>>) -> Result<Theme> {
    let name = file.string(value, "inherits")?;
    if EMBEDDED.iter().any(|(embedded, _)| *embedded == name) {
        return Theme::embedded(name);
    }
    let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
    Err(file.unknown(&value.span(), "theme", name, &names, "inherits takes one of"))
}

fn read_palette(file: &SourceFile<'_>, table: &DeTable<'_>) -> Result<Palette> {
    let mut palette = Palette::new();
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let word = name.get_ref().as_ref();
        if NAMED.iter().any(|(named, _)| *named == word) {
            return Err(file
                .error(&name.span(), format!("{} is already a colour's name", quoted(word)))
                .hint("call it something else"));
        }
        // One palette name cannot stand for another: that would need an order.
        palette.insert(word.to_owned(), color(file, value, &Palette::new())?);
    }
    Ok(palette)
}

fn read_roles(
    file: &SourceFile<'_>,
    table: &DeTable<'_>,
    palette: &Palette,
    styles: &mut [Option<Style>],
) -> Result<()> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let word = name.get_ref().as_ref();
        let Some(role) = Role::parse(word) else {
            let ids: Vec<&str> = Role::ALL.iter().map(|role| role.id()).collect();
            return Err(file.unknown(&name.span(), "role", word, &ids, "allowed"));
        };
        styles[role as usize] = Some(style(file, value, palette)?);
    }
    Ok(())
}

/// A style: a colour, or a table of colours and modifiers.
fn style(file: &SourceFile<'_>, value: &Spanned<DeValue<'_>>, palette: &Palette) -> Result<Style> {
    let Some(table) = value.get_ref().as_table() else {
        return Ok(Style::new().fg(color(file, value, palette)?));
    };
    let mut style = Style::new();
    for (name, value) in table {
        let word = name.get_ref().as_ref();
        match word {
            "fg" => style.fg = Some(color(file, value, palette)?),
            "bg" => style.bg = Some(color(file, value, palette)?),
            _ => {
                let Some((_, modifier)) = MODIFIERS.iter().find(|(known, _)| *known == word) else {
                    let mut allowed = vec!["fg", "bg"];
                    allowed.extend(MODIFIERS.iter().map(|(known, _)| *known));
                    return Err(file.unknown(&name.span(), "key", word, &allowed, "allowed"));
                };
                let Some(on) = value.get_ref().as_bool() else {
                    return Err(file.error(&value.span(), format!("{word} must be true or false")));
                };
                if on {
                    style = style.add_modifier(*modifier);
                }
            }
        }
    }
    Ok(style)
}

/// A colour: a name, `#rrggbb`, a number from 0 to 255, or a name from the palette.
fn color(file: &SourceFile<'_>, value: &Spanned<DeValue<'_>>, palette: &Palette) -> Result<Color> {
    let allowed = || {
        let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        let own = if palette.is_empty() { "" } else { ", or a name from [palette]" };
        format!("allowed: {}; \"#rrggbb\"; 0 to 255{own}", names.join(", "))
    };
    if let Some(number) = value.get_ref().as_integer() {
        let index = u8::from_str_radix(number.as_str(), number.radix());
        return index.map(Color::Indexed).map_err(|_| {
            file.error(&value.span(), format!("{} is no colour", number.as_str())).hint(allowed())
        });
    }
    let word = file.string(value, "a colour").map_err(|error| error.hint(allowed()))?;
    if let Some(digits) = word.strip_prefix('#') {
        if digits.len() == 6
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            && let Ok(rgb) = u32::from_str_radix(digits, 16)
        {
            let [_, red, green, blue] = rgb.to_be_bytes();
            return Ok(Color::Rgb(red, green, blue));
        }
        return Err(file
            .error(&value.span(), format!("{} is no colour", quoted(word)))
            .hint("write six hexadecimal digits, as in \"#e69f00\""));
    }
    if let Some((_, color)) = NAMED.iter().find(|(name, _)| *name == word) {
        return Ok(*color);
    }
    if let Some(color) = palette.get(word) {
        return Ok(*color);
    }
    let mut names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    names.extend(palette.keys().map(String::as_str));
    let guess = nearest(word, &names)
        .map_or_else(String::new, |guess| format!("; did you mean \"{guess}\"?"));
    Err(file
        .error(&value.span(), format!("unknown colour {}{guess}", quoted(word)))
        .hint(allowed()))
}
