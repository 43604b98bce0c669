//! Questions: names and signatures as systemd documents them, and how answers are read.

use std::collections::HashMap;

use clusterctl::clock::Timestamp;
use clusterctl::systemd::{Exit, Field, JobId, KillWhom, LoadState, QueuedJob};
use clusterctl::unit::{ActiveState, UnitName};
use zbus::{Message, OwnedObjectPath, Variant};

use crate::fake::{self, MANAGER, Outbox, PROPERTIES, Row, Script, job, unit};

fn row(name: &str, load: &'static str, active: &'static str, sub: &'static str) -> Row {
    let path = OwnedObjectPath::try_from("/org/freedesktop/systemd1/unit/x").unwrap();
    (name.to_owned(), name.to_owned(), load, active, sub, String::new(), path, 0, "", job(0))
}

#[test]
fn the_version_is_a_number() {
    let (fake, systemd) =
        fake::start(|call, out| out.reply(call, &Variant::from("252.39-1~deb12u2")));
    assert_eq!(systemd.version().unwrap(), 252);
    assert_eq!(fake.asked("Get"), [format!("/org/freedesktop/systemd1 {PROPERTIES}.Get(ss)")]);
    drop(systemd);
}

#[test]
fn members_and_signatures() {
    let (fake, systemd) = fake::start(|call, out| match call.header().member().unwrap().as_str() {
        "GetUnitProcesses" => out.reply(call, &vec![("/system.slice/x", 5u32, "node x")]),
        "ListUnitsByPatterns" => out.reply(call, &Vec::<Row>::new()),
        _ => out.reply(call, &()),
    });
    let api = unit("api@0.service");
    systemd.daemon_reload().unwrap();
    systemd.list(&["api@*".to_owned()]).unwrap();
    systemd.kill(&api, KillWhom::Main, 15).unwrap();
    systemd.reset_failed(&api).unwrap();
    let processes = systemd.processes(&api).unwrap();
    assert_eq!((processes[0].pid, processes[0].command.as_str()), (5, "node x"));
    drop(systemd);
    let asked = fake.asked.lock().unwrap();
    let expected = [
        "Reload()",
        "ListUnitsByPatterns(asas)",
        "KillUnit(ssi)",
        "ResetFailedUnit(s)",
        "GetUnitProcesses(s)",
    ]
    .map(|member| format!("/org/freedesktop/systemd1 {MANAGER}.{member}"));
    assert_eq!(asked[1..], expected);
}

#[test]
fn a_list_with_its_queued_jobs() {
    let (_fake, systemd) = fake::start(|call, out| {
        let mut busy = row("api@1.service", "loaded", "activating", "auto-restart");
        (busy.7, busy.8, busy.9) = (12, "restart", job(12));
        out.reply(call, &vec![row("x.mount", "masked", "refreshing", "new"), busy]);
    });
    let listed = systemd.list(&["*".to_owned()]).unwrap();
    assert_eq!((listed[0].name.as_str(), &listed[0].load), ("x.mount", &LoadState::Masked));
    assert_eq!(listed[0].active, ActiveState::Refreshing);
    assert_eq!(listed[0].job, None);
    assert_eq!(listed[1].active, ActiveState::Activating);
    assert_eq!(listed[1].job, Some(QueuedJob { id: JobId(12), kind: "restart".to_owned() }));
}

fn service_values() -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([
        ("MainPID", Variant::from(42u32)),
        ("NRestarts", Variant::from(2u32)),
        ("Result", Variant::from("success")),
        ("ExecMainStartTimestamp", Variant::from(1_700_000_000_000_000u64)),
        ("ExecMainStartTimestampMonotonic", Variant::from(5_000_000u64)),
        ("ExecMainExitTimestamp", Variant::from(0u64)),
        ("ExecMainExitTimestampMonotonic", Variant::from(0u64)),
        ("ExecMainCode", Variant::from(2i32)),
        ("ExecMainStatus", Variant::from(9i32)),
        ("MemoryCurrent", Variant::from(u64::MAX)),
        ("CPUUsageNSec", Variant::from(77u64)),
        ("StatusText", Variant::from("ready")),
        ("User", Variant::from("www")),
    ])
}

fn unit_value(name: &str) -> Variant<'static> {
    match name {
        "InvocationID" => Variant::from(vec![1u8; 16]),
        "NeedDaemonReload" => Variant::from(true),
        "UnitFileState" => Variant::from("enabled"),
        "FragmentPath" => Variant::from("/etc/systemd/system/api@.service"),
        "DropInPaths" => Variant::from(vec!["/etc/x.conf"]),
        _ => Variant::from(3u64),
    }
}

/// A manager that knows `api@N.service` and nothing else.
fn manager(call: &Message, out: &mut Outbox) {
    let body = call.body();
    match call.header().member().unwrap().as_str() {
        "ListUnitsByNames" => {
            let names: Vec<String> = body.deserialize().unwrap();
            let rows: Vec<Row> = names
                .iter()
                .map(|name| match name.starts_with("api@") {
                    true => row(name, "loaded", "active", "running"),
                    false => row(name, "not-found", "inactive", "dead"),
                })
                .collect();
            out.reply(call, &rows);
        }
        _ if call.header().path().unwrap().as_str().contains("/gone_40") => {
            out.error(call, "org.freedesktop.DBus.Error.UnknownProperty", "no such property");
        }
        "GetAll" => out.reply(call, &service_values()),
        _ => {
            let (_, name): (String, String) = body.deserialize().unwrap();
            let value = service_values().remove(name.as_str()).unwrap_or_else(|| unit_value(&name));
            out.reply(call, &value);
        }
    }
}

#[test]
fn everything_about_an_instance() {
    let (_fake, systemd) = fake::start(manager);
    let state = systemd.instances(&[unit("api@0.service")], &Field::ALL).unwrap().remove(0);
    assert_eq!((state.load, state.active), (LoadState::Loaded, ActiveState::Active));
    assert_eq!((state.main_pid, state.restarts), (Some(42), 2));
    let started = Timestamp { realtime_usec: 1_700_000_000_000_000, monotonic_usec: 5_000_000 };
    assert_eq!((state.started, state.exited), (Some(started), None));
    assert_eq!(state.exit, Some(Exit::Signal(9)));
    assert_eq!((state.memory, state.cpu_nsec), (None, Some(77)));
    assert_eq!(state.invocation.unwrap(), "01".repeat(16));
    assert!(state.need_reload);
    assert_eq!(state.fragment.unwrap().to_str(), Some("/etc/systemd/system/api@.service"));
    assert_eq!(state.drop_ins.len(), 1);
    assert_eq!((state.status_text.as_str(), state.user.as_str()), ("ready", "www"));
}

#[test]
fn few_fields_are_asked_one_by_one_and_many_at_once() {
    let (fake, systemd) = fake::start(manager);
    let names = [unit("api@0.service")];
    systemd.instances(&names, &[Field::MainPid, Field::NeedReload]).unwrap();
    assert_eq!(fake.members(), ["ListUnitsByNames", "Get", "Get"]);
    systemd.instances(&names, &Field::ALL).unwrap();
    assert_eq!(fake.asked("GetAll").len(), 1);
    drop(systemd);
}

#[test]
fn a_unit_that_does_not_exist_is_a_state() {
    let (_fake, systemd) = fake::start(manager);
    let names = [unit("gone@0.service"), unit("api@1.service")];
    let states = systemd.instances(&names, &Field::TABLE).unwrap();
    assert_eq!((&states[0].load, states[0].main_pid), (&LoadState::NotFound, None));
    assert_eq!((&states[1].load, states[1].main_pid), (&LoadState::Loaded, Some(42)));
}

/// dbus-daemon, which refuses the 129th call that waits for its reply. The manager behind it is
/// slow: it replies when the client has sent all that it wants to.
#[derive(Default)]
struct StrictBus {
    waiting: Vec<Message>,
}

impl Script for StrictBus {
    fn call(&mut self, call: &Message, out: &mut Outbox) {
        if self.waiting.len() == 128 {
            out.error(call, "org.freedesktop.DBus.Error.LimitsExceeded", "too many");
        } else {
            self.waiting.push(call.clone());
        }
    }

    fn quiet(&mut self, out: &mut Outbox) {
        for call in self.waiting.drain(..) {
            manager(&call, out);
        }
    }
}

#[test]
fn many_questions_stay_below_the_limit_of_the_bus() {
    let (_fake, systemd) = fake::start_script(StrictBus::default());
    let names: Vec<UnitName> = (0..60).map(|i| unit(&format!("api@{i}.service"))).collect();
    let states = systemd.instances(&names, &Field::TABLE).unwrap();
    assert!(states.iter().all(|state| state.main_pid == Some(42) && state.user == "www"));
}

#[test]
fn a_listener() {
    let (_fake, systemd) = fake::start(|call, out| {
        let body = call.body();
        if call.header().member().unwrap().as_str() == "ListUnitsByNames" {
            out.reply(call, &vec![row("api-http.socket", "loaded", "failed", "failed")]);
            return;
        }
        let (_, name): (String, String) = body.deserialize().unwrap();
        let value = match name.as_str() {
            "Result" => Variant::from("trigger-limit-hit"),
            "Listen" => Variant::from(vec![("Stream", "[::]:80"), ("Datagram", "/run/x")]),
            _ => Variant::from(0u32),
        };
        out.reply(call, &value);
    });
    let state = systemd.sockets(&[unit("api-http.socket")]).unwrap().remove(0);
    assert_eq!((state.active, state.result.as_str()), (ActiveState::Failed, "trigger-limit-hit"));
    assert_eq!(state.listen[0], ("Stream".to_owned(), "[::]:80".to_owned()));
    assert_eq!(state.listen.len(), 2);
}

#[test]
fn a_job_that_runs_and_one_that_is_over() {
    let (_fake, systemd) = fake::start(|call, out| {
        if call.header().path().unwrap().as_str().ends_with("/7") {
            let values = HashMap::from([
                ("Unit", Variant::from(("api@0.service", job(1)))),
                ("JobType", Variant::from("start")),
                ("State", Variant::from("running")),
            ]);
            out.reply(call, &values);
        } else {
            let name = "org.freedesktop.DBus.Error.UnknownObject";
            out.error(call, name, "Unknown object '/org/freedesktop/systemd1/job/8'.");
        }
    });
    let info = systemd.job_info(JobId(7)).unwrap().unwrap();
    assert_eq!(
        (info.unit.as_str(), info.kind.as_str(), info.running),
        ("api@0.service", "start", true)
    );
    assert_eq!(systemd.job_info(JobId(8)).unwrap(), None);
}
