//! `docker-compose.yaml`, as far as a service is one command that needs no image of its own. It never reads a
//! Dockerfile: what an image adds is unknown.

use serde_json::{Map, Value as Json};

use super::draft::{Draft, Drafts, LeftOut};
use super::value::{self, short, texts};
use super::{Refusal, ports};

/// Images that hold a runtime and nothing of an app.
const RUNTIMES: [&str; 10] = [
    "node",
    "python",
    "ruby",
    "php",
    "golang",
    "openjdk",
    "eclipse-temurin",
    "denoland/deno",
    "oven/bun",
    "perl",
];

/// The services that are one command.
///
/// # Errors
/// It is no compose file, or no service is.
pub fn from_yaml(file: &Json) -> Result<Drafts, Refusal> {
    let Some(services) = file.get("services").and_then(Json::as_object) else {
        return Err(Refusal::new(
            "it has no `services`",
            "name another file: clusterctl import FILE",
        ));
    };
    let mut drafts = Drafts::default();
    for (name, service) in services {
        let Some(service) = service.as_object() else { continue };
        match one_command(service) {
            Ok(command) => drafts.apps.push(app(name, service, command)),
            Err(why) => drafts.left.push(
                LeftOut::new(name, why)
                    .instead("leave it to containers, for instance to podman-systemd.unit(5)"),
            ),
        }
    }
    for key in ["volumes", "networks", "configs", "secrets"] {
        if file.get(key).is_some() {
            drafts.left.push(LeftOut::new(key, "belongs to containers"));
        }
    }
    if drafts.apps.is_empty() {
        let reasons: Vec<String> = drafts.left.iter().map(ToString::to_string).collect();
        let why = format!("no service of it is one command: {}", reasons.join("; "));
        return Err(Refusal::new(why, "leave it to containers"));
    }
    drafts.name_apps();
    Ok(drafts)
}

/// The command of a service, or why it is none.
fn one_command(service: &Map<String, Json>) -> Result<&Json, String> {
    let command = service.get("command").filter(|command| !command.is_null());
    let image = service.get("image").and_then(Json::as_str);
    if let Some(image) = image {
        let name = image.split(['@', ':']).next().unwrap_or(image);
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        if !RUNTIMES.contains(&name.strip_prefix("library/").unwrap_or(name)) {
            return Err(format!("is the image {image}, with a program of its own"));
        }
    } else if service.get("build").is_none() {
        return Err("has neither an image nor a folder to build".to_owned());
    }
    if service.contains_key("entrypoint") {
        return Err("has an `entrypoint`, which runs inside of its image".to_owned());
    }
    command.ok_or_else(|| "names no `command`: its image does".to_owned())
}

fn app(name: &str, service: &Map<String, Json>, command: &Json) -> Draft {
    let mut draft = Draft::default();
    draft.set("name", name);
    draft.set("command", super::pm2::words_of(command));
    for (key, value) in service {
        attribute(&mut draft, service, key, value);
    }
    if !draft.has_listener() {
        ports::from_definition(&mut draft);
    }
    draft.worker = draft.get("listen").is_none();
    draft
}

fn attribute(draft: &mut Draft, service: &Map<String, Json>, key: &str, value: &Json) {
    match key {
        "command" | "image" | "container_name" | "hostname" | "tty" | "stdin_open" | "init"
        | "networks" | "expose" | "labels" | "logging" | "pull_policy" | "platform" => {}
        "build" => folder(draft, value),
        "working_dir" | "volumes" => place(draft, service),
        "environment" => environment(draft, value),
        "env_file" => env_file(draft, value),
        "ports" => published(draft, value),
        "user" => user(draft, value),
        "restart" if texts(value) == ["no"] || value == &Json::Bool(false) => {
            draft.set("autorestart", false);
        }
        "restart" if texts(value).iter().any(|policy| policy.starts_with("on-failure")) => {
            draft.set("stop_exit_codes", toml::Value::Array(vec![0.into()]));
        }
        "restart" => {}
        "stop_signal" => {
            draft.set("kill_signal", texts(value).join(""));
        }
        "stop_grace_period" => {
            draft.set("kill_timeout", texts(value).join(""));
        }
        "scale" => set(draft, "instances", value),
        "deploy" => deploy(draft, value),
        "mem_limit" => {
            draft.set("max_memory_restart", memory(value));
        }
        "cpus" => draft.set_in("service", "CPUQuota", percent(value)),
        "depends_on" => draft.leave(
            LeftOut::new("depends_on", "has no key here")
                .instead("order units with `systemctl edit NAME@`: After=other.service"),
        ),
        "healthcheck" => draft
            .leave(LeftOut::new("healthcheck", "asks whoever answers at the shared port").instead(
                "`health = \"/path\"` asks each instance, before its first client and while it serves",
            )),
        "secrets" => {
            draft.leave(LeftOut::new("secrets", "belongs to containers").instead("`credentials`"))
        }
        other => draft
            .leave(LeftOut::new(format!("{other} = {}", short(value)), "belongs to containers")),
    }
}

fn set(draft: &mut Draft, key: &str, value: &Json) {
    if let Some(value) = value::toml(value) {
        draft.set(key, value);
    }
}

/// The folder that is built from holds the code.
fn folder(draft: &mut Draft, build: &Json) {
    let context = build.as_str().or_else(|| build.get("context")?.as_str());
    if let Some(context) = context.filter(|context| *context != "." && draft.get("cwd").is_none()) {
        draft.set("cwd", context.trim_start_matches("./"));
    }
}

/// The folder outside that is mounted at the working folder inside; other mounts are named.
fn place(draft: &mut Draft, service: &Map<String, Json>) {
    let inside = service.get("working_dir").and_then(Json::as_str);
    let mounts = service.get("volumes").and_then(Json::as_array).into_iter().flatten();
    let mut found = false;
    let mut others = Vec::new();
    for mount in mounts {
        let text = texts(mount).join("");
        let (source, target) = match text.split_once(':') {
            Some((source, rest)) => {
                (source.to_owned(), rest.split(':').next().unwrap_or(rest).to_owned())
            }
            None => {
                let of = |key: &str| mount.get(key).and_then(Json::as_str).unwrap_or_default();
                (of("source").to_owned(), of("target").to_owned())
            }
        };
        let is_path = source.starts_with(['.', '/']);
        let within = inside.and_then(|inside| inside.strip_prefix(target.as_str()));
        match within.filter(|_| is_path && !found) {
            Some(rest) => {
                found = true;
                let folder = format!("{}{rest}", source.trim_end_matches('/'));
                if folder != "." {
                    draft.set("cwd", folder.trim_start_matches("./"));
                }
            }
            None => {
                others.push(if source.is_empty() { target } else { format!("{source}:{target}") })
            }
        }
    }
    draft.left.retain(|left| left.what != "volumes");
    if !others.is_empty() {
        draft.leave(
            LeftOut::new(
                "volumes",
                format!("mounts {}, which no container needs here", others.join(", ")),
            )
            .instead("the app sees the machine's own paths: correct them in `env` and `command`"),
        );
    }
    if let Some(inside) = inside.filter(|_| !found) {
        draft.left.retain(|left| !left.what.starts_with("working_dir"));
        draft.leave(
            LeftOut::new(format!("working_dir = {inside:?}"), "is a path inside of the container")
                .instead("write the folder of the code as `cwd`"),
        );
    }
}

fn environment(draft: &mut Draft, value: &Json) {
    if let Some(table) = value.as_object() {
        for (name, value) in table {
            match value::toml(value) {
                Some(value) => draft.set_in("env", name, value),
                None => from_shell(draft, name),
            }
        }
        return;
    }
    for text in texts(value) {
        match text.split_once('=') {
            Some((name, value)) => draft.set_in("env", name, value),
            None => from_shell(draft, &text),
        }
    }
}

fn from_shell(draft: &mut Draft, name: &str) {
    draft.leave(
        LeftOut::new(format!("environment.{name}"), "comes from the shell there")
            .instead("write its value"),
    );
}

fn env_file(draft: &mut Draft, value: &Json) {
    let of_entry = |entry: &Json| Some(entry.get("path")?.as_str()?.to_owned());
    let listed = value.as_array().into_iter().flatten().filter_map(of_entry);
    let files: Vec<toml::Value> = texts(value).into_iter().chain(listed).map(Into::into).collect();
    draft.set("env_file", toml::Value::Array(files));
}

/// `80:3000` is reachable on 80, and the program asks for 3000.
fn published(draft: &mut Draft, value: &Json) {
    let mut all = Vec::new();
    for entry in value.as_array().into_iter().flatten() {
        let text = match entry {
            Json::Object(long) => {
                let of = |key: &str| texts(long.get(key).unwrap_or(&Json::Null)).join("");
                match of("published") {
                    published if published.is_empty() => of("target"),
                    published => format!("{published}:{}", of("target")),
                }
            }
            entry => texts(entry).join(""),
        };
        match listener(&text) {
            Some(value) => all.push(value),
            None => draft.leave(
                LeftOut::new(format!("ports: {text}"), "is no single port")
                    .instead("write `listen`"),
            ),
        }
    }
    match all.as_slice() {
        [] => {}
        [one] => drop(draft.set("listen", one.clone())),
        _ => drop(draft.set("listen", toml::Value::Array(all))),
    }
}

fn listener(text: &str) -> Option<toml::Value> {
    let (text, udp) = match text.rsplit_once('/') {
        Some((text, protocol)) => (text, protocol == "udp"),
        None => (text, false),
    };
    let (at, bind) = text.rsplit_once(':').unwrap_or((text, text));
    let bind = ports::port(bind)?;
    let own = ports::port(at.rsplit_once(':').map_or(at, |(_, own)| own))?;
    let at = if udp { format!("udp:{at}") } else { at.to_owned() };
    let at = at.parse::<i64>().map_or_else(|_| toml::Value::from(at), toml::Value::from);
    if own == bind {
        return Some(at);
    }
    Some(toml::Value::Table(
        [("at".to_owned(), at), ("bind".to_owned(), i64::from(bind).into())].into_iter().collect(),
    ))
}

fn user(draft: &mut Draft, value: &Json) {
    let text = texts(value).join("");
    let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(u, g)| (u, Some(g)));
    let number = |text: &str| text.parse::<i64>().map_or_else(|_| text.into(), toml::Value::from);
    draft.set("user", number(user));
    if let Some(group) = group {
        draft.set("group", number(group));
    }
}

fn deploy(draft: &mut Draft, value: &Json) {
    if let Some(replicas) = value.get("replicas") {
        set(draft, "instances", replicas);
    }
    let limits = value.pointer("/resources/limits");
    if let Some(limit) = limits.and_then(|limits| limits.get("memory")) {
        draft.set("max_memory_restart", memory(limit));
    }
    if let Some(limit) = limits.and_then(|limits| limits.get("cpus")) {
        draft.set_in("service", "CPUQuota", percent(limit));
    }
}

/// `512m` and `1gb` in the units of systemd.
fn memory(value: &Json) -> String {
    let text = texts(value).join("").to_ascii_uppercase();
    text.strip_suffix('B').unwrap_or(&text).to_owned()
}

/// `0.5` CPUs are 50 %.
fn percent(value: &Json) -> String {
    let cpus: f64 = texts(value).join("").parse().unwrap_or(1.0);
    format!("{}%", (cpus * 100.0).round())
}
