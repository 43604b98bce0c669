//! A file for docker compose: a service for each app. It builds no image, and publishes no port twice.

use serde_json::{Map, Value, json};

use super::left_out::{FILES_LOSE, Losses};
use super::write::{comment, head, list, object, seconds, words, yaml};
use super::{ExportFacts, Exported, LeftOut, Named, Target};
use crate::ecosystem::{
    App, Credential, Instances, Level, ListenAddress, Listener, Protocol, Readiness,
};

/// Where secrets of compose lie in a container.
const SECRETS: &str = "/run/secrets";

/// The file with all apps.
pub(super) fn file<'a>(apps: impl Iterator<Item = Named<'a>>, facts: ExportFacts<'_>) -> Exported {
    let mut left_out: Vec<LeftOut> = Vec::new();
    let (mut services, mut secrets) = (Map::new(), Map::new());
    for named in apps {
        let mut losses = Losses::of(named, Target::Compose);
        services.insert(named.name.to_owned(), service(named, facts, &mut losses));
        for file in credentials(named.app) {
            let path = doubled(&file.path.to_string_lossy());
            secrets.insert(secret(named, file), json!({"file": path}));
        }
        left_out.extend(losses.all());
    }
    let secrets = if secrets.is_empty() { Value::Null } else { Value::Object(secrets) };
    let all = object([
        ("secrets", secrets),
        ("services", Value::Object(services)),
        ("version", json!("3.8")),
    ]);
    let mut text = head("compose", facts);
    text.extend(left_out.iter().map(comment));
    text.push_str(&yaml(&all));
    Exported { text, left_out }
}

/// A text in which `$` stands for itself.
fn doubled(text: &str) -> String {
    text.replace('$', "$$")
}

/// Secrets that can be read where compose runs.
fn credentials(app: &App) -> impl Iterator<Item = &Credential> {
    app.sandbox.credentials.iter().filter(|one| !one.encrypted)
}

fn secret(named: Named<'_>, file: &Credential) -> String {
    format!("{}-{}", named.name, file.name)
}

fn service(named: Named<'_>, facts: ExportFacts<'_>, losses: &mut Losses) -> Value {
    let app = named.app;
    replaced_at_once(app, losses);
    let mut env: Map<String, Value> =
        app.env.iter().map(|(name, value)| (name.clone(), json!(doubled(value)))).collect();
    let own: Vec<Value> = credentials(app)
        .map(|file| json!({"source": secret(named, file), "target": file.name}))
        .collect();
    if !own.is_empty() {
        env.insert("CREDENTIALS_DIRECTORY".to_owned(), json!(SECRETS));
    }
    let env_files = app.env_files.iter().chain(&app.own_env_files);
    let env_files: Vec<Value> =
        env_files.map(|path| json!(doubled(&path.to_string_lossy()))).collect();
    if !env_files.is_empty() && !env.is_empty() {
        losses.add("env", FILES_LOSE);
    }
    let (ports, expose) = ports(app, losses);
    let strict = app.sandbox.level == Level::Strict;
    if strict && !app.sandbox.writable.is_empty() {
        losses.add("writable", "mount a volume for each: the container's own files are read-only");
    }
    let silent = app.logs.disabled.then(|| json!({"driver": "none"}));
    object([
        ("cap_drop", if strict { json!(["ALL"]) } else { Value::Null }),
        ("command", words(app).iter().map(|word| json!(doubled(word))).collect()),
        ("deploy", deploy(app, losses)),
        ("env_file", list(env_files)),
        ("environment", if env.is_empty() { Value::Null } else { Value::Object(env) }),
        ("expose", list(expose)),
        ("image", json!(doubled(facts.image))),
        // Somebody has to reap processes whose parents have ended, as systemd does.
        ("init", json!(true)),
        ("logging", json!(silent)),
        ("ports", list(ports)),
        ("read_only", if strict { json!(true) } else { Value::Null }),
        ("restart", json!(restart(app, losses))),
        ("secrets", list(own)),
        (
            "security_opt",
            if app.sandbox.level == Level::Off {
                Value::Null
            } else {
                json!(["no-new-privileges:true"])
            },
        ),
        ("stop_grace_period", json!(format!("{}s", seconds(app.process.kill_timeout)))),
        ("stop_signal", json!(app.kill_signal)),
        ("user", json!(user(app, losses))),
        ("working_dir", json!(doubled(&app.cwd.to_string_lossy()))),
    ])
}

/// What of replacing instances compose has no word for.
fn replaced_at_once(app: &App, losses: &mut Losses) {
    losses.add(
        "rollout",
        "`docker compose up` stops a container before the next one starts: requests are lost meanwhile",
    );
    if !matches!(app.readiness, Readiness::Exec) {
        losses.add(
            "readiness",
            "a container counts when it runs: write a `healthcheck` with a program of the image",
        );
    }
    if !app.schedules.is_empty() {
        losses.add(
            "cron_restart",
            "let cron of the host run `docker compose restart`, or `run` for a job",
        );
    }
    if !app.process.autostart {
        losses.add(
            "autostart",
            "`docker compose up` starts every service: name those that it shall start",
        );
    }
    if app.namespace != "default" {
        losses.add("namespace", "a compose file is one project: name it with `docker compose -p`");
    }
}

fn user(app: &App, losses: &mut Losses) -> Option<String> {
    let user = app.process.user.as_ref();
    if user.is_some_and(|name| name.parse::<u32>().is_err()) {
        losses.add("user", "the name is looked up in the image, which must have such a user");
    }
    match (user, &app.process.group) {
        (Some(user), Some(group)) => Some(doubled(&format!("{user}:{group}"))),
        (user, _) => user.map(|user| doubled(user)),
    }
}

fn restart(app: &App, losses: &mut Losses) -> String {
    match (app.restart.auto, app.restart.max_restarts) {
        (false, _) => "no".to_owned(),
        (true, None) => "unless-stopped".to_owned(),
        (true, Some(_)) => {
            losses.add(
                "max_restarts",
                "it is started again for ever: `on-failure:N` would not start it at boot",
            );
            "unless-stopped".to_owned()
        }
    }
}

fn deploy(app: &App, losses: &mut Losses) -> Value {
    if let Instances::AllCpusBut(_) = app.instances {
        losses.add("instances", format!("{} is the number on this machine", app.count));
    }
    let mut memory = app.max_memory.map(|bytes| bytes.to_string());
    if memory.is_some() {
        losses
            .add("max_memory_restart", "a container above its limit is killed, not replaced first");
    }
    let mut cpus = None;
    for (directive, value) in &app.service {
        let percent = value.strip_suffix('%').and_then(|part| part.parse::<u32>().ok());
        match (directive.as_str(), percent) {
            ("CPUQuota", Some(percent)) => {
                cpus = Some(format!("{}.{:02}", percent / 100, percent % 100))
            }
            ("MemoryMax", _) if value.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                memory = Some(value.clone());
            }
            _ => losses.add("service", format!("{directive}= is systemd's alone")),
        }
    }
    let limits = match (cpus, memory) {
        (None, None) => Value::Null,
        (cpus, memory) => {
            json!({"limits": object([("cpus", json!(cpus)), ("memory", json!(memory))])})
        }
    };
    object([("replicas", json!(app.count)), ("resources", limits)])
}

/// What is published, and what only other containers reach.
fn ports(app: &App, losses: &mut Losses) -> (Vec<Value>, Vec<Value>) {
    let (mut ports, mut expose) = (Vec::new(), Vec::new());
    for listener in &app.listeners {
        let Some((outside, inside)) = published(listener) else {
            let why = format!("{} is a Unix socket: share it by a volume", listener.address);
            losses.add("listen", why);
            continue;
        };
        if app.count > 1 {
            let why = format!(
                "{} replicas cannot publish {outside}: put a proxy in front, which finds them by the service's name",
                app.count
            );
            losses.add("listen", why);
            expose.push(json!(inside));
        } else {
            ports.push(json!(format!("{outside}:{inside}")));
        }
    }
    ports.dedup();
    expose.dedup();
    (ports, expose)
}

/// A listener's place on the host, and the port of the program with its protocol.
fn published(listener: &Listener) -> Option<(String, String)> {
    let asked = listener.asked();
    let (ListenAddress::Inet { socket, protocol, .. }, ListenAddress::Inet { socket: inner, .. }) =
        (&listener.address, &asked)
    else {
        return None;
    };
    let outside = match socket.ip() {
        ip if ip.is_unspecified() => socket.port().to_string(),
        _ => socket.to_string(),
    };
    let kind = if *protocol == Protocol::Datagram { "/udp" } else { "" };
    Some((outside, format!("{}{kind}", inner.port())))
}
