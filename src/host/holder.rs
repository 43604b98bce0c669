//! Who holds an address, in the words of whoever has to make it let go: a socket unit, an instance
//! of an app, a service, PM2, or a program.

use std::fs;
use std::path::Path;

use super::sockets::{Table, process_name, processes_with};
use crate::disk::Layout;
use crate::ecosystem::{AddressHolder, AppName, ListenAddress};
use crate::translate::MARK;
use crate::unit::{UnitFile, UnitKind, UnitName};

/// Whoever listens on an address.
#[derive(Debug)]
pub(super) struct Owner {
    /// How to name it, and what to do about it.
    pub holder: AddressHolder,
    /// The instance of an app of ours that listens by itself.
    pub instance: Option<(AppName, u32)>,
    /// A manager holds it, for a socket unit of which there is no file.
    pub is_without_file: bool,
}

/// The owner of what conflicts with an address; `None` when nothing does.
pub(super) fn owner(layout: &Layout, table: &Table, address: &ListenAddress) -> Option<Owner> {
    let (held, inode) = table.conflicting(address)?;
    let pids = processes_with(inode);
    if pids.iter().any(|pid| is_manager(*pid)) {
        let unit = socket_unit(layout, &held);
        let is_without_file = unit.is_none();
        let holder = unit.unwrap_or_else(unknown_unit);
        return Some(Owner { holder, instance: None, is_without_file });
    }
    let Some(pid) = pids.first().copied() else {
        let who = "another program".to_owned();
        let help = "`ss -lptn` as root names it; stop it, or choose another address".to_owned();
        let holder = AddressHolder { who, help, listener_of: None };
        return Some(Owner { holder, instance: None, is_without_file: false });
    };
    let unit = unit_of(pid);
    let instance = unit.as_deref().and_then(|unit| instance(layout, unit));
    let holder = match (&instance, unit) {
        (Some((app, number)), _) => AddressHolder {
            who: format!("{app}@{number} (app {app})"),
            help: format!("choose another address, or: clusterctl stop {app}"),
            listener_of: None,
        },
        (None, unit) => pm2(pid).unwrap_or_else(|| program(pid, unit)),
    };
    Some(Owner { holder, instance, is_without_file: false })
}

fn program(pid: u32, unit: Option<String>) -> AddressHolder {
    let name = process_name(pid);
    match unit {
        Some(unit) => AddressHolder {
            who: format!("{unit} (`{name}`, pid {pid})"),
            help: format!("choose another address, or: systemctl stop {unit}"),
            listener_of: None,
        },
        None => AddressHolder {
            who: format!("`{name}` (pid {pid})"),
            help: "stop that program, or choose another address".to_owned(),
            listener_of: None,
        },
    }
}

/// The manager of the system, or one of a user.
fn is_manager(pid: u32) -> bool {
    let cgroup = || fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    pid == 1 || (process_name(pid) == "systemd" && cgroup().contains("/init.scope"))
}

/// The service that a process belongs to; sessions and managers of users are none.
fn unit_of(pid: u32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let lines =
        groups.lines().filter(|line| line.starts_with("0::") || line.contains("name=systemd"));
    let units = lines.filter_map(|line| line.rsplit('/').find(|part| part.ends_with(".service")));
    let mut units = units.filter(|unit| !unit.starts_with("user@"));
    units.next().map(str::to_owned)
}

/// The instance that a unit of ours is.
fn instance(layout: &Layout, unit: &str) -> Option<(AppName, u32)> {
    let name = UnitName::parse(unit).ok()?;
    let app = AppName::parse(name.prefix()).ok()?;
    let number = app.instance_of(&name)?;
    let template = fs::read_to_string(layout.unit(&app.template_unit())).ok()?;
    template.contains(MARK).then_some((app, number))
}

/// The socket unit for which a manager holds an address, by the unit files.
fn socket_unit(layout: &Layout, held: &ListenAddress) -> Option<AddressHolder> {
    let folders = [&layout.units].into_iter().chain(&layout.foreign);
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let found = files.filter_map(|entry| {
        let name = UnitName::parse(entry.file_name().to_str()?).ok()?;
        let socket = name.kind() == UnitKind::Socket;
        let text = socket.then(|| fs::read_to_string(entry.path()).ok()).flatten()?;
        let unit = UnitFile::parse(name.clone(), &text);
        listens_on(&unit, held).then_some((name, unit))
    });
    // One of ours is more certain than one of somebody else's with the same port.
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(_, unit)| unit.get(MARK, "App").is_none());
    let (name, unit) = found.first()?;
    Some(match unit.get(MARK, "App") {
        Some(app) => AddressHolder {
            who: format!("{name} (app {app})"),
            help: format!("choose another address, or: clusterctl stop {app}"),
            listener_of: AppName::parse(app).ok(),
        },
        None => AddressHolder {
            who: name.to_string(),
            help: format!("choose another address, or: systemctl stop {name}"),
            listener_of: None,
        },
    })
}

fn unknown_unit() -> AddressHolder {
    AddressHolder {
        who: "systemd, for a socket unit".to_owned(),
        help: "`systemctl list-sockets` names it; stop it, or choose another address".to_owned(),
        listener_of: None,
    }
}

fn listens_on(unit: &UnitFile, held: &ListenAddress) -> bool {
    let values = ["ListenStream", "ListenDatagram"].into_iter();
    values.flat_map(|key| unit.all("Socket", key)).any(|value| match held.port() {
        Some(port) => value.rsplit(':').next() == Some(port.to_string().as_str()),
        None => held.listen_value() == value,
    })
}

/// How an app of PM2's is let go of.
const MOVE: &str =
    "move it, and refuse nobody: sudo clusterctl import --takeover; or let PM2 stop it first";

/// PM2's daemon, or a program that it runs.
fn pm2(pid: u32) -> Option<AddressHolder> {
    if is_god(pid) {
        let who = format!("PM2 (its daemon, pid {pid})");
        let help = format!("{MOVE}: pm2 list, pm2 delete APP");
        return Some(AddressHolder { who, help, listener_of: None });
    }
    let mut ancestors =
        std::iter::successors(Some(pid), |pid| super::usage(*pid).map(|u| u.parent));
    ancestors.by_ref().take(16).find(|pid| is_god(*pid))?;
    let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let value = |name: &str| {
        let mut all = variables.split(|byte| *byte == 0);
        let value = all.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some(String::from_utf8_lossy(value).escape_debug().to_string())
    };
    let app = value("name").unwrap_or_else(|| process_name(pid));
    let id = value("pm_id").map_or_else(String::new, |id| format!(", id {id}"));
    let help = format!("{MOVE}: pm2 delete {app}");
    Some(AddressHolder { who: format!("PM2 (app {app}{id})"), help, listener_of: None })
}

fn is_god(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.starts_with(b"PM2 v") && Path::new(&format!("/proc/{pid}")).exists()
}
