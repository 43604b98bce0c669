//! Command lines of the verbs that are run most, by the options of that verb alone: to describe all verbs takes as long as
//! `list` takes for its files. Whatever is not a complete command line of such a verb is left to the whole description, which
//! knows what to say of it.

use std::ffi::OsString;

use clap::{Args as _, Command, FromArgMatches};

use super::fleet::FleetArgs;
use super::global::Global;
use super::{Args, apply, list, reload, rollout};

/// The arguments, where the first word is such a verb and all the others are right.
pub(super) fn parsed(line: &[OsString]) -> Option<Args> {
    let verb: fn(Command) -> Command = match line.get(1)?.to_str()? {
        "apply" => |verb| apply::ApplyArgs::augment_args(verb.name("apply")),
        "list" => |verb| list::ListArgs::augment_args(verb.name("list")),
        "reload" => |verb| reload::ReloadArgs::augment_args(verb.name("reload")),
        "rollout" => |verb| rollout::RolloutArgs::augment_args(verb.name("rollout")),
        _ => return None,
    };
    let command = FleetArgs::augment_args(Global::augment_args(Command::new("clusterctl")));
    let command = command.subcommand_required(true).subcommand(verb(Command::default()));
    Args::from_arg_matches(&command.try_get_matches_from(line).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_one_verb_reads_what_that_of_all_reads() {
        let lines = [
            "list",
            "list api web@2 --sort cpu:desc -o json",
            "list --user --no-color --watch --times 2",
            "apply",
            "apply -n --only api,web -v a.toml",
            "apply --env staging - --as /srv/a.toml --prune -s",
            "reload all",
            "reload api --max-surge 2",
            "rollout api",
        ];
        for line in lines {
            let words: Vec<OsString> =
                ["clusterctl"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            let all = super::super::command().try_get_matches_from(&words);
            let all = all.ok().and_then(|matches| Args::from_arg_matches(&matches).ok());
            assert!(all.is_some(), "{line}");
            assert_eq!(format!("{:?}", parsed(&words)), format!("{all:?}"), "{line}");
        }
        // What is wrong, what asks for help, and other verbs.
        for line in [
            "list --bad",
            "list --help",
            "apply --times 3",
            "stop api",
            "describe api",
            "ls",
            "-o json list",
            "",
        ] {
            let words = ["clusterctl"].into_iter().chain(line.split(' ')).map(OsString::from);
            assert!(parsed(&words.collect::<Vec<_>>()).is_none(), "{line}");
        }
    }
}
