//! Rollouts against a manager in which something happens between any two questions: what is asked together is answered
//! about different moments, and no process may be taken for dead because of it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::Duration;

use clusterctl::disk::Layout;
use clusterctl::ecosystem::AppName;
use clusterctl::ops::{self, Context, Request};
use clusterctl::rollout::{Outcome, Policy};
use clusterctl::unit::{ActiveState, UnitName};
use zbus::{Message, OwnedObjectPath, Variant};

use crate::fake::{self, Outbox, PROPERTIES, Row, Script, job, unit_path};

/// The next change of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Drain,
    End,
    Start,
    Ready,
    JobOver(u32),
}

#[derive(Clone, Debug)]
struct Unit {
    active: &'static str,
    sub: &'static str,
    started: u64,
    next: Vec<Step>,
}

/// Units that are replaced while they are asked about.
struct Manager {
    units: BTreeMap<String, Unit>,
    clock: u64,
    jobs: u32,
    random: u64,
}

impl Manager {
    fn new(apps: &[&str], instances: u32) -> Self {
        let names = apps.iter().flat_map(|app| {
            (0..instances + 1).map(move |n| (format!("{app}@{n}.service"), n < instances))
        });
        let unit = |up| Unit {
            active: if up { "active" } else { "inactive" },
            sub: if up { "running" } else { "dead" },
            started: u64::from(up),
            next: Vec::new(),
        };
        let units = names.map(|(name, up)| (name, unit(up))).collect();
        Self { units, clock: 1, jobs: 0, random: 1 }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % 100 < percent
    }

    /// Some units take their next step, and the manager says so.
    fn advance(&mut self, percent: u64, out: &mut Outbox) {
        let busy = self.units.iter().filter(|(_, unit)| !unit.next.is_empty());
        let busy: Vec<String> = busy.map(|(name, _)| name.clone()).collect();
        for name in busy {
            if self.chance(percent) {
                self.step(&name, out);
            }
        }
    }

    fn step(&mut self, name: &str, out: &mut Outbox) {
        self.clock += 1;
        let (clock, unit) = (self.clock, self.units.get_mut(name).unwrap());
        match unit.next.remove(0) {
            Step::Drain => (unit.active, unit.sub) = ("deactivating", "stop-sigterm"),
            Step::End => (unit.active, unit.sub) = ("inactive", "dead"),
            Step::Start => {
                (unit.active, unit.sub, unit.started) = ("activating", "start", clock);
            }
            Step::Ready => (unit.active, unit.sub) = ("active", "running"),
            Step::JobOver(id) => return out.job_removed(id, name, "done"),
        }
        let values = [("ActiveState", unit.active), ("SubState", unit.sub)];
        let values: HashMap<&str, Variant<'_>> =
            values.into_iter().map(|(key, value)| (key, Variant::from(value))).collect();
        let body = ("org.freedesktop.systemd1.Unit", values, &[""; 0][..]);
        out.signal(&unit_path(name), PROPERTIES, "PropertiesChanged", &body);
    }

    fn submit(&mut self, call: &Message, out: &mut Outbox) {
        let (name, _): (String, String) = call.body().deserialize().unwrap();
        self.jobs += 1;
        let over = Step::JobOver(self.jobs);
        let Some(unit) = self.units.get_mut(&name) else {
            return out.error(call, "org.freedesktop.systemd1.NoSuchUnit", "no such unit");
        };
        let up = unit.active == "active";
        let stop: &[Step] = if up { &[Step::Drain, Step::End] } else { &[] };
        let start: &[Step] = match call.header().member().unwrap().as_str() {
            "StopUnit" => &[],
            _ => &[Step::Start, Step::Ready],
        };
        unit.next = [stop, start, &[over]].concat();
        out.reply(call, &job(self.jobs));
        self.step(&name, out);
    }

    fn list(&self, names: Option<Vec<String>>) -> Vec<Row> {
        let all = self.units.keys().cloned();
        let names = names.unwrap_or_else(|| all.collect());
        names.into_iter().map(|name| self.row(name)).collect()
    }

    fn row(&self, name: String) -> Row {
        let unit = self.units.get(&name);
        let (active, sub) = unit.map_or(("inactive", "dead"), |unit| (unit.active, unit.sub));
        let path = OwnedObjectPath::try_from("/org/freedesktop/systemd1/unit/x").unwrap();
        (name.clone(), name, "loaded", active, sub, String::new(), path, 0, "", job(0))
    }

    fn property(&self, call: &Message) -> Variant<'static> {
        let (_, name): (String, String) = call.body().deserialize().unwrap();
        let of = call.header().path().unwrap().as_str().to_owned();
        let unit = self.units.iter().find(|(name, _)| unit_path(name) == of).map(|(_, unit)| unit);
        match name.as_str() {
            "Result" => Variant::from("success"),
            "NRestarts" => Variant::from(0u32),
            _ => Variant::from(unit.map_or(0, |unit| unit.started)),
        }
    }
}

impl Script for Manager {
    fn call(&mut self, call: &Message, out: &mut Outbox) {
        self.advance(30, out);
        match call.header().member().unwrap().as_str() {
            "StartUnit" | "RestartUnit" | "StopUnit" => self.submit(call, out),
            "Get" => out.reply(call, &self.property(call)),
            "ListUnitsByNames" => {
                let names: Vec<String> = call.body().deserialize().unwrap();
                out.reply(call, &self.list(Some(names)));
            }
            "ListUnitsByPatterns" => out.reply(call, &self.list(None)),
            "Subscribe" | "ResetFailedUnit" => out.reply(call, &()),
            // There is no reload job: who asks drives the rollout.
            _ => out.error(call, "org.freedesktop.systemd1.NoSuchUnit", "no such unit"),
        }
        self.advance(30, out);
    }

    fn quiet(&mut self, out: &mut Outbox) {
        self.advance(100, out);
    }
}

fn install(layout: &Layout, app: &str, instances: u32) {
    let mark = |role: &str| format!("[Service]\n\n[X-Clusterctl]\nApp={app}\nRole={role}\n");
    fs::create_dir_all(layout.units.join(format!("{app}.service.wants"))).unwrap();
    fs::write(layout.units.join(format!("{app}.service")), mark("group")).unwrap();
    fs::write(layout.units.join(format!("{app}@.service")), mark("instance")).unwrap();
    for number in 0..instances {
        let link = format!("{app}.service.wants/{app}@{number}.service");
        let target = format!("../{app}@.service");
        std::os::unix::fs::symlink(Path::new(&target), layout.units.join(link)).unwrap();
    }
}

const INSTANCES: u32 = 2;
/// The number of reloads of each app; `BUS_RELOADS=n` sets another one.
const RELOADS: usize = 150;

#[test]
fn two_apps_that_reload_at_once_see_no_death_that_was_none() {
    let apps = ["one", "two"];
    let wish = std::env::var("BUS_RELOADS").ok().and_then(|text| text.parse().ok());
    let reloads = wish.unwrap_or(RELOADS);
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::private(dir.path());
    apps.iter().for_each(|app| install(&layout, app, INSTANCES));
    let (_fake, systemd) = fake::start_script(Manager::new(&apps, INSTANCES));
    let context = Context::new(layout, systemd, "/usr/bin/clusterctl".into()).unwrap();
    let reload = |app: &str| {
        let name = AppName::parse(app).unwrap();
        let policy = Policy { min_ready: Duration::ZERO, ..Policy::default() };
        let request = Request { policy: Some(policy), ..Request::reload() };
        for round in 0..reloads {
            let outcome = ops::delegate(&context, &name, &request, &mut |_| {}).unwrap();
            assert_eq!(outcome, Outcome::Complete, "{app}, reload {round}");
        }
    };
    std::thread::scope(|scope| {
        let threads = apps.map(|app| scope.spawn(move || reload(app)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    drop(context);
}

/// A process that is seen to end must be the one that ended, not its successor.
#[test]
fn what_is_seen_of_a_unit_is_of_one_moment() {
    let mut manager = Manager::new(&["one"], 1);
    let name = UnitName::parse("one@0.service").unwrap();
    // The unit is restarted again and again, and its process is up exactly while its start has the newest clock value.
    let steps = [Step::Drain, Step::End, Step::Start, Step::Ready];
    manager.units.get_mut(name.as_str()).unwrap().next = steps.repeat(10_000);
    let (_fake, systemd) = fake::start_script(manager);
    let mut ended = 0;
    for look in 0..1000 {
        let seen = systemd.glimpse(&name).unwrap();
        // Every start takes four ticks of the clock, and the process ends with the second tick after it.
        let again = systemd.glimpse(&name).unwrap();
        if matches!(seen.active, ActiveState::Deactivating | ActiveState::Inactive) {
            ended += 1;
            let back = again.started == seen.started
                && matches!(again.active, ActiveState::Active | ActiveState::Activating);
            assert!(!back, "look {look}: {seen:?} was alive again: {again:?}");
        }
    }
    assert!(ended > 100, "only {ended} of them ended");
}
