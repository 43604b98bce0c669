//! Ecosystem → unit files. Total and pure: what cannot be expressed was refused before.
//!
//! Each line that is not obvious carries its reason; the evidence is in clusterctl-units(7).

mod checksum;
mod cpus;
mod environment;
mod group;
mod instance;
mod listener;
mod sandbox;
mod secret;
mod since;
mod weight;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ecosystem::{App, AppName, Ecosystem, OnFailure, Remark, Scope, fnv1a};
use crate::unit::{Section, UnitFile, UnitName, UnitSet, quote};

pub use checksum::is_edited;
pub use cpus::other_cpus;
pub use environment::{file_name as environment_name, owner_of_file as environment_owner};
pub use sandbox::{forbidden, strict_directives, writable};
pub use secret::Secret;
pub use since::{FLOOR, LeftOut, NEWER, left_out, since};
pub use weight::{Weight, substance, weight};

/// The section that marks a unit as ours; systemd ignores sections that start with `X-`.
pub const MARK: &str = "X-Clusterctl";

/// The key of that section for the ecosystem file that the unit came from.
pub const SOURCE: &str = "Source";
/// Under the mark of a listener: the port that programs ask for to get it, where that is another one
/// than the address has.
pub const BIND: &str = "Bind";

/// The port of the program that a listener stands for, where that is another one than its own.
pub fn bind_of(socket: &UnitFile) -> Option<u16> {
    socket.get(MARK, BIND)?.parse().ok()
}

/// The ecosystem file that a unit of ours came from; `None` for standard input. Units from before
/// [`SOURCE`] say it in `SourcePath=`.
pub fn source_of(unit: &UnitFile) -> Option<PathBuf> {
    let path = unit.get(MARK, SOURCE).or_else(|| unit.get("Unit", "SourcePath"))?;
    Some(path.replace("%%", "%").into())
}

/// The files of variables that the manager reads for an instance, by its template: one that has to be there
/// may have a `-` before its path all the same, see `instance`.
pub fn env_files(template: &UnitFile) -> impl Iterator<Item = &str> {
    let files = template.all("Service", "EnvironmentFile");
    files.map(|path| path.strip_prefix('-').unwrap_or(path)).filter(|path| !path.is_empty())
}

/// Where the units will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// System or user manager.
    pub scope: Scope,
    /// Version of the manager: newer directives are written only when it knows them.
    pub systemd: u32,
    /// Directory that holds the preload library, the Node file and the helper scripts.
    pub handover: PathBuf,
    /// Directory of environment files, readable by the manager alone.
    pub environment: PathBuf,
    /// What names the files in it.
    pub secret: Secret,
    /// Whether the manager may make namespaces for a service, which some containers forbid.
    pub namespaces: bool,
    /// The `clusterctl` that `systemctl reload` of a group runs.
    pub program: PathBuf,
}

/// What clusterctl is asked to keep on disk for one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFiles {
    /// The app's unit files.
    pub units: UnitSet,
    /// The environment file, if the app has variables of its own.
    pub environment: Option<EnvFile>,
    /// Number of instances.
    pub instances: u32,
    /// Whether the app is started, and enabled at boot.
    pub autostart: bool,
    /// Hash of everything that a running process depends on; of its variables by the name of their
    /// file alone, since everybody may read this one.
    pub revision: String,
    /// The `--env` that the file was read with.
    pub profile: Option<String>,
    /// What follows from the file without being written in it.
    pub remarks: Vec<Remark>,
}

/// An environment file, mode 0600: `systemctl show` shows `Environment=` to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Its lines.
    pub text: String,
}

/// Translates every app.
pub fn translate(ecosystem: &Ecosystem, target: &Target) -> BTreeMap<AppName, AppFiles> {
    let source = ecosystem.source.as_deref();
    ecosystem
        .apps
        .iter()
        .map(|(name, app)| (name.clone(), translate_app(app, source, target)))
        .collect()
}

fn translate_app(app: &App, source: Option<&Path>, target: &Target) -> AppFiles {
    let context = Context { app, source, target };
    let environment = environment::file(&context);
    let template = instance::template(&context);
    let revision = revision(&template);
    let mut units = UnitSet::default();
    units.insert(group::group(&context));
    units.insert(group::slice(&context));
    units.insert(mark(template, &context, "instance", Some(&revision)));
    if !app.listeners.is_empty() {
        units.insert(group::wake(&context));
        units.insert(group::close(&context));
    }
    for listener in &app.listeners {
        units.insert(listener::socket(&context, listener));
    }
    AppFiles {
        units,
        environment,
        instances: app.count,
        autostart: app.autostart,
        revision,
        profile: app.profile.clone(),
        remarks: app.remarks.clone(),
    }
}

/// What the functions of this module share.
struct Context<'a> {
    app: &'a App,
    source: Option<&'a Path>,
    target: &'a Target,
}

impl Context<'_> {
    fn helper(&self, script: &str) -> String {
        quote::executable(&self.target.handover.join(script).to_string_lossy())
    }

    /// Directives of the file, without those that the manager does not know.
    fn pass_through(&self, s: &mut Section, lines: &[(String, String)]) {
        for (key, value) in lines.iter().filter(|(key, _)| self.target.knows(key)) {
            s.set(key, value);
        }
    }

    fn user(&self) -> bool {
        self.target.scope == Scope::User
    }
}

/// Header and ownership mark of a generated unit.
fn mark(unit: UnitFile, context: &Context<'_>, role: &str, revision: Option<&str>) -> UnitFile {
    marked(unit, context, role, |s| {
        s.set_some("Revision", revision);
    })
}

/// The same, with more lines under the mark.
fn marked(
    unit: UnitFile,
    context: &Context<'_>,
    role: &str,
    more: impl FnOnce(&mut Section),
) -> UnitFile {
    let mut unit = unit.section(MARK, |s| {
        s.set("App", context.app.name.as_str()).set("Role", role);
        more(s);
        // Not `SourcePath=`: the manager would ask for a daemon-reload whenever that file is touched.
        let source = context.source.map(|path| quote::path(&path.to_string_lossy()));
        s.set_some(SOURCE, source);
        if role == "instance" {
            s.set("Sandbox", context.app.sandbox.level.word());
            s.set_some("TracedBecause", context.app.traced_because);
            for path in &context.app.own_env_files {
                s.set("EnvironmentFile", quote::path(&path.to_string_lossy()));
            }
            // Where `logs` and excerpts find what is not in the journal.
            let logs = &context.app.logs;
            for file in logs.out_file.iter().chain(&logs.error_file).filter(|_| !logs.disabled) {
                s.set("LogFile", quote::path(&file.to_string_lossy()));
            }
        }
        if role == "group" {
            recorded(s, context.app);
        }
    });
    let change = format!("systemctl {}edit {}", flag(context), unit.name);
    unit.header = vec![
        "Written by clusterctl; the next `clusterctl apply` replaces this file.".to_owned(),
        format!("Change the ecosystem file, or add a drop-in: {change}"),
    ];
    checksum::seal(&mut unit);
    unit
}

/// What verbs without the ecosystem file need to know of the app.
fn recorded(s: &mut Section, app: &App) {
    // What the file asked for: tells a number changed by hand from one changed in the file.
    s.set("Instances", app.count.to_string());
    cpus::record(s, app);
    s.set("Namespace", quote::text(&app.namespace));
    s.set_some("Profile", app.profile.as_deref().map(quote::text));
    if !app.autostart {
        s.set("Autostart", "no");
    }
    let rollout = &app.rollout;
    s.set("MaxSurge", rollout.max_surge.to_string());
    s.set("MaxUnavailable", rollout.max_unavailable.to_string());
    s.set("MinReadyMs", rollout.min_ready.as_millis().to_string());
    s.set(
        "OnFailure",
        match rollout.on_failure {
            OnFailure::Rollback => "rollback",
            OnFailure::Pause => "pause",
        },
    );
    s.set("ListenTimeoutMs", app.listen_timeout.as_millis().to_string());
    s.set("KillTimeoutMs", app.kill_timeout.as_millis().to_string());
    // Whether the next start can work is seen from these.
    let path = |path: &Path| quote::path(&path.to_string_lossy());
    s.set("Program", path(&app.command.program));
    s.set_some("Script", app.command.script.as_deref().map(path));
}

fn flag(context: &Context<'_>) -> &'static str {
    if context.user() { "--user " } else { "" }
}

fn revision(template: &UnitFile) -> String {
    format!("{:016x}", fnv1a(substance(template).as_bytes()))
}

/// The unit that an admin enables: `multi-user.target`, or `default.target` of a user.
fn boot_target(context: &Context<'_>) -> &'static str {
    if context.user() { "default.target" } else { "multi-user.target" }
}

fn socket_names(app: &App) -> Vec<UnitName> {
    app.listeners.iter().map(|listener| app.name.socket_unit(listener)).collect()
}

fn joined(names: &[UnitName]) -> String {
    names.iter().map(UnitName::as_str).collect::<Vec<_>>().join(" ")
}

/// Where a reader finds more.
fn common(section: &mut Section) {
    section.set("Documentation", "man:clusterctl(1)");
}

/// A time span as systemd.time(7) reads it.
pub(super) fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
