//! What a shell may complete: apps, instances, namespaces, profiles and files, as they are at this
//! moment. It asks nobody but the disk, changes nothing, and has nothing to say where it may not look.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{CompleteEnv, EnvCompleter};

use super::process;
use crate::disk::{self, FoundApp};
use crate::ecosystem::{AppName, Scope};

/// Environment variable by which a shell asks for completions; its value names the shell.
pub(super) const VARIABLE: &str = "CLUSTERCTL_COMPLETE";

/// Answers a shell, if one asks; false when a command is to be run.
pub(super) fn answered() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let asked = CompleteEnv::with_factory(super::command).var(VARIABLE).bin(NAME);
    let folder = std::env::current_dir().ok();
    // A shell has no place for what goes wrong.
    asked.try_complete(std::env::args_os(), folder.as_deref()).unwrap_or(true)
}

const NAME: &str = "clusterctl";

/// What a shell has to be told once to ask the program.
pub(super) fn registration(shell: &dyn EnvCompleter) -> std::io::Result<String> {
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    let text = String::from_utf8_lossy(&script);
    Ok(format!("{}\n", text.trim()))
}

/// Apps, instances and namespaces.
pub(super) fn selectors() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| selected(word, &apps()))
}

/// As [`selectors`], and ecosystem files, scripts and whatever else a path leads to.
pub(super) fn selectors_and_files() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let mut all = selected(word, &apps());
        all.extend(PathCompleter::any().complete(word));
        all
    })
}

/// Apps alone.
pub(super) fn names() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let apps = apps();
        let names = apps.keys().map(|app| (app.to_string(), "app"));
        candidates(word, names.collect())
    })
}

/// Profiles that the ecosystem file of the current folder knows, or one that the line names.
pub(super) fn profiles() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| candidates(word, profiles_in(&named_file())))
}

/// Apps of that file; where it names none, those that are applied. A file of another tool is a program, which is not run
/// for this.
pub(super) fn of_file() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let mut names = names_in(&named_file());
        if names.is_empty() {
            names = apps().keys().map(ToString::to_string).collect();
        }
        candidates(word, names.into_iter().map(|name| (name, "app")).collect())
    })
}

/// The text of the ecosystem file that the line names, else of the one in the current folder.
fn named_file() -> String {
    let words: Vec<OsString> = std::env::args_os().collect();
    let named = words.iter().rev().find(|word| word.to_string_lossy().ends_with(".toml"));
    let file = named.map_or(OsStr::new("ecosystem.toml"), OsString::as_os_str);
    crate::host::text::read(Path::new(file), crate::host::text::MOST).unwrap_or_default()
}

/// Names of the apps in a file; an app without one is called as its script is.
fn names_in(text: &str) -> Vec<String> {
    let file: toml::Table = toml::from_str(text).unwrap_or_default();
    let apps = file.get("apps").and_then(toml::Value::as_array).into_iter().flatten();
    let name = |app: &toml::Value| {
        let stem = || Path::new(app.get("script")?.as_str()?).file_stem()?.to_str();
        app.get("name").and_then(toml::Value::as_str).or_else(stem).map(str::to_owned)
    };
    apps.filter_map(name).collect()
}

/// Names of `env_NAME` in a file, and the word for none.
fn profiles_in(text: &str) -> Vec<(String, &'static str)> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
    let names: BTreeSet<&str> = words.filter_map(|word| word.strip_prefix("env_")).collect();
    let names = names.into_iter().filter(|name| !["file", "files"].contains(name));
    let none = (crate::plan::profile::NONE.to_owned(), "no profile");
    names.map(|name| (name.to_owned(), "profile")).chain([none]).collect()
}

/// Every app that this caller may see, of the manager that the line means.
fn apps() -> BTreeMap<AppName, FoundApp> {
    let user = std::env::args_os().any(|word| word == "--user");
    let around = process::world().surroundings;
    let scope = if user { Scope::User } else { around.default_scope() };
    let layout = around.layout(scope).ok();
    layout.and_then(|layout| disk::scan(&layout).ok()).unwrap_or_default()
}

/// Instances are offered behind the app's name and `@`, so that a long list stays readable.
fn selected(word: &OsStr, apps: &BTreeMap<AppName, FoundApp>) -> Vec<CompletionCandidate> {
    let text = word.to_string_lossy();
    if let Some((name, _)) = text.split_once('@') {
        let found = apps.iter().find(|(app, _)| app.as_str() == name);
        let links = found.map(|(_, found)| found.links.clone()).unwrap_or_default();
        let instances = links.into_iter().map(|number| (format!("{name}@{number}"), "instance"));
        return candidates(word, instances.collect());
    }
    let names = apps.keys().map(|app| (app.to_string(), "app"));
    let spaces: BTreeSet<&String> = apps.values().map(|found| &found.namespace).collect();
    let own = |space: &&String| apps.keys().all(|app| app.as_str() != space.as_str());
    let spaces = spaces.into_iter().filter(own).map(|space| (space.clone(), "namespace"));
    let all = (!apps.is_empty()).then(|| ("all".to_owned(), "every app"));
    candidates(word, names.chain(spaces).chain(all).collect())
}

fn candidates(word: &OsStr, all: Vec<(String, &'static str)>) -> Vec<CompletionCandidate> {
    let start = word.to_string_lossy();
    let fitting = all.into_iter().filter(|(name, _)| name.starts_with(start.as_ref()));
    fitting.map(|(name, what)| CompletionCandidate::new(name).help(Some(what.into()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn instances_come_behind_the_name_of_their_app() {
        let app = |name: &str, space: &str| {
            let found =
                FoundApp { namespace: space.into(), links: [0, 1].into(), ..FoundApp::default() };
            (AppName::parse(name).unwrap(), found)
        };
        let apps = [app("api", "shop"), app("web", "shop")].into();
        let words = |word: &str| {
            let found = selected(OsStr::new(word), &apps);
            let text = |one: &CompletionCandidate| one.get_value().to_string_lossy().into_owned();
            found.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(words(""), ["api", "web", "shop", "all"]);
        assert_eq!(words("a"), ["api", "all"]);
        assert_eq!(words("api@"), ["api@0", "api@1"]);
        assert_eq!(words("nobody@"), Vec::<String>::new());
    }

    #[test]
    fn apps_are_read_from_the_file() {
        let text = "[[apps]]\nname = 'api'\n[[apps]]\nscript = 'jobs/mail.js'\n[[apps]]\n";
        assert_eq!(names_in(text), ["api", "mail"]);
        assert_eq!(names_in("module.exports = {}"), Vec::<String>::new());
    }

    #[test]
    fn profiles_are_read_from_the_file() {
        let text = "[[apps]]\nenv_file = '.env'\nenv_production = {}\n[apps.env_staging]\n";
        let names: Vec<String> = profiles_in(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["production", "staging", "none"]);
    }
}
