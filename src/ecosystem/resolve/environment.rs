//! `env`, `env_NAME`, `port`, `instance_var`, `increment_var`: the program's variables.
//!
//! `PORT` is set when an app's TCP listeners are all for one port and it has no `PORT` of its own,
//! since that is what most programs ask for.

use std::collections::BTreeMap;
use toml::de::DeValue;

use crate::ecosystem::model::app::Listener;
use crate::ecosystem::program::kind::ProgramKind;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{KeyValue, Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem, visible};
use crate::limits;

/// Variables that systemd or clusterctl sets; a value of the file's would break what they are for.
const RESERVED: &[&str] = &[
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "MAINPID",
    "INVOCATION_ID",
];

/// PM2's name for the variable with the instance number.
const INSTANCE_VAR: &str = "NODE_APP_INSTANCE";

/// The variables of an app, and what else the keys about them say.
#[derive(Debug)]
pub(super) struct Environment {
    pub variables: BTreeMap<String, String>,
    /// Variables of the manager that are to be left out.
    pub filtered: Vec<String>,
    pub instance_var: String,
    pub increment_var: Option<(String, i64)>,
}

impl Environment {
    /// Sets a variable that the app has not set itself.
    pub(super) fn add(&mut self, variable: Option<(&str, &str)>) {
        if let Some((name, value)) = variable {
            self.variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
}

/// `filter_env`: a name or names. What PM2's `true` asks for, no variable of the shell, always holds.
fn filtered(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Vec<String> {
    let Some(node) = fields.get("filter_env") else { return Vec::new() };
    if let DeValue::Boolean(on) = node.value {
        if !on {
            let message = "`filter_env = false` lets nothing of your shell's environment through";
            let help = "remove it, and list what the app needs in `env` or `env_file`";
            cx.problems.push(Problem::warning(&node.place, message).help(help));
        }
        return Vec::new();
    }
    let names = match node.value {
        DeValue::String(_) | DeValue::Array(_) => node.texts(cx).unwrap_or_default(),
        _ => node.wrong_type(cx, "`true`, a string or an array of strings").unwrap_or_default(),
    };
    names.into_iter().filter(|name| valid_name(cx, name, &node.place).is_some()).collect()
}
/// What `source_map_support` asks of Node, which programs that start Node pass on.
const SOURCE_MAPS: &str = "--enable-source-maps";

type Variables = BTreeMap<String, (String, Place)>;

/// Reads all keys about variables.
pub(super) fn environment(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Environment {
    let mut variables = Variables::new();
    if let Some(node) = fields.get("env") {
        variables = table(cx, &node);
    }
    for entry in &fields.environments {
        let read = table(cx, &entry.node);
        if cx.env_name.is_some() && entry.key.strip_prefix("env_") == cx.env_name {
            variables.extend(read);
        }
    }
    port(cx, fields, &mut variables);
    let instance_var = instance_var(cx, fields, &variables);
    let increment_var = increment_var(cx, fields, &variables, &instance_var);
    let variables: BTreeMap<String, String> =
        variables.into_iter().map(|(name, (value, _))| (name, value)).collect();
    // Programs are looked for where the app itself would find them.
    cx.path = variables.get("PATH").cloned();
    Environment { variables, filtered: filtered(cx, fields), instance_var, increment_var }
}

fn table(cx: &mut Reading<'_>, node: &Node<'_>) -> Variables {
    let entries = node.entries(cx, "a table of variables").unwrap_or_default();
    entries.iter().filter_map(|entry| variable(cx, entry)).collect()
}

fn variable(cx: &mut Reading<'_>, entry: &KeyValue<'_>) -> Option<(String, (String, Place))> {
    let named = valid_name(cx, entry.key, &entry.at);
    let value = variable_value(cx, &entry.node)?;
    named?;
    let place = Place { span: entry.at.span.clone(), ..entry.node.place.clone() };
    Some((entry.key.to_owned(), (value, place)))
}

fn variable_value(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<String> {
    let value = match node.value {
        DeValue::String(text) => node.checked(cx, text)?,
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(_) => match node.as_integer() {
            Some(number) => number.to_string(),
            None => return node.bad(cx, format!("`{}` is out of range", node.name)),
        },
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => {
            let message = format!("`{}` must be a single value", node.name);
            let help = "a variable is a string: write lists and tables as JSON in quotes";
            return cx.note(Problem::error(&node.place, message).help(help));
        }
    };
    if node.name.len() + value.len() + 1 > limits::ARGUMENT {
        let help = "put it into a file, and its path into the variable";
        let message = format!("`{}` is longer than the kernel takes", node.name);
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    Some(value)
}

/// Whether systemd carries the name, and nobody else needs it.
fn valid_name(cx: &mut Reading<'_>, name: &str, at: &Place) -> Option<()> {
    let start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.as_bytes().first().is_some_and(start) || !name.bytes().all(rest) {
        let message = if name.is_empty() {
            "a variable has no name".to_owned()
        } else {
            format!("`{}` is not a valid name of an environment variable", visible(name))
        };
        let help = "use letters, digits and `_`, and no digit first";
        return cx.note(Problem::error(at, message).help(help));
    }
    if is_reserved(name) {
        let message = format!("`{name}` is set for every instance by itself");
        let help = "remove it; no program needs another value";
        return cx.note(Problem::error(at, message).help(help));
    }
    Some(())
}

/// Whether an instance gets the variable from the manager or the handover.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with("CLUSTERCTL_")
}

/// `port` is PM2's way to set `PORT`.
fn port(cx: &mut Reading<'_>, fields: &Fields<'_>, variables: &mut Variables) {
    let Some(node) = fields.get("port") else { return };
    let Some(text) = node.text_or_number(cx) else { return };
    if text.parse::<u16>().is_err() {
        // `listeners` reports wrong ports.
        return;
    }
    match variables.get("PORT") {
        Some((value, place)) if *value != text => {
            let problem = Problem::error(&node.place, "`port` and the variable `PORT` differ")
                .help(format!("remove one of them, or write `port = {value}`"))
                .related(place.span.clone(), "the variable");
            cx.problems.push(problem);
        }
        _ => {
            variables.insert("PORT".to_owned(), (text, node.place));
        }
    }
}

/// What depends on the program and its listeners.
pub(super) fn of_program(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    env: &mut Environment,
    kind: Option<&ProgramKind>,
    listeners: &[(Listener, Place)],
) {
    source_maps(cx, fields, env, kind);
    counted_port(cx, fields, env, listeners);
}

/// `source_map_support`, which only Node understands: one more of its options.
fn source_maps(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    env: &mut Environment,
    kind: Option<&ProgramKind>,
) {
    let (true, Some(entry)) =
        (fields.flag(cx, "source_map_support", false), fields.entry("source_map_support"))
    else {
        return;
    };
    if kind.is_some_and(|kind| !kind.node) {
        let message = "`source_map_support` does nothing here: only Node reads source maps";
        cx.problems.push(Problem::warning(&entry.at, message).help("remove it"));
        return;
    }
    let options = env.variables.entry("NODE_OPTIONS".to_owned()).or_default();
    if !options.split_whitespace().any(|option| option == SOURCE_MAPS) {
        *options = format!("{options} {SOURCE_MAPS}").trim_start().to_owned();
    }
}

/// A port that differs from instance to instance, and a listener that they share, contradict each
/// other.
fn counted_port(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    env: &Environment,
    listeners: &[(Listener, Place)],
) {
    let Some((node, (name, first))) = fields.get("increment_var").zip(env.increment_var.as_ref())
    else {
        return;
    };
    let Some((listener, at)) = listeners.first() else { return };
    let same = listeners.iter().any(|(l, _)| l.asked().port().map(i64::from) == Some(*first));
    if name != "PORT" && !same {
        return;
    }
    let message = format!(
        "each instance would listen on a `{name}` of its own, not on `{}`",
        listener.address
    );
    let help = format!(
        "remove `increment_var`: all instances share the listener; or remove `listen` and `port` \
         and write `env = {{ {name} = {first} }}`, and each has its own"
    );
    let problem = Problem::error(&node.place, message).help(help);
    cx.problems.push(problem.related(at.span.clone(), "the shared listener"));
}

fn instance_var(cx: &mut Reading<'_>, fields: &Fields<'_>, variables: &Variables) -> String {
    let read = fields.get("instance_var").and_then(|node| {
        let name = node.text(cx)?;
        valid_name(cx, &name, &node.place).map(|()| name)
    });
    let name = read.unwrap_or_else(|| INSTANCE_VAR.to_owned());
    if let Some((_, at)) = variables.get(&name) {
        let problem = Problem::error(at, format!("`{name}` holds the instance number"))
            .help("remove it, or give the number another name with `instance_var`");
        cx.problems.push(problem);
    }
    name
}

fn increment_var(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    variables: &Variables,
    instance_var: &str,
) -> Option<(String, i64)> {
    let node = fields.get("increment_var")?;
    let name = node.text(cx)?;
    valid_name(cx, &name, &node.place)?;
    if name == instance_var {
        let message = format!("`{name}` holds the instance number already");
        return cx.note(Problem::error(&node.place, message).help("remove `increment_var`"));
    }
    let Some((value, at)) = variables.get(&name) else {
        let message = format!("`{name}` has no first value");
        let help = format!("write it into `env`: `env = {{ {name} = 9100 }}`");
        return cx.note(Problem::error(&node.place, message).help(help));
    };
    // Room for every instance, so that no sum can overflow.
    match value.parse::<i64>() {
        Ok(first) if first.unsigned_abs() <= 1 << 60 => Some((name, first)),
        _ => {
            let message = format!("`{name}` must be a whole number to grow by one per instance");
            let problem = Problem::error(at, message)
                .help(format!("write a number, such as `{name} = 9100`"))
                .related(node.place.span.clone(), "grows because of this");
            cx.note(problem)
        }
    }
}
