//! Ecosystem → unit files. Total and pure: what cannot be expressed was refused before.
//!
//! Each line that is not obvious carries its reason; the evidence is in clusterctl-units(7).

mod checksum;
mod cpus;
mod door;
mod environment;
mod group;
mod health;
mod hook;
mod instance;
mod listener;
mod log_paths;
mod memory;
mod pid_file;
mod record;
mod role;
mod sandbox;
mod secret;
mod since;
mod timer;
mod watch;
mod weight;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ecosystem::{App, AppName, Asks, Ecosystem, Remark, Role, Scope, fnv1a};
use crate::unit::{Section, UnitFile, UnitName, UnitSet, quote};

pub use checksum::is_edited;
pub use cpus::other_cpus;
pub use environment::{file_name as environment_name, owner_of_file as environment_owner};
pub use log_paths::{around_number, of_instance};
pub use record::{GroupRecord, Record};
pub use sandbox::{forbidden, strict_directives, writable};
pub use secret::Secret;
pub use since::{FLOOR, LeftOut, NEWER, left_out, since};
pub use weight::{Weight, substance, weight};

/// The section that marks a unit as ours; systemd ignores sections that start with `X-`.
pub const MARK: &str = "X-Clusterctl";

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
    /// Key by which environment files are named.
    pub secret: Secret,
    /// Directory of the locks of apps, each held while a command works on its app.
    pub locks: PathBuf,
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

impl AppFiles {
    /// The units of listeners.
    pub fn listeners(&self) -> impl Iterator<Item = &UnitFile> {
        self.units.iter().filter(|unit| Role::of(unit) == Role::Listener)
    }

    /// The units that are opened and closed with the app.
    pub fn triggers(&self) -> impl Iterator<Item = &UnitFile> {
        self.units.iter().filter(|unit| Role::of(unit).is_trigger())
    }
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
    let context = UnitContext { app, source, target };
    let template = instance::template(&context);
    let revision = revision(&template);
    let mut units = UnitSet::default();
    for unit in app.roles().flat_map(|role| written(&context, role, &template, &revision)) {
        units.insert(unit);
    }
    AppFiles {
        units,
        environment: environment::file(&context),
        instances: app.count,
        autostart: app.process.autostart,
        revision,
        profile: app.profile.clone(),
        remarks: app.remarks.clone(),
    }
}

/// The units of a role that an app has.
fn written(
    context: &UnitContext<'_>,
    role: Role,
    template: &UnitFile,
    revision: &str,
) -> Vec<UnitFile> {
    let app = context.app;
    match role {
        Role::Group => vec![group::group(context)],
        Role::Instance => vec![mark(template.clone(), context, role, |record| {
            of_instances(record, app, revision);
        })],
        Role::Listener => app.listeners.iter().map(|one| listener::socket(context, one)).collect(),
        Role::Wake => vec![group::wake(context)],
        Role::Close => vec![group::close(context)],
        Role::Timer => vec![timer::timer(context)],
        Role::Timed => vec![timer::timed(context)],
        Role::Watch => vec![watch::watch(context)],
        Role::MemoryTimer => vec![memory::timer(context)],
        Role::MemoryCheck => vec![memory::check(context)],
        Role::HealthTimer => vec![health::timer(context)],
        Role::HealthCheck => vec![health::check(context)],
        Role::BeforeReload | Role::AfterReload => vec![hook::hook(context, role)],
        Role::Slice => vec![group::slice(context)],
    }
}

/// The app, its source and the target that all functions of this module translate for.
struct UnitContext<'a> {
    app: &'a App,
    source: Option<&'a Path>,
    target: &'a Target,
}

impl UnitContext<'_> {
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

/// Header and ownership mark of a generated unit; `more` adds to what it remembers.
fn mark(
    unit: UnitFile,
    context: &UnitContext<'_>,
    role: Role,
    more: impl FnOnce(&mut Record),
) -> UnitFile {
    let mut record = Record {
        app: Some(context.app.name.clone()),
        role: Some(role),
        source: context.source.map(Path::to_owned),
        ..Record::default()
    };
    more(&mut record);
    let mut unit = unit.section(MARK, |s| record.write(s));
    let change = format!("systemctl {}edit {}", flag(context), unit.name);
    unit.header = vec![
        "Written by clusterctl; the next `clusterctl apply` replaces this file.".to_owned(),
        format!("Change the ecosystem file, or add a drop-in: {change}"),
    ];
    checksum::seal(&mut unit);
    unit
}

/// What the template remembers.
fn of_instances(record: &mut Record, app: &App, revision: &str) {
    record.revision = Some(revision.to_owned());
    record.sandbox = Some(app.sandbox.level.word().to_owned());
    record.traced_because = app.traced_because.map(str::to_owned);
    record.env_files.clone_from(&app.own_env_files);
    let files = app.logs.out_file.iter().chain(&app.logs.error_file);
    record.log_files = files.filter(|_| !app.logs.disabled).cloned().collect();
    record.log_files.dedup();
    record.logs_of_each = app.logs.of_each && !record.log_files.is_empty();
}

fn flag(context: &UnitContext<'_>) -> &'static str {
    if context.user() { "--user " } else { "" }
}

fn revision(template: &UnitFile) -> String {
    format!("{:016x}", fnv1a(substance(template).as_bytes()))
}

/// The unit that an admin enables: `multi-user.target`, or `default.target` of a user.
fn boot_target(context: &UnitContext<'_>) -> &'static str {
    if context.user() { "default.target" } else { "multi-user.target" }
}

fn socket_names(app: &App) -> Vec<UnitName> {
    app.listeners.iter().map(|listener| app.name.socket_unit(listener)).collect()
}

fn joined(names: &[UnitName]) -> String {
    names.iter().map(UnitName::as_str).collect::<Vec<_>>().join(" ")
}

/// Adds `Documentation=`.
fn common(section: &mut Section) {
    section.set("Documentation", "man:clusterctl(1)");
}

/// `KillMode=` where it is not systemd's own: who else than the main process is asked to stop, and then killed.
fn kill_mode(asks: Asks) -> Option<&'static str> {
    match asks {
        Asks::All => None,
        Asks::Main => Some("mixed"),
        Asks::MainAlone => Some("process"),
    }
}

/// A time span as systemd.time(7) reads it.
pub(super) fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
