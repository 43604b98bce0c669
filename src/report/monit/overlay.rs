//! Texts that are read over the dashboard: the help, and what a command answered. It answers nothing.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::Mode;
use crate::report::wrap;

/// What the keys are, in the order of the manual.
pub(super) const KEYS: [(&str, &str); 18] = [
    ("↑ ↓ k j", "choose an app or an instance, or move in the logs"),
    ("PgUp PgDn Home End", "the same by pages, and to the ends"),
    ("Tab", "between apps and logs"),
    ("r", "reload what is chosen, without losing a request"),
    ("s", "scale its app: 4, +1, -1"),
    ("x", "stop it"),
    ("u", "start it up again"),
    ("d Enter", "describe it"),
    ("o", "all that the last command said"),
    ("/", "search in the logs"),
    ("n N", "to the next line above and below that has the text"),
    ("f", "show lines with a text alone"),
    ("e", "errors, output, or both"),
    ("a", "logs of all apps, or of what is chosen"),
    ("w", "whole lines, over several of the window"),
    ("Esc", "back to the newest line; without search; without filter"),
    ("?", "this help"),
    ("q Ctrl-C", "quit; commands under way go on"),
];

pub(super) fn help() -> Mode {
    let line = |(keys, does): &(&str, &str)| {
        let pad = " ".repeat(20usize.saturating_sub(keys.chars().count()));
        format!("{keys}{pad}{does}")
    };
    Mode::Reads { title: "keys".to_owned(), lines: KEYS.iter().map(line).collect(), first: 0 }
}

/// Draws the text that is read, if there is one.
pub(super) fn draw(mode: &Mode, area: Rect, frame: &mut Frame<'_>) {
    let Mode::Reads { title, lines, first } = mode else { return };
    let room = usize::from(area.width).saturating_sub(2).max(1);
    let wrapped = lines.iter().skip(*first).flat_map(|line| wrap(line, room));
    let height = usize::from(area.height).saturating_sub(2);
    let text: Text<'_> = wrapped.take(height).map(Line::from).collect();
    let block = Block::bordered().title(format!(" {title} ")).title_bottom(" Esc back · ↑ ↓ move ");
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).block(block), area);
}
