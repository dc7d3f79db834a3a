//! Rows of cells: texts side by side, some of which can be opened, and where the cursor goes
//! among them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::Item;
use crate::tui::look::{Look, wrapped};
use crate::tui::theme::Role;

#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    role: Role,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    Plain,
    /// One column, in which the marker stands while this is under the cursor.
    Lead(Item),
    /// It is made to stand out while its item, whose lead stands before it, is under the cursor.
    Strong,
}

pub(super) type Row = Vec<Cell>;

impl Cell {
    /// Text that the cursor does not go to.
    pub(super) fn plain(role: Role, text: impl Into<String>) -> Self {
        Self { text: text.into(), role, part: Part::Plain }
    }

    pub(super) fn lead(item: Item) -> Self {
        Self { text: " ".to_owned(), role: Role::Text, part: Part::Lead(item) }
    }

    /// What stands out of something that can be opened.
    pub(super) fn strong(role: Role, text: impl Into<String>) -> Self {
        Self { text: text.into(), role, part: Part::Strong }
    }

    fn width(&self) -> usize {
        Span::raw(self.text.as_str()).width()
    }
}

/// Something that can be opened: its name, and what stands out of it.
pub(super) fn entry(item: Item, name: &str, role: Role, text: impl Into<String>) -> Row {
    let name = Cell::plain(Role::Text, format!("{name} "));
    vec![Cell::lead(item), name, Cell::strong(role, text)]
}

pub(super) fn plain(role: Role, text: &str, columns: usize) -> Vec<Row> {
    let lines = wrapped(text, columns.saturating_sub(2)).into_iter();
    lines.map(|line| vec![Cell::plain(role, format!(" {line}"))]).collect()
}

pub(super) fn width(row: &[Cell]) -> usize {
    row.iter().map(Cell::width).sum()
}

/// A row with spaces behind it up to `columns`.
pub(super) fn padded(mut row: Row, columns: usize) -> Row {
    let free = columns.saturating_sub(width(&row));
    if free > 0 {
        row.push(Cell::plain(Role::Text, " ".repeat(free)));
    }
    row
}

/// Puts groups of cells one after another, on as many rows as they need; the first has `head`
/// before it, the others are as far in.
pub(super) fn flow(head: Cell, groups: Vec<Row>, columns: usize) -> Vec<Row> {
    const APART: usize = 2;
    let indent = head.width();
    let mut rows = vec![vec![head]];
    for group in groups {
        let needs = width(&group);
        let Some(row) = rows.last_mut() else { break };
        let used = width(row);
        if used == indent || used + APART + needs <= columns {
            if used > indent {
                row.push(Cell::plain(Role::Text, " ".repeat(APART)));
            }
            row.extend(group);
        } else {
            let mut next = vec![Cell::plain(Role::Text, " ".repeat(indent))];
            next.extend(group);
            rows.push(next);
        }
    }
    rows
}

/// Puts blocks of rows side by side.
pub(super) fn beside(blocks: Vec<(usize, Vec<Row>)>) -> Vec<Row> {
    let height = blocks.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    let mut all = vec![Row::new(); height];
    for (columns, rows) in blocks {
        let rows = rows.into_iter().chain(std::iter::repeat_with(Row::new));
        for (row, cells) in all.iter_mut().zip(rows) {
            row.extend(padded(cells, columns));
        }
    }
    all
}

/// Where something that can be opened stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) item: Item,
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Everything that can be opened, in reading order.
pub(super) fn places(rows: &[Row]) -> Vec<Place> {
    let mut places = Vec::new();
    for (row, cells) in rows.iter().enumerate() {
        let mut column = 0;
        for cell in cells {
            if let Part::Lead(item) = &cell.part {
                places.push(Place { item: item.clone(), row, column });
            }
            column += cell.width();
        }
    }
    places
}

/// The place next to `from` in the nearest row above or below that has any.
pub(super) fn vertical(places: &[Place], from: &Place, down: bool) -> Option<usize> {
    let mut rows = places.iter().map(|place| place.row);
    let row =
        if down { rows.find(|row| *row > from.row)? } else { rows.rfind(|row| *row < from.row)? };
    nearest(places, row, from.column)
}

pub(super) fn nearest(places: &[Place], row: usize, column: usize) -> Option<usize> {
    let of_row = places.iter().enumerate().filter(|(_, place)| place.row == row);
    of_row.min_by_key(|(_, place)| place.column.abs_diff(column)).map(|(index, _)| index)
}

/// Draws the rows from `top` on, and how many there are below. Those from `grey_from` on are old.
pub(super) fn draw(
    rows: &[Row],
    top: usize,
    selected: Option<&Item>,
    grey_from: Option<usize>,
    (area, buffer): (Rect, &mut Buffer),
    look: &Look,
) {
    let height = usize::from(area.height);
    for (index, (y, row)) in (area.y..area.bottom()).zip(rows.iter().skip(top)).enumerate() {
        let grey = grey_from.is_some_and(|from| top + index >= from);
        let mut chosen = false;
        let mut spans = Vec::new();
        for cell in row {
            if let Part::Lead(item) = &cell.part {
                chosen = selected == Some(item);
            }
            let role = match cell.part {
                Part::Lead(_) | Part::Strong if chosen => Role::Selected,
                _ if grey => Role::Muted,
                _ => cell.role,
            };
            let text = match cell.part {
                Part::Lead(_) if chosen => look.glyph("▸", ">").to_owned(),
                _ => cell.text.clone(),
            };
            spans.push(look.span(role, text));
        }
        Line::from(spans).render(Rect { y, height: 1, ..area }, buffer);
    }
    more(rows.len().saturating_sub(top + height), "more rows", area, buffer, look);
}

/// Says at the lower right how many rows there are below. It takes the whole row: what it would
/// leave of one says half.
pub(super) fn more(below: usize, what: &str, area: Rect, buffer: &mut Buffer, look: &Look) {
    if below > 0 && area.height > 0 {
        let text = format!(" {} {} {what}", look.glyph("↓", "v"), below + 1);
        let at = Rect { y: area.bottom() - 1, height: 1, ..area };
        Clear.render(at, buffer);
        buffer.set_style(at, look.style(Role::Text));
        Line::from(look.span(Role::Hint, text)).right_aligned().render(at, buffer);
    }
}
