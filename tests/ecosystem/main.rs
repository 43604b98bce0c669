//! From the text of an ecosystem file to what it means, or to everything that is wrong with it.

#![allow(clippy::unwrap_used)]

#[path = "../support/host.rs"]
mod host;
mod limits;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clusterctl::ecosystem::{
    self, App, Color, Handover, Instances, Loaded, OnFailure, Ownership, Problems, Readiness,
    Scope, Share, load,
};
use host::{FakeHost, dynamic_elf, go_elf};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

/// Loads a file that lies in `/srv/app`.
fn read(text: &str, env_name: Option<&str>, host: &FakeHost) -> Result<Loaded, Problems> {
    load(text, Some(Path::new("/srv/app/ecosystem.toml")), Path::new("/srv/app"), env_name, host)
}

/// The only app of a file that must be without problems.
fn app(text: &str) -> App {
    app_on(text, &FakeHost::new())
}

fn app_on(text: &str, host: &FakeHost) -> App {
    let loaded = read(&format!("[[apps]]\n{text}"), None, host);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(Color::Off)));
    assert_eq!(loaded.ecosystem.apps.len(), 1);
    loaded.ecosystem.apps.into_values().next().unwrap()
}

fn command(app: &App) -> Vec<String> {
    let program = app.command.program.display().to_string();
    std::iter::once(program).chain(app.command.args.clone()).collect()
}

fn listeners(app: &App) -> Vec<String> {
    app.listeners.iter().map(|l| format!("{}={}", l.name, l.address)).collect()
}

#[test]
fn the_least_file_gets_every_default() {
    let app = app("script = 'server.js'");
    assert_eq!(app.name.as_str(), "server");
    assert_eq!(app.namespace, "default");
    assert_eq!(command(&app), ["/usr/bin/node", "/srv/app/server.js"]);
    assert_eq!(app.cwd, Path::new("/srv/app"));
    assert_eq!((app.instances, app.count), (Instances::Count(1), 1));
    assert!(app.listeners.is_empty() && app.env.is_empty());
    assert_eq!((app.handover, app.readiness), (Handover::Nothing, Readiness::Exec));
    assert!(app.node && app.treekill && app.autostart && app.non_blocking && app.restart.auto);
    assert_eq!(app.listen_timeout, Duration::from_secs(60));
    assert_eq!(app.kill_timeout, Duration::from_secs(10));
    assert_eq!(app.kill_signal, "SIGTERM");
    assert_eq!(app.restart.max_restarts, Some(16));
    assert_eq!(app.rollout.max_surge, Share::Count(1));
    assert_eq!(app.rollout.on_failure, OnFailure::Rollback);
    assert_eq!((app.backlog, app.instance_var.as_str()), (4096, "NODE_APP_INSTANCE"));
}

#[test]
fn the_whole_design_example_is_understood() {
    let mut host = FakeHost::new();
    host.file("/srv/api/server.js");
    let app = app_on(
        r#"
        name = "api"
        script = "server.js"
        cwd = "/srv/api"
        user = "api"
        instances = "max"
        listen = { http = "0.0.0.0:80", admin = "/run/api/admin.sock", stats = "udp:127.0.0.1:8125" }
        env = { NODE_ENV = "production", WORKERS = 4, DEBUG = false }
        max_memory_restart = "300M"
        kill_timeout = "10s"
        rollout = { max_surge = "25%", on_failure = "pause" }
        [apps.service]
        CPUWeight = 200
        LoadCredential = ["a:/a", "b:/b"]
        "#,
        &host,
    );
    assert_eq!((app.instances, app.count), (Instances::AllCpusBut(0), 4));
    assert_eq!(
        listeners(&app),
        ["http=0.0.0.0:80", "admin=/run/api/admin.sock", "stats=udp:127.0.0.1:8125"]
    );
    assert_eq!((app.handover, app.readiness), (Handover::Preload, Readiness::FirstListener));
    assert_eq!(app.env["WORKERS"], "4");
    assert_eq!(app.env["DEBUG"], "false");
    assert_eq!(app.max_memory, Some(300 << 20));
    assert_eq!(app.rollout.max_surge, Share::Percent(25));
    let service: Vec<_> = app.service.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(service, ["CPUWeight=200", "LoadCredential=a:/a", "LoadCredential=b:/b"]);
}

#[test]
fn instances_are_counted_as_pm2_counts_them() {
    let count = |text: &str| app(&format!("script = 'server.js'\ninstances = {text}")).count;
    assert_eq!(["4", "'4'", "0", "'max'", "-1", "-100"].map(count), [4, 4, 4, 4, 3, 1]);
}

#[test]
fn pm2_spellings_mean_the_same() {
    let app = app("
        exec = 'worker.py'
        maxMemoryRestart = '1G'
        killTimeout = 1600
        exp_backoff_restart_delay = 100
        uid = 1000
        nodeArgs = '-u -X dev'
        args = '--name \"a b\"'
        error = 'NULL'
        stop_exit_codes = 0
        max_restarts = 'unlimited'
    ");
    assert_eq!(
        command(&app),
        ["/usr/bin/python3", "-u", "-X", "dev", "/srv/app/worker.py", "--name", "a b"]
    );
    assert_eq!(app.max_memory, Some(1 << 30));
    assert_eq!(app.kill_timeout, Duration::from_millis(1600));
    assert_eq!(app.restart.backoff.unwrap().first, Duration::from_millis(100));
    assert_eq!(app.user.as_deref(), Some("api"));
    assert_eq!(app.logs.error_file.as_deref(), Some(Path::new("/dev/null")));
    assert_eq!(app.restart.stop_exit_codes, [0]);
    assert_eq!(app.restart.max_restarts, None);
}

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
fn a_cluster_of_pm2_listens_on_its_port() {
    let run = |text: &str| {
        let mut host = FakeHost::new();
        host.heads.insert("/srv/app/.env".into(), b"A=1\nPORT=4000\n".to_vec());
        listeners(&app_on(&format!("name = 'x'\n{text}"), &host))
    };
    let node = "script = 'server.js'";
    let port = "env = { PORT = 3700 }";
    let shared = ["3700=[::]:3700"];
    assert_eq!(run(&format!("{node}\nexec_mode = 'cluster'\ninstances = 4\n{port}")), shared);
    assert_eq!(run(&format!("{node}\nexecMode = 'cluster_mode'\n{port}")), shared);
    assert_eq!(run(&format!("{node}\ninstances = 'max'\n{port}")), shared);
    assert_eq!(run(&format!("{node}\ninstances = -1\nenv = {{ PORT = '3700' }}")), shared);
    assert_eq!(run(&format!("script = 'npm start'\ninstances = 2\n{port}")), shared);
    assert_eq!(run(&format!("{node}\ninstances = 2\nenv_file = '.env'")), ["4000=[::]:4000"]);
    // Where that is not what the file says.
    let none: [&str; 0] = [];
    for text in [
        format!("{node}\nexec_mode = 'fork'\ninstances = 4\n{port}"),
        format!("{node}\n{port}"),
        format!("{node}\ninstances = 4\nlisten = []\n{port}"),
        format!("{node}\ninstances = 4\n{port}\nincrement_var = 'PORT'"),
        format!("{node}\ninstances = 4\nenv = {{ PORT = 'none' }}"),
        format!("script = 'worker.py'\ninstances = 4\n{port}"),
    ] {
        assert_eq!(run(&text), none, "{text}");
    }
    let own = format!("{node}\ninstances = 4\n{port}\nlisten = '127.0.0.1:80'");
    assert_eq!(run(&own), ["80=127.0.0.1:80"]);
}

#[test]
fn listeners_get_stable_unique_names() {
    let named = |text: &str| listeners(&app(&format!("script = 'server.js'\nlisten = {text}")));
    assert_eq!(named("3000"), ["3000=[::]:3000"]);
    assert_eq!(
        named("['80', ':443', 'udp:80']"),
        ["80=[::]:80", "443=[::]:443", "udp-80=udp:[::]:80"]
    );
    assert_eq!(
        named("['127.0.0.1:80', '[::1]:80']"),
        ["80-127.0.0.1=127.0.0.1:80", "80-__1=[::1]:80"]
    );
    assert_eq!(named("'/run/api.sock'"), ["api=/run/api.sock"]);
    assert_eq!(
        named("['/run/a/x.sock', '/run/b/x.sock']"),
        ["run-a-x.sock=/run/a/x.sock", "run-b-x.sock=/run/b/x.sock"]
    );
    assert_eq!(named("'@hidden/name'"), ["hidden-name=@hidden/name"]);
    assert_eq!(named("[]"), [""; 0]);
}

#[test]
fn a_wildcard_of_ipv6_beside_ipv4_is_a_socket_of_its_own() {
    let only = |text: &str| {
        let app = app(&format!("script = 'server.js'\nlisten = {text}"));
        let only = app.listeners.iter().map(|l| l.address.is_only_v6()).collect::<Vec<_>>();
        (listeners(&app), only)
    };
    let (names, families) = only("['0.0.0.0:53', '[::]:53']");
    assert_eq!(names, ["53-0.0.0.0=0.0.0.0:53", "53-ipv6=[::]:53"]);
    assert_eq!(families, [false, true]);
    assert_eq!(only("['[::]:53', '127.0.0.1:53']").1, [true, false]);
    assert_eq!(only("{ six = 'udp:[::]:53', four = 'udp:10.0.0.1:53' }").1, [true, false]);
    // Another protocol or port is no neighbour.
    assert_eq!(only("['[::]:53', 'udp:0.0.0.0:53', '0.0.0.0:54']").1, [false; 3]);
    assert_eq!(only("'[::]:53'").1, [false]);
}

#[test]
fn a_listener_may_stand_for_another_port_of_the_program() {
    let binds = |text: &str| {
        let app = app(&format!("script = 'server.js'\nlisten = {text}"));
        let shown =
            |l: &clusterctl::ecosystem::Listener| format!("{}={}/{:?}", l.name, l.address, l.bind);
        app.listeners.iter().map(shown).collect::<Vec<_>>()
    };
    let one = ["80=[::]:80/Some(3000)"];
    assert_eq!(binds("{ at = 80, bind = 3000 }"), one);
    assert_eq!(binds("[{ bind = '3000', at = ':80' }]"), one);
    assert_eq!(
        binds("{ http = { at = '0.0.0.0:80', bind = 3000 } }"),
        ["http=0.0.0.0:80/Some(3000)"]
    );
    // Its own port is nothing to write down.
    assert_eq!(
        binds("[{ at = 80, bind = 80 }, { at = 81 }]"),
        ["80=[::]:80/None", "81=[::]:81/None"]
    );
    assert_eq!(
        binds("[{ at = '0.0.0.0:80', bind = 3000 }, { at = '[::]:80', bind = 3000 }]"),
        ["80-0.0.0.0=0.0.0.0:80/Some(3000)", "80-ipv6=[::]:80/Some(3000)"]
    );
    // Two ports may be swapped, and TCP is not UDP.
    binds("[{ at = 80, bind = 81 }, { at = 81, bind = 80 }]");
    binds("[{ at = 80, bind = 3000 }, { at = 'udp:80', bind = 3000 }]");
    // Names of listeners.
    assert_eq!(binds("{ at = 80 }"), ["at=[::]:80/None"]);
    assert_eq!(binds("{ at = 80, bind = 81, more = 82 }").len(), 3);
}

#[test]
fn port_is_a_variable_and_the_listener() {
    let with_port = app("script = 'server.js'\nport = 3000");
    assert_eq!(with_port.env["PORT"], "3000");
    assert_eq!(listeners(&with_port), ["3000=[::]:3000"]);
    let both = app("script = 'server.js'\nport = 3000\nlisten = { http = '127.0.0.1:3000' }");
    assert_eq!(listeners(&both), ["http=127.0.0.1:3000"]);
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
fn env_tables_are_merged_by_name() {
    let text = "
        [[apps]]
        script = 'server.js'
        env = { A = 'a', B = 'b' }
        env_staging = { B = 's' }
        env_production = { B = 'p' }
        increment_var = 'N'
        [apps.env_test]
        N = 9100
    ";
    let host = FakeHost::new();
    let b = |name| read(text, name, &host).map(|l| l.ecosystem.apps.into_values().next().unwrap());
    let plain = text.replace("increment_var = 'N'", "");
    let staging = read(&plain, Some("staging"), &host).unwrap();
    let app = staging.ecosystem.apps.into_values().next().unwrap();
    assert_eq!((app.env["A"].as_str(), app.env["B"].as_str()), ("a", "s"));
    assert_eq!(b(Some("test")).unwrap().increment_var, Some(("N".to_owned(), 9100)));
    assert!(b(None).unwrap_err().to_string().contains("`N` has no first value"));
    let unknown = b(Some("prodction")).unwrap_err();
    assert!(unknown.render(Color::Off).contains("did you mean `--env production`?"));
}

#[test]
fn hostile_strings_arrive_as_they_are() {
    let text = r#"
        script = "server.js"
        args = ["a\nb", "100%", "$HOME", "\"'", "\\", "ünï\u2028", "", " "]
        env = { A = "a\nb%$\"'\\ü\u0001" }
    "#;
    let app = app(text);
    assert_eq!(
        app.command.args[1..],
        ["a\nb", "100%", "$HOME", "\"'", "\\", "ünï\u{2028}", "", " "]
    );
    assert_eq!(app.env["A"], "a\nb%$\"'\\ü\u{1}");
}

#[test]
fn pm2_keys_without_a_meaning_only_warn() {
    let text =
        "[[apps]]\nscript = 'server.js'\nexec_mode = 'cluster'\nmergeLogs = true\nwatch = false";
    let loaded = read(text, None, &FakeHost::new()).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(warnings, ["apps[0].exec_mode", "apps[0].mergeLogs"]);
}

#[test]
fn a_program_that_gains_privileges_cannot_be_reached() {
    let mut host = FakeHost::new();
    host.elevated.insert("/usr/bin/node".into());
    let text = "[[apps]]\nscript = 'server.js'\nlisten = 80\n";
    assert!(read(text, None, &host).is_ok());
    // What it may not gain keeps nothing out of it.
    assert!(read(&format!("{text}user = 'api'"), None, &host).is_ok());
    for more in ["sandbox = 'off'", "service = { NoNewPrivileges = false }"] {
        let problems = read(&format!("{text}user = 'api'\n{more}"), None, &host).unwrap_err();
        assert!(problems.to_string().contains("gains privileges"));
    }
}

#[test]
fn problems_are_data_too() {
    let problems =
        read("[[apps]]\nscript = 'x.js'\n  portt = 1", None, &FakeHost::new()).unwrap_err();
    let json = problems.to_json();
    assert_eq!(json[1]["line"], 3);
    assert_eq!(json[1]["column"], 3);
    assert_eq!(json[1]["key"], "apps[0].portt");
    assert_eq!(json[1]["help"], "did you mean `port`?");
    assert_eq!(json[1]["severity"], "error");
}

#[test]
fn an_empty_list_is_an_ecosystem_without_apps() {
    let loaded = read("apps = []", None, &FakeHost::new()).unwrap();
    assert!(loaded.ecosystem.apps.is_empty());
}

/// Keys that an example needs beside itself.
fn companions(key: &str) -> &'static str {
    match key {
        "script" | "command" | "name" => "",
        "increment_var" => "env = { METRICS_PORT = 9100 }",
        "readiness" | "handover" => "listen = 80",
        _ => "",
    }
}

#[test]
fn every_example_of_the_key_table_is_right() {
    let mut host = FakeHost::new();
    host.folder("/srv/api").file("/srv/api/server.js");
    for key in ecosystem::keys() {
        let script =
            if matches!(key.name, "script" | "command") { "" } else { "script = 'server.js'" };
        let text = format!("[[apps]]\n{script}\n{}\n{}\n", companions(key.name), key.example);
        let loaded = read(&text, None, &host);
        let problems = loaded.map(|loaded| loaded.warnings).unwrap_or_else(|problems| problems);
        assert!(problems.is_empty(), "{}: {}", key.name, problems.render(Color::Off));
        assert!(key.example.starts_with(key.name) && !key.about.is_empty(), "{}", key.name);
    }
    for key in ecosystem::rollout_keys() {
        let text = format!("script = 'server.js'\n[apps.rollout]\n{}", key.example);
        app_on(&text, &host);
    }
}

/// What the table says of a default is what holds without the key.
#[test]
fn the_defaults_of_the_key_table_hold() {
    let usual = app("script = 'server.js'");
    for key in ecosystem::keys() {
        let default = key.default;
        let is_value = default.starts_with('"') || default.parse::<i64>().is_ok();
        if (is_value || matches!(default, "true" | "false")) && !default.contains(' ') {
            let written = app(&format!("script = 'server.js'\n{} = {default}", key.name));
            assert_eq!(written, usual, "{}", key.name);
        }
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&ecosystem::json_schema()).unwrap();
    let app = &schema["properties"]["apps"]["items"];
    for key in ecosystem::keys() {
        assert!(app["properties"][key.name]["description"].is_string(), "{}", key.name);
    }
    assert!(app["properties"]["maxMemoryRestart"]["deprecated"].as_bool().unwrap());
    assert!(app["properties"]["rollout"]["properties"]["max_surge"].is_object());
    assert_eq!(app["properties"]["handover"]["enum"][0], "auto");
}

/// The machine that a golden asks for in its first lines: `# given: user scope`.
fn given(text: &str) -> (FakeHost, Option<String>) {
    let mut host = FakeHost::new();
    let mut env_name = None;
    let foreign = Ownership::Foreign("/usr/lib/systemd/system/nginx.service".into());
    host.units.insert("nginx.service".to_owned(), foreign);
    host.holders.insert("[::]:8080".to_owned(), "`java` (pid 812)".to_owned());
    host.program_with("/srv/app/it's", &dynamic_elf());
    let mut arm = dynamic_elf();
    arm[18] = 40;
    host.program_with("/srv/app/arm", &arm);
    host.program_with("/srv/app/old.cgi", b"#!/usr/bin/python2\n");
    host.program_with("/srv/app/text", b"hello\n");
    host.file("/srv/app/not-executable");
    for fact in text.lines().filter_map(|line| line.strip_prefix("# given: ")) {
        match fact.split_once(' ') {
            Some(("user", "scope")) => host.scope = Scope::User,
            Some(("--env", name)) => env_name = Some(name.to_owned()),
            _ => panic!("unknown fact {fact}"),
        }
    }
    (host, env_name)
}

fn goldens() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bad");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    paths.sort();
    paths
}

/// `UPDATE_EXPECT=1` writes what is shown now; read the difference before you commit it.
#[test]
fn bad_files_are_explained() {
    let mut changed = Vec::new();
    for path in goldens() {
        let text = fs::read_to_string(&path).unwrap();
        let (host, env_name) = given(&text);
        let problems = match read(&text, env_name.as_deref(), &host) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        assert!(!problems.is_empty(), "{} is a good file", path.display());
        let shown = problems.render(Color::Off);
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            changed.push(format!("{}\n{shown}", path.display()));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

#[test]
fn every_problem_says_what_to_do() {
    for path in goldens() {
        let text = fs::read_to_string(&path).unwrap();
        let (host, env_name) = given(&text);
        let Err(problems) = read(&text, env_name.as_deref(), &host) else { continue };
        let syntax = path.file_name().unwrap().to_str().unwrap().starts_with("syntax");
        for problem in problems.iter() {
            assert!(syntax || problem.help.is_some(), "{}: {}", path.display(), problem.message);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        if let Err(problems) = read(&text, None, &FakeHost::new()) {
            problems.render(Color::On);
            problems.to_json();
        }
    }

    #[test]
    fn no_value_makes_it_panic(nr in 0..ecosystem::keys().len(), value in any::<String>()) {
        let key = &ecosystem::keys()[nr];
        let quoted = toml::Value::String(value.clone()).to_string();
        for value in [quoted.as_str(), value.as_str(), "-1", "[{}]", "{ a = [1.5] }"] {
            let text = format!("[[apps]]\n{} = {value}\n", key.name);
            if let Err(problems) = read(&text, None, &FakeHost::new()) {
                problems.render(Color::Off);
            }
        }
    }

    #[test]
    fn valid_names_are_kept(name in "[A-Za-z0-9][A-Za-z0-9_.-]{0,99}") {
        if name != "all" {
            let app = app(&format!("script = 'server.js'\nname = '{name}'"));
            prop_assert_eq!(app.name.as_str(), name);
        }
    }

    #[test]
    fn values_are_kept(value in "[^\\x00]*") {
        let quoted = toml::Value::String(value.clone());
        let app = app(&format!("script = 'server.js'\nargs = [{quoted}]\nenv = {{ A = {quoted} }}"));
        prop_assert_eq!(&app.command.args[1], &value);
        prop_assert_eq!(&app.env["A"], &value);
    }
}

/// Files with very many problems, each of another kind.
fn crowds() -> [(String, usize); 5] {
    let many = 20_000;
    let lines = |line: &dyn Fn(usize) -> String| -> String { (0..many).map(line).collect() };
    let app = "[[apps]]\nscript = 'server.js'\n";
    let one_port =
        |nr| format!("[[apps]]\nname = 'a{nr}'\nscript = 'server.js'\nlisten = '127.0.0.1:80'\n");
    let own_host = |nr: usize| {
        let (high, low) = (nr / 250, nr % 250 + 1);
        format!(
            "[[apps]]\nname = 'a{nr}'\nscript = 'server.js'\nlisten = '127.0.{high}.{low}:80'\n"
        )
    };
    [
        (format!("{app}{}", lines(&|nr| format!("nmae{nr} = 1\n"))), many),
        (format!("{app}args = [{}]\n", lines(&|_| "{}, ".to_owned())), many),
        (lines(&|nr| format!("x{nr} = = 1\n")), many),
        ((0..5_000).map(one_port).collect(), 4_999),
        ((0..2_000).map(own_host).collect(), 0),
    ]
}

/// A time that grew with the square of their number would show as a test that does not end.
#[test]
fn very_many_problems_are_counted_and_the_first_are_shown() {
    for (nr, (text, count)) in crowds().into_iter().enumerate() {
        let problems = match read(&text, None, &FakeHost::new()) {
            Ok(_) if count == 0 => continue,
            Ok(loaded) => panic!("{nr}: {:?}", loaded.ecosystem.apps.len()),
            Err(problems) => problems,
        };
        let drawn = problems.render(Color::Off);
        assert!(problems.to_json().as_array().unwrap().len() >= count, "{nr}");
        assert!(drawn.contains(&format!("and {} more: ", problems.len() - 50)), "{nr}");
        assert_eq!(drawn.matches("--> ecosystem.toml:").count(), 50, "{nr}");
        assert_eq!(problems.to_string().lines().count(), problems.len(), "{nr}");
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
        // A script that may stay.
        ("apache2ctl", "SIGTERM"),
        ("nginx-exporter", "SIGTERM"),
        // Not Apache's, by what is in it.
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
        assert_eq!((found.treekill, found.remarks.is_empty()), (!known, !known), "{name}");
        assert_eq!(found.env.contains_key("UWSGI_HOOK_MASTER_START"), name == "uwsgi");
        let written = format!("{program}\nkill_signal = 'SIGHUP'\ntreekill = true");
        let found = app_on(&written, &host);
        assert_eq!(found.kill_signal, "SIGHUP");
        assert!(found.treekill && found.remarks.is_empty() && found.env.is_empty(), "{name}");
    }
    // Through a shell, and through Bundler.
    let line = "command = \"cd /srv && exec nginx -g 'daemon off;'\"\nname = 'x'";
    for name in ["bash", "sh", "nginx"] {
        host.program_with(&format!("/usr/bin/{name}"), &dynamic_elf());
    }
    host.program_with("/bin/sh", &dynamic_elf());
    host.program_with("/usr/bin/bundle", &dynamic_elf());
    assert_eq!(app_on(line, &host).kill_signal, "SIGQUIT");
    // A shell that stays is the one that gets the signal.
    assert_eq!(app_on(&line.replace("exec ", ""), &host).kill_signal, "SIGTERM");
    let line = "command = 'bundle exec unicorn -c x.rb'\nname = 'x'";
    assert_eq!(app_on(line, &host).kill_signal, "SIGQUIT");
}
