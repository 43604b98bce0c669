//! Quoting of hostile strings for unit files, so that none of them can become a directive.
//!
//! Every function is total for strings without NUL; what systemd cannot carry at all (NUL, a quote
//! in an executable's path) is refused by `ecosystem` before it gets here.
//! Source: systemd.syntax(7) "Quoting", systemd.service(5) "Command lines", systemd.unit(5)
//! "Specifiers"; each rule was checked against systemd 252, 257 and 262.

use std::fmt::Write as _;

/// One argument of an `Exec*=` line: `$` and `%` lose their meaning, control characters are escaped.
pub fn argument(text: &str) -> String {
    quoted(text, "$$")
}

/// One `NAME=value` assignment of an `Environment=` line. `$` has no meaning there.
pub fn assignment(name: &str, value: &str) -> String {
    quoted(&format!("{name}={value}"), "$")
}

fn quoted(text: &str, dollar: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '%' => out.push_str("%%"),
            '$' => out.push_str(dollar),
            '\u{1}'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(char));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The executable of an `Exec*=` line: quoted for its blanks; `$` is not expanded there, and
/// quotes, backslashes and control characters must not occur.
pub fn executable(path: &str) -> String {
    format!("\"{}\"", path.replace('%', "%%"))
}

/// A path setting such as `WorkingDirectory=`: no quoting exists there, only `%` is special, and a
/// trailing slash protects trailing blanks.
pub fn path(path: &str) -> String {
    let mut out = path.replace('%', "%%");
    if out.ends_with([' ', '\t']) {
        out.push('/');
    }
    out
}

/// Free text such as `Description=`: one line, `%` escaped, a trailing backslash defused.
pub fn text(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let trimmed = flat.trim().trim_end_matches('\\');
    trimmed.replace('%', "%%")
}

/// A path or free text as it was before `%` was escaped.
pub fn unescaped(value: &str) -> String {
    value.replace("%%", "%")
}

/// One line of an environment file, read by `EnvironmentFile=`: double quotes, in which `\`, `"`,
/// `` ` `` and `$` are escaped and newlines stand as they are (systemd.exec(5), EnvironmentFile=).
pub fn env_file_line(name: &str, value: &str) -> String {
    let mut out = format!("{name}=\"");
    for char in value.chars() {
        if matches!(char, '\\' | '"' | '`' | '$') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lose_every_meaning() {
        assert_eq!(argument("a b"), "\"a b\"");
        assert_eq!(argument("$HOME %h \"x\" \\n\n"), "\"$$HOME %%h \\\"x\\\" \\\\n\\x0a\"");
    }

    #[test]
    fn dollars_stay_single_in_environment() {
        assert_eq!(assignment("A", "$5 %d"), "\"A=$5 %%d\"");
    }

    #[test]
    fn paths_keep_their_blanks() {
        assert_eq!(path("/a b/50%"), "/a b/50%%");
        assert_eq!(path("/a "), "/a /");
    }

    #[test]
    fn text_cannot_continue_or_break_the_line() {
        assert_eq!(text("50% of\n[Service]\\"), "50%% of [Service]");
    }
}
