//! The picture: the table above, what is under way, the logs, and what the keys are. It decides nothing.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::lines::{LogLine, Shown};
use super::{Dashboard, Field, Focus, Mode, overlay, table, typed};
use crate::report::{cut, printable, wrap};

/// In a smaller window nothing can be told.
const LEAST: (u16, u16) = (50, 10);

/// Lines for what is under way at most.
const UNDER_WAY: usize = 4;

/// Draws the whole picture; without `colours` boldness and reversal alone tell things apart.
pub fn draw(dashboard: &Dashboard, colours: bool, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("the window is too small: at least {} by {}; q quits", LEAST.0, LEAST.1);
        return frame.render_widget(Paragraph::new(text).wrap(Default::default()), area);
    }
    let under_way = under_way(dashboard);
    // Box, heading, and a line for each; the logs have half of the window at least.
    let wanted = u16::try_from(dashboard.targets().len()).unwrap_or(u16::MAX).saturating_add(3);
    let height = wanted.clamp(4, (area.height / 2).max(4));
    let more = u16::try_from(under_way.len()).unwrap_or(0);
    let [above, middle, below, last] = Layout::vertical([
        Constraint::Length(height),
        Constraint::Length(more),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    table::draw(dashboard, above, colours, frame);
    let width = usize::from(area.width);
    for (offset, (text, color)) in under_way.iter().enumerate() {
        let y = middle.y + u16::try_from(offset).unwrap_or(0);
        let line = Span::styled(cut(text, width), painted(colours, *color));
        frame.render_widget(line, Rect { y, height: 1, ..middle });
    }
    logs(dashboard, below, colours, frame);
    let bottom = bottom(dashboard, width);
    frame.render_widget(Paragraph::new(cut(&bottom, width)).style(Modifier::DIM), last);
    if !matches!(dashboard.mode, Mode::Usual | Mode::Reads { .. }) {
        let line = Paragraph::new(cut(&bottom, width)).style(Modifier::BOLD);
        frame.render_widget(line, last);
    }
    let reads = Rect { height: area.height.saturating_sub(1), ..area };
    overlay::draw(&dashboard.mode, reads, frame);
}

fn painted(colours: bool, color: Option<Color>) -> Style {
    color.filter(|_| colours).map_or(Style::new(), |color| Style::new().fg(color))
}

/// Rollouts, commands, and how the last one ended.
fn under_way(dashboard: &Dashboard) -> Vec<(String, Option<Color>)> {
    let mut lines = Vec::new();
    for (app, text) in dashboard.rollouts() {
        lines.push((format!("↻ {}: {text}", printable(app)), Some(Color::Yellow)));
    }
    for work in dashboard.works.values().filter(|work| !work.is_shown) {
        let last = work.said.last().map(|line| format!(": {line}")).unwrap_or_default();
        lines.push((format!("… {}{last}", typed(&work.words)), None));
    }
    if let Some(notice) = &dashboard.notice {
        let (mark, color) =
            if notice.is_good { ("✓", Color::Green) } else { ("✗", Color::Red) };
        lines.push((format!("{mark} {}", notice.text), Some(color)));
    }
    let troubles = [&dashboard.blind, &dashboard.logs.trouble];
    lines.extend(troubles.into_iter().flatten().map(|why| (format!("✗ {why}"), Some(Color::Red))));
    let skipped = lines.len().saturating_sub(UNDER_WAY);
    lines.split_off(skipped)
}

/// Keys for the last line, the most important first, in the order in which they go as the window narrows.
const HINTS: [&str; 9] = [
    "? keys",
    "q quit",
    "r reload",
    "s scale",
    "x stop",
    "u start",
    "d describe",
    "/ search",
    "f filter",
];

/// The last line: what is asked, what is typed, or what the keys are.
fn bottom(dashboard: &Dashboard, width: usize) -> String {
    match &dashboard.mode {
        Mode::Usual | Mode::Reads { .. } => {
            let answer = dashboard.notice.is_some() && dashboard.answer.is_some();
            let hints = answer.then_some("o all that was said").into_iter().chain(HINTS);
            hints.fold(String::new(), |line, hint| match line.len() + 2 + hint.len() > width {
                _ if line.is_empty() => hint.to_owned(),
                true => line,
                false => format!("{line}  {hint}"),
            })
        }
        Mode::Asks(words) => format!("{}?  y yes · any other key: no", typed(words)),
        Mode::Types(Field::Search, text) => format!("search: {text}▏  Enter · Esc"),
        Mode::Types(Field::Filter, text) => format!("only lines with: {text}▏  Enter · Esc"),
        Mode::Types(Field::Scale(app), text) => {
            format!("instances of {}: {text}▏  4, +1 or -1 · Enter · Esc", printable(app))
        }
    }
}

fn logs(dashboard: &Dashboard, area: Rect, colours: bool, frame: &mut Frame<'_>) {
    let view = &dashboard.logs;
    let chosen = dashboard.chosen.as_ref();
    let whose = match chosen.filter(|_| !view.is_of_all) {
        Some(target) => printable(&target.selector()),
        None => "all".to_owned(),
    };
    let stream = match view.stream {
        Shown::Both => "",
        Shown::Err => " · errors",
        Shown::Out => " · output",
    };
    let filter =
        if view.filter.is_empty() { String::new() } else { format!(" · with {}", view.filter) };
    let search =
        if view.search.is_empty() { String::new() } else { format!(" · / {}", view.search) };
    let back =
        if view.back == 0 { String::new() } else { format!(" · {} newer below", view.back) };
    let title = format!(" logs of {whose}{stream}{filter}{search}{back} ");
    let mut block = Block::bordered().title(cut(&title, usize::from(area.width).saturating_sub(2)));
    if dashboard.focus == Focus::Logs {
        block = block.border_style(Modifier::BOLD);
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (room, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut shown: VecDeque<Line<'_>> = VecDeque::new();
    for line in view.newest_first(chosen).skip(view.back) {
        for part in pieces(line, view.is_wrapped, room).into_iter().rev() {
            shown.push_front(styled(part, line.source, &view.search, colours));
        }
        if shown.len() >= height {
            break;
        }
    }
    let lines: Vec<Line<'_>> = shown.split_off(shown.len().saturating_sub(height)).into();
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The lines of the window that a line of a log takes.
fn pieces(line: &LogLine, is_wrapped: bool, room: usize) -> Vec<String> {
    let bar = if line.source == "err" { '!' } else { '|' };
    let time = line.time.as_deref().map(|time| format!("{time} ")).unwrap_or_default();
    let text = format!("{time}{} {bar} {}", line.tag, line.text);
    if is_wrapped { wrap(&text, room) } else { vec![cut(&text, room)] }
}

/// A line with the text that is looked for marked in it.
fn styled(text: String, source: &str, search: &str, colours: bool) -> Line<'static> {
    let base = match source {
        "err" => painted(colours, Some(Color::Red)),
        "systemd" => Modifier::DIM.into(),
        _ => Style::new(),
    };
    let place = (!search.is_empty()).then(|| find(&text, search)).flatten();
    let Some((start, end)) = place else { return Line::from(Span::styled(text, base)) };
    let part = |text: &str, style: Style| Span::styled(text.to_owned(), style);
    Line::from(vec![
        part(&text[..start], base),
        part(&text[start..end], base.add_modifier(Modifier::REVERSED)),
        part(&text[end..], base),
    ])
}

/// Where the text stands first, in large or small letters; nowhere, where their lengths differ.
fn find(text: &str, search: &str) -> Option<(usize, usize)> {
    let (low, wanted) = (text.to_lowercase(), search.to_lowercase());
    let start = low.find(&wanted).filter(|_| low.len() == text.len())?;
    let end = start + wanted.len();
    (text.is_char_boundary(start) && text.is_char_boundary(end)).then_some((start, end))
}
