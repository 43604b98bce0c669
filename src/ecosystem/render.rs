//! Draws problems as rustc draws its own, and as data. Never prints.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::problem::{Problem, Problems, Severity};

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
struct View<'a> {
    severity: &'static str,
    file: &'a str,
    line: usize,
    column: usize,
    key: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

impl Problems {
    /// All problems with line, caret and help, and a blank line between them; ends with a newline.
    pub fn render(&self, color: Color) -> String {
        let renderer = match color {
            Color::On => Renderer::styled(),
            Color::Off => Renderer::plain(),
        };
        let drawn = self.list.iter().map(|problem| renderer.render(&self.groups(problem)));
        drawn.collect::<Vec<_>>().join("\n\n") + "\n"
    }

    fn groups<'a>(&'a self, problem: &'a Problem) -> Vec<Group<'a>> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let primary = AnnotationKind::Primary.span(self.visible(&problem.span));
        let mut snippet =
            Snippet::source(&self.text).path(self.shown_as.as_str()).annotation(primary);
        if let Some((span, label)) = &problem.related {
            let span = self.visible(span);
            snippet = snippet.annotation(AnnotationKind::Context.span(span).label(label));
        }
        let mut groups = vec![level.primary_title(&problem.message).element(snippet)];
        if let Some(help) = &problem.help {
            groups.push(Group::with_title(Level::HELP.secondary_title(help)));
        }
        groups
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
        let views = self.list.iter().map(|problem| self.view(problem));
        serde_json::json!(views.collect::<Vec<_>>())
    }

    fn view<'a>(&'a self, problem: &'a Problem) -> View<'a> {
        let (line, column) = self.position(problem.span.start);
        View {
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
