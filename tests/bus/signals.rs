//! Signals: what reaches a watcher, and what does not.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use clusterctl::systemd::{JobId, JobResult, PropertyChanges, Signal};
use clusterctl::unit::{ActiveState, UnitName};
use zbus::Variant;

use crate::fake::{self, MANAGER, Outbox, PROPERTIES};

const API_0: &str = "/org/freedesktop/systemd1/unit/api_400_2eservice";
const SSH: &str = "/org/freedesktop/systemd1/unit/ssh_2eservice";

fn changed(out: &mut Outbox, path: &str, values: &[(&str, Variant<'_>)]) {
    let values: HashMap<&str, &Variant<'_>> = values.iter().map(|(k, v)| (*k, v)).collect();
    let invalidated: [&str; 1] = ["ExecStart"];
    let body = ("org.freedesktop.systemd1.Unit", values, &invalidated[..]);
    out.signal(path, PROPERTIES, "PropertiesChanged", &body);
}

/// All signals that a watcher of `api@0.service` gets when the manager sends these right after the
/// subscription, even before it has confirmed the subscription.
fn heard(send: impl Fn(&mut Outbox) + Send + 'static) -> Vec<Signal> {
    let (_fake, systemd) = fake::start(move |call, out| {
        assert_eq!(call.header().member().unwrap().as_str(), "Subscribe");
        send(out);
        out.signal("/org/freedesktop/systemd1", MANAGER, "Reloading", &true);
        out.reply(call, &());
    });
    let unit = UnitName::parse("api@0.service").unwrap();
    let watch = systemd.watch([&unit]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut signals = Vec::new();
    loop {
        match watch.next(deadline).unwrap() {
            Signal::Reloading(true) => return signals,
            signal => signals.push(signal),
        }
    }
}

#[test]
fn nothing_is_lost_between_subscription_and_first_look() {
    let signals = heard(|out| {
        out.job_removed(3, "api@0.service", "done");
        changed(out, API_0, &[("ActiveState", "active".into()), ("SubState", "running".into())]);
    });
    let unit = UnitName::parse("api@0.service").unwrap();
    let changes = PropertyChanges {
        active: Some(ActiveState::Active),
        sub: Some("running".to_owned()),
        ..PropertyChanges::default()
    };
    let removed = Signal::JobRemoved {
        id: JobId(3),
        unit: "api@0.service".to_owned(),
        result: JobResult::Done,
    };
    assert_eq!(signals, [removed, Signal::Changed { unit, changes }]);
}

#[test]
fn all_properties_of_interest() {
    let signals = heard(|out| {
        let values = [
            ("MainPID", Variant::from(0u32)),
            ("NRestarts", Variant::from(3u32)),
            ("StatusText", Variant::from("draining")),
            ("InvocationID", Variant::from(vec![0xabu8; 16])),
            ("Result", Variant::from("exit-code")),
        ];
        changed(out, API_0, &values);
    });
    let changes = PropertyChanges {
        main_pid: Some(None),
        restarts: Some(3),
        status_text: Some("draining".to_owned()),
        invocation: Some("ab".repeat(16)),
        result: Some("exit-code".to_owned()),
        ..PropertyChanges::default()
    };
    let unit = UnitName::parse("api@0.service").unwrap();
    assert_eq!(signals, [Signal::Changed { unit, changes }]);
}

#[test]
fn other_units_and_other_properties_are_nobodys_business() {
    let signals = heard(|out| {
        changed(out, SSH, &[("ActiveState", "failed".into())]);
        changed(out, API_0, &[("TasksCurrent", Variant::from(4u64))]);
        out.signal("/org/freedesktop/systemd1", MANAGER, "UnitNew", &"x");
    });
    assert_eq!(signals, []);
}

#[test]
fn a_second_watcher_is_welcome() {
    let mut subscribed = false;
    let (mut fake, systemd) = fake::start(move |call, out| {
        if std::mem::replace(&mut subscribed, true) {
            out.error(call, "org.freedesktop.systemd1.AlreadySubscribed", "");
        } else {
            out.reply(call, &());
        }
    });
    let first = systemd.watch([]).unwrap();
    let second = systemd.watch([]).unwrap();
    drop((first, second, systemd));
    fake.join();
    assert_eq!(fake.asked("AddMatch").len(), fake.asked("RemoveMatch").len());
}

#[test]
fn a_lost_connection_is_a_signal() {
    let (_fake, systemd) = fake::start(|call, out| {
        out.reply(call, &());
        out.hang_up = true;
    });
    let watch = systemd.watch([]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    assert_eq!(watch.next(deadline), Some(Signal::Disconnected));
    assert_eq!(watch.next(deadline), Some(Signal::Disconnected), "and stays one");
}

#[test]
fn silence_lasts_until_the_deadline() {
    let (_fake, systemd) = fake::start(|call, out| out.reply(call, &()));
    let watch = systemd.watch([]).unwrap();
    assert_eq!(watch.next(Instant::now() + Duration::from_millis(20)), None);
}
