//! A Node app that PM2 runs as a cluster: its processes share the port that the program asks for,
//! which no key of PM2's names.
//!
//! A Node app with several instances and a `PORT` gets that listener. PM2's files do not name it,
//! and without it the instances would fight for the port. `exec_mode = "fork"` and `listen = []`
//! keep an app from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::ecosystem::model::address::{ListenAddress, Protocol};
use crate::ecosystem::model::app::{Listener, Remark};
use crate::ecosystem::model::name::ListenerName;
use crate::ecosystem::program::command::ResolvedCommand;
use crate::ecosystem::program::elf;
use crate::ecosystem::program::kind::ProgramKind;
use crate::ecosystem::read::dotenv;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::Reading;
use crate::ecosystem::read::problem::{Place, Problem};
use crate::ecosystem::starter;

/// What is known of the app when its listeners are decided.
pub(super) struct ClusterFacts<'a> {
    pub ran: Option<&'a ResolvedCommand>,
    pub kind: Option<&'a ProgramKind>,
    pub env: &'a BTreeMap<String, String>,
    /// Files of variables; later ones win, over `env` too.
    pub env_files: &'a [PathBuf],
    /// The variable that differs from instance to instance.
    pub counted: Option<&'a str>,
    pub count: u32,
    pub cwd: Option<&'a Path>,
}

/// The listener that an app without `listen` has because its processes share a port, and a remark
/// that says so.
pub(super) fn listener(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    known: &ClusterFacts<'_>,
) -> Option<((Listener, Place), Remark)> {
    let mode = fields.exec_mode.as_ref().and_then(|entry| entry.node.value.as_str());
    let cluster = mode.is_some_and(|mode| mode.starts_with("cluster"));
    let fork = mode.is_some_and(|mode| mode.starts_with("fork"));
    let decided = fields.entry("listen").is_some() || fields.entry("port").is_some();
    let node = known.kind.is_some_and(|kind| kind.node);
    let shares = node && !fork && (cluster || known.count > 1);
    let port = port(cx, known).filter(|_| shares && !decided);
    let Some(port) = port else {
        exec_mode(cx, fields, known, cluster && node && !decided);
        return None;
    };
    let text = format!("[::]:{port}");
    let socket = text.parse().ok()?;
    let address = ListenAddress::inet(Protocol::Stream, socket);
    let name = ListenerName::parse(&port.to_string()).ok()?;
    let at = fields.exec_mode.as_ref().map_or_else(|| fields.place.clone(), |e| e.at.clone());
    Some(((Listener { name, address, bind: None }, at), Remark::PortShared(port)))
}

/// `PORT` as the program will see it.
fn port(cx: &Reading<'_>, known: &ClusterFacts<'_>) -> Option<u16> {
    if known.counted == Some("PORT") {
        return None;
    }
    let in_file = |path: &PathBuf| {
        let head = cx.host.head(path, elf::HEAD)?;
        dotenv::value_of(&String::from_utf8_lossy(&head), "PORT")
    };
    let file = known.env_files.iter().rev().find_map(in_file);
    let value = file.or_else(|| known.env.get("PORT").cloned())?;
    value.parse().ok().filter(|port| *port > 0)
}

/// Warns of `exec_mode`: with a listener the key is needless, without one the listener is missing.
fn exec_mode(cx: &mut Reading<'_>, fields: &Fields<'_>, known: &ClusterFacts<'_>, unshared: bool) {
    let Some(entry) = &fields.exec_mode else { return };
    if !unshared {
        let message =
            format!("`{}` is not needed: every app with a listener is a cluster", entry.key);
        let help = "remove it; `instances` alone says how many there are";
        cx.problems.push(Problem::warning(&entry.at, message).help(help));
        return;
    }
    let message = format!("`{}` shares a port, and nothing says which", entry.key);
    let help = match port_in_source(cx, known) {
        Some(port) => format!("write `listen = {port}`, the port in the source"),
        None => {
            "write `listen = 3000` with the port that the program listens on; for a worker that \
                 listens on nothing remove it"
                .to_owned()
        }
    };
    cx.problems.push(Problem::warning(&entry.at, message).help(help));
}

fn port_in_source(cx: &Reading<'_>, known: &ClusterFacts<'_>) -> Option<u16> {
    let ends = [".js", ".cjs", ".mjs", ".ts", ".mts", ".cts"];
    let args = &known.ran?.command.args;
    let script = args.iter().find(|arg| ends.iter().any(|end| arg.ends_with(end)))?;
    let path = known.cwd.unwrap_or(Path::new("/")).join(script);
    let head = cx.host.head(&path, elf::HEAD)?;
    starter::port_in(&String::from_utf8_lossy(&head))
}
