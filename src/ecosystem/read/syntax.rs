//! Errors of the TOML text itself, in this project's words where the parser's are a riddle.

use std::collections::BTreeSet;

use super::problem::{Place, Problem};

/// What a parser's error means: the start of its message, ours, and what to write.
const RIDDLES: &[(&str, &str, &str)] = &[
    ("string values must be quoted", "a text must be in quotes", "put it in double quotes"),
    ("duplicate key", "this key is set twice", "keep one of them"),
    ("invalid boolean", "this is not a boolean", "write `true` or `false`, in small letters"),
    (
        "missing escaped value",
        "`\\` begins an escape in double quotes",
        "write `\\\\`, or put the text in single quotes",
    ),
    ("invalid basic string", "the text has no end on this line", "close it with `\"`"),
    ("invalid literal string", "the text has no end on this line", "close it with `'`"),
    (
        "missing key for inline table element",
        "this does not belong into a table in braces",
        "close the table before it with `}`",
    ),
    ("unclosed inline table", "the table has no end", "close it with `}`"),
    ("unclosed array", "the array has no end", "close it with `]`"),
    ("unclosed table", "the header has no end", "close it with `]`, or `]]` after `[[`"),
    ("unclosed array of tables", "the header has no end", "close it with `]]`"),
];

/// Every error on a line of its own: one slip often breaks several rules, and the first tells.
/// `line` gives the line of a byte.
pub(crate) fn problems(
    text: &str,
    errors: &[toml::de::Error],
    line: impl Fn(usize) -> usize,
) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut known = BTreeSet::new();
    let end = text.trim_end().len();
    for error in errors {
        let span = error.span().unwrap_or(end..end);
        if !known.insert(line(span.start)) {
            continue;
        }
        problems.push(problem(text, Place { span, path: String::new() }, error.message()));
    }
    problems
}

fn problem(text: &str, at: Place, message: &str) -> Problem {
    let quoted_nothing = text.get(at.span.clone()).is_some_and(|part| part.trim().is_empty());
    if quoted_nothing && message.starts_with("string values must be quoted") {
        return Problem::error(&at, "a value is missing")
            .help("write it after `=`, or remove the line");
    }
    // The longest beginning that fits: `unclosed array of tables` begins like `unclosed array`.
    let fitting = RIDDLES.iter().filter(|(beginning, ..)| message.starts_with(beginning));
    match fitting.max_by_key(|(beginning, ..)| beginning.len()) {
        Some((_, ours, help)) => Problem::error(&at, *ours).help(*help),
        None => Problem::error(&at, message),
    }
}
