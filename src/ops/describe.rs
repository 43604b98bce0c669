//! Everything about one app that can be told without its ecosystem file.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use super::asked::asked;
use super::shown::{UnitFacts, unit_facts};
use super::template::log_files;
use super::{
    AskedAddress, Context, Error, Row, Selected, Status, Stories, Story, credentials, door, held,
    list, observe,
};
use crate::disk::{self, DropIns, FoundApp};
use crate::ecosystem::{AppName, ListenAddress, TRACED_LACKS};
use crate::plan::Observed;
use crate::plan::reason::standing;
use crate::systemd::SocketState;
use crate::translate::{self, Record};
use crate::unit::{UnitFile, UnitName, quote};

/// One app.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Description {
    /// The app.
    pub app: String,
    /// The namespace.
    pub namespace: String,
    /// `active`, `inactive`, `failed` … of the group unit.
    pub state: String,
    /// Whether it starts at boot.
    pub boot: bool,
    /// The ecosystem file that the units name.
    pub source: Option<String>,
    /// The command line, as in the unit.
    pub command: String,
    /// Working directory.
    pub cwd: String,
    /// User that it runs as.
    pub user: String,
    /// The environment file; its values are nobody's business here.
    pub environment_file: Option<String>,
    /// Secrets that the manager hands to instances: their names and files, never what is in them.
    pub credentials: Vec<String>,
    /// `default`, `strict` or `off`.
    pub sandbox: String,
    /// How the program gets its listeners, and why.
    pub handover: String,
    /// Why its instances cannot be reached one by one; nothing where they can, or have nothing to be reached at.
    pub no_door: Option<String>,
    /// Which instance takes a connection, where it is not whichever asks first.
    pub balance: Option<String>,
    /// Who finishes what is under way when an instance has to go.
    pub drained_by: String,
    /// `Type=` and what makes an instance ready.
    pub readiness: String,
    /// What an instance has to pass before it gets clients, if anything.
    pub clients: Option<String>,
    /// Other settings of the instances that are worth a line.
    pub settings: Vec<(String, String)>,
    /// Address, unit and state of each listener.
    pub listeners: Vec<ListenerState>,
    /// What is said of its other units, such as its schedule.
    #[serde(flatten)]
    pub units: UnitFacts,
    /// What the program asks for and gets a listener in the place of.
    pub asked: Vec<AskedAddress>,
    /// The instances.
    pub instances: Vec<Row>,
    /// Why instances do not run, or are not ready.
    pub reasons: BTreeMap<u32, String>,
    /// What was found out for the reasons.
    #[serde(skip)]
    pub stories: BTreeMap<u32, Story>,
    /// Instances that failed their health checks since the boot, and at which replacing failed: seconds since 1970, and
    /// a sentence.
    pub unhealthy: Vec<(u64, String)>,
    /// Files that instances write to besides the journal.
    pub log_files: Vec<String>,
    /// Instances that started before the last change of their definition.
    pub outdated: Vec<u32>,
    /// Unit files, drop-ins included.
    pub files: Vec<String>,
}

/// One listener.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListenerState {
    /// Its name, as in `LISTEN_FDNAMES`.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether it is IPv6 alone, beside a listener of IPv4.
    pub only_v6: bool,
    /// The port that the program asks for to get it, where that is another one.
    pub bind: Option<u16>,
    /// Its unit.
    pub unit: String,
    /// `listening`, `running`, `dead`, `failed` …, or that its path does not lead to it.
    pub state: String,
}

/// The state of a listener that no client reaches.
const PATH_LOST: &str = "path is lost";

impl ListenerState {
    /// Whether its path does not lead to it, so that no client reaches it.
    pub fn is_lost(&self) -> bool {
        self.state == PATH_LOST
    }
}

/// Settings that `describe` shows as they stand in the unit.
const SETTINGS: [&str; 10] = [
    "Restart",
    "RestartSec",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "KillSignal",
    "KillMode",
    "NonBlocking",
    "WatchdogSec",
    "MemoryMax",
    "Slice",
];

/// Describes one app, or one instance of it; `observed` is everything as it has just been found.
///
/// # Errors
/// The manager does not answer.
pub fn describe(
    context: &Context,
    stories: &mut Stories<'_>,
    one: &Selected,
    found: &FoundApp,
    observed: &Observed,
) -> Result<Description, Error> {
    let _together = context.together();
    let app = &one.app;
    let apps = [(app.clone(), found.clone())].into();
    let instances = list(context, &apps, std::slice::from_ref(one))?;
    let missing = UnitFile::new(app.template_unit());
    let template = found.units.parsed(&app.template_unit()).unwrap_or(&missing);
    let record = found.units.record(&app.template_unit());
    let get = |key: &str| template.get("Service", key).map(quote::unescaped);
    let group = context.systemd.instances(&[app.group_unit()], &[])?;
    let settings = SETTINGS.iter().filter_map(|key| Some(((*key).to_owned(), get(key)?)));
    let log_files = log_files(template);
    let running = instances.iter().filter(|row| row.pid.is_some()).map(|row| row.instance);
    let asked = asked(context, stories.journal(), app, running, &log_files);
    let mut environments = translate::env_files(template);
    let (reasons, stories) = reasons(context, stories, app, found, &instances);
    Ok(Description {
        app: app.to_string(),
        namespace: found.namespace.clone(),
        state: group.first().map_or_else(String::new, |state| state.active.to_string()),
        boot: found.enabled,
        source: found.source.as_ref().map(|path| path.display().to_string()),
        command: get("ExecStart").unwrap_or_default(),
        cwd: get("WorkingDirectory").unwrap_or_default(),
        user: instances.first().map_or_else(String::new, |row| row.user.clone()),
        environment_file: environments.next().map(str::to_owned),
        credentials: credentials::shown(template),
        sandbox: record.sandbox.clone().unwrap_or_else(|| "off".to_owned()),
        handover: handover(template, &record),
        no_door: no_door(app, found, &record),
        balance: door::balance(app, found, template),
        drained_by: drained_by(template, &record).to_owned(),
        readiness: readiness(template),
        clients: clients(template),
        settings: settings.collect(),
        listeners: listeners(context, found)?,
        units: unit_facts(context, found)?,
        outdated: outdated(observed, app),
        reasons,
        unhealthy: disk::health_notes(&context.layout, app),
        stories,
        log_files: log_files.iter().map(|path| path.display().to_string()).collect(),
        asked: asked.into_iter().collect(),
        instances,
        files: files(context, app, found),
    })
}

/// Why instances are where nobody wants them, and the stories that were read for that.
fn reasons(
    context: &Context,
    stories: &mut Stories<'_>,
    app: &AppName,
    found: &FoundApp,
    rows: &[Row],
) -> (BTreeMap<u32, String>, BTreeMap<u32, Story>) {
    let (mut reasons, mut read) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let gave_up = row.status == Status::Errored;
        if let Some(lacks) = &row.unheld {
            let unit = app.instance_unit(row.instance);
            reasons.insert(row.instance, held::sentence(context, &unit, lacks));
        } else if gave_up || matches!(row.status, Status::WaitingRestart | Status::Launching) {
            let story = stories.story(app, &found.units, row.instance, UNIX_EPOCH);
            let reason = story.reason.as_ref().map(|reason| standing(reason, gave_up));
            reasons.extend(reason.map(|reason| (row.instance, reason)));
            read.insert(row.instance, story);
        }
    }
    (reasons, read)
}

fn outdated(observed: &Observed, app: &AppName) -> Vec<u32> {
    let Some(found) = observed.apps.get(app) else { return Vec::new() };
    let up = found.instances.iter().filter(|(_, instance)| instance.active.is_up());
    up.map(|(number, _)| *number).filter(|n| found.is_outdated(*n)).collect()
}

/// Whether the unit itself sets a variable.
fn sets(template: &UnitFile, name: &str) -> bool {
    template.all("Service", "Environment").any(|line| line.starts_with(&format!("\"{name}=")))
}

fn no_door(app: &AppName, found: &FoundApp, record: &Record) -> Option<String> {
    let why = door::none_of(app, found)?;
    let lacks = record.traced_because.as_ref().map(|_| format!(": {TRACED_LACKS}"));
    Some(why + &lacks.unwrap_or_default())
}

fn drained_by(template: &UnitFile, record: &Record) -> &'static str {
    if record.traced_because.is_some() {
        "the tracer, before the program gets its signal"
    } else if sets(template, "NODE_OPTIONS") {
        "the Node file, before the program's own handler runs"
    } else if sets(template, crate::handover::contract::DRAIN) {
        "the preload library, and the program where it does so itself"
    } else {
        "the program"
    }
}

fn handover(template: &UnitFile, record: &Record) -> String {
    let has = |name: &str| sets(template, name);
    let native = template.get("Service", "Sockets").is_some();
    if let Some(why) = &record.traced_because {
        // Go waits for its sockets itself, whatever they are.
        let hint = template.get("Service", "NonBlocking") == Some("yes") && !why.contains("Go ");
        let hint =
            if hint { "; if it waits in accept(), write `non_blocking = false`" } else { "" };
        return format!("trace: {why}{hint}");
    }
    let text = match (has("LD_PRELOAD"), has("NODE_OPTIONS"), native) {
        (true, true, true) => "preload, with the Node file: a Node app that binds its own address",
        (true, true, false) => "none; the Node file carries ready and shutdown messages",
        (true, false, _) => "preload: a dynamically linked program that binds its own address",
        (false, _, true) => "native: the program speaks LISTEN_FDS",
        (false, _, false) => "none: no listener",
    };
    text.to_owned()
}

fn readiness(template: &UnitFile) -> String {
    let kind = template.get("Service", "Type").unwrap_or("simple");
    let mut after = template.all("Service", "ExecStartPost");
    let probe = after.any(|line| line.contains("wait-listening"));
    match (kind, probe) {
        ("notify", _) => "notify: READY=1 of the program, or on its behalf at listen()",
        (_, true) => "listening: the listener shows up in an epoll set, or accept() blocks",
        _ => "exec: it runs",
    }
    .to_owned()
}

/// What the check of the template asks for before it lets clients in.
fn clients(template: &UnitFile) -> Option<String> {
    let mut lines = template.all("Service", "ExecStartPost");
    let (_, line) = lines.find_map(|line| line.split_once(" await-health "))?;
    let text = match (line.split_once(" --http "), line.split_once(" -- ")) {
        (Some((_, path)), _) => {
            let path = quote::unescaped(path.trim_matches('"'));
            format!("once GET {path} is answered well")
        }
        (None, Some((_, command))) => {
            format!("once {} ends with code 0", quote::unescaped(command))
        }
        (None, None) if line.contains(" --listener ") => "once it accepts a connection".to_owned(),
        (None, None) => "once the program says that it is ready".to_owned(),
    };
    Some(text)
}

fn listeners(context: &Context, found: &FoundApp) -> Result<Vec<ListenerState>, Error> {
    let sockets: Vec<UnitName> = found.units.listener_names().cloned().collect();
    let states = context.systemd.sockets(&sockets)?;
    let open = sockets.iter().zip(&states).filter(|(_, state)| state.active.is_active());
    let lost = observe::lost(&context.layout, &found.units, open.map(|(unit, _)| unit));
    let rows = sockets.iter().zip(states).filter_map(|(unit, state): (_, SocketState)| {
        let found = found.units.get(unit)?;
        let file = &found.unit;
        Some(ListenerState {
            name: file.get("Socket", "FileDescriptorName").unwrap_or_default().to_owned(),
            address: ListenAddress::of_socket_unit(file)?.to_string(),
            only_v6: ListenAddress::of_socket_unit(file)?.is_only_v6(),
            bind: found.record.bind,
            unit: unit.to_string(),
            state: if lost.contains(unit) { PATH_LOST.to_owned() } else { state.sub },
        })
    });
    Ok(rows.collect())
}

fn files(context: &Context, app: &AppName, found: &FoundApp) -> Vec<String> {
    let mut files: Vec<String> =
        found.units.keys().map(|unit| context.layout.unit(unit).display().to_string()).collect();
    let drop_ins = DropIns::of(&context.layout);
    for unit in [app.group_unit(), app.template_unit()] {
        files.extend(drop_ins.paths(&unit));
    }
    files
}
