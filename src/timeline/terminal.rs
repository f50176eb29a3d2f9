//! The bars as text, for a terminal.

use super::axis::Axis;
use super::rows::{BarEnd, Phase, Picture, Row};
use super::words::{broken, cut};

/// The capabilities of the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalLook {
    /// The number of columns; at least 40 are used.
    pub columns: usize,
    /// Whether to use ANSI colours.
    pub has_colour: bool,
    /// Whether to use characters beyond ASCII.
    pub has_unicode: bool,
}

/// The columns of the time after a bar, with a blank before it.
const TIME: usize = 9;
/// The minimum distance of two labels of the axis, in columns.
const TICK: usize = 9;

/// The space between two entries of the legend.
const GAP: &str = "   ";

/// One column of a bar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Empty,
    Tick,
    Phase(Phase),
    BarEnd(BarEnd),
}

impl TerminalLook {
    fn letter(self, cell: Cell) -> char {
        let (plain, block) = match cell {
            Cell::Empty => (' ', ' '),
            Cell::Tick => (':', '┊'),
            Cell::Phase(Phase::Waits) => ('.', '░'),
            Cell::Phase(Phase::SetsUp) => ('=', '▓'),
            Cell::Phase(Phase::Starts) => ('#', '█'),
            Cell::BarEnd(BarEnd::Began) => ('|', '▌'),
            Cell::BarEnd(BarEnd::Down) => ('o', '○'),
            Cell::BarEnd(BarEnd::Failed) => ('X', '✗'),
            Cell::BarEnd(BarEnd::Other) => ('?', '?'),
            Cell::BarEnd(BarEnd::Open) => ('>', '…'),
        };
        if self.has_unicode { block } else { plain }
    }

    /// The number of its colour in ANSI's sequences.
    fn colour(cell: Cell) -> Option<u8> {
        Some(match cell {
            Cell::Empty => return None,
            Cell::Tick | Cell::Phase(Phase::Waits) | Cell::BarEnd(BarEnd::Open) => 90,
            Cell::Phase(Phase::SetsUp) => 34,
            Cell::Phase(Phase::Starts) => 33,
            Cell::BarEnd(BarEnd::Began) => 32,
            Cell::BarEnd(BarEnd::Failed) => 31,
            Cell::BarEnd(BarEnd::Down | BarEnd::Other) => 36,
        })
    }

    /// `cells` as text; a colour is set where it changes.
    fn paint(self, cells: &[Cell]) -> String {
        let mut text = String::new();
        let mut before = None;
        for cell in cells {
            let colour = Self::colour(*cell).filter(|_| self.has_colour);
            if colour != before {
                match colour {
                    Some(colour) => text.push_str(&format!("\x1b[{colour}m")),
                    None => text.push_str("\x1b[m"),
                }
            }
            before = colour;
            text.push(self.letter(*cell));
        }
        if before.is_some() {
            text.push_str("\x1b[m");
        }
        text
    }

    /// A fixed text in the available characters.
    fn text(self, text: &str) -> String {
        match self.has_unicode {
            true => text.to_owned(),
            false => text.replace("µ", "u"),
        }
    }

    /// A name, in the available characters, and in at most `columns` of them.
    fn name(self, name: &str, columns: usize) -> String {
        let plain = |letter: char| match letter.is_ascii() || self.has_unicode {
            true => letter,
            false => '?',
        };
        let name: String = name.chars().map(plain).collect();
        let mark = if self.has_unicode { '…' } else { '~' };
        cut(&name, columns, mark)
    }
}

/// Draws `picture`: the summary, the axis, a line for each bar, a legend.
pub fn draw(picture: &Picture, look: TerminalLook) -> String {
    let columns = look.columns.max(40);
    let mut text = String::new();
    let mut sentences = picture.sentences();
    if let Some(first) = sentences.first_mut() {
        *first = format!("{}: {first}", picture.when);
    }
    for sentence in sentences {
        wrap(&look.text(&sentence), columns, &mut text);
    }
    let longest = picture
        .chart
        .rows
        .iter()
        .map(|row| row.name.chars().count());
    let names = longest.max().unwrap_or(0).min(columns / 3);
    if picture.chart.rows.is_empty() {
        return text;
    }
    text.push('\n');
    let width = columns.saturating_sub(names + 1 + TIME);
    let axis = picture.axis((width / TICK).max(1));
    text.push_str(&look.text(&scale(&axis, names + 1, width)));
    for row in &picture.chart.rows {
        let name = look.name(&row.name, names);
        let bar = look.paint(&cells(row, &axis, width));
        let behind = match row.end {
            BarEnd::Began => look.text(&axis.label(row.at)),
            end => end.word().to_owned(),
        };
        text.push_str(&format!("{name:<names$} {bar}{behind:>TIME$}\n"));
    }
    text.push('\n');
    text.push_str(&legend(picture, look, columns));
    text
}

/// The line with the labels of the axis, which begins `before` columns after the edge.
fn scale(axis: &Axis, before: usize, width: usize) -> String {
    let mut line = " ".repeat(before);
    let mut used = before;
    let ticks: Vec<(u64, String)> = axis.ticks().collect();
    let last = ticks.len().saturating_sub(1);
    for ((at, mut label), number) in ticks.into_iter().zip(0..) {
        let place = before + column(axis, at, width);
        if number == last {
            label = format!("{label} {}", axis.unit.name);
        }
        let fits = place + label.chars().count() <= before + width + TIME;
        if fits && (place > used || used == before) {
            line.push_str(&" ".repeat(place.saturating_sub(used)));
            used = place + label.chars().count();
            line.push_str(&label);
        }
    }
    line.push('\n');
    line
}

fn column(axis: &Axis, at: u64, width: usize) -> usize {
    let place = axis.position(at, u64::try_from(width).unwrap_or(0));
    let last = width.saturating_sub(1);
    usize::try_from(place).map_or(last, |place| place.min(last))
}

fn cells(row: &Row, axis: &Axis, width: usize) -> Vec<Cell> {
    let mut cells = vec![Cell::Empty; width];
    let mut put = |first: usize, last: usize, cell: Cell| {
        let places = cells.iter_mut().take(last + 1).skip(first);
        places.for_each(|place| *place = cell);
    };
    for (at, _) in axis.ticks() {
        let place = column(axis, at, width);
        put(place, place, Cell::Tick);
    }
    // Where two phases share a column, it shows the later one, so that the start of
    // ./run is visible for every service.
    for part in &row.parts {
        let (first, last) = (column(axis, part.from, width), column(axis, part.to, width));
        put(first, last, Cell::Phase(part.phase));
    }
    let end = column(axis, row.at, width);
    if row.end != BarEnd::Began || row.parts.is_empty() {
        put(end, end, Cell::BarEnd(row.end));
    }
    cells
}

fn legend(picture: &Picture, look: TerminalLook, columns: usize) -> String {
    let phases = Phase::ALL.map(|phase| (Cell::Phase(phase), phase.meaning()));
    let ends = picture.ends().filter(|end| *end != BarEnd::Began);
    let ends = ends.map(|end| (Cell::BarEnd(end), end.word()));
    let mut text = String::new();
    let mut used = 0;
    for (cell, meaning) in phases.into_iter().chain(ends) {
        let needs = 2 + meaning.chars().count();
        if used > 0 && used + GAP.len() + needs > columns {
            text.push('\n');
            used = 0;
        } else if used > 0 {
            text.push_str(GAP);
            used += GAP.len();
        }
        text.push_str(&format!("{} {meaning}", look.paint(&[cell])));
        used += needs;
    }
    text.push('\n');
    text
}

/// Appends `sentence` in lines of at most this number of columns, if its words allow.
fn wrap(sentence: &str, columns: usize, text: &mut String) {
    let lines = broken(sentence, columns.saturating_sub(2));
    text.push_str(&lines.join("\n  "));
    text.push('\n');
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
