//! The command line that a host's shell gets. It knows nothing of ssh.

/// Words for a shell, each of which comes out of it as it went in, whatever is in it.
pub fn command(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// In single quotes nothing has a meaning for a shell but their end; what needs none stays readable.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%:".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The words of a verb without the form of its output: whoever asks a host says which form it needs itself.
pub fn without_form(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" => {
                kept.push(word.clone());
                kept.extend(words.by_ref().cloned());
            }
            "-o" | "--output" => {
                words.next();
            }
            form if form.starts_with("--output=") => {}
            form if ["-ojson", "-otext", "-o=json", "-o=text"].contains(&form) => {}
            _ => kept.push(word.clone()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        let line = command(&words("clusterctl --protocol 1 reload api@2 /a,b %x"));
        assert_eq!(line, "clusterctl --protocol 1 reload api@2 /a,b %x");
        let odd = ["", "it's", "$(reboot)", "a b", "x=1", "~", "a\nb", "*"].map(str::to_owned);
        assert_eq!(command(&odd), "'' 'it'\\''s' '$(reboot)' 'a b' 'x=1' '~' 'a\nb' '*'");
    }

    #[test]
    fn the_form_of_the_output_goes() {
        let kept = |line| without_form(&words(line)).join(" ");
        assert_eq!(kept("list -o json api"), "list api");
        assert_eq!(kept("list --output=json api -otext"), "list api");
        assert_eq!(kept("list --output json -- -o json"), "list -- -o json");
        assert_eq!(kept("reload api"), "reload api");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_gives_back_what_was_quoted(
            words in proptest::collection::vec("[^\u{0}]{0,12}", 1..4)
        ) {
            let script = format!("printf '%s\\0' {}", command(&words));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            let all: String = words.iter().map(|word| format!("{word}\0")).collect();
            prop_assert_eq!(output.stdout, all.into_bytes());
        }
    }
}
