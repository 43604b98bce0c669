//! Each thing that goes wrong is found, and the command that is named mends it.

use serde_json::Value;

use crate::booted_long;
use crate::shop::{applied, ecosystem};
use crate::support::{Machine, wait_until};
use std::time::Duration;

/// Every finding about the machine and its apps.
fn findings(m: &Machine) -> Vec<Value> {
    let output = m.clusterctl(["doctor", "-o", "json"]);
    let value: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let problems = value["problems"].as_u64().unwrap();
    assert_eq!(output.code, i32::from(problems > 0), "{output:#?}");
    value["findings"].as_array().unwrap().clone()
}

fn found(m: &Machine, check: &str) -> Option<Value> {
    findings(m).into_iter().find(|finding| {
        finding["check"] == check
            && ["warning", "problem"].contains(&finding["severity"].as_str().unwrap())
    })
}

/// Spoils something by a script; it must be found, and be gone after the command that is named.
fn mended(m: &Machine, check: &str, severity: &str, spoil: &str) {
    assert!(found(m, check).is_none(), "{check} before it was spoiled: {:#?}", findings(m));
    m.ok_sh(spoil);
    let finding = found(m, check).unwrap_or_else(|| panic!("no {check}: {:#?}", findings(m)));
    assert_eq!(finding["severity"], severity, "{finding:#?}");
    m.ok_sh(finding["mend"].as_str().unwrap());
    assert!(found(m, check).is_none(), "{check} is not mended: {:#?}", findings(m));
}

booted_long!(the_doctor_finds_what_was_spoiled_and_names_the_command_that_mends_it, |m| {
    applied(m, &ecosystem(2, ""));
    let well = m.clusterctl(["doctor"]);
    assert_eq!(well.code, 0, "{well:#?}");
    assert!(well.stdout.contains("2 instances, nothing is wrong"), "{well:#?}");
    let units = "/etc/systemd/system";
    mended(
        m,
        "edited",
        "warning",
        &format!("echo '# by hand' >> {units}/shop-3000.socket; systemctl daemon-reload"),
    );
    mended(m, "daemon-reload", "warning", &format!("touch -d tomorrow {units}/shop.service"));
    m.ok_sh(&format!("touch {units}/shop.service; systemctl daemon-reload"));
    mended(
        m,
        "handover",
        "problem",
        "for f in /var/lib/clusterctl/handover/*/*.so; do echo x > $f; done",
    );
    mended(m, "handover", "problem", "rm /var/lib/clusterctl/handover/*/group");
    mended(m, "disabled", "warning", "systemctl disable shop");
    mended(m, "masked", "problem", "systemctl stop shop@1; systemctl mask shop@1");
    mended(m, "not-running", "warning", "systemctl stop shop@1");
    mended(m, "not-enabled", "warning", "systemctl start shop@5");
    mended(
        m,
        "outdated",
        "warning",
        &format!("touch {units}/shop@.service; systemctl daemon-reload"),
    );
    mended(m, "listener-open", "warning", "systemctl stop shop; systemctl start shop-3000.socket");
    m.ok(["clusterctl", "start", "shop"]);
    mended(m, "somaxconn", "warning", "sysctl -qw net.core.somaxconn=100");
    m.write("/etc/systemd/system/shop@.service.d/x.conf", "[Service]\n");
    let notes = findings(m);
    assert!(
        notes.iter().any(|one| one["check"] == "drop-ins" && one["severity"] == "note"),
        "{notes:#?}"
    );
});

booted_long!(the_doctor_sees_sockets_that_clients_no_longer_reach, |m| {
    let unix = ecosystem(2, "").replace("listen = 3000", "listen = '/run/shop.sock'");
    m.write(
        "/srv/shop/server.js",
        "require('http').createServer((q, r) => r.end('x')).listen('/run/shop.sock')",
    );
    m.write("/srv/shop/ecosystem.toml", &unix);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    // Beside its back: systemd makes a new socket at the same path.
    mended(
        m,
        "other-socket",
        "problem",
        "unit=$(systemctl list-units --plain --no-legend 'shop-*.socket' | cut -d' ' -f1)
         systemctl stop --job-mode=ignore-dependencies \"$unit\"
         systemctl start --job-mode=ignore-dependencies \"$unit\"",
    );
    assert_eq!(m.ok(["curl", "-s", "--unix-socket", "/run/shop.sock", "http://x/"]), "x");
});

booted_long!(the_doctor_finds_an_instance_that_gave_up, |m| {
    applied(m, &ecosystem(2, "max_restarts = 2"));
    m.ok_sh("mv /srv/shop/server.js /srv/shop/kept; echo 'throw 1' > /srv/shop/server.js");
    m.ok_sh("kill -9 $(systemctl show --value -p MainPID shop@1)");
    wait_until("the instance gives up", Duration::from_secs(60), || {
        m.systemctl_show("shop@1", "Result") == "exec-condition"
    });
    let finding = found(m, "failed").unwrap();
    assert!(finding["text"].as_str().unwrap().contains("clusterctl logs shop@1"), "{finding:#?}");
    m.ok_sh("mv /srv/shop/kept /srv/shop/server.js");
    m.ok_sh(finding["mend"].as_str().unwrap());
    assert!(found(m, "failed").is_none(), "{:#?}", findings(m));
});

booted_long!(a_user_who_is_gone_comes_back_by_what_the_doctor_says, |m| {
    m.ok(["useradd", "--system", "kk"]);
    m.ok_sh("mkdir -p /srv/shop; chmod o+rx /srv/shop");
    applied(m, &ecosystem(2, "user = 'kk'"));
    m.ok(["clusterctl", "stop", "shop"]);
    m.ok(["userdel", "kk"]);
    assert_eq!(m.clusterctl(["start", "shop"]).code, 1);
    let finding = found(m, "cannot-start").unwrap();
    assert!(finding["text"].as_str().unwrap().contains("user `kk` does not exist"), "{finding:#?}");
    m.ok_sh(finding["mend"].as_str().unwrap());
    assert!(findings(m).iter().all(|one| one["severity"] != "problem"), "{:#?}", findings(m));
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
});

booted_long!(an_instance_that_is_masked_while_it_runs_is_warned_of_in_the_same_words, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["systemctl", "mask", "shop@1"]);
    let finding = found(m, "masked").unwrap();
    assert_eq!(finding["severity"], "warning", "{finding:#?}");
    let words = "shop@1.service is masked: it runs, and cannot start again";
    assert_eq!(finding["text"], words, "{finding:#?}");
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(
        output.stderr.contains(&format!("warning: {words}; next: systemctl unmask")),
        "{output:#?}"
    );
    m.ok_sh(finding["mend"].as_str().unwrap());
    assert!(found(m, "masked").is_none(), "{:#?}", findings(m));
});

booted_long!(a_masked_instance_is_refused_before_anything_is_touched, |m| {
    applied(m, &ecosystem(3, ""));
    m.ok(["systemctl", "mask", "shop@1"]);
    let state = || {
        let pids = (0..3).map(|n| m.systemctl_show(&format!("shop@{n}"), "MainPID"));
        (m.read("/etc/systemd/system/shop@.service"), pids.collect::<Vec<_>>())
    };
    let before = state();
    let refused = |command: &[&str]| {
        let output = m.clusterctl(command.iter().copied());
        assert_eq!(output.code, 1, "{output:#?}");
        let first = output.stderr.lines().find(|line| line.contains("masked")).unwrap_or_default();
        assert!(first.contains("shop@1.service is masked"), "{output:#?}");
        assert!(output.stderr.contains("systemctl unmask shop@1.service"), "{output:#?}");
        assert_eq!(state(), before, "{command:?}");
    };
    m.write("/srv/shop/ecosystem.toml", ecosystem(3, "env.CHANGED = 'yes'"));
    refused(&["apply", "/srv/shop/ecosystem.toml"]);
    refused(&["reload", "shop"]);
    refused(&["reload", "shop@1"]);
    // Others of the app can be replaced.
    m.ok(["clusterctl", "reload", "shop@0"]);
    m.ok(["systemctl", "unmask", "shop@1"]);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
});

booted_long!(what_the_doctor_sees_less_often_is_mended_as_well, |m| {
    applied(m, &ecosystem(2, "max_restarts = 10000"));
    let serves = || m.ok(["curl", "-sS", "--max-time", "20", "localhost:3000"]);
    let units = "/etc/systemd/system";
    let gone = format!("rm {units}/shop@.service; systemctl daemon-reload");
    mended(m, "unit-gone", "problem", &gone);
    for unit in ["shop-3000.socket", "shop-close.service", "clusterctl-shop.slice"] {
        mended(m, "unit-gone", "problem", &format!("rm {units}/{unit}"));
    }
    let close = "systemctl stop --job-mode=ignore-dependencies shop-3000.socket";
    mended(m, "listener-closed", "problem", close);
    serves();
    mended(m, "group-stopped", "warning", "systemctl stop shop; systemctl start shop@0");
    serves();
    mended(m, "program", "problem", "mv /usr/bin/clusterctl /usr/local/bin/clusterctl");
    m.ok(["systemctl", "reload", "shop"]);
    m.ok_sh("mv /srv/shop/server.js /srv/shop/kept; echo 'throw 1' > /srv/shop/server.js");
    m.ok_sh("kill -9 $(systemctl show --value -p MainPID shop@1)");
    let mut finding = None;
    wait_until("the loop is seen", Duration::from_secs(60), || {
        finding = found(m, "looping");
        finding.is_some()
    });
    m.ok_sh("mv /srv/shop/kept /srv/shop/server.js");
    m.ok_sh(finding.unwrap()["mend"].as_str().unwrap());
    wait_until("it is no more", Duration::from_secs(60), || found(m, "looping").is_none());
    assert_eq!(m.clusterctl(["doctor"]).code, 0);
});

booted_long!(the_doctor_says_what_it_may_not_see_and_when_nobody_answers, |m| {
    applied(m, &ecosystem(1, ""));
    let ada = m.user("ada");
    let output = ada.run(["clusterctl", "doctor"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("not looked at: which sockets"), "{output:#?}");
    let own = ada.run(["clusterctl", "--user", "doctor"]);
    assert!(own.stdout.contains("lingering is on"), "{own:#?}");
    m.ok(["loginctl", "disable-linger", "ada"]);
    let own = ada.run(["clusterctl", "--user", "doctor"]);
    assert!(own.stdout.contains("mend:  loginctl enable-linger\n"), "{own:#?}");
    // A user who has logged in may enable lingering.
    m.ok(["su", "--login", "ada", "--command", "loginctl enable-linger"]);
    let own = ada.run(["clusterctl", "--user", "doctor"]);
    assert!(own.stdout.contains("lingering is on"), "{own:#?}");
    m.ok_sh("systemctl stop dbus.socket dbus.service");
    let output = m.clusterctl(["doctor"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stdout.contains("the system bus does not answer"), "{output:#?}");
});

booted_long!(an_app_that_pacemaker_starts_is_not_to_be_enabled, |m| {
    applied(m, &ecosystem(1, "autostart = false"));
    m.ok(["systemctl", "start", "shop"]);
    let resource = |class: &str| {
        let cib = format!(
            "<cib><configuration><resources><primitive id=\"web\" {class}><instance_attributes>\
             <nvpair id=\"n\" name=\"app\" value=\"shop\"/></instance_attributes></primitive></resources>\
             </configuration></cib>"
        );
        m.write("/var/lib/pacemaker/cib/cib.xml", cib);
        m.clusterctl(["doctor", "shop"])
    };
    let by_agent = r#"class="ocf" provider="clusterctl" type="app""#;
    let said = resource(by_agent);
    assert!(
        said.code == 0 && said.stdout.contains("Pacemaker decides where it runs (resource web)"),
        "{said:?}"
    );
    assert!(!said.stdout.contains("enable"), "{said:?}");
    m.ok(["systemctl", "enable", "--quiet", "shop"]);
    let said = resource(by_agent);
    assert!(said.stdout.contains("systemctl disable shop"), "{said:?}");
    m.ok(["systemctl", "disable", "--quiet", "shop"]);
    let said = resource(r#"class="systemd" type="shop@0""#);
    assert!(said.stdout.contains("Pacemaker starts shop@0 alone (resource web)"), "{said:?}");
    let said = resource(r#"class="systemd" type="other""#);
    assert!(!said.stdout.contains("Pacemaker"), "{said:?}");
});
