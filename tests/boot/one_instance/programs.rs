//! Which programs are tried, and where they come from. Measures nothing itself.
//!
//! `ALONE` names programs to try, with `;` between them, and `CATALOGUE` those of npm and PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Tried;
use crate::catalogue::{NPM, PYPI, Program, Registry};
use crate::npm;
use crate::servers::fixture;
use crate::support::{Machine, Root, machine, made, skip};
use crate::trace::built;

/// Whether this program is to be tried.
fn wanted(name: &str) -> bool {
    std::env::var("ALONE").map_or(true, |names| names.split(';').any(|one| one == name))
}

fn tried(m: &Machine, name: &str, fixture_of: &str, change: impl Fn(String) -> String) {
    m.copy(&fixture(fixture_of), &format!("/srv/{fixture_of}"));
    let text = fs::read_to_string(fixture(fixture_of).join("ecosystem.toml")).unwrap();
    let file = format!("/srv/{fixture_of}/ecosystem.toml");
    eprintln!("{name}");
    Tried { m, name, file, text: change(text), path: "/".to_owned(), is_static: false }.measured();
}

/// The fixtures of servers, and the program that each needs.
const SERVERS: [(&str, &str); 13] = [
    ("node", "node"),
    ("python", "python3"),
    ("gunicorn", "gunicorn"),
    ("uvicorn", "uvicorn"),
    ("puma", "puma"),
    ("nginx", "nginx"),
    ("php", "php"),
    ("perl", "perl"),
    ("java", "java"),
    ("lighttpd", "lighttpd"),
    ("uwsgi", "uwsgi"),
    ("apache", "apache2"),
    ("haproxy", "haproxy"),
];

fn of_the_system(m: &Machine) {
    for (name, program) in SERVERS.into_iter().filter(|(name, _)| wanted(name)) {
        if m.sh(&format!("command -v {program}")).code == 0 {
            tried(m, name, name, |text| text);
        } else {
            skip::record(&format!("{name} is missing (make deps installs it)"));
        }
    }
}

/// Programs on crates, compiled with the versions of this tree.
fn of_crates() -> Result<PathBuf, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let files =
        ["tokio/Cargo.toml", "tokio/tokio.rs", "mio/mio.rs"].map(|file| fixture("").join(file));
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let dir = skip::target_dir().join("tmp").join(made::name("crates", &text));
    made::once(&dir, |part| {
        for file in ["tokio", "mio"] {
            fs::create_dir_all(part.join(file)).unwrap();
        }
        for (file, to) in files.iter().zip(["tokio/Cargo.toml", "tokio/tokio.rs", "mio/mio.rs"]) {
            fs::copy(file, part.join(to)).unwrap();
        }
        fs::copy(root.join("Cargo.lock"), part.join("tokio/Cargo.lock")).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--offline", "--target-dir"]).arg(part.join("target"));
        let output = cargo.current_dir(part.join("tokio")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(format!("tokio cannot be built: {said}"))
    })?;
    Ok(dir.join("target/debug"))
}

fn compiled(m: &Machine) {
    for name in ["tokio", "mio"].into_iter().filter(|name| wanted(name)) {
        match of_crates() {
            Ok(dir) => {
                m.copy(&dir.join(name), &format!("/srv/{name}/shop"));
                tried(m, name, name, |text| text);
            }
            Err(reason) => skip::record(&reason),
        }
    }
    let rustc = "rustc --edition 2024 -C target-feature=+crt-static";
    for (name, compiler, source) in [
        ("go", "go build", "go/shop.go"),
        ("go-static", "go build", "go-static/shop.go"),
        ("rust", rustc, "rust/shop.rs"),
    ] {
        if wanted(name) && skip::has(compiler.split(' ').next().unwrap()) {
            let program = built(&format!("alone-{name}"), compiler, &fixture(source));
            m.copy(&program, &format!("/srv/{name}/shop"));
            tried(m, name, name, |text| text);
        }
    }
}

/// The fixtures of servers on packages of npm.
const FRAMEWORKS: [&str; 6] = ["express", "fastify", "koa", "nest", "socket.io", "ws"];

/// Runtimes of registries, and frameworks.
fn of_registries(m: &Machine) {
    let mut frameworks = FRAMEWORKS.into_iter().filter(|name| wanted(name)).peekable();
    if frameworks.peek().is_some() && npm::install(m) {
        frameworks.for_each(|name| tried(m, name, name, |text| text));
    }
    for (name, _) in npm::RUNTIMES.into_iter().filter(|(name, _)| wanted(name)) {
        if npm::install_runtime(m, name) {
            tried(m, name, name, |text| text);
        }
    }
    if wanted("node 24")
        && let Some(node) = npm::node(m, "24")
    {
        let change =
            |text: String| text.replacen("name =", &format!("interpreter = '{node}'\nname ="), 1);
        tried(m, "node 24", "node", change);
    }
    if wanted("uvicorn, uvloop") {
        let list = fixture("../matrix/requirements.txt");
        match made::from_pip(&list) {
            Ok(packages) => {
                m.copy(&packages, "/srv/packages");
                let command = "\"/srv/packages/bin/uvicorn\", \"--loop\", \"uvloop\"";
                let env = "env.PYTHONPATH = '/srv/packages'\nname =";
                tried(m, "uvicorn, uvloop", "uvicorn", |text| {
                    text.replace("\"uvicorn\"", command).replacen("name =", env, 1)
                });
            }
            Err(reason) => skip::record(&reason),
        }
    }
}

/// A program of the catalogue.
fn of_catalogue(registry: &Registry, m: &Machine, name: &str, program: &Program) {
    let (file, text) = registry.file(name, program);
    let (path, is_static) = (program.path.clone(), program.r#static);
    eprintln!("{name}");
    Tried { m, name, file, text, path, is_static }.measured();
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn programs_of_npm() {
    NPM.each(|m, name, program| of_catalogue(&NPM, m, name, program));
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn programs_of_pypi() {
    PYPI.each(|m, name, program| of_catalogue(&PYPI, m, name, program));
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn programs_of_the_system() {
    if let Some(m) = machine(Root::Host) {
        of_the_system(&m);
    }
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn programs_of_the_system_on_trixie() {
    if let Some(m) = machine(Root::Trixie) {
        of_the_system(&m);
    }
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn compiled_programs() {
    if let Some(m) = machine(Root::Host) {
        compiled(&m);
    }
}

#[test]
#[ignore = "takes minutes: make check-long"]
fn programs_of_registries() {
    if let Some(m) = machine(Root::Host) {
        of_registries(&m);
    }
}
