//! Words of commands in messages, as they are typed into a shell. It never runs one.

/// A word as a shell takes it for one.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%=:".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
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
    }
}
