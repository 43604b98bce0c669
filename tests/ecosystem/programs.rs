//! What is executed, and what follows from it: commands, handover, readiness, and the signal that ends it.

use clusterctl::ecosystem::{Asks, Balance, Color, Handover, Readiness};

use crate::host::{FakeHost, dynamic_elf, go_elf};
use crate::{app, app_on, command, read};

#[test]
fn commands_are_found_as_a_shell_finds_them() {
    let run = |text: &str| command(&app(&format!("name = 'x'\n{text}")));
    assert_eq!(run("command = ['gunicorn', 'shop.wsgi']"), ["/usr/bin/gunicorn", "shop.wsgi"]);
    assert_eq!(run("script = 'npm'\nargs = 'start'"), ["/usr/bin/npm", "start"]);
    assert_eq!(run("script = 'npm run  start'"), ["/usr/bin/npm", "run", "start"]);
    assert_eq!(run("script = './server'"), ["/srv/app/server"]);
    assert_eq!(run("command = ['./server', '-x']"), ["/srv/app/server", "-x"]);
    assert_eq!(
        run("script = 'node server.js | tee log'"),
        ["/usr/bin/bash", "-c", "node server.js | tee log"]
    );
    assert_eq!(run("script = 'server.js'\ninterpreter = 'ruby'")[0], "/usr/bin/ruby");
    assert_eq!(run("script = 'server.js'\ncwd = '../app'")[1], "/srv/app/server.js");
}

/// PM2 looks for every script in `PATH` as well, whatever runs it.
#[test]
fn an_interpreter_runs_a_program_of_path() {
    let run = |text: &str| command(&app(&format!("name = 'x'\n{text}")));
    let npm = ["/usr/bin/node", "/usr/bin/npm", "start"];
    assert_eq!(run("script = 'npm'\nargs = 'start'\ninterpreter = 'node'"), npm);
    let heap = "interpreter_args = '--max-old-space-size=512'";
    assert_eq!(
        run(&format!("script = 'npm'\nargs = 'start'\ninterpreter = 'node'\n{heap}")),
        ["/usr/bin/node", "--max-old-space-size=512", "/usr/bin/npm", "start"]
    );
    assert_eq!(run("script = 'npm'\ninterpreter = 'none'"), ["/usr/bin/npm"]);
    // What is missing may be meant either way.
    let missing = "[[apps]]\nname = 'x'\nscript = 'yarm'\ninterpreter = 'node'\n";
    let said = read(missing, None, &FakeHost::new()).unwrap_err().render(Color::Off);
    assert!(said.contains("nor a program in a folder of `PATH`"), "{said}");
    // A program without an interpreter is told which one its arguments want.
    let alone = format!("[[apps]]\nname = 'x'\nscript = 'npm'\n{heap}\n");
    let said = read(&alone, None, &FakeHost::new()).unwrap_err().render(Color::Off);
    assert!(said.contains("`interpreter_args` without an interpreter"), "{said}");
}

#[test]
fn the_apps_own_path_is_searched_first() {
    let path = "env = { PATH = '/opt/bun/bin:/usr/bin' }";
    let run = |text: &str| command(&app(&format!("name = 'x'\n{text}\n{path}")));
    assert_eq!(run("script = 'server.js'\ninterpreter = 'bun'")[0], "/opt/bun/bin/bun");
    assert_eq!(run("command = ['bun', 'run', 'dev']")[0], "/opt/bun/bin/bun");
    assert_eq!(run("script = 'bun run dev'")[0], "/opt/bun/bin/bun");
    // Through a `#!` line as well, which nothing else would find.
    assert_eq!(run("script = './cli'")[0], "/srv/app/cli");
    // And the extension's usual interpreter.
    let mut host = FakeHost::new();
    host.program_with("/opt/node/bin/node", &dynamic_elf());
    let own = app_on("script = 'server.js'\nenv = { PATH = '/opt/node/bin' }", &host);
    assert_eq!(command(&own)[0], "/opt/node/bin/node");
}

#[test]
fn clients_are_spread_over_instances_with_the_library() {
    let mut host = FakeHost::new();
    host.program_with("/srv/app/go", &go_elf());
    let of = |text: &str| {
        let app = app_on(&format!("name = 'x'\n{text}"), &host);
        let remarks: Vec<String> = app.remarks.iter().map(ToString::to_string).collect();
        (app.process.balance, app.has_door(), remarks.join("\n"))
    };
    let node = "script = 'server.js'\nlisten = 80";
    for (text, balance, door) in [
        // `clusterctl scale` adds instances without a change of the file.
        (node, Balance::Even, true),
        ("script = 'server.js'\nlisten = 80\ninstances = 1", Balance::Even, true),
        ("script = 'server.js'\nlisten = 80\ninstances = 2", Balance::Even, true),
        ("script = 'server.js'\nlisten = 80\ninstances = 'max'", Balance::Even, true),
        ("script = 'server.js'\nlisten = 80\nbalance = 'even'", Balance::Even, true),
        (
            "script = 'server.js'\nlisten = 80\ninstances = 2\nbalance = 'queue'",
            Balance::Queue,
            false,
        ),
        ("script = 'server.js'\nlisten = 'udp:80'\ninstances = 2", Balance::Queue, false),
        ("script = 'server.js'\nlisten = 'unix:/run/x'\ninstances = 2", Balance::Queue, false),
        ("script = 'server.js'\ninstances = 2", Balance::Queue, false),
    ] {
        assert_eq!(of(text), (balance, door, String::new()), "{text}");
    }
    // A traced program has nothing of the library.
    let (balance, door, remark) = of("script = './go'\nlisten = 80\ninstances = 2");
    assert_eq!((balance, door), (Balance::Queue, false));
    assert!(remark.contains("no `balance`"), "{remark}");
    // Where somebody asks for it, and nobody can.
    let (balance, door, remark) =
        of("script = './go'\nlisten = 80\ninstances = 2\nbalance = 'even'");
    assert_eq!((balance, door), (Balance::Queue, false));
    assert!(remark.starts_with("clients go to whichever instance asks first"), "{remark}");
    let (balance, door, remark) = of(&format!("{node}\nbalance = 'client'"));
    assert_eq!((balance, door), (Balance::Client, true));
    assert!(remark.contains("reverse proxy"), "{remark}");
}

#[test]
fn handover_follows_what_is_executed() {
    let mut host = FakeHost::new();
    host.program_with("/srv/app/go", &go_elf());
    host.program_with("/srv/app/tool", b"#!/usr/bin/env -S node --flag\n");
    host.program_with("/srv/app/start", b"#!/bin/sh\nexec node server.js\n");
    host.program_with("/srv/app/plain", b"#!/bin/sh\nexec python3 x\n");
    let way = |run: &str| {
        let app = app_on(&format!("name = 'x'\nlisten = 80\n{run}"), &host);
        (app.handover, app.node)
    };
    assert_eq!(way("script = 'server.js'"), (Handover::Preload, true));
    assert_eq!(way("script = 'worker.py'"), (Handover::Preload, false));
    assert_eq!(way("script = 'npm start'"), (Handover::Preload, true));
    assert_eq!(way("script = './tool'"), (Handover::Preload, true));
    assert_eq!(way("script = './start'"), (Handover::Preload, true));
    assert_eq!(way("script = './plain'"), (Handover::Preload, false));
    assert_eq!(way("script = 'cd /x && npm start'"), (Handover::Preload, true));
    assert_eq!(way("script = './server'"), (Handover::Trace, false));
    assert_eq!(way("script = './go'"), (Handover::Trace, false));
    assert_eq!(way("script = 'worker.py'\nhandover = 'trace'"), (Handover::Trace, false));
    assert_eq!(way("script = './go'\nhandover = 'native'"), (Handover::Native, false));
}

#[test]
fn a_traced_program_is_checked_before_its_first_client_alone() {
    let mut host = FakeHost::new();
    host.program_with("/srv/app/go", &go_elf());
    let of = |more: &str| app_on(&format!("name = 'x'\nscript = './go'\n{more}"), &host);
    for more in ["health = '/healthz'", "wait_ready = true", "rollout = { check = './smoke' }"] {
        let app = of(&format!("listen = 80\n{more}"));
        assert!(app.begins_cold() && !app.has_door(), "{more}");
        assert!(!app.health.is_some_and(|health| health.goes_on()), "{more}");
        let unix = of("listen = '/run/x.sock'\nwait_ready = true");
        assert!(!unix.begins_cold());
    }
    assert!(!of("listen = 80").begins_cold());
}

#[test]
fn wrappers_are_looked_through() {
    let mut host = FakeHost::new();
    host.program_with("/srv/app/go", &go_elf());
    host.program_with("/srv/app/bin/go", &go_elf());
    host.program_with("/srv/app/start", b"#!/bin/sh\n# up\nulimit -n 9999\nexec ./go \"$@\"\n");
    host.program_with("/srv/app/piped", b"#!/bin/sh\n./go | tee log\n");
    let dynamic = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for name in ["/bin/sh", "/usr/bin/sh", "/usr/bin/env", "/usr/bin/nice", "/usr/bin/timeout"] {
        host.program_with(name, &dynamic[..4096]);
    }
    let way = |run: &str| {
        let app = app_on(&format!("name = 'x'\nlisten = 80\n{run}"), &host);
        (app.handover, app.traced_because)
    };
    let go = (Handover::Trace, Some("it is a Go program, which makes its system calls itself"));
    assert_eq!(way("script = './go'"), go);
    assert_eq!(way("command = ['env', 'A=b', './go', '-x']"), go);
    assert_eq!(way("command = ['nice', '-n', '5', './go']"), go);
    assert_eq!(way("command = ['timeout', '30s', 'env', 'A=b', './go']"), go);
    assert_eq!(way("command = ['sh', '-c', 'cd bin && exec ./go']"), go);
    assert_eq!(way("script = 'cd bin && A=b exec ./go --port 80'"), go);
    assert_eq!(way("script = './start'"), go);
    assert_eq!(way("command = ['sh', './start']"), go);
    assert_eq!(way("script = './piped'"), (Handover::Preload, None));
    assert_eq!(way("command = ['env', 'A=b', './start']"), go);
    let asked = way("script = 'server.js'\nhandover = 'trace'");
    assert_eq!(asked, (Handover::Trace, Some("`handover = \"trace\"` asks for it")));
}

#[test]
fn readiness_follows_the_handover() {
    let ready = |text: &str| app(&format!("script = 'server.js'\n{text}")).readiness;
    assert_eq!(ready("listen = 80"), Readiness::FirstListener);
    assert_eq!(ready("listen = 80\nready = 'all'"), Readiness::AllListeners);
    assert_eq!(ready("listen = 80\nwait_ready = true"), Readiness::Notify);
    assert_eq!(ready("wait_ready = true"), Readiness::Notify);
    assert_eq!(ready("listen = 80\nhandover = 'native'"), Readiness::Listening);
    assert_eq!(ready("listen = 80\nreadiness = 'exec'"), Readiness::Exec);
}

#[test]
fn a_program_that_gains_privileges_cannot_be_reached() {
    let mut host = FakeHost::new();
    host.elevated.insert("/usr/bin/node".into());
    let text = "[[apps]]\nscript = 'server.js'\nlisten = 80\n";
    assert!(read(text, None, &host).is_ok());
    // A process that may gain no privileges does not keep the preload library out.
    assert!(read(&format!("{text}user = 'api'"), None, &host).is_ok());
    for more in ["sandbox = 'off'", "service = { NoNewPrivileges = false }"] {
        let problems = read(&format!("{text}user = 'api'\n{more}"), None, &host).unwrap_err();
        assert!(problems.to_string().contains("gains privileges"));
    }
}

#[test]
fn known_servers_stop_by_the_signal_at_which_they_finish() {
    let mut host = FakeHost::new();
    let names = [
        ("nginx", "SIGQUIT"),
        ("php-fpm8.2", "SIGQUIT"),
        ("php83-php-fpm", "SIGQUIT"),
        ("apache2", "SIGWINCH"),
        ("lighttpd", "SIGINT"),
        ("haproxy", "SIGUSR1"),
        ("uwsgi", "SIGTERM"),
        // A script, which may stay as the parent of the server.
        ("apache2ctl", "SIGTERM"),
        ("nginx-exporter", "SIGTERM"),
        // A program named httpd whose content is not Apache's.
        ("httpd", "SIGTERM"),
    ];
    for (name, _) in names {
        host.program_with(&format!("/usr/sbin/{name}"), &dynamic_elf());
    }
    for (name, signal) in names {
        let program = format!("command = ['/usr/sbin/{name}']\nname = 'x'\nlisten = 80");
        let found = app_on(&program, &host);
        assert_eq!(found.kill_signal, signal, "{name}");
        let known = signal != "SIGTERM" || name == "uwsgi";
        let asks = if known { Asks::Main } else { Asks::All };
        assert_eq!((found.asks, found.remarks.is_empty()), (asks, !known), "{name}");
        assert_eq!(found.env.contains_key("UWSGI_HOOK_MASTER_START"), name == "uwsgi");
        let written = format!("{program}\nkill_signal = 'SIGHUP'\ntreekill = true");
        let found = app_on(&written, &host);
        assert_eq!(found.kill_signal, "SIGHUP");
        assert!(
            found.asks == Asks::All && found.remarks.is_empty() && found.env.is_empty(),
            "{name}"
        );
    }
    // Through a shell, and through Bundler.
    let line = "command = \"cd /srv && exec nginx -g 'daemon off;'\"\nname = 'x'";
    for name in ["bash", "sh", "nginx"] {
        host.program_with(&format!("/usr/bin/{name}"), &dynamic_elf());
    }
    host.program_with("/bin/sh", &dynamic_elf());
    host.program_with("/usr/bin/bundle", &dynamic_elf());
    assert_eq!(app_on(line, &host).kill_signal, "SIGQUIT");
    // A shell that stays is the main process, and gets the signal.
    assert_eq!(app_on(&line.replace("exec ", ""), &host).kill_signal, "SIGTERM");
    let line = "command = 'bundle exec unicorn -c x.rb'\nname = 'x'";
    assert_eq!(app_on(line, &host).kill_signal, "SIGQUIT");
}
