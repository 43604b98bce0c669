//! The words of a command line as they are passed on to a host.

use std::ffi::OsString;

use crate::fleet;

/// Whether clusterctl on another machine asks: its words begin with `--protocol N`, which are taken out. An
/// ordinary command line has no use for them.
pub(in crate::cli) fn is_asked_from_afar(line: &mut Vec<OsString>) -> bool {
    let asked = line.len() > 2 && line[1] == "--protocol";
    if asked {
        line.drain(1..3);
    }
    asked
}

/// The verb, as it is written.
pub(super) fn verb(words: &[String]) -> String {
    words.get(place_of_verb(words)).cloned().unwrap_or_default()
}

/// The words behind the verb: everything before it is said once, to this program.
pub(super) fn behind_verb(words: &[String]) -> &[String] {
    words.get(place_of_verb(words) + 1..).unwrap_or_default()
}

fn place_of_verb(words: &[String]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let takes_next = match word.strip_prefix("--") {
            Some(long) => ["host", "limit", "output"].contains(&long),
            None => word.strip_prefix('-').is_some_and(ends_with_value_of_next),
        };
        at += match word.starts_with('-') {
            true if takes_next => 2,
            true => 1,
            false => return at,
        };
    }
    words.len()
}

/// Whether the value of the last letter of `-sH` is the next word.
fn ends_with_value_of_next(letters: &str) -> bool {
    letters.find(['H', 'o']).is_some_and(|at| at + 1 == letters.len())
}

/// Words without the hosts, which are named before the verb.
pub(super) fn without_hosts(words: &[String]) -> Vec<String> {
    let verb = place_of_verb(words).min(words.len());
    let (before, behind) = words.split_at(verb);
    let mut kept = Vec::new();
    let mut before = before.iter();
    while let Some(word) = before.next() {
        let letters = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        // Of `-yH web1` and `-yHweb1` the other letters stay, unless the H is the value of one of them.
        let at = letters.and_then(|letters| letters.find(['H', 'o']));
        match (letters, at) {
            (Some(letters), Some(at)) if letters[at..].starts_with('H') => {
                if at + 1 == letters.len() {
                    before.next();
                }
                kept.extend((at > 0).then(|| format!("-{}", &letters[..at])));
            }
            _ if word == "--host" => drop(before.next()),
            _ if word.starts_with("--host=") => {}
            _ => kept.push(word.clone()),
        }
    }
    [kept.as_slice(), behind].concat()
}

/// Words of a verb without the one that is no option and no value of one. `takes_value` says of an option whether the next
/// word is its value.
pub(super) fn without_positional(
    mut words: Vec<String>,
    word: &str,
    takes_value: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut at = 0;
    while let Some(one) = words.get(at) {
        let value = one.starts_with('-') && one != "-" && takes_value(one);
        if !value && one == word {
            words.remove(at);
            return words;
        }
        at += if value { 2 } else { 1 };
    }
    words
}

/// Whether the word behind this option of a verb is its value.
pub(super) fn takes_value(command: &clap::Command, verb: &str, option: &str) -> bool {
    let known = command
        .get_subcommands()
        .find(|one| one.get_name() == verb || one.get_all_aliases().any(|alias| alias == verb));
    let named = |arg: &clap::Arg| match option.strip_prefix("--") {
        Some(long) => {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(long) || aliases.contains(&long)
        }
        None => arg.get_short().is_some_and(|short| option == format!("-{short}")),
    };
    known.is_some_and(|command| {
        command.get_arguments().any(|arg| {
            named(arg) && arg.get_action().takes_values() && !arg.is_require_equals_set()
        })
    })
}

/// Words without options of these names and their values, which are those that take one. A letter is meant with one
/// dash, a name with two.
pub(super) fn without(words: &[String], names: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            kept.push(word.clone());
            kept.extend(words.by_ref().cloned());
        } else if names.contains(&word.as_str()) {
            words.next();
        } else if !names.iter().any(|name| word.starts_with(&format!("{name}="))) {
            kept.push(word.clone());
        }
    }
    kept
}

/// Words without these, which take no value.
pub(super) fn without_flags(words: Vec<String>, flags: &[&str]) -> Vec<String> {
    words.into_iter().filter(|word| !flags.contains(&word.as_str())).collect()
}

/// What a host is told first: the form of its answer, and the manager that is meant.
pub(super) fn of_answer(json: bool, user: bool, system: bool, verbose: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |wanted: bool, option: &[&str]| {
        words.extend(option.iter().filter(|_| wanted).map(|word| (*word).to_owned()));
    };
    add(json, &["-o", "json"]);
    add(user, &["--user"]);
    add(system, &["--system"]);
    add(verbose, &["--verbose"]);
    words
}

/// The words of the verb, without a form of the output.
pub(super) fn of_verb(words: &[String]) -> Vec<String> {
    fleet::without_form(behind_verb(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_verb_is_the_first_word_that_is_no_option_and_no_value() {
        for (line, behind) in [
            ("-H all list api", "api"),
            ("-Hall --limit 25% -y reload api --on-failure pause", "api --on-failure pause"),
            ("--host=web1 -o json -sH web2 --limit=1 stop -- -H", "-- -H"),
            ("-ojson -vo text logs -f", "-f"),
        ] {
            assert_eq!(behind_verb(&words(line)).join(" "), behind, "{line}");
        }
        assert_eq!(behind_verb(&words("-H all list")), Vec::<String>::new());
        assert_eq!(behind_verb(&words("-H all")), Vec::<String>::new());
    }

    #[test]
    fn options_go_with_their_values() {
        let kept = without(&words("a --as X --only=b c -- --as d"), &["--as", "--only"]);
        assert_eq!(kept.join(" "), "a c -- --as d");
        let flags = without_flags(words("a -n --dry-run b"), &["-n", "--dry-run"]);
        assert_eq!(flags.join(" "), "a b");
    }

    #[test]
    fn hosts_go_however_they_are_written() {
        for (line, kept) in [
            ("-H all stop api -H", "stop api -H"),
            ("-yH web1 stop api", "-y stop api"),
            ("-sHweb1 --limit 2 stop api", "-s --limit 2 stop api"),
            ("--host=a,b -y stop --host", "-y stop --host"),
            ("--host a -oH stop", "-oH stop"),
        ] {
            assert_eq!(without_hosts(&words(line)).join(" "), kept, "{line}");
        }
    }

    #[test]
    fn a_value_of_an_option_is_not_what_is_deployed() {
        let takes = |option: &str| takes_value(&crate::cli::command(), "deploy", option);
        for (line, kept) in [
            ("production --env production", "--env production"),
            ("--env production production", "--env production"),
            ("--prune - --env=-", "--prune --env=-"),
        ] {
            let word = if line.contains("production") { "production" } else { "-" };
            let left = without_positional(words(line), word, &takes);
            assert_eq!(left.join(" "), kept, "{line}");
        }
        assert!(takes("--env") && !takes("--prune") && !takes("--nothing"));
    }

    #[test]
    fn who_asks_from_afar_says_so_first() {
        let mut line: Vec<OsString> =
            ["clusterctl", "--protocol", "1", "list"].map(OsString::from).into();
        assert!(is_asked_from_afar(&mut line));
        assert_eq!(line, ["clusterctl", "list"]);
        assert!(!is_asked_from_afar(&mut line));
        let mut line: Vec<OsString> =
            ["clusterctl", "list", "--protocol"].map(OsString::from).into();
        assert!(!is_asked_from_afar(&mut line));
    }
}
