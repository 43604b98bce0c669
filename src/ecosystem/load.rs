//! From the text of a file to an [`Ecosystem`], or every problem at once: what callers of this module use.
//! It opens no file.

use std::collections::BTreeSet;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::model::app::Ecosystem;
use super::model::deploy::Deploy;
use super::model::fleet::{Fleet, FleetFile};
use super::model::host::Host;
use super::read::fields::Fields;
use super::read::node::{self, KeyValue, Node, Reading};
use super::read::problem::{Place, Problem, Problems, Severity, visible};
use super::read::{keys, suggest, syntax};
use super::resolve::taken::{self, Claim};
use super::resolve::{self, Resolved, conflicts, fleet};

/// A file that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub ecosystem: Ecosystem,
    /// The machines that it names.
    pub fleet: Fleet,
    /// Warnings for the author of the file.
    pub warnings: Problems,
}

/// Reads an ecosystem file.
///
/// `source` is the file's absolute path, `None` for standard input; `base` is the absolute folder
/// that relative paths start from; `env_name` selects the `env_NAME` tables.
///
/// # Errors
/// All problems of the file, warnings among them, sorted by place.
pub fn load(
    text: &str,
    source: Option<&Path>,
    base: &Path,
    env_name: Option<&str>,
    host: &dyn Host,
) -> Result<Loaded, Problems> {
    let shown_as = source.and_then(Path::file_name).map(|name| name.to_string_lossy());
    let shown_as = shown_as.as_deref().unwrap_or("<stdin>");
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut cx = Reading { host, base, env_name, path: None, problems: Vec::new() };
    let tables = tables(&mut cx, document.get_ref());
    let apps = apps(&mut cx, &tables.apps);
    conflicts::check(&mut cx, &apps, source);
    let claims: Vec<Claim<'_>> = apps.iter().map(Resolved::claim).collect();
    taken::refuse(&mut cx, &claims, source, tables.deploy.as_ref());
    let names: Vec<_> = apps.iter().map(|app| app.name.clone()).collect();
    let fleet = fleet::fleet(&mut cx, tables.hosts.as_ref(), tables.fleet.as_ref(), &names);
    let problems = checked(text, shown_as, &errors, cx.problems)?;
    let apps = apps.into_iter().filter_map(|app| app.app).map(|app| (app.name.clone(), app));
    let ecosystem = Ecosystem { source: source.map(Path::to_path_buf), apps: apps.collect() };
    Ok(Loaded { ecosystem, fleet, warnings: problems })
}

/// Reads what a file says about a fleet, and what its apps are called, and nothing else: the rest depends on
/// the machine, and is told by each of the hosts.
///
/// # Errors
/// All problems of the text and of these tables.
pub fn fleet_file(
    text: &str,
    shown_as: &str,
    base: &Path,
    env_name: Option<&str>,
    host: &dyn Host,
) -> Result<FleetFile, Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut cx = Reading { host, base, env_name, path: None, problems: Vec::new() };
    let tables = tables(&mut cx, document.get_ref());
    let apps: Vec<_> =
        tables.apps.iter().map(|fields| resolve::app_name(&mut cx, fields)).collect();
    // What is wrong with the apps is told by the hosts, for which it may not be wrong at all.
    cx.problems.clear();
    let fleet = fleet::fleet(&mut cx, tables.hosts.as_ref(), tables.fleet.as_ref(), &apps);
    checked(text, shown_as, &errors, cx.problems)?;
    Ok(FleetFile { fleet, apps })
}

/// All problems, if none of them keeps the file from being used.
fn checked(
    text: &str,
    shown_as: &str,
    errors: &[toml::de::Error],
    mut problems: Vec<Problem>,
) -> Result<Problems, Problems> {
    if !errors.is_empty() {
        problems = with_syntax_errors(text, errors, problems);
    }
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    let problems = Problems::new(text, shown_as, problems);
    if failed { Err(problems) } else { Ok(problems) }
}

/// What the table `[deploy]` of a file says, before there is a release in which its apps could be looked for; `None`
/// where there is none.
///
/// # Errors
/// Problems of the text, of keys and of the table, and apps that are those of another project; other problems of apps are
/// left to [`load`].
pub fn deploy(
    text: &str,
    source: Option<&Path>,
    host: &dyn Host,
) -> Result<Option<Deploy>, Problems> {
    let shown_as = source.and_then(Path::file_name).map(|name| name.to_string_lossy());
    let shown_as = shown_as.as_deref().unwrap_or("<stdin>");
    let (document, errors) = DeTable::parse_recoverable(text);
    let base = Path::new("/");
    let mut cx = Reading { host, base, env_name: None, path: None, problems: Vec::new() };
    let tables = tables(&mut cx, document.get_ref());
    refuse_taken(&mut cx, &tables, source);
    let mut problems = cx.problems;
    if !errors.is_empty() {
        problems = with_syntax_errors(text, &errors, problems);
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Problems::new(text, shown_as, problems));
    }
    Ok(tables.deploy)
}

/// Refuses apps of another project before a release is made for them. A name that is not written may follow from the
/// release, and one with a profile at its end follows from that: such an app is refused when there is a release.
fn refuse_taken(cx: &mut Reading<'_>, tables: &Tables<'_>, source: Option<&Path>) {
    let Some(deploy) = &tables.deploy else { return };
    let mut claims = Vec::new();
    let fixed = |fields: &&Fields<'_>| {
        fields.get("name").is_some() && fields.get("append_env_to_name").is_none()
    };
    for fields in tables.apps.iter().filter(fixed) {
        // What is wrong with it is noted where the apps are resolved.
        let mut silent = Reading { problems: Vec::new(), path: None, ..*cx };
        let name = resolve::app_name(&mut silent, fields);
        claims.push(Claim { name, named: true, at: &fields.place });
    }
    // The path by which the file will be known: that of the release, unless another one is named.
    let own = deploy.path.join("current").join(source.unwrap_or(Path::new("")));
    taken::refuse(cx, &claims, Some(&own), Some(deploy));
}

/// Errors of the text itself, and of the others those that do not follow from them: what is said to
/// be missing may be on the broken line, and so may be a value.
fn with_syntax_errors(text: &str, errors: &[toml::de::Error], found: Vec<Problem>) -> Vec<Problem> {
    let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |byte: usize| starts.partition_point(|start| *start < byte);
    let mut problems = syntax::problems(text, errors, line);
    let broken: BTreeSet<usize> = problems.iter().map(|problem| line(problem.span.start)).collect();
    let independent = |p: &Problem| !p.absence && !broken.contains(&line(p.span.start));
    problems.extend(found.into_iter().filter(independent));
    problems
}

/// The tables of a file, the apps and the fleet not yet resolved.
struct Tables<'a> {
    apps: Vec<Fields<'a>>,
    deploy: Option<Deploy>,
    hosts: Option<KeyValue<'a>>,
    fleet: Option<KeyValue<'a>>,
}

fn tables<'a>(cx: &mut Reading<'_>, document: &'a DeTable<'a>) -> Tables<'a> {
    let (mut apps, mut deploy, mut hosts, mut fleet) = (None, None, None, None);
    for entry in node::entries(document, "", "") {
        match entry.key {
            "apps" => apps = Some(list(cx, &entry)),
            "deploy" => deploy = Some(entry),
            "hosts" => hosts = Some(entry),
            "fleet" => fleet = Some(entry),
            _ => cx.problems.push(unknown_top_level(&entry)),
        }
    }
    let read = apps.is_some();
    let apps = apps.unwrap_or_default();
    let others = |key: &str| key == "hosts" || key == "fleet";
    if !read && document.keys().all(|key| others(key.get_ref())) {
        let problem = Problem::absent(&Place::default(), "there is no app in this file")
            .help("begin one with `[[apps]]`, and `script = \"server.js\"` below it");
        cx.problems.push(problem);
    }
    let deploy = deploy.and_then(|entry| resolve::deploy::deploy(cx, &entry, &apps));
    Tables { apps, deploy, hosts, fleet }
}

fn apps(cx: &mut Reading<'_>, apps: &[Fields<'_>]) -> Vec<Resolved> {
    check_env_name(cx, apps);
    apps.iter().map(|fields| resolve::app(cx, fields)).collect()
}

fn list<'a>(cx: &mut Reading<'_>, entry: &KeyValue<'a>) -> Vec<Fields<'a>> {
    let DeValue::Array(items) = entry.node.value else {
        cx.problems.push(no_tables(&entry.at));
        return Vec::new();
    };
    let mut apps = Vec::new();
    for (nr, item) in items.iter().enumerate() {
        let Node { value, place, .. } = entry.node.child(item, &format!("[{nr}]"));
        if let DeValue::Table(table) = value {
            let entries = node::entries(table, &place.path, "");
            apps.push(Fields::read(cx, place, entries, keys::keys(), true));
        } else {
            cx.problems.push(no_tables(&place));
        }
    }
    apps
}

fn no_tables(at: &Place) -> Problem {
    Problem::error(at, "`apps` is a list of tables")
        .help("write `[[apps]]` with two brackets above each app, and its name as `name`")
}

fn unknown_top_level(entry: &KeyValue<'_>) -> Problem {
    let message = format!("unknown key `{}` outside of an app", visible(entry.key));
    let problem = Problem::error(&entry.at, message);
    if entry.key == "host" {
        return problem.help("write `[[hosts]]` above each host");
    }
    if matches!(entry.key, "app" | "pm2")
        || suggest::nearest(entry.key, ["apps"].into_iter()).is_some()
    {
        return problem.help("write `[[apps]]` above each app");
    }
    if keys::find(keys::keys(), entry.key).is_some() {
        return problem.help(format!("put `[[apps]]` above it: `{}` belongs to an app", entry.key));
    }
    problem
        .help("remove it: the file consists of `[[apps]]`, `[deploy]`, `[[hosts]]` and `[fleet]`")
}

/// `--env NAME` must mean something to at least one app.
fn check_env_name(cx: &mut Reading<'_>, apps: &[Fields<'_>]) {
    let Some(wanted) = cx.env_name else { return };
    let names = apps.iter().flat_map(|app| &app.environments);
    let mut names: Vec<&str> = names.filter_map(|entry| entry.key.strip_prefix("env_")).collect();
    names.sort_unstable();
    names.dedup();
    if names.contains(&wanted) {
        return;
    }
    let help = match suggest::nearest(wanted, names.iter().copied()) {
        Some(near) => format!("did you mean `--env {near}`?"),
        None if names.is_empty() => format!("add a table `env_{wanted}` to an app"),
        None => {
            format!("known are {}", suggest::list(names.iter().map(|name| format!("`{name}`"))))
        }
    };
    let place = apps.first().map(|app| app.place.clone()).unwrap_or_default();
    let message = format!("no app has `env_{}`, which `--env` asks for", visible(wanted));
    cx.problems.push(Problem::absent(&place, message).help(help));
}
