//! The releases of Node that are supported, each under a name that is not `node`: programs lose nothing, whatever they do
//! when they get their signal.

use std::path::Path;

use crate::booted_long;
use crate::npm;
use crate::support::{Machine, Root, load::Load, machine, skip};

/// Whose handlers do what to connections: see `fixtures/handlers/app.js`.
const KINDS: [&str; 11] = [
    "none",
    "exit",
    "later",
    "close",
    "fastify",
    "hapi",
    "micro",
    "stoppable",
    "terminator",
    "terminus",
    "http-server",
];

fn app(name: &str, node: &str, instances: u32) -> String {
    let run = if name == "http-server" {
        let script = "../node_modules/http-server/bin/http-server";
        format!("command = ['{node}', '{script}', 'public', '-p', '3000', '-c-1']\nlisten = 3000")
    } else {
        format!("script = 'app.js'\ninterpreter = '{node}'\nlisten = 3000")
    };
    let rollout = "rollout = { max_surge = '100%' }";
    format!(
        "[[apps]]\nname = 'shop'\n{run}\ninstances = {instances}\nkill_timeout = '15s'\n\
         env = {{ KIND = '{name}' }}\n{rollout}\n"
    )
}

fn install(m: &Machine, text: &str) {
    m.write("/srv/handlers/ecosystem.toml", text);
    m.ok(["clusterctl", "apply", "/srv/handlers/ecosystem.toml"]);
}

fn copy(m: &Machine) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/handlers");
    m.copy(&fixtures, "/srv/handlers");
}

fn load(path: &str, per_second: f64) -> Load {
    let load = Load::http("127.0.0.1:3000").path(path);
    load.new_connections(per_second).keep_alive(per_second).expect("instance ")
}

/// Every request that comes during two reloads is answered, those that take 2 s included.
fn reloads(m: &Machine, what: &str, per_second: f64) {
    let mut runs =
        [load("/", per_second), load("/slow", per_second / 5.0)].map(|load| m.load(load));
    runs.iter_mut().for_each(crate::support::load::Run::wait_flowing);
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "reload", "shop"]);
    for run in runs {
        let report = run.stop();
        assert!(report.failed() == 0, "{what}: {report:#?}\n{}", m.journal("shop@*"));
    }
    let journal = m.journal("shop@*");
    assert!(!journal.contains("SIGKILL") && !journal.contains("timed out"), "{what}: {journal}");
}

/// The handlers of programs and of packages, one after the other: on one systemd, since it has no part in this.
fn handlers(release: &str) {
    let Some(m) = machine(Root::Host) else { return };
    let Some(node) = npm::node(&m, release).filter(|_| npm::install(&m)) else { return };
    copy(&m);
    for kind in KINDS {
        install(&m, &app(kind, &node, 2));
        reloads(&m, kind, 20.0);
    }
}

#[test]
fn handlers_run_when_nothing_is_under_way_node_22() {
    handlers("22");
}

#[test]
fn handlers_run_when_nothing_is_under_way_node_24() {
    handlers("24");
}

#[test]
fn handlers_run_when_nothing_is_under_way_node_26() {
    handlers("26");
}

/// 200 requests per second, half of them on new connections.
fn under_its_own_name(m: &Machine, release: &str) {
    let Some(node) = npm::node(m, release) else { return };
    copy(m);
    install(m, &app("none", &node, 4));
    let description = m.ok(["clusterctl", "describe", "shop"]);
    assert!(description.contains("drained by: the Node file"), "{description}");
    reloads(m, release, 90.0);
}

booted_long!(node_22_under_another_name_loses_nothing, |m| under_its_own_name(m, "22"));

booted_long!(node_24_under_another_name_loses_nothing, |m| under_its_own_name(m, "24"));

booted_long!(node_26_under_another_name_loses_nothing, |m| under_its_own_name(m, "26"));

/// A configuration with types, of the kind that Node takes out by itself.
const TYPED: &str = "\
import type { Server } from 'node:http';

interface App { name: string; script: string; instances?: number; env?: Record<string, string | number> }
const app = (name: string, port: number): App => ({ name, script: 'server.js', instances: 2, env: { PORT: port } });
export type Of = Server;
export default { apps: [app('typed', 3999)] satisfies App[] };
";

/// What `import` says of a configuration in TypeScript where `node` is this program.
fn imported(node: &Path) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ecosystem.config.ts"), TYPED).unwrap();
    std::fs::write(dir.path().join("server.js"), "").unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(node, bin.join("node")).unwrap();
    let mut import = std::process::Command::new(env!("CARGO_BIN_EXE_clusterctl"));
    import.args(["import", "--no-trial", "--to", "-"]).current_dir(dir.path());
    let output = import.env("PATH", &bin).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_configuration_in_typescript_is_read_by_a_node_that_knows_types() {
    let dir = match npm::locked("nodes") {
        Ok(dir) => dir,
        Err(reason) => return skip::record(&reason),
    };
    for release in ["22", "24", "26"] {
        let node = dir.join(format!("node_modules/node-{release}/bin/node"));
        let (good, said) = imported(&node);
        assert!(good, "node {release}: {said}");
        for line in ["name = \"typed\"", "instances = 2", "listen = 3999"] {
            assert!(said.contains(line), "node {release}: {said}");
        }
    }
}

#[test]
fn an_older_node_is_told_what_reads_types() {
    let version = std::process::Command::new("node").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let release: u32 = version.trim_start_matches('v').split('.').next().unwrap().parse().unwrap();
    if release >= 22 {
        return skip::record("the node of this machine reads types by itself");
    }
    let path = std::env::var_os("PATH").unwrap();
    let node = std::env::split_paths(&path).map(|dir| dir.join("node")).find(|node| node.is_file());
    let (good, said) = imported(&node.unwrap());
    assert!(!good && said.contains("cannot read TypeScript"), "{said}");
    let advice =
        "npm install --save-dev typescript; or take Node 22.18 or newer, which reads it by itself";
    assert!(said.contains(advice), "{said}");
}
