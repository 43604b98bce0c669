//! From the text of an ecosystem file to what it means, or to everything that is wrong with it.

#![allow(clippy::unwrap_used)]

mod attributes;
mod forms;
#[path = "../support/host.rs"]
mod host;
mod keys;
mod limits;
mod listeners;
mod problems;
mod programs;
mod taken;

use std::path::Path;
use std::time::Duration;

use clusterctl::ecosystem::{
    self, App, Asks, Color, Handover, Instances, Loaded, OnFailure, Problems, Readiness, Share,
    load,
};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use host::{FakeHost, go_elf};

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
    assert!(
        app.node
            && app.asks == Asks::All
            && app.process.autostart
            && app.non_blocking
            && app.restart.auto
    );
    assert_eq!(app.process.listen_timeout, Duration::from_secs(60));
    assert_eq!(app.process.kill_timeout, Duration::from_secs(10));
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
    assert_eq!(app.process.kill_timeout, Duration::from_millis(1600));
    assert_eq!(app.restart.backoff.unwrap().first, Duration::from_millis(100));
    assert_eq!(app.process.user.as_deref(), Some("api"));
    assert_eq!(app.logs.error_file.as_deref(), Some(Path::new("/dev/null")));
    assert_eq!(app.restart.stop_exit_codes, [0]);
    assert_eq!(app.restart.max_restarts, None);
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
        "[[apps]]\nscript = 'server.js'\nexec_mode = 'cluster'\ncombineLogs = true\nvizion = true";
    let loaded = read(text, None, &FakeHost::new()).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(warnings, ["apps[0].exec_mode", "apps[0].vizion"]);
}

#[test]
fn an_empty_list_is_an_ecosystem_without_apps() {
    let loaded = read("apps = []", None, &FakeHost::new()).unwrap();
    assert!(loaded.ecosystem.apps.is_empty());
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
