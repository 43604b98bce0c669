//! The table of apps and their instances, as wide as the window: sparklines grow first, then the name; in a
//! narrow one sparklines, restarts and uptime go. It decides nothing.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Sparkline};

use super::{Dashboard, Focus, Target};
use crate::ops::{Row, Status};
use crate::report::list::{bytes, duration, status_text};
use crate::report::{cut, printable};

/// Columns of the terminal that each part takes; 0: it is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Widths {
    name: u16,
    pid: u16,
    uptime: u16,
    restarts: u16,
    spark: u16,
    listener: u16,
}

const STATUS: u16 = 15;
const CPU: u16 = 6;
const MEMORY: u16 = 8;
const LEAST_NAME: u16 = 10;
const MOST_NAME: u16 = 30;
const MOST_SPARK: u16 = 24;

impl Widths {
    /// For a table of so many columns.
    fn of(width: u16) -> Widths {
        let mut widths = Widths { name: LEAST_NAME, ..Widths::default() };
        // What there is room for, in the order of what it tells.
        let wanted: [(&mut u16, u16); 5] = [
            (&mut widths.uptime, 4),
            (&mut widths.restarts, 4),
            (&mut widths.spark, 6),
            (&mut widths.pid, 8),
            (&mut widths.listener, 18),
        ];
        let mut used = LEAST_NAME + STATUS + CPU + MEMORY + 3;
        for (at, (part, size)) in wanted.into_iter().enumerate() {
            // Two sparklines.
            let cost = if at == 2 { 2 * (size + 1) } else { size + 1 };
            if used + cost > width {
                break;
            }
            *part = size;
            used += cost;
        }
        let mut left = width.saturating_sub(used);
        let more = left.min(MOST_NAME - LEAST_NAME).min(left / 3);
        (widths.name, left) = (widths.name + more, left - more);
        if widths.spark > 0 {
            widths.spark = (widths.spark + left / 2).min(MOST_SPARK);
        }
        widths
    }

    /// The places in a line, in their order; those that are not shown have no width.
    fn places(self, line: Rect) -> [Rect; 9] {
        let Widths { name, pid, uptime, restarts, spark, .. } = self;
        let all = [name, STATUS, pid, uptime, restarts, CPU, spark, MEMORY, spark];
        let mut x = line.x;
        let mut places = [Rect::default(); 9];
        for (place, width) in places.iter_mut().zip(all) {
            let room = (line.x + line.width).saturating_sub(x);
            *place = Rect { x, y: line.y, width: width.min(room), height: 1 };
            x = x.saturating_add(if width == 0 { 0 } else { width + 1 });
        }
        places
    }

    fn listener(self, line: Rect) -> Rect {
        let width = self.listener.min(line.width);
        Rect { x: line.x + line.width - width, y: line.y, width, height: 1 }
    }
}

/// Draws the table. `colours`: whether there may be any.
pub(super) fn draw(dashboard: &Dashboard, area: Rect, colours: bool, frame: &mut Frame<'_>) {
    let (online, all, rollouts) = dashboard.totals();
    let under_way = match rollouts {
        0 => String::new(),
        1 => ", 1 rollout".to_owned(),
        more => format!(", {more} rollouts"),
    };
    let title = match (dashboard.has_looked, all) {
        (false, _) => " looking ".to_owned(),
        (true, 0) => " no app is applied yet: clusterctl apply ecosystem.toml ".to_owned(),
        (true, _) => format!(" {online} of {all} online{under_way} "),
    };
    let mut block = Block::bordered().title(title);
    if dashboard.focus == Focus::Apps {
        block = block.border_style(Modifier::BOLD);
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
    let widths = Widths::of(inner.width);
    heading(widths, head, frame);
    let targets = dashboard.targets();
    let height = usize::from(body.height);
    let at = targets.iter().position(|target| Some(target) == dashboard.chosen.as_ref());
    let most = targets.len().saturating_sub(height);
    let first = at.unwrap_or(0).saturating_sub(height / 2).min(most);
    for (offset, target) in targets.iter().skip(first).take(height).enumerate() {
        let y = body.y + u16::try_from(offset).unwrap_or(0);
        let line = Rect { y, height: 1, ..body };
        let painter = Painter { dashboard, widths, colours };
        painter.line(target, line, frame);
        if Some(target) == dashboard.chosen.as_ref() {
            frame.buffer_mut().set_style(line, Modifier::REVERSED);
        }
    }
}

fn heading(widths: Widths, line: Rect, frame: &mut Frame<'_>) {
    let titles = ["name", "status", "pid", "up", "↺", "cpu", "", "memory", ""];
    for (place, title) in widths.places(line).into_iter().zip(titles) {
        let right = ["pid", "up", "↺", "cpu", "memory"].contains(&title);
        let line = Line::from(Span::styled(title, Modifier::DIM));
        frame.render_widget(if right { line.right_aligned() } else { line }, place);
    }
    frame.render_widget(Span::styled("listener", Modifier::DIM), widths.listener(line));
}

struct Painter<'a> {
    dashboard: &'a Dashboard,
    widths: Widths,
    colours: bool,
}

impl Painter<'_> {
    fn line(&self, target: &Target, line: Rect, frame: &mut Frame<'_>) {
        let rows: Vec<&Row> = self.dashboard.rows_of(&target.app).collect();
        let rows = match target.instance {
            None => rows,
            Some(number) => rows.into_iter().filter(|row| row.instance == number).collect(),
        };
        let Some(first) = rows.first() else { return };
        let places = self.widths.places(line);
        let (name, status) = match target.instance {
            None => {
                let up = rows.iter().filter(|row| row.status == Status::Online).count();
                (printable(&first.app), format!("{up} of {} online", rows.len()))
            }
            Some(number) => (format!("  @{number}"), status_text(first.status).to_owned()),
        };
        let bold = if target.instance.is_none() { Modifier::BOLD } else { Modifier::empty() };
        let name = cut(&name, usize::from(places[0].width));
        frame.render_widget(Span::styled(name, bold), places[0]);
        let status = cut(&status, usize::from(STATUS));
        frame.render_widget(Span::styled(status, self.status(&rows)), places[1]);
        let restarts: u32 = rows.iter().map(|row| row.restarts).sum();
        let of_one = |text: Option<String>| {
            target.instance.map_or_else(String::new, |_| text.unwrap_or_else(|| "-".to_owned()))
        };
        let pid = of_one(first.pid.map(|pid| pid.to_string()));
        let up = of_one(first.uptime_seconds.map(duration));
        for (place, text) in [(places[2], pid), (places[3], up), (places[4], restarts.to_string())]
        {
            frame.render_widget(Line::from(text).right_aligned(), place);
        }
        let key = target.instance.map_or(&first.app, |_| &first.unit);
        if let Some(meter) = self.dashboard.meters.get(key) {
            let room = usize::from(self.widths.spark);
            let cpu = format!("{:.1}%", meter.cpu_now());
            frame.render_widget(Line::from(cpu).right_aligned(), places[5]);
            self.spark(meter.cpu(room), Color::Cyan, places[6], frame);
            let memory = match meter.memory_now() {
                0 => "-".to_owned(),
                memory => bytes(memory),
            };
            frame.render_widget(Line::from(memory).right_aligned(), places[7]);
            self.spark(meter.memory(room), Color::Magenta, places[8], frame);
        }
        if target.instance.is_none() {
            let listeners =
                cut(&printable(&first.listeners.join(" ")), usize::from(self.widths.listener));
            frame.render_widget(Span::raw(listeners), self.widths.listener(line));
        }
    }

    /// The newest look is at the right.
    fn spark(
        &self,
        (data, most): (Vec<u64>, u64),
        color: Color,
        place: Rect,
        frame: &mut Frame<'_>,
    ) {
        let gap = usize::from(place.width).saturating_sub(data.len());
        let data = std::iter::repeat_n(None, gap).chain(data.into_iter().map(Some));
        let style = if self.colours { Style::new().fg(color) } else { Style::new() };
        let spark = Sparkline::default().data(data).max(most).style(style);
        // A look at which nothing was used is no missing one.
        frame.render_widget(spark.absent_value_symbol(" "), place);
    }

    fn status(&self, rows: &[&Row]) -> Style {
        let is = |status: &[Status]| rows.iter().any(|row| status.contains(&row.status));
        let color = if is(&[Status::Errored, Status::NotListening]) {
            Color::Red
        } else if is(&[
            Status::Launching,
            Status::Stopping,
            Status::WaitingRestart,
            Status::Drained,
        ]) {
            Color::Yellow
        } else if is(&[Status::Online]) {
            Color::Green
        } else {
            return Modifier::DIM.into();
        };
        if self.colours { Style::new().fg(color) } else { Style::new() }
    }
}
