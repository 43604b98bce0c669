//! Draws problems as rustc draws its own, and as data. Never prints.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::problem::{Problem, Problems, Severity};
use crate::limits;

/// Whether text may have ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// With colours, for a terminal.
    On,
    /// Plain.
    Off,
}

/// A problem as data.
#[derive(Debug, Serialize)]
struct ProblemData<'a> {
    severity: &'static str,
    file: &'a str,
    line: usize,
    column: usize,
    key: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

/// Places as near as that are drawn together.
const NEAR: usize = 64 << 10;

impl Problems {
    /// The problems with line, caret and help, and a blank line between them; ends with a newline.
    /// Of very many the first are drawn, errors before warnings, and the others counted.
    pub fn render(&self, color: Color) -> String {
        let renderer = match color {
            Color::On => Renderer::styled(),
            Color::Off => Renderer::plain(),
        };
        let errors = |list: &[(usize, &Problem)]| {
            list.iter().filter(|(_, problem)| problem.severity == Severity::Error).count()
        };
        let mut list: Vec<(usize, &Problem)> = self.list.iter().enumerate().collect();
        if list.len() > limits::PROBLEMS {
            list.sort_by_key(|(nr, problem)| (problem.severity, *nr));
        }
        let more = list.split_off(list.len().min(limits::PROBLEMS));
        list.sort_by_key(|(nr, _)| *nr);
        let places = self.positions();
        let place = |nr: usize| places.get(nr).copied().unwrap_or((1, 1));
        let drawn = list.iter().map(|(nr, one)| renderer.render(&self.groups(one, place(*nr))));
        let mut text = drawn.collect::<Vec<_>>().join("\n\n") + "\n";
        if !more.is_empty() {
            let errors = errors(&more);
            let warnings = more.len() - errors;
            let _ =
                write!(text, "\nand {} more: {errors} errors, {warnings} warnings\n", more.len());
        }
        text
    }

    fn groups<'a>(&'a self, problem: &'a Problem, place: (usize, usize)) -> Vec<Group<'a>> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let span = self.visible(&problem.span);
        let related = problem.related.as_ref().map(|(span, label)| (self.visible(span), label));
        let title = level.primary_title(&problem.message);
        let help = problem.help.as_ref();
        let help = help.map(|help| Group::with_title(Level::HELP.secondary_title(help)));
        if self.line_length(&span) > limits::DRAWN_LINE {
            let (line, column) = place;
            let origin = Origin::path(self.shown_as.as_str()).line(line).char_column(column);
            return [title.element(origin)].into_iter().chain(help).collect();
        }
        let near = |other: &Range<usize>| other.start.abs_diff(span.start) < NEAR;
        let beside = related.as_ref().filter(|(other, _)| near(other));
        let all = beside.map_or(span.clone(), |(other, _)| {
            other.start.min(span.start)..other.end.max(span.end)
        });
        let (lines, mut snippet) = self.snippet(all);
        snippet = snippet.annotation(AnnotationKind::Primary.span(within(&span, lines)));
        if let Some((other, label)) = beside {
            let other = within(other, lines);
            snippet = snippet.annotation(AnnotationKind::Context.span(other).label(*label));
        }
        let mut group = title.element(snippet);
        if let Some((other, label)) = related.as_ref().filter(|(other, _)| !near(other)) {
            let (lines, snippet) = self.snippet(other.clone());
            let other = within(other, lines);
            let annotation = AnnotationKind::Context.span(other).label(*label);
            group = group.element(snippet.annotation(annotation));
        }
        [group].into_iter().chain(help).collect()
    }

    /// Bytes of the lines that a part of the text is in.
    fn line_length(&self, part: &Range<usize>) -> usize {
        let before = self.text[..part.start].rfind('\n').map_or(part.start, |at| part.start - at);
        let after = &self.text[part.end..];
        before + part.len() + after.find('\n').unwrap_or(after.len())
    }

    /// The lines around a part of the text, and where they begin: a long text is not read again for
    /// each problem.
    fn snippet<'a, T: Clone>(&'a self, part: Range<usize>) -> (usize, Snippet<'a, T>) {
        let begin = self.text[..part.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[part.end..].find('\n').map_or(self.text.len(), |at| part.end + at + 1);
        let before = self.text.as_bytes()[..begin].iter().filter(|byte| **byte == b'\n').count();
        let snippet = Snippet::source(&self.text[begin..end]).line_start(before + 1);
        (begin, snippet.path(self.shown_as.as_str()))
    }

    /// The part of a span on its first line, so that a whole table is not drawn.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let start = span.start.min(self.text.len());
        let end = span.end.clamp(start, self.text.len());
        let line = self.text[start..end].lines().next().unwrap_or("");
        if line.trim_end().is_empty() {
            // A place between two characters: point at the next one, if the line has one.
            let next = self.text[start..].chars().next().filter(|char| *char != '\n');
            return start..start + next.map_or(0, char::len_utf8);
        }
        start..start + line.trim_end().len()
    }

    /// The problems as a JSON array: severity, file, line, column, key, message, help.
    pub fn to_json(&self) -> serde_json::Value {
        let places = self.list.iter().zip(self.positions());
        let views = places.map(|(problem, place)| self.view(problem, place));
        serde_json::json!(views.collect::<Vec<_>>())
    }

    fn view<'a>(&'a self, problem: &'a Problem, (line, column): (usize, usize)) -> ProblemData<'a> {
        ProblemData {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            file: &self.shown_as,
            line,
            column,
            key: &problem.path,
            message: &problem.message,
            help: problem.help.as_deref(),
        }
    }
}

/// A part of the text as one of the lines that begin there.
fn within(part: &Range<usize>, begin: usize) -> Range<usize> {
    part.start - begin..part.end - begin
}
