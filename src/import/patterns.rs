//! PM2's patterns of files for `watch` and `ignore_watch`, which are globs and regular expressions, as folders and
//! names. It looks at no file.

use toml::Value;

use super::draft::{Draft, LeftOut};

/// Regular expressions of PM2's and chokidar's documentation for hidden files, which do not count here anyway.
const HIDDEN: [&str; 4] = [r"[\/\\]\./", r"[\/\\]\.", r"(^|[\/\\])\..", r"(^|[/\\])\.."];

/// What makes a pattern more than a name with `*` and `?`.
const REGULAR: [char; 10] = ['\\', '^', '$', '(', '|', '[', '{', '+', '!', ')'];

/// What becomes of one pattern of `ignore_watch`.
enum Ignored {
    /// A name or a path.
    Name(String),
    /// It holds without being said.
    Usual,
    /// No names say the same.
    Unknown,
}

/// Puts names and folders in the place of what PM2 and chokidar understand besides.
pub(super) fn translate(draft: &mut Draft) {
    ignored(draft);
    watched(draft);
}

/// A list of texts, or one of them; `None` for anything else.
fn texts(draft: &Draft, key: &str) -> Option<Vec<String>> {
    match draft.get(key)? {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A string as PM2 splits it where it wants a list: at blanks outside quotes.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = rest.strip_prefix(['"', '\'']).and_then(|inner| inner.split_once(first));
        let whole = || rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (word, after) = quoted.unwrap_or_else(whole);
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

fn ignored(draft: &mut Draft) {
    let Some(patterns) = texts(draft, "ignore_watch") else { return };
    let patterns = match draft.get("ignore_watch") {
        Some(Value::String(text)) => words(text),
        _ => patterns,
    };
    let mut names = Vec::new();
    for pattern in patterns {
        match meaning(&pattern) {
            Ignored::Name(name) => names.push(Value::from(name)),
            Ignored::Usual => {}
            Ignored::Unknown => draft.leave(
                LeftOut::new(
                    format!("ignore_watch = {}", Value::from(pattern)),
                    "is a regular expression for more than names with `*` and `?`",
                )
                .instead(
                    "write names such as \"uploads\" and \"*.log\", and paths such as \"client/img\"",
                ),
            ),
        }
    }
    match names.is_empty() {
        true => drop(draft.remove("ignore_watch")),
        false => drop(draft.set("ignore_watch", Value::Array(names))),
    }
}

fn meaning(pattern: &str) -> Ignored {
    let inner = expression(pattern);
    if HIDDEN.contains(&inner) {
        return Ignored::Usual;
    }
    if !inner.contains(REGULAR) {
        return Ignored::Name(inner.to_owned());
    }
    // `\.log$`: names that end so.
    let end = inner.strip_prefix(".*").unwrap_or(inner);
    let end = end.strip_prefix(r"\.").and_then(|end| end.strip_suffix('$'));
    let plain = |end: &&str| end.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match end.filter(|end| !end.is_empty()).filter(plain) {
        Some(end) => Ignored::Name(format!("*.{end}")),
        None => Ignored::Unknown,
    }
}

/// A regular expression without the slashes and flags with which JavaScript writes it; a path as it is.
fn expression(pattern: &str) -> &str {
    let inner = pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    match inner {
        Some((inner, flags))
            if inner.contains(REGULAR) && flags.chars().all(|c| c.is_ascii_lowercase()) =>
        {
            inner
        }
        _ => pattern,
    }
}

/// A folder is watched with all that is in it.
fn watched(draft: &mut Draft) {
    let Some(paths) = texts(draft, "watch") else { return };
    if !paths.iter().any(|path| path.contains(['*', '?'])) {
        return;
    }
    let mut folders: Vec<String> = Vec::new();
    for path in &paths {
        let parts = path.split('/').take_while(|part| !part.contains(['*', '?']));
        let folder = parts.collect::<Vec<_>>().join("/");
        let folder = if folder.is_empty() { ".".to_owned() } else { folder };
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let folders = folders.into_iter().map(Value::from).collect();
    draft.set("watch", Value::Array(folders)).remark =
        Some("a folder with all that is in it, in the place of a pattern".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(key: &str, value: &[&str]) -> (Option<Value>, usize) {
        let mut draft = Draft::default();
        draft.set(key, value.iter().map(|text| Value::from(*text)).collect::<Vec<_>>());
        translate(&mut draft);
        (draft.remove(key), draft.left.len())
    }

    #[test]
    fn regular_expressions_for_endings_become_names() {
        let (names, left) = translated(
            "ignore_watch",
            &["node_modules", r"\.log$", r"/\.tmp$/i", r"[\/\\]\./", "/srv/x/", r"a(b|c)"],
        );
        let expected = ["node_modules", "*.log", "*.tmp", "/srv/x/"].map(Value::from);
        assert_eq!((names, left), (Some(Value::Array(expected.to_vec())), 1));
        assert_eq!(translated("ignore_watch", &[r"[\/\\]\./"]), (None, 0));
    }

    /// PM2 splits a string where it wants a list.
    #[test]
    fn a_string_of_patterns_is_a_list() {
        let mut draft = Draft::default();
        draft.set("ignore_watch", "node_modules  'my logs' \"*.tmp\"");
        translate(&mut draft);
        let expected = ["node_modules", "my logs", "*.tmp"].map(Value::from);
        assert_eq!(draft.remove("ignore_watch"), Some(Value::Array(expected.to_vec())));
    }

    #[test]
    fn globs_become_folders() {
        let (folders, left) = translated("watch", &["src", "lib/**/*.js", "*.js", "src/*"]);
        let expected = ["src", "lib", "."].map(Value::from);
        assert_eq!((folders, left), (Some(Value::Array(expected.to_vec())), 0));
    }
}
