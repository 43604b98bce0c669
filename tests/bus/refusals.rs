//! What the manager refuses, in words that help.

use clusterctl::systemd::{Error, ErrorKind, JobKind, JobMode};
use clusterctl::unit::UnitName;

use crate::fake;

fn refused_start(name: &'static str, text: &'static str) -> Error {
    let (_fake, systemd) = fake::start(move |call, out| out.error(call, name, text));
    let unit = UnitName::parse("api@0.service").unwrap();
    systemd.submit(JobKind::Start, &unit, JobMode::Replace).unwrap_err()
}

#[track_caller]
fn check(name: &'static str, kind: ErrorKind, sentence: &str, hint: &str) {
    let error = refused_start(name, "words of systemd");
    assert_eq!(error.kind(), kind, "{name}");
    assert_eq!(error.to_string(), format!("failed to start: {sentence} (words of systemd)"));
    let given = error.hint().unwrap_or_default();
    assert!(given.contains(hint), "{given}");
}

#[test]
fn a_user_without_the_right() {
    for name in [
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    ] {
        check(name, ErrorKind::Denied, "permission denied", "sudo");
    }
}

#[test]
fn units_that_cannot_start() {
    check(
        "org.freedesktop.systemd1.NoSuchUnit",
        ErrorKind::NoSuchUnit,
        "api@0.service does not exist",
        "clusterctl apply",
    );
    check(
        "org.freedesktop.systemd1.UnitMasked",
        ErrorKind::Masked,
        "api@0.service is masked",
        "systemctl unmask api@0.service",
    );
    for name in ["org.freedesktop.systemd1.BadUnitSetting", "org.freedesktop.systemd1.LoadFailed"] {
        let sentence = "api@0.service cannot be loaded";
        check(name, ErrorKind::BadUnit, sentence, "systemd-analyze verify api@0.service");
    }
    check(
        "org.freedesktop.systemd1.TransactionIsDestructive",
        ErrorKind::Refused,
        "systemd refuses",
        "systemctl status api@0.service",
    );
}

#[test]
fn a_bus_without_a_manager() {
    for name in [
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
    ] {
        let sentence = "no service manager answers on the bus";
        check(name, ErrorKind::NoManager, sentence, "systemctl");
    }
}

#[test]
fn too_many_reloads() {
    let (fake, systemd) = fake::start(|call, out| {
        let text = "Reload() request rejected due to rate limit.";
        out.error(call, "org.freedesktop.DBus.Error.LimitsExceeded", text);
    });
    let error = systemd.daemon_reload().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReloadRateLimited);
    assert!(error.hint().unwrap().contains("ReloadLimitIntervalSec="));
    assert_eq!(fake.members(), ["Reload"], "one call, no retry");
    drop(systemd);
}

#[test]
fn another_limit_is_not_the_reload_limit() {
    let error = refused_start("org.freedesktop.DBus.Error.LimitsExceeded", "too many replies");
    assert_eq!(error.kind(), ErrorKind::Other);
}
