//! Colours, boxes and columns. Text stays understandable without any of them.

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

impl Style {
    /// The text in a colour, or as it is.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Warn => "33",
            Paint::Dim => "2",
            Paint::Bold => "1",
            Paint::Tag(number) => {
                ["36", "35", "34", "33", "32", "96", "95", "94"][number as usize % 8]
            }
        };
        format!("\x1b[{code}m{text}\x1b[0m")
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

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}
