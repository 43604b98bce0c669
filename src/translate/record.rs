//! What units remember under `[X-Clusterctl]`, which systemd ignores: whose they are, what they are
//! for, and what verbs without the ecosystem file need to know. All of it is written and read here,
//! and `%`, which systemd would expand elsewhere, is doubled and undoubled here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::MARK;
use crate::ecosystem::{App, AppName, Instances, OnFailure, Role, Share};
use crate::unit::{Section, UnitFile, quote};

/// What a unit remembers. Units of older versions, and units that somebody has edited, may lack any
/// of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The app that owns the unit; a unit without this is none of ours.
    pub app: Option<AppName>,
    /// What it is for.
    pub role: Option<Role>,
    /// The template: hash of everything that a running process depends on.
    pub revision: Option<String>,
    /// A listener: the port that programs ask for to get it, where that is another one than its own.
    pub bind: Option<u16>,
    /// The ecosystem file that it came from; none for standard input.
    pub source: Option<PathBuf>,
    /// The template: `default`, `strict` or `off`.
    pub sandbox: Option<String>,
    /// The template: why the program gets its listeners by ptrace.
    pub traced_because: Option<String>,
    /// The template: files of variables that are read as the program's user.
    pub env_files: Vec<PathBuf>,
    /// The template: where `logs` and excerpts find what is not in the journal.
    pub log_files: Vec<PathBuf>,
    /// The template: each instance has log files of its own, called after these.
    pub logs_of_each: bool,
    /// The unit that watches files: folders and files.
    pub watched: Vec<PathBuf>,
    /// The group: what the app is, all further keys.
    pub group: GroupRecord,
}

/// What the group unit remembers of its app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRecord {
    /// How many instances the file asked for: tells a number changed by hand from one changed in the
    /// file.
    pub instances: Option<u32>,
    /// The number is one of CPUs, less so many.
    pub all_cpus_but: Option<u32>,
    /// Namespace for selectors.
    pub namespace: Option<String>,
    /// The `--env` with which it was applied last.
    pub profile: Option<String>,
    /// Whether the file said that it is not started.
    pub not_started: bool,
    /// Extra instances of a rollout.
    pub max_surge: Option<Share>,
    /// Instances that may be missing in a rollout.
    pub max_unavailable: Option<Share>,
    /// How long an instance must stay ready.
    pub min_ready: Option<Duration>,
    /// What follows a failure.
    pub on_failure: Option<OnFailure>,
    /// Whether the first new instance of a rollout is checked by a program.
    pub checks: bool,
    /// How long an instance may take to get ready.
    pub listen_timeout: Option<Duration>,
    /// How long an instance may drain.
    pub kill_timeout: Option<Duration>,
    /// The program: `doctor` looks whether it is there for the next start.
    pub program: Option<PathBuf>,
    /// The script that the program runs.
    pub script: Option<PathBuf>,
}

/// Whose a log file is, where it is not everybody's.
const EACH: &str = "instance";

impl Record {
    /// Writes every key that there is something to say for.
    pub fn write(&self, s: &mut Section) {
        s.set_some("App", self.app.as_ref().map(AppName::as_str));
        s.set_some("Role", self.role.map(Role::word));
        s.set_some("Revision", self.revision.as_deref());
        s.set_some("Bind", self.bind.map(|port| port.to_string()));
        // Not `SourcePath=`: the manager would ask for a daemon-reload whenever that file is touched.
        s.set_some("Source", self.source.as_deref().map(path));
        s.set_some("Sandbox", self.sandbox.as_deref().map(quote::text));
        s.set_some("TracedBecause", self.traced_because.as_deref().map(quote::text));
        for file in &self.env_files {
            s.set("EnvironmentFile", path(file));
        }
        for file in &self.log_files {
            s.set("LogFile", path(file));
        }
        s.set_some("LogFileOf", self.logs_of_each.then_some(EACH));
        for watched in &self.watched {
            s.set("Watch", path(watched));
        }
        self.group.write(s);
    }

    /// Reads what a unit remembers. What is missing or makes no sense is left out.
    pub fn read(unit: &UnitFile) -> Record {
        let reader = Reader { unit };
        // Units of older versions say it in `SourcePath=`.
        let former_source = || unit.get("Unit", "SourcePath").map(quote::unescaped);
        Record {
            app: reader.text("App").and_then(|name| AppName::parse(&name).ok()),
            role: Role::written(unit),
            revision: reader.text("Revision"),
            bind: reader.parsed("Bind"),
            source: reader.text("Source").or_else(former_source).map(PathBuf::from),
            sandbox: reader.text("Sandbox"),
            traced_because: reader.text("TracedBecause"),
            env_files: reader.paths("EnvironmentFile"),
            log_files: reader.paths("LogFile"),
            logs_of_each: reader.text("LogFileOf").as_deref() == Some(EACH),
            watched: reader.paths("Watch"),
            group: GroupRecord::read(&reader),
        }
    }
}

impl GroupRecord {
    /// What the group of an app remembers.
    pub(super) fn of(app: &App) -> GroupRecord {
        let all_cpus_but = match app.instances {
            Instances::AllCpusBut(less) => Some(less),
            _ => None,
        };
        GroupRecord {
            instances: Some(app.count),
            all_cpus_but,
            namespace: Some(app.namespace.clone()),
            profile: app.profile.clone(),
            not_started: !app.process.autostart,
            max_surge: Some(app.rollout.max_surge),
            max_unavailable: Some(app.rollout.max_unavailable),
            min_ready: Some(app.rollout.min_ready),
            on_failure: Some(app.rollout.on_failure),
            checks: !app.reloads.check.is_empty(),
            listen_timeout: Some(app.process.listen_timeout),
            kill_timeout: Some(app.process.kill_timeout),
            program: Some(app.command.program.clone()),
            script: app.command.script.clone(),
        }
    }

    fn write(&self, s: &mut Section) {
        let number = |value: &dyn fmt::Display| value.to_string();
        let millis = |span: Duration| span.as_millis().to_string();
        s.set_some("Instances", self.instances.map(|count| number(&count)));
        s.set_some("AllCpusBut", self.all_cpus_but.map(|less| number(&less)));
        s.set_some("Namespace", self.namespace.as_deref().map(quote::text));
        s.set_some("Profile", self.profile.as_deref().map(quote::text));
        s.set_some("Autostart", self.not_started.then_some("no"));
        s.set_some("MaxSurge", self.max_surge.map(|share| number(&share)));
        s.set_some("MaxUnavailable", self.max_unavailable.map(|share| number(&share)));
        s.set_some("MinReadyMs", self.min_ready.map(millis));
        s.set_some("OnFailure", self.on_failure.map(word));
        s.set_some("Check", self.checks.then_some("yes"));
        s.set_some("ListenTimeoutMs", self.listen_timeout.map(millis));
        s.set_some("KillTimeoutMs", self.kill_timeout.map(millis));
        s.set_some("Program", self.program.as_deref().map(path));
        s.set_some("Script", self.script.as_deref().map(path));
    }

    fn read(reader: &Reader<'_>) -> GroupRecord {
        let on_failure = reader.text("OnFailure");
        let meant = |what: &OnFailure| on_failure.as_deref() == Some(word(*what));
        GroupRecord {
            instances: reader.parsed("Instances"),
            all_cpus_but: reader.parsed("AllCpusBut"),
            namespace: reader.text("Namespace"),
            profile: reader.text("Profile"),
            not_started: reader.text("Autostart").as_deref() == Some("no"),
            max_surge: reader.parsed("MaxSurge"),
            max_unavailable: reader.parsed("MaxUnavailable"),
            min_ready: reader.millis("MinReadyMs"),
            on_failure: [OnFailure::Rollback, OnFailure::Pause].into_iter().find(meant),
            checks: reader.text("Check").as_deref() == Some("yes"),
            listen_timeout: reader.millis("ListenTimeoutMs"),
            kill_timeout: reader.millis("KillTimeoutMs"),
            program: reader.text("Program").map(PathBuf::from),
            script: reader.text("Script").map(PathBuf::from),
        }
    }
}

fn word(what: OnFailure) -> &'static str {
    match what {
        OnFailure::Rollback => "rollback",
        OnFailure::Pause => "pause",
    }
}

fn path(path: &Path) -> String {
    quote::path(&path.to_string_lossy())
}

/// Values of the section, as they were before they were written.
struct Reader<'a> {
    unit: &'a UnitFile,
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.unit.get(MARK, key).map(quote::unescaped)
    }

    fn parsed<T: FromStr>(&self, key: &str) -> Option<T> {
        self.unit.get(MARK, key)?.parse().ok()
    }

    fn millis(&self, key: &str) -> Option<Duration> {
        self.parsed(key).map(Duration::from_millis)
    }

    fn paths(&self, key: &str) -> Vec<PathBuf> {
        self.unit.all(MARK, key).map(|path| quote::unescaped(path).into()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::unit::UnitName;

    prop_compose! {
        fn share()(percent in any::<bool>(), number in 0u32..=100) -> Share {
            if percent { Share::Percent(number) } else { Share::Count(number) }
        }
    }

    fn file() -> impl Strategy<Value = PathBuf> {
        "(/[a-zé%. ;#=\\[\\]\"'-]{0,8}[a-z%]){1,3}".prop_map(PathBuf::from)
    }

    fn line() -> impl Strategy<Value = String> {
        "[a-z%]([a-zé%. ;#=\\[\\]\"'-]{0,12}[a-z%])?"
    }

    fn span() -> impl Strategy<Value = Duration> {
        any::<u32>().prop_map(|millis| Duration::from_millis(millis.into()))
    }

    prop_compose! {
        fn group()(
            (instances, all_cpus_but) in (option::of(any::<u32>()), option::of(any::<u32>())),
            (namespace, profile) in (option::of(line()), option::of(line())),
            not_started in any::<bool>(),
            (max_surge, max_unavailable) in (option::of(share()), option::of(share())),
            (pause, checks) in (option::of(any::<bool>()), any::<bool>()),
            (min_ready, listen_timeout) in (option::of(span()), option::of(span())),
            kill_timeout in option::of(span()),
            (program, script) in (option::of(file()), option::of(file())),
        ) -> GroupRecord {
            let what = |pause| if pause { OnFailure::Pause } else { OnFailure::Rollback };
            GroupRecord {
                instances, all_cpus_but, namespace, profile, not_started, max_surge,
                max_unavailable, min_ready, on_failure: pause.map(what), listen_timeout,
                kill_timeout, checks, program, script,
            }
        }
    }

    prop_compose! {
        fn record()(
            named in any::<bool>(),
            role in option::of(prop::sample::select(&Role::ALL[..])),
            revision in option::of("[0-9a-f]{16}"),
            bind in option::of(any::<u16>()),
            source in option::of(file()),
            (sandbox, traced_because) in (option::of(line()), option::of(line())),
            env_files in prop::collection::vec(file(), 0..3),
            log_files in prop::collection::vec(file(), 0..3),
            (watched, logs_of_each) in (prop::collection::vec(file(), 0..3), any::<bool>()),
            group in group(),
        ) -> Record {
            let app = named.then(|| AppName::parse("api").unwrap());
            Record {
                app, role, revision, bind, source, sandbox, traced_because, env_files, log_files,
                logs_of_each, watched, group,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(record in record()) {
            let name = UnitName::parse("api.service").unwrap();
            let unit = UnitFile::new(name.clone()).section(MARK, |s| record.write(s));
            let read = Record::read(&UnitFile::parse(name, &unit.to_string()));
            prop_assert_eq!(read, record);
        }
    }

    #[test]
    fn a_unit_of_somebody_else_remembers_nothing() {
        let name = UnitName::parse("nginx.service").unwrap();
        let unit = UnitFile::parse(name, "[Service]\nExecStart=/usr/sbin/nginx\n");
        assert_eq!(Record::read(&unit), Record::default());
    }
}
