//! Servers that end at once at SIGTERM get the signal at which they finish what they have begun.

use std::time::Duration;

use crate::booted_long;
use crate::servers::{fixture, install};
use crate::shop::pids;
use crate::support::{
    Machine,
    load::{Load, Run},
    wait_until,
};

/// Requests with answers of two seconds and requests with immediate answers, during two reloads.
fn reloads(m: &Machine, name: &str, slow_per_second: f64) {
    let slow = Load::http("127.0.0.1:8000").path("/slow").new_connections(slow_per_second);
    let quick = Load::http("127.0.0.1:8000").new_connections(40.0);
    let mut runs = [slow, quick].map(|load| m.load(load.expect("instance ")));
    runs.iter_mut().for_each(Run::wait_flowing);
    for _ in 0..2 {
        m.ok(["clusterctl", "reload", "shop", "--max-surge", "100%"]);
    }
    for run in runs {
        let report = run.stop();
        assert!(report.failed() == 0, "{name}: {report:#?}\n{}", m.journal("shop@*"));
    }
    let journal = m.journal("shop@*");
    assert!(!journal.contains("timed out"), "{name}: {journal}");
}

/// The signal is the one that the plan names.
fn stops_by(m: &Machine, name: &str, signal: &str, slow_per_second: f64) {
    let plan = install(m, name);
    assert!(plan.contains(&format!("stops by {signal}, at which {name}")), "{plan}");
    reloads(m, name, slow_per_second);
    m.ok(["clusterctl", "delete", "shop"]);
}

booted_long!(known_servers_finish_their_answers, |m| {
    stops_by(m, "lighttpd", "SIGINT", 10.0);
    stops_by(m, "apache", "SIGWINCH", 10.0);
    stops_by(m, "haproxy", "SIGUSR1", 10.0);
    // uWSGI serves one request at a time.
    stops_by(m, "uwsgi", "SIGTERM", 1.0);
});

booted_long!(
    /// Without a master there is one process, which the library drains.
    uwsgi_without_a_master_finishes_its_answers,
    |m| {
    install(m, "uwsgi");
    let file = m.read("/srv/uwsgi/ecosystem.toml");
    m.write("/srv/uwsgi/ecosystem.toml", file.replace(", \"--master\"", ""));
    m.ok(["clusterctl", "apply", "/srv/uwsgi/ecosystem.toml"]);
    reloads(m, "uwsgi", 1.0);
    }
);

/// `php-fpm` behind nginx, in each form in which it can have its listener: it probes its path by a connection, and removes
/// it when it ends.
fn php_fpm(m: &Machine, form: &str) {
    m.ok_sh("ln -sf /usr/sbin/php-fpm[0-9]* /usr/local/bin/php-fpm");
    let place = "/srv/php-fpm/ecosystem.toml";
    m.copy(&fixture("php-fpm"), "/srv/php-fpm");
    m.write(place, m.read(place) + form);
    if !form.is_empty() {
        patient(m);
    }
    let plan = m.ok(["clusterctl", "apply", place]);
    assert!(plan.contains("stops by SIGQUIT, at which php-fpm"), "{plan}");
    let front = "systemd-run --unit=front nginx -c /srv/php-fpm/nginx.conf -g 'daemon off;'";
    m.ok_sh(&format!("systemctl is-active front || {front} 2>&1"));
    wait_until("nginx answers", Duration::from_secs(20), || {
        m.sh("curl -sf localhost:8000").stdout.starts_with("instance ")
    });
    let path = m.ok(["stat", "-c", "%i", "/run/fpmx.sock"]);
    let before = pids(m, 4);
    reloads(m, "php-fpm", 2.0);
    assert!(pids(m, 4).iter().all(|pid| !before.contains(pid)));
    assert_eq!(m.ok(["stat", "-c", "%i", "/run/fpmx.sock"]), path);
    let doctor = m.clusterctl(["doctor", "shop"]);
    assert_eq!(doctor.code, 0, "{doctor:#?}");
    m.ok(["clusterctl", "delete", "shop"]);
}

/// Gives php-fpm a `process_control_timeout`. Without it, the master kills its workers as soon as it has asked
/// them to finish, and only the preload library keeps them alive.
fn patient(m: &Machine) {
    let (place, global) = ("/srv/php-fpm/fpm.conf", "[global]\n");
    m.write(place, m.read(place).replace(global, "[global]\nprocess_control_timeout = 9s\n"));
}

const FPM_SOCKETS: &str = "handover = 'native'\nenv = { FPM_SOCKETS = '/run/fpmx.sock=3' }\n";

booted_long!(php_fpm_that_binds_its_path, |m| php_fpm(m, ""));

booted_long!(php_fpm_that_is_given_its_listener, |m| php_fpm(m, FPM_SOCKETS));

booted_long!(php_fpm_that_is_ready_when_it_runs, |m| {
    php_fpm(m, &format!("{FPM_SOCKETS}readiness = 'exec'\n"));
});
