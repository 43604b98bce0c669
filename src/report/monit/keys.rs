//! What a key does. It changes the dashboard, and answers what is to be done.

use super::lines::Shown;
use super::{Action, Dashboard, Field, Focus, Mode, Notice, Target, overlay};

/// A key, whatever the terminal calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Tab,
    Backspace,
    /// Ctrl-C.
    Interrupt,
    Char(char),
}

/// Lines of a page.
const PAGE: isize = 10;

/// Longer texts are not typed.
const TYPED: usize = 200;

pub(super) fn press(dashboard: &mut Dashboard, key: Key) -> Action {
    if key == Key::Interrupt {
        return Action::Quit;
    }
    match std::mem::take(&mut dashboard.mode) {
        Mode::Usual => usual(dashboard, key),
        Mode::Asks(words) => match key {
            Key::Char('y') | Key::Enter => dashboard.start(words, false),
            _ => Action::Draw,
        },
        Mode::Types(field, text) => type_in(dashboard, field, text, key),
        Mode::Reads { title, lines, first } => {
            let last = lines.len().saturating_sub(1);
            let first = match moved(key) {
                Some(by) => first.saturating_add_signed(by).min(last),
                None => return Action::Draw,
            };
            dashboard.mode = Mode::Reads { title, lines, first };
            Action::Draw
        }
    }
}

/// By how many lines a key moves downwards.
fn moved(key: Key) -> Option<isize> {
    Some(match key {
        Key::Up | Key::Char('k') => -1,
        Key::Down | Key::Char('j') => 1,
        Key::PageUp => -PAGE,
        Key::PageDown | Key::Char(' ') => PAGE,
        Key::Home | Key::Char('g') => isize::MIN,
        Key::End | Key::Char('G') => isize::MAX,
        _ => return None,
    })
}

fn usual(dashboard: &mut Dashboard, key: Key) -> Action {
    if let Some(by) = moved(key) {
        go(dashboard, by);
        return Action::Draw;
    }
    let chosen = dashboard.chosen.clone();
    match key {
        Key::Char('q') => return Action::Quit,
        Key::Tab => {
            dashboard.focus =
                if dashboard.focus == Focus::Apps { Focus::Logs } else { Focus::Apps };
        }
        Key::Escape => escape(dashboard),
        Key::Char('/') => dashboard.mode = Mode::Types(Field::Search, String::new()),
        Key::Char('f') => {
            dashboard.mode = Mode::Types(Field::Filter, dashboard.logs.filter.clone());
        }
        Key::Char(towards @ ('n' | 'N')) if !dashboard.logs.search.is_empty() => {
            let found = dashboard.logs.find(towards == 'n', chosen.as_ref());
            not_found(dashboard, found);
        }
        Key::Char('e') => {
            dashboard.logs.back = 0;
            dashboard.logs.stream = match dashboard.logs.stream {
                Shown::Both => Shown::Err,
                Shown::Err => Shown::Out,
                Shown::Out => Shown::Both,
            };
        }
        Key::Char('a') => {
            dashboard.logs.is_of_all = !dashboard.logs.is_of_all;
            dashboard.logs.back = 0;
        }
        Key::Char('w') => dashboard.logs.is_wrapped = !dashboard.logs.is_wrapped,
        Key::Char('o') => {
            if let Some((title, lines)) = dashboard.answer.clone() {
                dashboard.mode = Mode::Reads { title, lines, first: 0 };
            }
        }
        Key::Char('?' | 'h') => dashboard.mode = overlay::help(),
        other => return chosen.map_or(Action::Draw, |chosen| verb(dashboard, other, &chosen)),
    }
    Action::Draw
}

/// Keys that concern what is chosen.
fn verb(dashboard: &mut Dashboard, key: Key, chosen: &Target) -> Action {
    let words = |verb: &str| vec![verb.to_owned(), chosen.selector()];
    match key {
        Key::Char('r') => dashboard.mode = Mode::Asks(words("reload")),
        Key::Char('x') => dashboard.mode = Mode::Asks(words("stop")),
        Key::Char('u') => dashboard.mode = Mode::Asks(words("start")),
        Key::Char('s') => {
            dashboard.mode = Mode::Types(Field::Scale(chosen.app.clone()), String::new());
        }
        Key::Char('d') | Key::Enter => return dashboard.start(words("describe"), true),
        _ => {}
    }
    Action::Draw
}

/// Moves what is chosen, or the window over the logs.
fn go(dashboard: &mut Dashboard, by: isize) {
    if dashboard.focus == Focus::Logs {
        let up = by.checked_neg().unwrap_or(isize::MAX);
        return dashboard.logs.scroll(up, dashboard.chosen.as_ref());
    }
    let targets = dashboard.targets();
    let at = targets.iter().position(|target| Some(target) == dashboard.chosen.as_ref());
    let to = at.unwrap_or(0).saturating_add_signed(by).min(targets.len().saturating_sub(1));
    dashboard.chosen = targets.get(to).cloned();
    dashboard.logs.back = 0;
}

/// Takes back the last thing that hides something.
fn escape(dashboard: &mut Dashboard) {
    let logs = &mut dashboard.logs;
    if logs.back > 0 {
        logs.back = 0;
    } else if !logs.search.is_empty() {
        logs.search.clear();
    } else if !logs.filter.is_empty() {
        logs.filter.clear();
    } else {
        dashboard.notice = None;
        dashboard.focus = Focus::Apps;
    }
}

fn not_found(dashboard: &mut Dashboard, found: bool) {
    let text = format!("no other line has {}", dashboard.logs.search);
    dashboard.notice = (!found).then_some(Notice { is_good: false, text });
}

fn type_in(dashboard: &mut Dashboard, field: Field, mut text: String, key: Key) -> Action {
    match key {
        Key::Escape => return Action::Draw,
        Key::Enter => return typed(dashboard, field, text),
        Key::Backspace => drop(text.pop()),
        Key::Char(c) if !c.is_control() && text.chars().count() < TYPED => text.push(c),
        _ => {}
    }
    dashboard.mode = Mode::Types(field, text);
    Action::Draw
}

fn typed(dashboard: &mut Dashboard, field: Field, text: String) -> Action {
    match field {
        Field::Search => {
            let chosen = dashboard.chosen.clone();
            let found = dashboard.logs.begin(text, chosen.as_ref());
            not_found(dashboard, found);
        }
        Field::Filter => {
            dashboard.logs.filter = text;
            dashboard.logs.back = 0;
        }
        Field::Scale(app) if is_number(&text) => {
            return dashboard.start(vec!["scale".to_owned(), app, text], false);
        }
        Field::Scale(_) if text.is_empty() => {}
        Field::Scale(app) => {
            let text = format!("{app}: write a number of instances, or +1 or -1");
            dashboard.notice = Some(Notice { is_good: false, text });
        }
    }
    Action::Draw
}

/// `4`, `+1`, `-1`, as `scale` takes it.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.len() < 10 && digits.bytes().all(|byte| byte.is_ascii_digit())
}
