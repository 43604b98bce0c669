//! Programs of npm and PyPI, each as its users start it, one after the other in one machine: a reload of four instances
//! under load loses no request. What the tests see is in the table of `docs/programs.md`.
//!
//! `CATALOGUE` names programs to try alone, with `;` between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::Deserialize;

use crate::npm;
use crate::servers::{NODE_FILE, handover, kill_signal, none_killed};
use crate::shop::pids;
use crate::support::{Machine, Root, load::Load, machine, made, skip, wait_until};
use crate::table::{Row, record};

/// One program, as `fixtures/catalogue` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The package whose version the table shows.
    package: String,
    /// How it is started; without it, by `shop.js`.
    #[serde(default)]
    command: Vec<String>,
    #[serde(default = "root")]
    pub path: String,
    /// Whether all instances answer the same.
    #[serde(default)]
    pub r#static: bool,
    #[serde(default)]
    drained_by: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

/// Where the packages of a registry are in the machine.
pub struct Registry {
    name: &'static str,
    /// Lines of the ecosystem file.
    env: fn(program: &str) -> String,
    /// A shell command that prints the version of `$0`.
    version: &'static str,
    drained_by: &'static str,
    install: fn(&Machine) -> Result<(), String>,
}

pub const NPM: Registry = Registry {
    name: "npm",
    env: |program| {
        format!("PATH = '/srv/node_modules/.bin:/srv/bin:/usr/bin:/bin', KIND = '{program}'")
    },
    version: "echo \"$(node -p \"require('/srv/node_modules/$0/package.json').version\"), \
        node $(/srv/bin/node --version)\"",
    drained_by: NODE_FILE,
    install: install_npm,
};

pub const PYPI: Registry = Registry {
    name: "python",
    env: |program| {
        let kind = program.split([',', ' ']).next().unwrap();
        let path = "PATH = '/srv/python/bin:/usr/bin:/bin', PYTHONPATH = '/srv/python:.'";
        let own = ["blacksheep", "django", "django_ninja", "djangorestframework", "falcon"];
        let more = ["flask_restx", "litestar", "pyramid", "starlette", "strawberry"];
        // The client is written in Python, where kinds of load have underscores in their names.
        let kind = kind.replace('-', "_");
        let any = own.iter().chain(&more).any(|one| *one == kind);
        let kind = if any { format!(", KIND = '{kind}'") } else { String::new() };
        path.to_owned() + &kind
    },
    version: "PYTHONPATH=/srv/python python3 -c \"import platform, sys; \
        from importlib.metadata import version; \
        print(sys.argv[1], version(sys.argv[1]) + ', Python', platform.python_version())\" $0",
    drained_by: crate::servers::ITSELF,
    install: install_pypi,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/catalogue")
}

impl Registry {
    fn programs(&self) -> BTreeMap<String, Program> {
        let text = fs::read_to_string(fixtures().join(self.name).with_extension("toml")).unwrap();
        let mut all: BTreeMap<String, Program> = toml::from_str(&text).unwrap();
        if let Ok(wanted) = std::env::var("CATALOGUE") {
            all.retain(|name, _| wanted.split(';').any(|one| one == name));
        }
        all
    }

    /// Tries every program of the catalogue in one machine, and fails with the list of those that failed.
    pub fn each(&self, tried: impl Fn(&Machine, &str, &Program)) {
        let Some(m) = machine(Root::Host) else { return };
        if let Err(reason) = (self.install)(&m) {
            return skip::record(&reason);
        }
        let mut failed = Vec::new();
        for (name, program) in self.programs() {
            if catch_unwind(AssertUnwindSafe(|| tried(&m, &name, &program))).is_err() {
                eprintln!("{name}: {}", m.journal("shop@*"));
                failed.push(name);
            }
            m.run(["clusterctl", "delete", "shop"]);
            m.ok(["journalctl", "--rotate", "--vacuum-time=1s"]);
        }
        assert!(failed.is_empty(), "{failed:?}");
    }

    /// The ecosystem file of a program: where it is, and what it says.
    pub fn file(&self, name: &str, program: &Program) -> (String, String) {
        let command = match &program.command[..] {
            [] => vec!["node".to_owned(), "shop.js".to_owned()],
            given => given.to_vec(),
        };
        let env = (self.env)(name);
        let text = format!(
            "[[apps]]\nname = 'shop'\ncommand = {command:?}\ninstances = 4\nlisten = 8000\n\
             env = {{ {env} }}\n"
        );
        (format!("/srv/catalogue/{}/ecosystem.toml", self.name), text)
    }

    fn reload(&self, m: &Machine, name: &str, program: &Program) {
        let (place, text) = self.file(name, program);
        m.write(&place, text);
        m.ok(["clusterctl", "apply", &place]);
        let before = (answering(m, program), pids(m, 4));
        let mut run = m.load(program.load());
        run.wait_flowing();
        m.ok(["clusterctl", "reload", "shop"]);
        let report = run.stop();
        report.assert_none_failed();
        let after = (answering(m, program), pids(m, 4));
        assert!(program.r#static || before.0.is_disjoint(&after.0), "{before:?} {after:?}");
        assert!(before.1.iter().all(|pid| !after.1.contains(pid)), "{before:?} {after:?}");
        none_killed(m);
        let drained_by = program.drained_by.as_deref().unwrap_or(self.drained_by);
        record(&Row {
            program: name.to_owned(),
            handover: handover(m),
            drained_by: format!("{drained_by}, {}", kill_signal(m)),
            version: m.ok(["sh", "-c", self.version, &program.package]),
            systemd: m.ok_sh("systemctl --version | awk 'NR == 1 { print $2 }'"),
            failed: report.failed(),
            requests: report.ok(),
        });
    }
}

impl Program {
    fn load(&self) -> Load {
        let load = Load::http("127.0.0.1:8000").path(&self.path);
        let load = load.new_connections(40.0).keep_alive(40.0);
        load.expect("instance ").instance_after("instance ")
    }
}

/// Who answered, until all have.
fn answering(m: &Machine, program: &Program) -> BTreeSet<String> {
    let wanted = if program.r#static { 1 } else { 4 };
    let mut seen = BTreeSet::new();
    wait_until("all instances answer", Duration::from_secs(30), || {
        let report = m.load(program.load().for_seconds(0.5)).finish();
        report.assert_none_failed();
        seen.extend(report.instances().into_keys());
        seen.len() >= wanted
    });
    seen
}

/// What has to be built before it is started, with the packages of npm beside it.
fn built(packages: &Path) -> Result<PathBuf, String> {
    let sources = ["npm/next/pages/api/who.js", "npm/nitro/routes/index.js"];
    let sources = sources.map(|file| fs::read_to_string(fixtures().join(file)).unwrap()).concat();
    let from = format!("{} {sources}", packages.display());
    let dir = skip::target_dir().join("tmp").join(made::name("built", &from));
    made::once(&dir, |part| {
        let build = "cp -a \"$0\" \"$1\" && cd \"$1\" && ln -s \"$2/node_modules\" . && \
            (cd next && ../node_modules/.bin/next build --webpack) && \
            (cd nitro && ../node_modules/.bin/nitro build) && rm node_modules";
        let mut command = Command::new("sh");
        command.args(["-ec", build]).arg(fixtures().join("npm")).arg(part).arg(packages);
        let output = command.env("NEXT_TELEMETRY_DISABLED", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output
            .status
            .success()
            .then_some(())
            .ok_or(format!("next or nitro cannot be built: {said}"))
    })?;
    Ok(dir)
}

fn install_npm(m: &Machine) -> Result<(), String> {
    let packages = npm::locked("catalogue/npm")?;
    m.copy(&packages.join("node_modules"), "/srv/node_modules");
    m.copy(&fixtures().join("npm"), "/srv/catalogue/npm");
    for directory in ["next", "nitro"] {
        m.copy(&built(&packages)?.join(directory), &format!("/srv/catalogue/npm/{directory}"));
    }
    let node = npm::locked("nodes")?.join("node_modules/node-24/bin/node");
    m.copy(&node, "/srv/bin/node");
    Ok(())
}

fn install_pypi(m: &Machine) -> Result<(), String> {
    m.copy(&made::from_pip(&fixtures().join("python/requirements.txt"))?, "/srv/python");
    m.copy(&fixtures().join("python"), "/srv/catalogue/python");
    Ok(())
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn catalogue_of_npm() {
    NPM.each(|m, name, program| NPM.reload(m, name, program));
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn catalogue_of_pypi() {
    PYPI.each(|m, name, program| PYPI.reload(m, name, program));
}
