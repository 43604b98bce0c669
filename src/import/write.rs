//! Drafts as the text of an ecosystem file. It never decides what belongs into it.

use toml::Value;

use super::draft::{Draft, DraftLine, Drafts, LeftOut};

/// Variables up to this many stand on one line.
const INLINE: usize = 2;

/// The whole file.
pub(super) fn file(drafts: &Drafts, origin: &str) -> String {
    let mut text = comment(&format!(
        "Imported from {origin}. Check it with `clusterctl validate`, put it in force with"
    ));
    text += "# `clusterctl apply`. All keys: ecosystem.toml(5)\n";
    drafts.remarks.iter().for_each(|line| text += &comment(line));
    if !drafts.left.is_empty() {
        text += "#\n# Left out:\n";
        drafts.left.iter().for_each(|left| text += &left_out(left));
    }
    for draft in &drafts.apps {
        text.push('\n');
        app(&mut text, draft);
    }
    text
}

fn app(text: &mut String, draft: &Draft) {
    draft.remarks.iter().for_each(|line| *text += &comment(line));
    *text += "[[apps]]\n";
    draft.keys.iter().for_each(|entry| *text += &line(entry));
    let (small, large): (Vec<_>, Vec<_>) =
        draft.tables.iter().filter(|(_, lines)| !lines.is_empty()).partition(|(_, lines)| {
            lines.len() <= INLINE
                && lines.iter().all(|line| !line.value.is_table() && line.remark.is_none())
        });
    for (name, lines) in small {
        let entries: Vec<String> = lines
            .iter()
            .map(|line| format!("{} = {}", key(&line.key), value(&line.value)))
            .collect();
        *text += &format!("{} = {{ {} }}\n", key(name), entries.join(", "));
    }
    draft.left.iter().for_each(|left| *text += &left_out(left));
    if !draft.off.is_empty() {
        *text += &comment(&format!("off there, and off here: {}", draft.off.join(", ")));
    }
    for (name, lines) in large {
        *text += &format!("\n[apps.{}]\n", key(name));
        lines.iter().for_each(|entry| *text += &line(entry));
    }
}

fn line(line: &DraftLine) -> String {
    let text = format!("{} = {}", key(&line.key), value(&line.value));
    match &line.remark {
        // A comment cannot stand behind a text of several lines without being overlooked.
        Some(remark) => format!("{text:<30} {}", comment(remark)),
        None => format!("{text}\n"),
    }
}

fn left_out(left: &LeftOut) -> String {
    let text = comment(&format!("{} {}", left.what, left.why));
    let instead = left.instead.as_ref().map(|instead| comment(&format!("  {instead}")));
    text + &instead.unwrap_or_default()
}

/// A line that nothing reads: control characters are shown, so that it stays one.
fn comment(text: &str) -> String {
    let mut line = "# ".to_owned();
    for char in text.chars() {
        if misleads(char) { line.extend(char.escape_debug()) } else { line.push(char) }
    }
    line.push('\n');
    line
}

/// Whether an editor shows something else than what stands there: another line, or another order.
fn misleads(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_bare = !name.is_empty() && name.chars().all(bare);
    if is_bare { name.to_owned() } else { value(&Value::from(name)) }
}

/// A value on one line, however many its texts have.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().any(|c| misleads(c) || c == '\'') => escaped(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) if !table.is_empty() => {
            let entries =
                table.iter().map(|(name, item)| format!("{} = {}", key(name), self::value(item)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = "\"".to_owned();
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            control if misleads(control) => out += &format!("\\u{:04X}", u32::from(control)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
