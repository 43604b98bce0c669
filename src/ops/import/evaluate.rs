//! Configuration files in JavaScript and TypeScript, evaluated by the calling user's own node, with that user's
//! rights; root evaluates a file of somebody else with the rights of its owner. What comes back is hostile: its size
//! and its time are bounded, it is data alone, and the caller's terminal is out of its reach.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value as Json;

use crate::ecosystem::User;
use crate::host;
use crate::import::{self, Refusal};
use crate::limits;

/// What a file exports.
#[derive(Debug)]
pub(super) struct Evaluated {
    /// The value.
    pub value: Json,
    /// Variables of apps that have the value of the same variable of the caller's shell.
    pub from_shell: BTreeSet<String>,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A module that exports its value.
    Module,
    /// One expression: PM2's JSON.
    Expression,
}

/// The user on whose behalf this process runs: behind `sudo` the one who called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is, if it is somebody else than this process.
    pub other: Option<User>,
    /// The home folder.
    pub home: PathBuf,
}

/// The user on whose behalf this process runs.
pub fn caller() -> Caller {
    let root = rustix::process::geteuid().is_root();
    let sudo = std::env::var("SUDO_UID").ok().filter(|uid| root && uid != "0");
    let other = sudo.and_then(|uid| host::user(&uid));
    let own = || std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from);
    let home = other.as_ref().map_or_else(own, |user| user.home.clone());
    Caller { other, home }
}

/// The user with whose rights a file is evaluated, and its program tried: whoever calls, unless that is root and the
/// file is somebody else's.
pub fn author(path: &Path) -> Caller {
    let caller = caller();
    if caller.other.is_some() || !rustix::process::geteuid().is_root() {
        return caller;
    }
    match host::owner_of(path) {
        Some(owner) => Caller { home: owner.home.clone(), other: Some(owner) },
        None => caller,
    }
}

impl Caller {
    /// A command with the rights of this user, in a session of its own: what can open the terminal of whoever calls
    /// can also type there.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = host::in_own_session(program);
        if let Some(user) = &self.other {
            command.uid(user.uid).gid(user.gid);
            command.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
        }
        // A program that names node in its first line gets the same one.
        if let Some(folder) = program.parent().filter(|folder| folder.is_absolute()) {
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", folder.display()));
        }
        command
    }
}

/// What a file exports.
///
/// # Errors
/// There is no node, the file fails, or what it exports has no end.
pub(super) fn evaluate(path: &Path, form: Form) -> Result<Evaluated, Refusal> {
    let caller = author(path);
    let Some(node) = node(&caller.home) else {
        return Err(Refusal {
            why: "it is JavaScript, and there is no `node` to evaluate it".to_owned(),
            instead: "put node into PATH, or write the file as JSON".to_owned(),
        });
    };
    let mark = format!("clusterctl-{:016x}:", seed());
    let form = if form == Form::Module { "module" } else { "expression" };
    let mut command = caller.command(&node);
    command.arg("--no-warnings").arg("-e").arg(include_str!("evaluate.js"));
    command.arg(path).arg(form).arg(&mark);
    command.current_dir(path.parent().unwrap_or(Path::new("/")));
    let shell = shell_of(&command);
    let (out, err, ended_well) = run(command)?;
    let behind = |text: &str| text.rsplit_once(&mark).map(|(_, rest)| rest.trim().to_owned());
    let Some(text) = behind(&out).filter(|_| ended_well) else {
        let why = behind(&err).or_else(|| err.lines().last().map(str::to_owned));
        let why = why.unwrap_or_else(|| "it ended before it exported anything".to_owned());
        let why = why.lines().next().unwrap_or_default().to_owned();
        let instead = instead(path, &why, &caller);
        return Err(Refusal { why: format!("node cannot evaluate it: {why}"), instead });
    };
    let value = import::json(&text)?;
    let mut from_shell = BTreeSet::new();
    same_as(&value, &shell, &mut from_shell);
    Ok(Evaluated { value, from_shell })
}

/// What to do about a file that node cannot evaluate.
fn instead(path: &Path, why: &str, caller: &Caller) -> String {
    let typed = path.extension().is_some_and(|end| end.to_string_lossy().ends_with("ts"));
    if typed && why.contains("cannot read TypeScript") {
        return "npm install --save-dev typescript; or take Node 22.18 or newer, which reads it by itself"
            .to_owned();
    }
    let line = format!("node -e 'require({:?})'", path.display().to_string());
    match &caller.other {
        Some(user) => {
            format!("it was evaluated as `{}`; see what node says to that user: {line}", user.name)
        }
        None => format!("see what node says: {line}"),
    }
}

/// The variables that a command finds: those of this process, and what it is given besides.
fn shell_of(command: &Command) -> BTreeMap<String, String> {
    let mut shell: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    for (name, value) in command.get_envs() {
        let value = value.and_then(|value| value.to_str());
        if let (Some(name), Some(value)) = (name.to_str(), value) {
            shell.insert(name.to_owned(), value.to_owned());
        }
    }
    shell
}

/// Names of texts anywhere in a value that are those of variables of a shell.
fn same_as(value: &Json, shell: &BTreeMap<String, String>, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(table) => {
            for (name, value) in table {
                let text = value.as_str().filter(|text| !text.is_empty());
                if text.is_some_and(|text| shell.get(name).is_some_and(|own| own == text)) {
                    found.insert(name.clone());
                }
                same_as(value, shell, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| same_as(item, shell, found)),
        _ => {}
    }
}

/// Nothing that a file could guess, so that it does not write the mark itself by accident.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The node of a user: in PATH, else where version managers put the newest one.
pub(super) fn node(home: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("node"));
    let managed = [".volta/bin/node", ".asdf/shims/node", ".local/bin/node", "n/bin/node"];
    let managed = managed.iter().map(|rest| home.join(rest));
    let mut versions: Vec<(Vec<u32>, PathBuf)> = Vec::new();
    for folder in [".nvm/versions/node", ".local/share/fnm/node-versions"] {
        let entries = std::fs::read_dir(home.join(folder)).into_iter().flatten().flatten();
        versions.extend(entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let numbers = name.trim_start_matches('v').split('.').map(|part| part.parse().ok());
            Some((numbers.collect::<Option<Vec<u32>>>()?, entry.path()))
        }));
    }
    versions.sort();
    let newest = versions
        .into_iter()
        .rev()
        .flat_map(|(_, folder)| [folder.join("bin/node"), folder.join("installation/bin/node")]);
    in_path.chain(managed).chain(newest).find(|node| node.is_file())
}

/// Output and error output, bounded, and whether the program ended well.
pub(super) fn run(mut command: Command) -> Result<(String, String, bool), Refusal> {
    let failed = |error: std::io::Error| Refusal {
        why: format!("it cannot be evaluated: {error}"),
        instead: "check that node runs: node --version".to_owned(),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let out = child.stdout.take().map(reader);
    let err = child.stderr.take().map(reader);
    let in_time = host::ends_before(&child, Instant::now() + limits::EVALUATION);
    if !in_time {
        end_group(&child);
    }
    let ended_well = child.wait().map_err(failed)?.success();
    // What it has started itself may hold the pipes.
    end_group(&child);
    let text = |thread: Option<std::thread::JoinHandle<Vec<u8>>>| {
        let bytes = thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (out, err) = (text(out), text(err));
    if !in_time {
        let why = format!("it was not evaluated within {} s", limits::EVALUATION.as_secs());
        let instead = "a configuration exports a value and waits for nothing".to_owned();
        return Err(Refusal { why, instead });
    }
    if out.len() as u64 >= limits::EVALUATED {
        let why = format!("it exports more than {} bytes", limits::EVALUATED);
        return Err(Refusal { why, instead: "name a smaller file".to_owned() });
    }
    Ok((out, err, ended_well))
}

fn reader(pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut pipe = pipe.take(limits::EVALUATED);
        // What was read until then counts.
        let _ = pipe.read_to_end(&mut bytes);
        // The rest is thrown away, so that whoever writes it comes to an end.
        let _ = std::io::copy(&mut pipe.into_inner(), &mut std::io::sink());
        bytes
    })
}

fn end_group(child: &Child) {
    // None of them may be left.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(name: &str, text: &str) -> Result<Evaluated, Refusal> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let form = if name.ends_with("json") { Form::Expression } else { Form::Module };
        evaluate(&path, form)
    }

    #[test]
    fn modules_of_every_kind_are_read() {
        for (name, text) in [
            ("a.config.js", "module.exports = { apps: [1] }"),
            ("a.config.cjs", "console.log('{\"apps\":[2]}'); module.exports = { apps: [1] }"),
            ("a.config.mjs", "export default { apps: [await 1] }"),
            ("a.json", "// PM2 takes comments\n{ apps: [1], }"),
        ] {
            let value = of(name, text).unwrap().value;
            assert_eq!(value, serde_json::json!({ "apps": [1] }), "{name}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_named() {
        let text = "module.exports = { a: undefined, b: () => 1, c: NaN, d: process.env.PATH, \
            e: [/\\.log$/i] }";
        let evaluated = of("a.config.js", text).unwrap().value;
        assert_eq!(evaluated["a"]["$clusterctl"], "undefined");
        assert_eq!(evaluated["b"]["$clusterctl"], "a function");
        assert_eq!(evaluated["c"]["$clusterctl"], "NaN");
        assert!(evaluated["d"].is_string());
        assert_eq!(evaluated["e"][0], "/\\.log$/i");
    }

    #[test]
    fn values_of_the_shell_are_known() {
        let text = "module.exports = { env: { PATH: process.env.PATH, OTHER: process.env.PATH } }";
        let shell = of("a.config.js", text).unwrap().from_shell;
        assert_eq!(shell.into_iter().collect::<Vec<_>>(), ["PATH"]);
    }

    #[test]
    fn a_file_reaches_no_terminal_of_whoever_calls() {
        let text = "module.exports = { apps: [process.pid, \
            require('fs').readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[3]] }";
        let apps = of("a.config.js", text).unwrap().value["apps"].clone();
        assert_eq!(
            apps[0].to_string(),
            apps[1].as_str().unwrap(),
            "its session is its own: {apps}"
        );
    }

    #[test]
    fn a_file_in_typescript_that_node_cannot_read_says_what_reads_it() {
        let text =
            "enum Mode { Cluster = 'cluster' }\nexport default { apps: [Mode.Cluster as string] };";
        // A newer node reads types by itself, and enums still not.
        let refused = of("a.config.ts", text).unwrap_err();
        assert!(refused.instead.starts_with("npm install --save-dev typescript"), "{refused:?}");
    }

    #[test]
    fn a_file_that_fails_says_why() {
        for (text, expected) in [
            ("throw new Error('no \\u001b[31mred\\nlines')", "no"),
            ("module.exports = {", "Unexpected"),
            ("require('nothing-like-this')", "nothing-like-this"),
            ("process.exit(0)", "before it exported"),
            ("const a = {}; a.a = a; module.exports = a", "circular"),
        ] {
            let why = of("a.config.js", text).unwrap_err().why;
            assert!(why.contains(expected), "{text}: {why}");
            assert!(!why.contains('\n'), "{why}");
        }
    }
}
