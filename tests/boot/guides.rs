//! The guides of docs/ about other tools: every command in them is run, in the order of the page.

use crate::booted;
use crate::support::Machine;
use crate::takeover::{AS_ADA, as_sudo, shop};

/// The commands of a page: its indented lines.
fn commands(page: &str) -> Vec<String> {
    let indented = page.lines().filter_map(|line| line.strip_prefix("    "));
    indented.filter(|line| !line.starts_with(' ')).map(str::to_owned).collect()
}

/// Runs a command of a guide as it is typed.
fn typed(m: &Machine, command: &str) {
    let output = match command.strip_prefix("sudo clusterctl ") {
        Some(words) => as_sudo(m, words),
        None if command.starts_with("pm2 ") => {
            m.sh(&format!("cd /srv/shop && runuser -u ada -- env {AS_ADA} sh -c '{command}'"))
        }
        None => as_sudo(m, command.strip_prefix("clusterctl ").unwrap_or(command)),
    };
    assert_eq!(output.code, 0, "{command}: {output:#?}");
}

booted!(from_pm2, |m| {
    if !shop(m) {
        return;
    }
    let page = include_str!("../../docs/from-pm2.md");
    let commands = commands(page);
    assert!(commands.len() >= 9, "{commands:?}");
    for command in &commands {
        let direct = command.starts_with("sudo clusterctl apply ecosystem.config.js");
        if direct {
            m.ok_sh(&format!("runuser -u ada -- env {AS_ADA} pm2 stop all"));
        }
        typed(m, command);
        if direct {
            assert!(m.clusterctl(["delete", "all"]).code != 1);
            m.ok_sh(&format!("runuser -u ada -- env {AS_ADA} pm2 restart all"));
        }
    }
});

const SUPERVISORD: &str = "\
[include]
files = conf.d/*.conf
";

const PROGRAM: &str = "\
[program:web]
command=python3 -m http.server --bind 127.0.0.1 8000
directory=/srv/shop
user=ada
autorestart=true
";

booted!(from_supervisord, |m| {
    m.ok_sh("useradd --create-home ada; mkdir -p /srv/shop");
    m.write("/etc/supervisor/supervisord.conf", SUPERVISORD);
    m.write("/etc/supervisor/conf.d/web.conf", PROGRAM);
    let commands = commands(include_str!("../../docs/from-supervisord.md"));
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands.iter().filter(|command| !command.starts_with("supervisorctl ")) {
        typed(m, command);
    }
    assert!(m.ok(["curl", "-sS", "http://127.0.0.1:8000/"]).contains("Directory listing"));
});
