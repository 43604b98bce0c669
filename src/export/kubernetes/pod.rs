//! The pod of an app: its container with program, variables, ports, probes, limits and rights. It decides
//! nothing about how many there are.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::left_out::{FILES_LOSE, Losses, secret};
use super::super::write::{label, list, object, seconds, words};
use super::super::{ExportFacts, Named};
use super::ports::Port;
use crate::ecosystem::{App, Level, Protocol, Readiness};

/// How long a pod goes on before it is asked to stop: so long its address may still be given out.
const UNTIL_UNKNOWN: u64 = 5;

/// Where the secrets of an app are mounted.
const SECRETS: &str = "/run/credentials/app";

/// The specification of an app's pod, without what a Job adds.
pub(super) fn of(
    named: Named<'_>,
    facts: ExportFacts<'_>,
    ports: &[Port],
    losses: &mut Losses,
) -> Value {
    let app = named.app;
    let stop = seconds(app.process.kill_timeout);
    // A job has no address that somebody may still know.
    let known = if app.is_job() { 0 } else { UNTIL_UNKNOWN };
    if app.kill_signal != "SIGTERM" {
        losses.add(
            "kill_signal",
            format!("write `STOPSIGNAL {}` into the Dockerfile of the image", app.kill_signal),
        );
    }
    let plain = app.sandbox.credentials.iter().filter(|one| !one.encrypted);
    let files: Vec<_> = plain.collect();
    let secrets = format!("{}-credentials", named.name);
    for file in &files {
        let from = secret(&secrets, &format!("file={}", file.name), &file.path);
        losses.add("credentials", format!("make the secret that is mounted: {from}"));
    }
    let volume = json!({"name": "credentials", "secret": {"secretName": secrets}});
    object([
        ("containers", json!([container(named, facts, ports, !files.is_empty(), losses)])),
        ("terminationGracePeriodSeconds", json!(known + stop)),
        ("volumes", list(if files.is_empty() { vec![] } else { vec![volume] })),
    ])
}

fn container(
    named: Named<'_>,
    facts: ExportFacts<'_>,
    ports: &[Port],
    secrets: bool,
    losses: &mut Losses,
) -> Value {
    let app = named.app;
    let words = words(app);
    let mut env: Vec<Value> = app
        .env
        .iter()
        .map(|(name, value)| json!({"name": name, "value": literal(value)}))
        .collect();
    if secrets {
        env.push(json!({"name": "CREDENTIALS_DIRECTORY", "value": SECRETS}));
    }
    let mount = json!({"mountPath": SECRETS, "name": "credentials", "readOnly": true});
    let open = ports.iter().map(
        |port| json!({"containerPort": port.inner, "name": port.name, "protocol": port.protocol()}),
    );
    let (readiness, startup) = probes(app, ports, losses);
    let waits = json!({"preStop": {"sleep": {"seconds": UNTIL_UNKNOWN}}});
    object([
        ("command", words.iter().map(|word| json!(literal(word))).collect()),
        ("env", list(env)),
        ("envFrom", list(variables(named, losses))),
        ("image", json!(facts.image)),
        ("lifecycle", if app.is_job() { Value::Null } else { waits }),
        ("name", json!("app")),
        ("ports", list(open.collect())),
        ("readinessProbe", readiness),
        ("resources", resources(app, losses)),
        ("securityContext", security(app, losses)),
        ("startupProbe", startup),
        ("volumeMounts", list(if secrets { vec![mount] } else { vec![] })),
        ("workingDir", json!(app.cwd.to_string_lossy())),
    ])
}

/// A text in which `$(NAME)` stands for itself.
fn literal(text: &str) -> String {
    text.replace("$(", "$$(")
}

/// What reads the files of variables.
fn variables(named: Named<'_>, losses: &mut Losses) -> Vec<Value> {
    let files: Vec<&PathBuf> = named.app.env_files.iter().chain(&named.app.own_env_files).collect();
    if !files.is_empty() && !named.app.env.is_empty() {
        losses.add("env", FILES_LOSE);
    }
    let each = files.iter().enumerate().map(|(number, path)| {
        let name = format!("{}-env-{number}", label(named.name, 48));
        losses.add(
            "env_file",
            format!("make the secret that is read: {}", secret(&name, "env-file", path)),
        );
        json!({"secretRef": {"name": name}})
    });
    each.collect()
}

/// The probes of readiness and of the start. A probe of a port says that the program listens there, which
/// is what makes an instance ready here; it comes from outside the pod, and reaches no loopback address.
fn probes(app: &App, ports: &[Port], losses: &mut Losses) -> (Value, Value) {
    let tcp = ports.iter().find(|port| port.protocol == Protocol::Stream && !port.private);
    if app.readiness == Readiness::Notify {
        let why = "nobody hears `READY=1` there: give the readinessProbe a path that answers when it is ready";
        losses.add("readiness", why);
    }
    let Some(port) = tcp else {
        return (Value::Null, Value::Null);
    };
    let socket = json!({"port": port.inner});
    let tries = seconds(app.process.listen_timeout).max(1);
    (
        json!({"periodSeconds": 5, "tcpSocket": socket}),
        json!({"failureThreshold": tries, "periodSeconds": 1, "tcpSocket": socket}),
    )
}

fn resources(app: &App, losses: &mut Losses) -> Value {
    let mut memory = app.max_memory.map(|bytes| bytes.to_string());
    if memory.is_some() {
        losses
            .add("max_memory_restart", "a container above its limit is killed, not replaced first");
    }
    let mut cpu = None;
    for (directive, value) in &app.service {
        match (
            directive.as_str(),
            value.strip_suffix('%').and_then(|part| part.parse::<u64>().ok()),
        ) {
            ("CPUQuota", Some(percent)) => cpu = Some(format!("{}m", percent * 10)),
            ("MemoryMax", _) if bytes(value).is_some() => memory = bytes(value),
            _ => losses.add("service", format!("{directive}= is systemd's alone")),
        }
    }
    match (cpu, memory) {
        (None, None) => Value::Null,
        (cpu, memory) => {
            json!({"limits": object([("cpu", json!(cpu)), ("memory", json!(memory))])})
        }
    }
}

/// A size of systemd's as one of Kubernetes': `512M` is `512Mi`.
fn bytes(value: &str) -> Option<String> {
    let (digits, unit) =
        value.split_at(value.len() - value.chars().filter(char::is_ascii_alphabetic).count());
    let known = ["", "K", "M", "G", "T"].contains(&unit);
    let number: u64 = digits.parse().ok().filter(|_| known)?;
    Some(if unit.is_empty() { number.to_string() } else { format!("{number}{unit}i") })
}

fn security(app: &App, losses: &mut Losses) -> Value {
    let mut user = None;
    if let Some(name) = &app.process.user {
        user = name.parse::<u32>().ok();
        if user.is_none() {
            losses.add(
                "user",
                format!("`{name}` is a name of this machine: write `USER` into the Dockerfile"),
            );
        }
    }
    if app.process.group.is_some() {
        losses.add(
            "group",
            "groups are the image's own: write `USER user:group` into the Dockerfile",
        );
    }
    let level = app.sandbox.level;
    if level == Level::Off {
        return object([("runAsUser", json!(user))]).as_object().map_or(Value::Null, |members| {
            if members.is_empty() { Value::Null } else { json!(members) }
        });
    }
    let strict = level == Level::Strict;
    if strict && !app.sandbox.writable.is_empty() {
        losses.add("writable", "mount a volume for each: the container's own files are read-only");
    }
    object([
        ("allowPrivilegeEscalation", json!(false)),
        ("capabilities", if strict { json!({"drop": ["ALL"]}) } else { Value::Null }),
        ("readOnlyRootFilesystem", if strict { json!(true) } else { Value::Null }),
        ("runAsUser", json!(user)),
        ("seccompProfile", json!({"type": "RuntimeDefault"})),
    ])
}
