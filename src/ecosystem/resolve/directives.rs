//! The tables `service`, `slice` and `socket`: systemd directives, passed through.

use toml::de::DeValue;

use crate::ecosystem::model::app::Listener;
use crate::ecosystem::model::runtime_folder::{last_line, runtime_folder};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{KeyValue, Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem, visible};

/// Lines for each section.
#[derive(Debug)]
pub(super) struct Directives {
    pub service: Vec<(String, String)>,
    pub slice: Vec<(String, String)>,
    pub socket: Vec<(String, String)>,
}

/// Directives that clusterctl writes, and what to use instead.
type Owned = &'static [(&'static str, &'static str)];

/// Reads all three tables.
pub(super) fn directives(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Directives {
    Directives {
        service: table(cx, fields, "service", SERVICE),
        slice: table(cx, fields, "slice", &[]),
        socket: table(cx, fields, "socket", SOCKET),
    }
}

/// A directory that goes with any instance must not hold what clients of all connect to.
pub(super) fn kept_folders(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    service: &[(String, String)],
    listeners: &[(Listener, Place)],
) {
    const KEY: &str = "RuntimeDirectoryPreserve";
    let keeps = |value: &str| ["yes", "true", "on", "y", "t", "1"].contains(&value);
    let Some(value) = last_line(service, KEY).filter(|value| !keeps(value)) else { return };
    let mut paths = listeners.iter().filter_map(|(listener, _)| listener.address.path());
    let held =
        paths.find_map(|path| Some((path.to_owned(), runtime_folder(service, path)?.to_owned())));
    let Some((path, folder)) = held else { return };
    let node = fields.get("service");
    let entries = node.as_ref().and_then(|node| node.entries(cx, "a table of systemd directives"));
    let entry = entries.iter().flatten().find(|entry| entry.key == KEY);
    let at = entry.map_or_else(|| fields.place.clone(), |entry| entry.at.clone());
    let message = format!(
        "with `{KEY}={value}` the end of one instance removes `{}`, to which clients of all connect",
        path.display()
    );
    let help = format!("remove it: `{folder}` is kept as long as a listener lies in it");
    cx.problems.push(Problem::error(&at, message).help(help));
}

fn table(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    name: &str,
    owned: Owned,
) -> Vec<(String, String)> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let entries = node.entries(cx, "a table of systemd directives").unwrap_or_default();
    entries.iter().flat_map(|entry| lines(cx, entry, owned)).collect()
}

fn lines(cx: &mut Reading<'_>, entry: &KeyValue<'_>, owned: Owned) -> Vec<(String, String)> {
    let values = match entry.node.value {
        DeValue::Array(items) => {
            let nodes = items.iter().enumerate();
            nodes
                .filter_map(|(nr, item)| line(cx, &entry.node.child(item, &format!("[{nr}]"))))
                .collect()
        }
        _ => line(cx, &entry.node).into_iter().collect::<Vec<_>>(),
    };
    if let Some(problem) = refused(entry, owned) {
        cx.problems.push(problem);
        return Vec::new();
    }
    values.into_iter().map(|value| (entry.key.to_owned(), value)).collect()
}

fn refused(entry: &KeyValue<'_>, owned: Owned) -> Option<Problem> {
    let key = entry.key;
    let letter = key.starts_with(|c: char| c.is_ascii_alphabetic());
    if !letter || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
        let message = format!("`{}` is not a valid name of a systemd directive", visible(key));
        let help = "write it as in the manual, such as `CPUWeight`";
        return Some(Problem::error(&entry.at, message).help(help));
    }
    if let Some((_, help)) = owned.iter().find(|(name, _)| *name == key) {
        let message = format!("`{key}` is written by clusterctl");
        return Some(Problem::error(&entry.at, message).help(*help));
    }
    let elsewhere =
        UNIT.contains(&key) || key.starts_with("Condition") || key.starts_with("Assert");
    elsewhere.then(|| {
        let message = format!("`{key}` belongs to another section of a unit");
        let help = "put it under `[Unit]` or `[Install]` with `systemctl edit NAME@`";
        Problem::error(&entry.at, message).help(help)
    })
}

/// One value as systemd reads it. Its specifiers and quotes are the author's.
fn line(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<String> {
    match node.value {
        DeValue::String(text) => {
            let text = node.checked(cx, text)?;
            if text.contains(['\n', '\r']) || text.ends_with('\\') {
                let message = format!("`{}` would run into the next line", node.name);
                let help = "a value is one line and does not end with `\\`; use an array for several lines";
                return cx.note(Problem::error(&node.place, message).help(help));
            }
            Some(text)
        }
        DeValue::Integer(_) => node.text_or_number(cx),
        DeValue::Boolean(on) => Some(if *on { "yes" } else { "no" }.to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            node.wrong_type(cx, "a string, a number, a boolean or an array of them")
        }
    }
}

/// Directives of other sections that are often put here by mistake, systemd.unit(5).
const UNIT: &[&str] = &[
    "After",
    "Before",
    "Wants",
    "Requires",
    "Requisite",
    "BindsTo",
    "PartOf",
    "Upholds",
    "Conflicts",
    "OnFailure",
    "OnSuccess",
    "Description",
    "Documentation",
    "DefaultDependencies",
    "RequiresMountsFor",
    "StartLimitIntervalSec",
    "StartLimitBurst",
    "StartLimitAction",
    "PropagatesStopTo",
    "StopPropagatedFrom",
    "PropagatesReloadTo",
    "ReloadPropagatedFrom",
    "CollectMode",
    "RefuseManualStart",
    "RefuseManualStop",
    "WantedBy",
    "RequiredBy",
    "UpheldBy",
    "Also",
    "Alias",
    "DefaultInstance",
];

const SERVICE: Owned = &[
    ("ExecStart", "use `script` or `command`"),
    ("ExecCondition", "use `max_restarts`; it is how a crash loop ends"),
    ("ExecReload", "`clusterctl reload` replaces the instances"),
    ("ExecStop", "use `kill_signal` or `shutdown_with_message`"),
    ("Type", "use `readiness` or `wait_ready`"),
    ("NotifyAccess", "use `readiness`"),
    ("RemainAfterExit", "remove it: an instance that has ended does not serve"),
    ("GuessMainPID", "remove it: the main process is known"),
    ("PIDFile", "remove it: the main process is known"),
    ("BusName", "use `readiness`"),
    ("Restart", "use `autorestart`"),
    ("RestartSec", "use `restart_delay`"),
    ("RestartSteps", "use `exp_backoff_restart_delay`"),
    ("RestartMaxDelaySec", "use `exp_backoff_restart_delay`"),
    ("RestartMode", "remove it: only the normal mode lets a failed start be seen"),
    ("RestartPreventExitStatus", "use `stop_exit_codes`"),
    ("Sockets", "use `listen`"),
    ("NonBlocking", "use `non_blocking`"),
    ("User", "use `user`"),
    ("Group", "use `group`"),
    ("DynamicUser", "use `user`: listeners and logs need to know whose they are"),
    ("WorkingDirectory", "use `cwd`"),
    ("Environment", "use `env`"),
    ("EnvironmentFile", "use `env_file`"),
    ("KillSignal", "use `kill_signal`"),
    ("KillMode", "use `treekill`"),
    ("TimeoutSec", "use `listen_timeout` and `kill_timeout`"),
    ("TimeoutStartSec", "use `listen_timeout`"),
    ("TimeoutStopSec", "use `kill_timeout`"),
    ("StandardOutput", "use `out_file` or `disable_logs`"),
    ("StandardError", "use `error_file` or `disable_logs`"),
    ("SyslogIdentifier", "remove it: `clusterctl logs` tells instances apart by their unit"),
    (
        "MemoryMax",
        "use `max_memory_restart` for an instance, or `MemoryMax` in `slice` for the app",
    ),
    ("Slice", "use the table `slice` for limits of the whole app"),
];

const SOCKET: Owned = &[
    ("ListenStream", "use `listen`"),
    ("ListenDatagram", "use `listen = \"udp:…\"`"),
    ("ListenSequentialPacket", "only streams and datagrams can be shared: use `listen`"),
    ("ListenFIFO", "only sockets can be shared: use `listen`"),
    ("ListenSpecial", "only sockets can be shared: use `listen`"),
    ("ListenNetlink", "only sockets can be shared: use `listen`"),
    ("ListenMessageQueue", "only sockets can be shared: use `listen`"),
    ("Accept", "remove it: instances accept for themselves"),
    ("Service", "remove it: the listener belongs to this app"),
    ("FileDescriptorName", "name the listener: `listen = { http = 80 }`"),
    ("Backlog", "use `backlog`"),
    ("TriggerLimitIntervalSec", "remove it: a limit would close the port"),
    ("TriggerLimitBurst", "remove it: a limit would close the port"),
    ("PollLimitIntervalSec", "remove it: a limit would delay clients"),
    ("PollLimitBurst", "remove it: a limit would delay clients"),
    (
        "BindIPv6Only",
        "write the addresses: a bare port is both families, `[\"0.0.0.0:80\", \"[::]:80\"]` one socket for each",
    ),
    ("ReusePort", "remove it: two listeners on one port would split its clients"),
    ("RemoveOnStop", "remove it: the path goes when the listener goes"),
    ("FlushPending", "remove it: it would drop waiting clients"),
];
