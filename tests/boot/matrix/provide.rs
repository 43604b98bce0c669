//! Puts a runtime into a machine: made once below `target`, by the ordinary clients of each registry.

use std::{fs, path::PathBuf, process::Command};

use super::{
    kinds::{Client, fixtures},
    runtimes::{Needs, Runtime},
};
use crate::npm;
use crate::support::{Machine, made, skip};

/// Installs the runtime with its app and the client. False, with the reason in the list of skipped tests, when the
/// runtime cannot be had.
pub fn install(m: &Machine, runtime: &Runtime) -> bool {
    if let Err(reason) = bring(m, runtime.needs) {
        skip::record(&format!("{}: {reason}", runtime.name));
        return false;
    }
    for name in [runtime.fixture, runtime.app] {
        m.copy(&fixtures().join(name), &format!("/srv/{name}"));
    }
    certificate(m);
    Client::install(m);
    true
}

fn bring(m: &Machine, needs: Needs) -> Result<(), String> {
    match needs {
        Needs::Node(version) => {
            from_npm(m, &format!("node@{version}"))?;
            m.copy(&npm::packages()?.join("node_modules/ws"), "/srv/node_modules/ws");
        }
        Needs::Pip => m.copy(&python()?, "/srv/python"),
        Needs::Go => m.copy(&go()?, "/srv/bin/shop"),
        Needs::Rust(program) => m.copy(&rust(program)?, "/srv/bin/shop"),
        Needs::Npm(package) => from_npm(m, package)?,
        Needs::Debian(program) => has(program)?,
        Needs::Nginx => {
            has("nginx")?;
            backend(m)?;
        }
    }
    Ok(())
}

/// The program that a package from npm brings along.
fn from_npm(m: &Machine, package: &str) -> Result<(), String> {
    has("npm")?;
    let (name, _) = package.split_once('@').unwrap();
    let program = made::from_npm(package).join("node_modules/.bin").join(name);
    m.copy(&program.canonicalize().unwrap(), &format!("/srv/bin/{name}"));
    Ok(())
}

/// What a proxy stands before: one server that no operation touches.
fn backend(m: &Machine) -> Result<(), String> {
    m.copy(&python()?, "/srv/python");
    m.copy(&fixtures().join("asgi"), "/srv/asgi");
    m.ok_sh(
        "systemd-run --unit=backend --working-directory=/srv/asgi --setenv=PYTHONPATH=/srv/python \
         /srv/python/bin/uvicorn --port 9000 --log-level warning app:app 2>&1",
    );
    Ok(())
}

fn has(program: &str) -> Result<(), String> {
    let missing = || format!("{program} is missing (make deps installs it)");
    skip::installed(program).then_some(()).ok_or_else(missing)
}

/// Makes a self-signed certificate in the machine.
fn certificate(m: &Machine) {
    m.ok_sh(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
         -keyout /srv/key.pem -out /srv/cert.pem -subj /CN=localhost 2>&1",
    );
}

fn python() -> Result<PathBuf, String> {
    made::from_pip(&fixtures().join("requirements.txt"))
}

fn go() -> Result<PathBuf, String> {
    has("go")?;
    let sources = ["main.go", "sockets.go"].map(|name| fixtures().join("go").join(name));
    let text: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let tmp = skip::target_dir().join("tmp");
    let dir = tmp.join(made::name("matrix-go", &text));
    made::once(&dir, |part| {
        fs::create_dir_all(part).unwrap();
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(part.join("shop")).args(&sources);
        go.env("CGO_ENABLED", "0").env("GO111MODULE", "off").env("GOCACHE", tmp.join("go-cache"));
        said(&mut go)
    })?;
    Ok(dir.join("shop"))
}

fn rust(program: &str) -> Result<PathBuf, String> {
    let manifest = fixtures().join("rust/Cargo.toml");
    let target = skip::target_dir().join("tmp/matrix-rust");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["rustc", "--quiet", "--locked", "--bin", program, "--manifest-path"]).arg(manifest);
    if program == "shop-static" {
        cargo.args(["--", "-C", "target-feature=+crt-static"]);
    }
    said(cargo.env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join("debug").join(program))
}

fn said(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(|| format!("{command:?} fails: {text}"))
}
