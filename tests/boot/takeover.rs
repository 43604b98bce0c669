//! Apps of a running PM2, moved to units and back, while clients use them.

use std::path::Path;
use std::time::Duration;

use crate::booted_long;
use crate::npm;
use crate::support::load::{Cause, Kind, Load, Report, Run};
use crate::support::{Machine, skip, wait_until};

const API: &str = "\
require('http').createServer((request, response) => {
  setTimeout(() => response.end(`api of ${process.env.LOG || 'nobody'} .`), 500);
}).listen(process.env.PORT);
";

/// Writes a line whenever it starts, and while it lives.
const WORKER: &str = "\
const line = () => require('fs').appendFileSync('/srv/shop/worker.log', `${process.env.JOB}\\n`);
line();
setInterval(line, 200);
";

const PYTHON: &str = "\
import http.server, os, time
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.1)
        body = b'python .'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['WEB_PORT'])), Page).serve_forever()
";

const CONFIG: &str = "\
module.exports = {
  apps: [
    { name: 'api', script: 'api.js', instances: 4, exec_mode: 'cluster', env: { PORT: 3000, LOG: 'shop' } },
    { name: 'worker', script: 'worker.js', env: { JOB: 'mail' } },
    { name: 'report', script: 'report.py', interpreter: 'python3', env: { WEB_PORT: 8000 } },
    { name: 'site', script: 'serve', env: { PM2_SERVE_PATH: '/srv/shop/public', PM2_SERVE_PORT: 8080 } },
  ],
};
";

/// Who started PM2.
pub const AS_ADA: &str = "HOME=/home/ada PM2_HOME=/home/ada/.pm2";

/// The four apps under a PM2 of ada's. False, with the reason noted, when PM2 cannot be had.
pub fn shop(m: &Machine) -> bool {
    let dir = match npm::locked("pm2") {
        Ok(dir) => dir,
        Err(reason) => {
            skip::record(&reason);
            return false;
        }
    };
    m.copy(&dir.join("node_modules"), "/opt/pm2/node_modules");
    m.ok_sh(
        "ln -sf /opt/pm2/node_modules/pm2/bin/pm2 /usr/local/bin/pm2; useradd --create-home ada",
    );
    for (name, text) in [
        ("api.js", API),
        ("worker.js", WORKER),
        ("report.py", PYTHON),
        ("ecosystem.config.js", CONFIG),
        ("public/index.html", "site ."),
    ] {
        m.write(&format!("/srv/shop/{name}"), text);
    }
    m.ok_sh("chown -R ada: /srv/shop");
    m.ok_sh(
        "systemd-run --quiet --unit=pm2-ada -p Type=forking -p User=ada -p WorkingDirectory=/srv/shop \
         -p Environment=HOME=/home/ada -p PIDFile=/home/ada/.pm2/pm2.pid pm2 start ecosystem.config.js",
    );
    m.ok_sh(&format!("runuser -u ada -- env {AS_ADA} pm2 save"));
    true
}

/// What is typed by ada with sudo.
pub fn as_sudo(m: &Machine, command: &str) -> crate::support::Output {
    m.sh(&format!(
        "cd /srv/shop && SUDO_UID=$(id -u ada) SUDO_GID=$(id -g ada) SUDO_USER=ada exec clusterctl {command}"
    ))
}

/// So many requests per second over connections that are kept, beside those with a connection each.
fn clients(m: &Machine, kept: f64) -> Vec<(&'static str, Run)> {
    let of = |name, address: &str, text: &str| {
        let load = Load::http(address).new_connections(30.0).for_seconds(300.0).expect(text);
        let load = if kept > 0.0 { load.keep_alive(kept) } else { load };
        let mut load = m.load(load);
        load.wait_flowing();
        (name, load)
    };
    vec![
        of("api", "127.0.0.1:3000", "api of shop ."),
        of("report", "127.0.0.1:8000", "python ."),
        of("site", "127.0.0.1:8080", "site ."),
    ]
}

fn status(m: &Machine) -> String {
    let list = m.ok_sh(&format!("runuser -u ada -- env {AS_ADA} pm2 jlist"));
    let list = list.lines().find(|line| line.starts_with('[')).unwrap_or_default().to_owned();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let one = |process: &serde_json::Value| {
        format!(
            "{}={} ",
            process["name"].as_str().unwrap(),
            process["pm2_env"]["status"].as_str().unwrap()
        )
    };
    list.as_array().unwrap().iter().map(one).collect()
}

/// A row of the guide: what clients of an app lost while it was moved.
fn row(what: &str, report: &Report) -> String {
    let lost = |kind| {
        let tally = report.of(kind);
        format!("{} of {}", tally.sent - tally.ok, tally.sent)
    };
    format!("| {what} | {} | {} |\n", lost(Kind::New), lost(Kind::KeepAlive))
}

/// Compares the rows with those of the guide, in which the counts are those of some run, or writes them there with
/// `UPDATE_EXPECT=1`.
fn in_the_guide(rows: &str) {
    const HEAD: &str =
        "| | lost on new connections | lost on kept connections |\n| --- | --- | --- |\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-pm2.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(HEAD).unwrap();
    let end = rest.find("\n\n").unwrap() + 1;
    let (there, after) = rest.split_at(end);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{before}{HEAD}{rows}{after}")).unwrap();
        return;
    }
    let names = |rows: &str| -> Vec<String> {
        rows.lines().map(|line| line.split(" | ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(
        names(there),
        names(rows),
        "the table of docs/from-pm2.md: UPDATE_EXPECT=1 writes it anew"
    );
    for line in there.lines().filter(|line| line.contains("to units")) {
        assert!(line.contains(" | 0 of "), "the page says that new clients were lost: {line}");
    }
}

booted_long!(a_running_pm2_is_moved_and_brought_back_under_load, |m| {
    if !shop(m) {
        return;
    }
    let saved = m.read("/home/ada/.pm2/dump.pm2");
    let loads = clients(m, 30.0);
    let output = as_sudo(m, "import --takeover");
    assert_eq!(output.code, 0, "{output:#?}");
    let mut rows = String::new();
    for (name, load) in loads {
        let report = load.stop();
        rows += &row(&format!("{name}, to units"), &report);
        let new = report.of(Kind::New);
        assert!(new.failed.is_empty() && new.ok > 0, "{name}: {report:#?}");
        // Clients that keep a connection busy may lose the request that crosses its end. None is refused.
        let kept = report.of(Kind::KeepAlive);
        assert!(!kept.failed.contains_key(&Cause::Refused), "{name}: {report:#?}");
    }
    // Our units serve. PM2's processes are stopped, and PM2 has saved them as stopped.
    assert_eq!(m.systemctl_show("api@3", "ActiveState"), "active");
    assert_eq!(m.systemctl_show("worker@0", "ActiveState"), "active");
    let stopped = status(m);
    assert_eq!(stopped.matches("=stopped").count(), 7, "{stopped}");
    let now = m.read("/home/ada/.pm2/dump.pm2");
    assert!(saved != now && now.contains("\"stopped\""), "{now}");
    assert_eq!(m.ok_sh("ps -o user= -p $(systemctl show -P MainPID api@0)").trim(), "ada");
    let file = m.read("/srv/shop/ecosystem.toml");
    assert!(file.contains("JOB = \"mail\"") && !file.contains("SHLVL"), "{file}");
    // The drop-ins that let both listen at once are gone.
    assert_eq!(m.sh("ls -d /run/systemd/system/*.socket.d").stdout, "");
    assert_eq!(m.sh("cd /srv/shop && clusterctl apply").code, 0);
    // The units are ordinary ones: a reload loses nothing.
    let loads = clients(m, 30.0);
    assert_eq!(m.clusterctl(["reload", "api"]).code, 0);
    loads.into_iter().for_each(|(_, load)| load.stop().assert_none_failed());

    let loads = clients(m, 30.0);
    let output = as_sudo(m, "import --give-back");
    assert_eq!(output.code, 0, "{output:#?}");
    // PM2's process is the only listener of this port, so it closes for a moment. The message says how long.
    for (name, load) in loads {
        let report = load.stop();
        rows += &row(&format!("{name}, back to PM2"), &report);
        assert!(report.ok() > 0, "{name}: {report:#?}");
    }
    in_the_guide(&rows);
    wait_until("PM2 runs all of them", Duration::from_secs(20), || {
        status(m).matches("=online").count() == 7
    });
    for (address, text) in [("3000", "api of shop ."), ("8000", "python ."), ("8080", "site .")] {
        assert_eq!(m.ok(["curl", "-sS", &format!("http://127.0.0.1:{address}/")]), text);
    }
    assert_eq!(m.sh("systemctl cat api.service").code, 1);
});

booted_long!(an_app_that_does_not_come_to_serve_stays_with_pm2, |m| {
    if !shop(m) {
        return;
    }
    assert_eq!(as_sudo(m, "import pm2 --no-trial").code, 0);
    m.ok_sh("sed -i 's/WEB_PORT = [0-9]*/WEB_PORT = \"8001\"/' /srv/shop/ecosystem.toml");
    m.ok_sh("sed -i 's/name = \"report\"/name = \"report\"\\nlisten_timeout = \"3s\"/' /srv/shop/ecosystem.toml");
    let saved = m.read("/home/ada/.pm2/dump.pm2");
    let loads = clients(m, 0.0);
    let output = as_sudo(m, "import --takeover");
    assert_eq!(output.code, 1, "{output:#?}");
    for (_, load) in loads {
        let report = load.stop();
        report.assert_none_failed();
    }
    // Nobody has come to the socket behind which nobody served.
    assert_eq!(m.sh("journalctl --quiet --unit report-wake.service").stdout, "");
    assert!(status(m).contains("report=online"), "{}", status(m));
    assert_eq!(m.sh("systemctl cat report.service").code, 1);
    assert_eq!(m.read("/home/ada/.pm2/dump.pm2"), saved, "saved before everything has come over");
});

booted_long!(a_port_that_cannot_be_shared_is_closed_for_a_moment_and_that_is_said, |m| {
    if !shop(m) {
        return;
    }
    assert_eq!(as_sudo(m, "import pm2 --no-trial").code, 0);
    let file = "/srv/shop/ecosystem.toml";
    let text = m.read(file);
    let (start, api) = text.split_once("name = \"api\"").unwrap();
    let line = api.lines().find(|line| line.starts_with("listen = ")).unwrap();
    let api = api.replacen(line, "listen = \"0.0.0.0:3000\"", 1);
    m.write(file, format!("{start}name = \"api\"{api}"));
    let output = as_sudo(m, "import --takeover");
    assert_eq!(output.code, 0, "{output:#?}");
    for said in [
        "api: 0.0.0.0:3000 is not one socket of PM2's",
        "api: taken over; its port was closed for ",
        "report: taken over, nobody was refused",
    ] {
        assert!(output.stderr.contains(said), "{said}: {output:#?}");
    }
    assert_eq!(m.ok(["curl", "-sS", "http://127.0.0.1:3000/"]), "api of shop .");
    assert!(status(m).contains("api=stopped"), "{}", status(m));
});
