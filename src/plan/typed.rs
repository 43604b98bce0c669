//! Words of commands in messages, as they are typed into a shell. It never runs one.

/// A word as a shell takes it for one. With a control character in it, it is quoted as bash, zsh and
/// POSIX of 2024 read it, so that it stays on its line and a terminal obeys none.
pub fn shell_word(text: &str) -> String {
    if text.contains(char::is_control) {
        return format!("$'{}'", text.chars().map(escaped).collect::<String>());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%=:".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn escaped(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => {
            c.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>()
        }
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_more_than_one() {
        assert_eq!(shell_word("api@2"), "api@2");
        assert_eq!(shell_word("--env=x"), "--env=x");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("it's a; $file"), "'it'\\''s a; $file'");
        assert_eq!(shell_word("a\nb\x1b[2J"), "$'a\\x0ab\\x1b[2J'");
        assert_eq!(shell_word("it's\u{9b}\\"), "$'it\\'s\\xc2\\x9b\\\\'");
    }
}
