//! Compiles the preload library, so that the program can bring it along.
//!
//! It calls the compiler directly: a nested cargo would deadlock on the build
//! directory, and `cargo install` takes no other package along. The library
//! is core alone, linked with nothing; see `preload/lib.rs`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const NAME: &str = "libclusterctl_preload.so";

fn main() -> ExitCode {
    for watched in ["src/shims/build.rs", "src/shims/preload", "src/handover"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error=failed to build {NAME}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    let target = variable("TARGET")?;
    let output = PathBuf::from(variable("OUT_DIR")?).join(NAME);
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args(["--crate-name", "clusterctl_preload", "--crate-type", "cdylib"])
        .args(["--edition", "2024", "--target", &target])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "lto=fat"])
        .args(["-C", "codegen-units=1", "-C", "strip=symbols", "-C", "overflow-checks=off"])
        .args(["-C", "target-feature=-crt-static", "-C", "relocation-model=pic"])
        // Everything is resolved at load time: the lazy resolver takes locks.
        .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-Wl,-z,now"])
        .arg("-o")
        .arg(&output)
        .arg(Path::new("src/shims/preload/lib.rs"));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let status = rustc.status().map_err(|error| format!("cannot run {rustc:?}: {error}"))?;
    status.success().then_some(()).ok_or(format!("{rustc:?} ended with {status}"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
