//! `[[hosts]]` and `[fleet]`: which machines there are, and how a command goes over them. They change
//! nothing about the apps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::ecosystem::model::app::Share;
use crate::ecosystem::model::fleet::{Fleet, FleetHost};
use crate::ecosystem::model::name::AppName;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::fleet_keys::{fleet_keys, host_keys};
use crate::ecosystem::read::node::{KeyValue, Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem, visible};
use crate::ecosystem::read::suggest;
use crate::limits;

/// Reads both tables. `apps` are the names of the file's apps, as far as they can be told.
pub(in crate::ecosystem) fn fleet(
    cx: &mut Reading<'_>,
    hosts: Option<&KeyValue<'_>>,
    settings: Option<&KeyValue<'_>>,
    apps: &[Option<AppName>],
) -> Fleet {
    let hosts = hosts.map(|entry| self::hosts(cx, entry, apps)).unwrap_or_default();
    let fields = settings.and_then(|entry| {
        let mut node = entry.node.clone();
        node.example = "[fleet]";
        let entries = node.entries(cx, "a table")?;
        Some(Fields::read(cx, entry.at.clone(), entries, fleet_keys(), false))
    });
    let fields = fields.unwrap_or_default();
    let default = Fleet::default();
    let most = i64::from(limits::HOSTS);
    let first = fields.read_with("first", |node| node.number(cx, 0, most));
    Fleet {
        hosts,
        first: first.and_then(|n| u32::try_from(n).ok()).unwrap_or(default.first),
        limit: fields.read_with("limit", |node| limit(cx, node)).unwrap_or(default.limit),
        wait: fields.span_of(cx, "wait", default.wait),
        sudo: fields.flag(cx, "sudo", default.sudo),
        cwd: fields.read_with("cwd", |node| folder(cx, node)),
        before: fields.read_with("before", |node| node.filled(cx)),
        after: fields.read_with("after", |node| node.filled(cx)),
    }
}

fn hosts(cx: &mut Reading<'_>, entry: &KeyValue<'_>, apps: &[Option<AppName>]) -> Vec<FleetHost> {
    let DeValue::Array(items) = entry.node.value else {
        cx.problems.push(no_tables(&entry.at));
        return Vec::new();
    };
    if items.len() > limits::HOSTS as usize {
        let message = format!("{} hosts are more than {}", items.len(), limits::HOSTS);
        let help = "write several files, each with some of them";
        cx.problems.push(Problem::error(&entry.at, message).help(help));
    }
    let mut seen: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let mut hosts = Vec::new();
    for (nr, item) in items.iter().enumerate() {
        let node = entry.node.child(item, &format!("[{nr}]"));
        let DeValue::Table(_) = node.value else {
            cx.problems.push(no_tables(&node.place));
            continue;
        };
        let Some(entries) = node.entries(cx, "a table") else { continue };
        let fields = Fields::read(cx, node.place.clone(), entries, host_keys(), false);
        let apps = fields.get("apps").and_then(|node| of_host(cx, &node, apps));
        let Some(name) = fields.get("name") else {
            if !fields.was_meant("name") {
                let problem = Problem::absent(&fields.place, "this host has no name")
                    .help("write `name = \"web1\"`: what ssh is told");
                cx.problems.push(problem);
            }
            continue;
        };
        let Some(text) = host_name(cx, &name) else { continue };
        if let Some(first) = seen.get(&text) {
            let problem = Problem::error(&name.place, format!("`{text}` is there twice"))
                .help("remove one of them, or join their `apps`")
                .related(first.clone(), "first written here");
            cx.problems.push(problem);
            continue;
        }
        seen.insert(text.clone(), name.place.span.clone());
        hosts.push(FleetHost { name: text, apps });
    }
    hosts
}

fn no_tables(at: &Place) -> Problem {
    Problem::error(at, "`hosts` is a list of tables")
        .help("write `[[hosts]]` with two brackets above each host, and what ssh is told as `name`")
}

/// What is told to ssh as its first word, and stands between commas behind `-H`.
fn host_name(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<String> {
    let text = node.text(cx)?;
    if is_host_name(&text) {
        return Some(text);
    }
    let shown = visible(&text);
    if text == "all" {
        let problem = Problem::error(&node.place, "a host cannot be named `all`")
            .help("`-H all` means every host: give it another name in ~/.ssh/config");
        return cx.note(problem);
    }
    let problem = Problem::error(&node.place, format!("`{shown}` is no name of a host"));
    cx.note(problem.help(
        "write what `ssh` takes, without blanks and commas: a name of ~/.ssh/config can stand for \
         any other",
    ))
}

/// Whether ssh can be told this, and takes it for no option.
pub fn is_host_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"'\"\\$`;&|<>(){}*?!#~,".contains(c);
    !text.is_empty()
        && text != "all"
        && !text.starts_with('-')
        && text.len() <= limits::HOST_NAME
        && text.chars().all(|c| plain(c) || c.is_alphanumeric())
}

fn of_host(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    apps: &[Option<AppName>],
) -> Option<Vec<AppName>> {
    let texts = node.texts(cx)?;
    let known: Vec<&AppName> = apps.iter().flatten().collect();
    let all_known = known.len() == apps.len();
    let mut found = Vec::new();
    for text in texts {
        if let Some(app) = known.iter().find(|app| app.as_str() == text) {
            found.push((*app).clone());
        } else if all_known {
            let message = format!("this file has no app `{}`", visible(&text));
            let help = match suggest::nearest(&text, known.iter().map(|app| app.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "its apps are {}",
                    suggest::list(known.iter().map(|app| format!("`{app}`")))
                ),
            };
            cx.problems.push(Problem::error(&node.place, message).help(help));
        }
    }
    Some(found)
}

fn limit(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Share> {
    let text = node.text_or_number(cx)?;
    let share = text.trim().parse().ok();
    let share = share.filter(|share| !matches!(share, Share::Count(0) | Share::Percent(0)));
    share.or_else(|| {
        node.bad(cx, format!("`{}` is a number from 1, or \"1%\" to \"100%\"", node.name))
    })
}

fn folder(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<PathBuf> {
    let text = node.filled(cx)?;
    let control = text.contains(char::is_control);
    if text.starts_with('/') && !control {
        return Some(PathBuf::from(text));
    }
    let message = format!("`{}` is no absolute path", visible(&text));
    let help = "write the whole path of the folder on the hosts, such as `cwd = \"/srv/api\"`";
    cx.note(Problem::error(&node.place, message).help(help))
}
