//! Texts from outside on a terminal. What programs write, what files and units are called, what the
//! bus and the kernel answer is hostile: no control character of it may reach a terminal, which takes
//! some of them for commands. It knows nothing of where a text comes from.

/// One line: every control character, a line feed too, becomes a sign that stands for it.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\u{fffd}' } else { shown(c) }).collect()
}

/// As [`printable`], for a text of several lines, which stay lines.
pub fn printable_lines(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(c: char) -> char {
    match c {
        '\t' | '\n' => c,
        '\x1b' => '␛',
        c if c.is_control() || is_reordering(c) => '\u{fffd}',
        c => c,
    }
}

/// Characters that show a line in another order than it is written in, and line ends of Unicode.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The last step before the terminal, whoever composed the text: of all escape sequences colours
/// alone pass.
pub fn only_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\x1b') {
        out.extend(before.chars().map(shown));
        let length = colour(after);
        match length {
            0 => out.push('␛'),
            length => {
                out.push('\x1b');
                out.push_str(&after[..length]);
            }
        }
        rest = &after[length..];
    }
    out.extend(rest.chars().map(shown));
    out
}

/// Length of the colour sequence that goes on here behind its ESC (ECMA-48 SGR); 0: it is another.
fn colour(after: &str) -> usize {
    let Some(rest) = after.strip_prefix('[') else { return 0 };
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if rest.as_bytes().get(digits) == Some(&b'm') { digits + 2 } else { 0 }
}

/// A value as JSON on one line. Strings of JSON may hold the control characters behind ASCII, of
/// which some terminals take U+009B for the beginning of a command, so they are escaped as well.
pub fn json_line(value: &serde_json::Value) -> String {
    escaped(&value.to_string())
}

/// As [`json_line`], indented over several lines.
pub fn json_lines(value: &serde_json::Value) -> String {
    escaped(&format!("{value:#}"))
}

fn escaped(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        match c {
            '\x7f'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if is_reordering(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_command_to_a_terminal_is_left() {
        assert_eq!(
            printable("\x1b[2J\x07\u{9b}31m\r\n"),
            "␛[2J\u{fffd}\u{fffd}31m\u{fffd}\u{fffd}"
        );
        assert_eq!(printable("a\tb \u{202e}c"), "a\tb \u{fffd}c");
        assert_eq!(printable_lines("a\nb\r"), "a\nb\u{fffd}");
    }

    #[test]
    fn colours_alone_pass() {
        let painted = "\x1b[1m\x1b[38;5;9mred\x1b[0m";
        assert_eq!(only_colours(painted), painted);
        assert_eq!(
            only_colours("\x1b]0;title\x07\x1b[2J\x1b\x1b[m"),
            "␛]0;title\u{fffd}␛[2J␛\x1b[m"
        );
        assert_eq!(only_colours("\x1b[3"), "␛[3");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a": "\u{9b}2J\x7f\x1b\u{202e}ü"});
        let line = json_line(&value);
        assert_eq!(line, "{\"a\":\"\\u009b2J\\u007f\\u001b\\u202eü\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    proptest! {
        #[test]
        fn whatever_comes_only_colours_leave(text in any::<String>(), more in "[\x1b\\[0-9;mJ\u{9b}]{0,20}") {
            let out = only_colours(&format!("{text}{more}"));
            for (at, c) in out.char_indices() {
                let colour = c == '\x1b' && colour(&out[at + 1..]) > 0;
                prop_assert!(colour || !c.is_control() || "\t\n".contains(c), "{out:?}");
            }
            let line = json_line(&text.clone().into());
            prop_assert!(!line.contains(char::is_control), "{line:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
