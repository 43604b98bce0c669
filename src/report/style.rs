//! Colours, boxes and columns. Text stays understandable without any of them.

use anstyle::{AnsiColor, Effects};
use unicode_width::UnicodeWidthStr;

use super::printable;

/// How output may look; decided once, by whoever knows the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// Box drawing, and tables as wide as the terminal; otherwise plain columns.
    pub boxes: bool,
    /// Width in columns.
    pub width: usize,
}

impl Style {
    /// For a pipe or a file.
    pub const PLAIN: Style = Style { color: false, boxes: false, width: 80 };
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Paint {
    Good,
    Bad,
    Warn,
    Dim,
    Bold,
    /// One of the colours that tell instances apart.
    Tag(u32),
}

/// Colours that tell instances apart: those that mean nothing else first.
const TAGS: [AnsiColor; 8] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

impl Style {
    /// The text in a colour, or as it is.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let look = match paint {
            Paint::Good => AnsiColor::Green.on_default(),
            Paint::Bad => AnsiColor::Red.on_default(),
            Paint::Warn => AnsiColor::Yellow.on_default(),
            Paint::Dim => Effects::DIMMED.into(),
            Paint::Bold => Effects::BOLD.into(),
            Paint::Tag(number) => TAGS[number as usize % TAGS.len()].on_default(),
        };
        format!("{look}{text}{look:#}")
    }
}

/// A table: in a box on a terminal, else columns with two blanks between. `paint` colours a cell
/// by its row and column after it has been padded. What cells say may come from anywhere.
pub fn table(
    style: &Style,
    header: &[&str],
    rows: &[Vec<String>],
    paint: &dyn Fn(usize, usize) -> Option<Paint>,
) -> String {
    let printable = |row: &Vec<String>| row.iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(printable).collect();
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(at, title)| rows.iter().map(|row| width(&row[at])).chain([width(title)]).max())
        .map(|widest| widest.unwrap_or(0))
        .collect();
    let mut out = String::new();
    let rule = |left: &str, middle: &str, right: &str| {
        let bars: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", bars.join(middle))
    };
    let line = |cells: Vec<String>| match style.boxes {
        true => format!("│ {} │\n", cells.join(" │ ")),
        false => format!("{}\n", cells.join("  ").trim_end()),
    };
    if style.boxes {
        out.push_str(&rule("┌", "┬", "┐"));
    }
    let titles = header
        .iter()
        .zip(&widths)
        .map(|(title, width)| style.paint(Paint::Bold, &pad(title, *width)));
    out.push_str(&line(titles.collect()));
    if style.boxes {
        out.push_str(&rule("├", "┼", "┤"));
    }
    for (at, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let padded = pad(cell, *width);
            paint(at, column).map_or(padded.clone(), |paint| style.paint(paint, &padded))
        });
        out.push_str(&line(cells.collect()));
    }
    if style.boxes {
        out.push_str(&rule("└", "┴", "┘"));
    }
    out
}

/// Columns of a terminal: a character of Chinese has two, an accent of its own none.
fn width(text: &str) -> usize {
    text.width()
}

fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_every_terminal() {
        let style = Style { color: true, ..Style::PLAIN };
        let code = |paint| style.paint(paint, "x");
        for (paint, number) in [
            (Paint::Good, 32),
            (Paint::Bad, 31),
            (Paint::Warn, 33),
            (Paint::Dim, 2),
            (Paint::Bold, 1),
            (Paint::Tag(0), 36),
            (Paint::Tag(15), 94),
        ] {
            assert_eq!(code(paint), format!("\x1b[{number}mx\x1b[0m"));
        }
        assert_eq!(Style::PLAIN.paint(Paint::Good, "x"), "x");
    }

    #[test]
    fn columns_are_as_wide_as_the_terminal_shows_them() {
        let rows =
            [vec!["/run/\u{5e97}.sock".into(), "b".into()], vec!["e\u{301}".into(), "d".into()]];
        let text = table(&Style::PLAIN, &["listener", "x"], &rows, &|_, _| None);
        assert_eq!(text, "listener      x\n/run/\u{5e97}.sock  b\ne\u{301}             d\n");
    }
}
