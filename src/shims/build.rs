//! Compiles the preload library and the tracer, so that the program can bring them along.
//!
//! It calls the compiler directly: a nested cargo would deadlock on the build
//! directory, and `cargo install` takes no other package along. Both are
//! core alone, linked with nothing; see `preload/lib.rs` and `trace/main.rs`. Their manifests
//! (`crates/`) are for editors, `cargo clippy` and `cargo fmt`; nothing of the program is built by them. They
//! lie in folders of their own because `cargo package` leaves out a folder that has a manifest: with
//! `preload/Cargo.toml`, none of the 40 files of `preload` is in the packed crate, whatever `include` says.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const LIBRARY: &str = "libclusterctl_preload.so";
const TRACER: &str = "clusterctl-exec";

fn main() -> ExitCode {
    for watched in ["shims/build.rs", "shims/preload", "shims/trace", "handover"] {
        println!("cargo::rerun-if-changed=src/{watched}");
    }
    match library().and_then(|()| tracer()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error=failed to build {problem}");
            ExitCode::FAILURE
        }
    }
}

fn library() -> Result<(), String> {
    let mut rustc = compiler("clusterctl_preload", "cdylib")?;
    rustc
        .args(["-C", "target-feature=-crt-static", "-C", "relocation-model=pic"])
        // Everything is resolved at load time: the lazy resolver takes locks.
        .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-Wl,-z,now"]);
    compile(rustc, LIBRARY, "src/shims/preload/lib.rs")
}

fn tracer() -> Result<(), String> {
    let mut rustc = compiler("clusterctl_exec", "bin")?;
    rustc
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .args(["-C", "link-args=-nostdlib -nostartfiles -static"]);
    if variable("CARGO_CFG_TARGET_ENV")? == "musl" {
        // Or the start files of musl come along.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    compile(rustc, TRACER, "src/shims/trace/main.rs")
}

fn compiler(name: &str, kind: &str) -> Result<Command, String> {
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args(["--crate-name", name, "--crate-type", kind])
        .args(["--edition", "2024", "--target", &variable("TARGET")?])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "lto=fat"])
        .args(["-C", "codegen-units=1", "-C", "strip=symbols", "-C", "overflow-checks=off"]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    Ok(rustc)
}

fn compile(mut rustc: Command, name: &str, source: &str) -> Result<(), String> {
    rustc.arg("-o").arg(PathBuf::from(variable("OUT_DIR")?).join(name)).arg(source);
    let status =
        rustc.status().map_err(|error| format!("{name}: cannot run {rustc:?}: {error}"))?;
    status.success().then_some(()).ok_or(format!("{name}: {rustc:?} ended with {status}"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
