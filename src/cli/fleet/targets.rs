//! Which hosts a command line means, and what each of them is told.

use std::path::{Path, PathBuf};

use super::archive::FleetArchive;
use super::kind::Kind;
use super::view::FileName;
use super::words;
use crate::cli::deploy::FILE;
use crate::cli::{Args, Purpose, Site, Ui, Verb, input};
use crate::ecosystem::{self, AppName, Fleet, FleetFile, FleetHost};
use crate::error::Error;
use crate::fleet;
use crate::ops::fleet::{HostCall, HostInput};

/// The hosts, and what they are told.
#[derive(Debug)]
pub(super) struct Targets {
    /// How commands go over them.
    pub fleet: Fleet,
    /// The folder of the ecosystem file here, where hooks run.
    pub folder: PathBuf,
    /// What shows what would happen, and changes nothing. For verbs that read it is the command itself.
    pub look: Vec<HostCall>,
    /// What does it, for the same hosts.
    pub work: Vec<HostCall>,
    /// What lists all that each of these hosts has.
    pub all: Vec<HostCall>,
    /// The apps of the file that each of these hosts has.
    pub apps: Vec<Vec<AppName>>,
    /// What the file is called there, and here.
    pub file: FileName,
    /// Hosts that have none of the apps that are asked for.
    pub without: Vec<String>,
    /// The words of the verb, for messages.
    pub words: Vec<String>,
    /// What hosts read while they work.
    archive: Option<FleetArchive>,
}

/// The ecosystem file as it is here.
#[derive(Debug, Default)]
struct Here {
    /// What it is called by who types the command.
    shown: String,
    text: String,
    source: Option<PathBuf>,
    file: FleetFile,
}

impl Targets {
    /// Finds out who is meant.
    ///
    /// # Errors
    /// The file has problems, or there is no such host.
    pub(super) fn of(
        args: &Args,
        kind: &Kind,
        words: &[String],
        place: &Site<'_>,
        ui: &mut Ui,
    ) -> Result<Targets, Error> {
        let mut archive = match &args.verb {
            Verb::Deploy(args) => Some(FleetArchive::of(args, place)?),
            _ => None,
        };
        let here = match &archive {
            Some(archive) => Some(of_release(archive, kind, place, ui)?),
            None => read(kind, place, ui)?,
        };
        let hosts = meant(&args.fleet.hosts, here.as_ref())?;
        let here = here.unwrap_or_default();
        let parent = here.source.as_deref().and_then(Path::parent).map(Path::to_owned);
        let folder = parent.map_or_else(|| place.current_folder(), Ok)?;
        let teller = Teller {
            kind,
            here: &here,
            of_verb: words::of_verb(words),
            verb: words::verb(words),
            json: |json| {
                let global = &args.global;
                words::of_answer(json, global.user, global.system, global.verbose)
            },
            wants_json: args.global.json(),
        };
        let mut targets = Targets {
            fleet: here.file.fleet.clone(),
            folder,
            look: Vec::new(),
            work: Vec::new(),
            all: Vec::new(),
            apps: Vec::new(),
            file: FileName { there: teller.there().unwrap_or_default(), here: here.shown.clone() },
            without: Vec::new(),
            words: words.to_vec(),
            archive: None,
        };
        for host in hosts {
            let Some((mut look, mut work)) = teller.calls(&host) else {
                targets.without.push(host.name);
                continue;
            };
            if let Some(archive) = &mut archive {
                let input = archive.input(&host, &here.file, &place.layout()?.state)?;
                (look.input, work.input) = (input.clone(), input);
            }
            targets.all.push(teller.call(&host, true, "list", Vec::new()));
            targets.apps.push(here.file.apps_of(&host).into_iter().cloned().collect());
            targets.look.push(look);
            targets.work.push(work);
        }
        targets.archive = archive;
        Ok(targets)
    }
}

/// Reads the file that is named, or the usual one where there is one.
fn read(kind: &Kind, place: &Site<'_>, ui: &mut Ui) -> Result<Option<Here>, Error> {
    let (path, name) = match kind.file() {
        Some((path, name)) => (path.to_owned(), name),
        None => match input::usual_file(place) {
            Ok(file) if file.ends_with(".toml") => (PathBuf::from(file), None),
            _ => return Ok(None),
        },
    };
    let (text, source, base) = input::read_ecosystem(place, &path, name, ui)?;
    let file = tables(kind, &text, &path, &base, place, ui)?;
    let shown = match path.as_os_str() == "-" {
        true => String::new(),
        false => path.display().to_string(),
    };
    Ok(Some(Here { shown, text, source, file }))
}

/// The ecosystem file of what is deployed.
fn of_release(
    archive: &FleetArchive,
    kind: &Kind,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Here, Error> {
    let text = archive.text.clone();
    let file = tables(kind, &text, Path::new(FILE), &place.current_folder()?, place, ui)?;
    Ok(Here { shown: FILE.to_owned(), text, source: None, file })
}

/// What a file says of hosts.
fn tables(
    kind: &Kind,
    text: &str,
    path: &Path,
    base: &Path,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<FleetFile, Error> {
    let env = match kind {
        Kind::File(verb) => verb.env.as_deref(),
        Kind::Deploy { env, .. } => env.as_deref(),
        _ => None,
    };
    let env = env.filter(|env| *env != crate::plan::profile::NONE);
    let host = place.around.host(&place.layout()?, Purpose::Check);
    let shown = path.display().to_string();
    ecosystem::fleet_file(text, &shown, base, env, &*host)
        .map_err(|problems| input::refused(problems, &shown, ui))
}

/// The hosts that are asked for, in the order of the file for `all`, else in that of the command line.
fn meant(asked: &[String], here: Option<&Here>) -> Result<Vec<FleetHost>, Error> {
    let known = here.map(|here| here.file.fleet.hosts.as_slice()).unwrap_or_default();
    let mut hosts: Vec<FleetHost> = Vec::new();
    for name in asked {
        if name == "all" {
            if known.is_empty() {
                return Err(Error::Hosts {
                    why: match here {
                        Some(_) => "the ecosystem file names no hosts".to_owned(),
                        None => "no ecosystem.toml is here to name all hosts".to_owned(),
                    },
                    next: "write `[[hosts]]` with `name = \"web1\"` into ecosystem.toml, or: \
                           clusterctl -H web1,web2 …"
                        .to_owned(),
                });
            }
            hosts.extend(known.iter().cloned());
        } else if let Some(host) = known.iter().find(|host| host.name == *name) {
            hosts.push(host.clone());
        } else if !known.is_empty() {
            let names: Vec<&str> = known.iter().map(|host| host.name.as_str()).collect();
            return Err(Error::Hosts {
                why: format!("there is no host `{}` in the ecosystem file", name.escape_debug()),
                next: format!("there is: {}", names.join(", ")),
            });
        } else if ecosystem::is_host_name(name) {
            hosts.push(FleetHost { name: name.clone(), apps: None });
        } else {
            return Err(Error::Hosts {
                why: format!("`{}` is no name of a host", name.escape_debug()),
                next: "clusterctl -H web1,web2 …: what ssh takes, without blanks".to_owned(),
            });
        }
    }
    // A host that is named twice is worked on once.
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.name.clone()));
    Ok(hosts)
}

/// Makes what each host is told.
struct Teller<'a, J: Fn(bool) -> Vec<String>> {
    kind: &'a Kind,
    here: &'a Here,
    /// The words behind the verb.
    of_verb: Vec<String>,
    verb: String,
    /// The words before the verb.
    json: J,
    wants_json: bool,
}

impl<J: Fn(bool) -> Vec<String>> Teller<'_, J> {
    /// What shows what would happen on a host, and what does it; `None` for one that has nothing of it.
    fn calls(&self, host: &FleetHost) -> Option<(HostCall, HostCall)> {
        match self.kind {
            Kind::File(verb) => self.file(host, verb),
            Kind::Deploy { what, .. } => self.deploy(host, what),
            Kind::Selected(verb) => {
                let words = self.of_host(host, &verb.apps)?;
                let list: Vec<String> = match verb.apps.is_empty() {
                    true => Vec::new(),
                    false => {
                        verb.apps.iter().filter(|app| !self.lacks(host, app)).cloned().collect()
                    }
                };
                let look = self.call(host, true, "list", list);
                Some((look, self.call(host, true, &self.verb, words)))
            }
            Kind::Rollback { bare, .. } => {
                let mut words = self.of_verb.clone();
                if let Some(there) = self.there().filter(|_| *bare) {
                    words.extend(["--file".to_owned(), there]);
                }
                let work = words::without_flags(words.clone(), &["-n", "--dry-run"]);
                let look = [work.clone(), vec!["--dry-run".to_owned()]].concat();
                Some((
                    self.call(host, true, "rollback", look),
                    self.call(host, true, "rollback", work),
                ))
            }
            Kind::List { .. } => {
                let words = words::without_flags(self.of_verb.clone(), &["-m", "--mini-list"]);
                Some(twice(self.call(host, true, "list", words)))
            }
            Kind::Metrics => Some(twice(self.call(host, false, "metrics", self.of_verb.clone()))),
            Kind::Sections | Kind::Logs { .. } => {
                Some(twice(self.call(host, self.wants_json, &self.verb, self.of_verb.clone())))
            }
        }
    }

    fn file(&self, host: &FleetHost, verb: &super::kind::FileVerb) -> Option<(HostCall, HostCall)> {
        let apps = self.here.file.apps_of(host);
        let mut only: Vec<&String> = Vec::new();
        for app in &verb.only {
            // What the file does not have is told by the host.
            if !self.lacks(host, app) {
                only.push(app);
            }
        }
        let has_none = apps.is_empty() && host.apps.is_some();
        if has_none || only.is_empty() && !verb.only.is_empty() {
            return None;
        }
        let file = verb.file.to_string_lossy();
        let rest = self.without(self.of_verb.clone(), &file);
        let rest = words::without(&rest, &["--as", "--only"]);
        let rest = words::without_flags(rest, &["-n", "--dry-run"]);
        let mut words = vec!["-".to_owned()];
        if let Some(there) = self.there() {
            words.extend(["--as".to_owned(), there]);
        }
        if !only.is_empty() {
            let only: Vec<&str> = only.into_iter().map(String::as_str).collect();
            words.extend(["--only".to_owned(), only.join(",")]);
        }
        words.extend(rest);
        let has = |at: usize| {
            let name = self.here.file.apps.get(at).and_then(Option::as_ref);
            name.is_none_or(|app| host.has(app))
        };
        let text = HostInput::Text(fleet::for_host(&self.here.text, &has));
        let look = [words.clone(), vec!["--dry-run".to_owned()]].concat();
        let with = |call: HostCall| HostCall { input: text.clone(), ..call };
        let look = with(self.call(host, true, "apply", look));
        Some((look, with(self.call(host, true, verb.verb, words))))
    }

    fn deploy(&self, host: &FleetHost, what: &str) -> Option<(HostCall, HostCall)> {
        if self.here.file.apps_of(host).is_empty() && host.apps.is_some() {
            return None;
        }
        let rest = self.without(self.of_verb.clone(), what);
        let rest = words::without_flags(rest, &["-n", "--dry-run"]);
        let work = [vec!["-".to_owned()], rest].concat();
        let look = [work.clone(), vec!["--dry-run".to_owned()]].concat();
        Some((self.call(host, true, "deploy", look), self.call(host, true, "deploy", work)))
    }

    /// The path of the file there: what its history and `--prune` know it by.
    fn there(&self) -> Option<String> {
        let cwd = self.here.file.fleet.cwd.as_deref();
        let name = || Some(self.here.source.as_deref()?.file_name()?.to_owned());
        let path = match (cwd, name()) {
            (Some(cwd), Some(name)) => Some(cwd.join(name)),
            (Some(cwd), None) => Some(cwd.join("ecosystem.toml")),
            (None, _) => self.here.source.clone(),
        };
        path.map(|path| path.to_string_lossy().into_owned())
    }

    /// Whether an app of the file is none of the host's.
    fn lacks(&self, host: &FleetHost, selector: &str) -> bool {
        let app = AppName::parse(selector.split('@').next().unwrap_or_default());
        app.is_ok_and(|app| {
            self.here.file.apps.iter().flatten().any(|one| *one == app) && !host.has(&app)
        })
    }

    /// The words for a host, without apps that it does not have; `None` when nothing is left.
    fn of_host(&self, host: &FleetHost, apps: &[String]) -> Option<Vec<String>> {
        let mut words = self.of_verb.clone();
        let gone: Vec<&String> = apps.iter().filter(|app| self.lacks(host, app)).collect();
        if !gone.is_empty() && gone.len() == apps.len() {
            return None;
        }
        for app in gone {
            words = self.without(words, app);
        }
        Some(words)
    }

    /// Words of the verb without one that is no option and no value of one.
    fn without(&self, words: Vec<String>, word: &str) -> Vec<String> {
        let command = crate::cli::command();
        let takes_value = |option: &str| words::takes_value(&command, &self.verb, option);
        words::without_positional(words, word, &takes_value)
    }

    fn call(&self, host: &FleetHost, json: bool, verb: &str, words: Vec<String>) -> HostCall {
        let mut all = (self.json)(json);
        all.push(verb.to_owned());
        all.extend(words);
        HostCall {
            host: host.name.clone(),
            words: all,
            sudo: self.here.file.fleet.sudo,
            input: HostInput::Nothing,
        }
    }
}

fn twice(call: HostCall) -> (HostCall, HostCall) {
    (call.clone(), call)
}
