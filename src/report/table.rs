//! Tables that fit: in a box as wide as the terminal allows, else plain columns as wide as they are. What
//! does not fit is shortened, then left out, the least important first. It asks no terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Paint, Style, printable};

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// The title where there is little room.
    pub short: &'static str,
    /// The column with the highest one is left out first; 0 stays.
    pub rank: u8,
    /// Its cells may be shortened to so many columns of the terminal; 0: they are not.
    pub least: usize,
}

impl Column {
    /// A column that is never shortened or left out.
    pub const fn new(title: &'static str) -> Column {
        Column { title, short: title, rank: 0, least: 0 }
    }

    /// This column with another title where there is little room.
    pub const fn short(self, short: &'static str) -> Column {
        Column { short, ..self }
    }

    /// This column, which may be left out; the highest rank goes first.
    pub const fn rank(self, rank: u8) -> Column {
        Column { rank, ..self }
    }

    /// This column, whose cells may be shortened to so many columns of the terminal.
    pub const fn least(self, least: usize) -> Column {
        Column { least, ..self }
    }
}

/// A table: in a box on a terminal, else columns with two blanks between. `paint` colours a cell
/// by its row and column after it has been padded. What cells say may come from anywhere.
pub fn table(
    style: &Style,
    columns: &[Column],
    rows: &[Vec<String>],
    paint: &dyn Fn(usize, usize) -> Option<Paint>,
) -> String {
    let printable = |row: &Vec<String>| row.iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(printable).collect();
    let shown = fit(style, columns, &rows);
    let line = |cells: Vec<String>| match style.boxes {
        true => format!("│ {} │\n", cells.join(" │ ")),
        false => format!("{}\n", cells.join("  ").trim_end()),
    };
    let rule = |left: &str, middle: &str, right: &str| {
        if !style.boxes {
            return String::new();
        }
        let bars: Vec<String> = shown.iter().map(|one| "─".repeat(one.width + 2)).collect();
        format!("{left}{}{right}\n", bars.join(middle))
    };
    let mut out = rule("┌", "┬", "┐");
    let titles = shown.iter().map(|one| style.paint(Paint::Bold, &pad(one.title, one.width)));
    out.push_str(&line(titles.collect()));
    out.push_str(&rule("├", "┼", "┤"));
    for (at, row) in rows.iter().enumerate() {
        let cells = shown.iter().map(|FittedColumn { column, width, .. }| {
            let padded = pad(&cut(&row[*column], *width), *width);
            paint(at, *column).map_or(padded.clone(), |paint| style.paint(paint, &padded))
        });
        out.push_str(&line(cells.collect()));
    }
    out + &rule("└", "┴", "┘")
}

/// A column that is shown.
struct FittedColumn {
    column: usize,
    title: &'static str,
    width: usize,
}

/// The columns that fit, each as wide as it may be.
fn fit(style: &Style, columns: &[Column], rows: &[Vec<String>]) -> Vec<FittedColumn> {
    let natural = |at: usize, title: &'static str| {
        let cells = rows.iter().map(|row| row[at].width());
        FittedColumn { column: at, title, width: cells.chain([title.width()]).max().unwrap_or(0) }
    };
    let all = columns.iter().enumerate();
    let whole: Vec<FittedColumn> =
        all.clone().map(|(at, column)| natural(at, column.title)).collect();
    if !style.boxes || total(&whole) <= style.width {
        return whole;
    }
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    loop {
        let mut shown: Vec<FittedColumn> =
            kept.iter().map(|at| natural(*at, columns[*at].short)).collect();
        shorten(&mut shown, columns, style.width);
        let last = kept.iter().max_by_key(|at| columns[**at].rank).copied();
        match last.filter(|at| columns[*at].rank > 0) {
            Some(last) if total(&shown) > style.width => kept.retain(|at| *at != last),
            _ => return shown,
        }
    }
}

/// Shortens what may be shortened, the least important first.
fn shorten(shown: &mut [FittedColumn], columns: &[Column], most: usize) {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(columns[shown[*at].column].rank));
    for at in order {
        let excess = total(shown).saturating_sub(most);
        let least = columns[shown[at].column].least;
        if least > 0 {
            let width = shown[at].width;
            shown[at].width = width.saturating_sub(excess).max(least.min(width));
        }
    }
}

/// Columns of the terminal that a table in a box takes.
fn total(shown: &[FittedColumn]) -> usize {
    shown.iter().map(|one| one.width + 3).sum::<usize>() + 1
}

/// A text of at most so many columns of the terminal, with a sign where its end is missing.
pub fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut width = 1;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width > most {
            break;
        }
        out.push(c);
    }
    out + "…"
}

fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(text.width())))
}

/// Lines of at most so many columns, broken between words where that is possible.
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && line.width() + 1 + word.width() > most {
            lines.push(std::mem::take(&mut line));
        }
        // A path that is longer than a line.
        while word.width() > most {
            let room = |c: &char, width: &mut usize| {
                *width += c.width().unwrap_or(0);
                *width <= most
            };
            let mut width = 0;
            let head: String = word.chars().take_while(|c| room(c, &mut width)).collect();
            if head.is_empty() {
                break;
            }
            word = word.split_off(head.len());
            lines.push(head);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [Column::new("listener"), Column::new("x")];

    #[test]
    fn columns_are_as_wide_as_the_terminal_shows_them() {
        let rows =
            [vec!["/run/\u{5e97}.sock".into(), "b".into()], vec!["e\u{301}".into(), "d".into()]];
        let text = table(&Style::PLAIN, &COLUMNS, &rows, &|_, _| None);
        assert_eq!(text, "listener      x\n/run/\u{5e97}.sock  b\ne\u{301}             d\n");
    }

    #[test]
    fn what_does_not_fit_is_shortened_and_then_left_out() {
        let columns =
            [Column::new("name").least(4), Column::new("long").rank(1), Column::new("n").rank(2)];
        let rows = [vec!["a name of length".into(), "kept".into(), "1".into()]];
        let lines = |width| {
            let style = Style { color: false, boxes: true, width };
            let text = table(&style, &columns, &rows, &|_, _| None);
            text.lines().nth(3).unwrap_or_default().to_owned()
        };
        assert_eq!(lines(40), "│ a name of length │ kept │ 1 │");
        assert_eq!(lines(24), "│ a name o… │ kept │ 1 │");
        assert_eq!(lines(15), "│ a n… │ kept │");
        assert_eq!(lines(8), "│ a n… │", "the first column stays whatever the terminal");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("/a/very/long/path x", 8), ["/a/very/", "long/pat", "h x"]);
        assert_eq!(wrap("", 8), [""]);
    }
}
