//! Colours and boxes. Text stays understandable without any of them.

use anstyle::{AnsiColor, Effects};

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
}
