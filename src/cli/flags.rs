//! PM2's options of `start` that are keys of the ecosystem file: each writes its key, and what the
//! file's reader says of the key holds. One table; it decides nothing.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Site;
use crate::error::Error;
use crate::import;

/// What an option takes, and the value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// A string, or a number where it is one.
    Text(&'static str),
    /// A file, relative to the current folder.
    File,
    /// Strings with commas between them, numbers where they are.
    List(&'static str),
    /// As [`Takes::List`], and as PM2 splits a string, at blanks.
    Words(&'static str),
    /// Seconds, as on PM2's command line, or a number with its unit.
    Seconds,
    /// As [`Takes::List`], or no value, which is `true`.
    Maybe(&'static str),
    /// Nothing: this is the value.
    Nothing(&'static str),
}

use Takes::{File, List, Maybe, Nothing, Seconds, Text, Words};

struct Flag {
    short: Option<char>,
    long: &'static str,
    alias: &'static str,
    /// The key of the ecosystem file; empty where it has the name of the option.
    key: &'static str,
    takes: Takes,
    help: &'static str,
}

const fn flag(long: &'static str, takes: Takes, help: &'static str) -> Flag {
    named(long, "", takes, help)
}

/// A flag whose key has another name than the option.
const fn named(long: &'static str, key: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { short: None, long, alias: "", key, takes, help }
}

impl Flag {
    const fn short(self, short: char) -> Flag {
        Flag { short: Some(short), ..self }
    }

    fn key(&self) -> String {
        match self.key {
            "" => self.long.trim_start_matches("no-").replace('-', "_"),
            key => key.to_owned(),
        }
    }

    const fn alias(self, alias: &'static str) -> Flag {
        Flag { alias, ..self }
    }
}

const FLAGS: &[Flag] = &[
    flag("interpreter", Text("PROGRAM"), "Program that runs the script, or `none`"),
    named(
        "node-args",
        "interpreter_args",
        Text("ARGS"),
        "Arguments of the interpreter, in one word",
    )
    .alias("interpreter-args"),
    flag("namespace", Text("NAME"), "Group of apps that a command can select at once"),
    named("uid", "user", Text("USER"), "User that the program runs as"),
    named("gid", "group", Text("GROUP"), "Group that the program runs as"),
    named("error", "error_file", File, "The file for standard error, instead of the journal")
        .short('e'),
    flag("merge-logs", Nothing("true"), "One log for all instances"),
    flag("log-type", Text("TYPE"), "Ignored: lines are as the program writes them"),
    flag("log-date-format", Text("FORMAT"), "Ignored: `clusterctl logs --timestamp` shows times"),
    flag("time", Nothing("true"), "Ignored: `clusterctl logs --timestamp` shows times"),
    flag("disable-logs", Nothing("true"), "Throw the output away"),
    named("pid", "pid_file", File, "A file for the number of the process").short('p'),
    flag("kill-timeout", Text("TIME"), "Time to finish and exit before it is killed").short('k'),
    flag("listen-timeout", Text("TIME"), "Time until an instance must be ready"),
    flag("wait-ready", Nothing("true"), "The program says when it is ready"),
    flag(
        "shutdown-with-message",
        Nothing("true"),
        "Node gets the message `shutdown` instead of the signal",
    ),
    flag("no-treekill", Nothing("false"), "The signal goes to the main process alone"),
    flag("max-memory-restart", Text("SIZE"), "Memory of an instance above which it is replaced"),
    flag("no-autorestart", Nothing("false"), "It is not started again when it ends"),
    flag("no-autostart", Nothing("false"), "It is set up and not started"),
    flag("restart-delay", Text("TIME"), "Pause before a restart"),
    flag("exp-backoff-restart-delay", Text("TIME"), "First pause before a restart; grows"),
    flag("max-restarts", Text("N"), "Unstable restarts before it has given up"),
    flag("min-uptime", Text("TIME"), "A shorter run counts as unstable"),
    flag("stop-exit-codes", List("CODE,..."), "Exit codes after which it is not started again"),
    flag("cron-restart", Text("SCHEDULE"), "When instances are replaced").short('c').alias("cron"),
    flag("watch", Maybe("PATH,..."), "Replace instances when files change"),
    flag("ignore-watch", Words("PATTERN,..."), "Files whose changes do not count"),
    flag("watch-delay", Seconds, "Pause after a change, in seconds or with a unit (500ms)"),
    flag("filter-env", List("NAME,..."), "Variables that it does not get"),
    flag("source-map-support", Nothing("true"), "Node reads source maps"),
];

/// Options of PM2 that ask for what clusterctl does anyway, each with the remark that is printed.
const IDLE: &[(&str, Option<char>, &str)] = &[
    ("force", Some('f'), "an app is known by its name, so it is never started twice"),
    ("update-env", Some('a'), UPDATE_ENV),
    ("no-daemon", None, "there is no daemon; in the foreground: clusterctl dev"),
    ("no-vizion", None, "clusterctl does not read git"),
    ("no-pmx", None, "nothing is loaded into the program to watch it"),
    ("no-automation", None, "nothing is loaded into the program to watch it"),
];

/// What `--update-env` asks for.
pub(super) const UPDATE_ENV: &str = "variables come from the ecosystem file, and `env_file` is read at every \
    start; the shell's own are not taken";

/// Keys with their values as TOML, as the command line gives them.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyFlags {
    given: Vec<(Flagged, Vec<String>)>,
    idle: Vec<&'static str>,
}

/// Place in the table.
type Flagged = usize;

impl KeyFlags {
    /// Whether any key is given.
    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// The remarks about options from [`IDLE`].
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> + '_ {
        let said = |name: &&str| IDLE.iter().find(|(idle, ..)| idle == name);
        let all = self.idle.iter().filter_map(said);
        all.map(|(name, _, text)| format!("--{name}: {text}"))
    }

    /// The lines of the file.
    pub(super) fn keys(&self, place: &Site<'_>) -> Result<Vec<(String, String)>, Error> {
        let line = |(at, values): &(Flagged, Vec<String>)| {
            let flag = &FLAGS[*at];
            Ok((flag.key(), value(flag.takes, values, place)?))
        };
        self.given.iter().map(line).collect()
    }
}

fn value(takes: Takes, values: &[String], place: &Site<'_>) -> Result<String, Error> {
    let list = || {
        let split = |value: &String| match takes {
            Words(_) => import::words(value),
            _ => vec![value.clone()],
        };
        let words: Vec<String> =
            values.iter().flat_map(split).map(|word| word_as_toml(&word)).collect();
        format!("[{}]", words.join(", "))
    };
    let first = values.first().map(String::as_str).unwrap_or_default();
    Ok(match takes {
        Nothing(value) => value.to_owned(),
        Text(_) => word_as_toml(first),
        List(_) | Words(_) => list(),
        Seconds => match first.parse::<f64>() {
            Ok(seconds) if (0.0..1e9).contains(&seconds) => {
                format!("\"{}ms\"", (seconds * 1000.0).round())
            }
            _ => word_as_toml(first),
        },
        Maybe(_) if first.is_empty() => "true".to_owned(),
        Maybe(_) => list(),
        File => quoted(&file(first, place)?),
    })
}

/// The path of a file for output. `NULL` is PM2's word for none.
pub(super) fn file(text: &str, place: &Site<'_>) -> Result<String, Error> {
    if text == "NULL" {
        return Ok("/dev/null".to_owned());
    }
    Ok(place.absolute(&PathBuf::from(text))?.to_string_lossy().into_owned())
}

fn word_as_toml(word: &str) -> String {
    word.parse::<i64>().map_or_else(|_| quoted(word), |number| number.to_string())
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The line of the ecosystem file that an option of `start` writes: shown by commands that do not take
/// the option.
pub(super) fn line_of(option: &str) -> Option<String> {
    let name = option.strip_prefix("--")?;
    let flag = FLAGS.iter().find(|flag| [flag.long, flag.alias].contains(&name))?;
    Some(match flag.takes {
        Nothing(value) => format!("{} = {value}", flag.key()),
        _ => flag.key(),
    })
}

impl clap::Args for KeyFlags {
    fn augment_args(command: Command) -> Command {
        let keys = FLAGS.iter().map(|flag| {
            let arg = Arg::new(flag.long).long(flag.long).help(flag.help).help_heading(HEADING);
            let arg = match flag.short {
                Some(short) => arg.short(short),
                None => arg,
            };
            let arg = if flag.alias.is_empty() { arg } else { arg.visible_alias(flag.alias) };
            match flag.takes {
                Nothing(_) => arg.action(ArgAction::SetTrue),
                Text(name) => arg.value_name(name).allow_hyphen_values(true),
                File => arg.value_name("FILE").value_hint(clap::ValueHint::FilePath),
                Seconds => arg.value_name("SECONDS"),
                List(name) | Words(name) => {
                    arg.value_name(name).value_delimiter(',').action(ArgAction::Append)
                }
                Maybe(name) => arg
                    .value_name(name)
                    .num_args(0..=1)
                    .require_equals(true)
                    .value_delimiter(',')
                    .default_missing_value(""),
            }
        });
        let idle = IDLE.iter().map(|(name, short, help)| {
            let arg = Arg::new(*name).long(*name).help(*help).hide(true);
            let arg = if let Some(short) = short { arg.short(*short) } else { arg };
            arg.action(ArgAction::SetTrue)
        });
        command.args(keys).args(idle)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

const HEADING: &str = "Keys of the ecosystem file";

impl clap::FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = KeyFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (at, flag) in FLAGS.iter().enumerate() {
            let values: Vec<String> = match flag.takes {
                Nothing(_) if matches.get_flag(flag.long) => vec![String::new()],
                Nothing(_) => Vec::new(),
                _ => matches.get_many(flag.long).unwrap_or_default().cloned().collect(),
            };
            if !values.is_empty() {
                self.given.push((at, values));
            }
        }
        let idle = IDLE.iter().map(|(name, ..)| *name);
        self.idle.extend(idle.filter(|name| matches.get_flag(name)));
        Ok(())
    }
}
