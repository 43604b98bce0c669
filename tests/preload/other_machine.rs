//! The library and the tracer on aarch64, in an emulator: its numbers of system calls, its layouts
//! and its instructions are other ones. The emulator has no ptrace().

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::support::{Program, Systemd, ask, being_served, compile, ends_after_answer, has, skip};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const COMPILER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: [&str; 3] = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"];

/// The programs that were compiled for the other machine.
struct Built {
    library: String,
    tracer: String,
    server: String,
}

fn rustc(arguments: &[&str]) -> Output {
    let mut rustc = Command::new("rustc");
    rustc.args(["--target", TARGET, "--edition", "2024"]).args(arguments);
    rustc.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

/// `None` on a machine that has no compiler or emulator for the other one.
fn built() -> Option<&'static Built> {
    static BUILT: OnceLock<Built> = OnceLock::new();
    if !has(COMPILER) || !has(EMULATOR[0]) {
        return None;
    }
    let place = rustc(&["--print", "target-libdir"]).stdout;
    if !Path::new(String::from_utf8(place).unwrap().trim()).exists() {
        skip::record("the standard library of aarch64 is missing (make deps installs it)");
        return None;
    }
    Some(BUILT.get_or_init(|| Built {
        library: shim(
            "libclusterctl_preload.so",
            "preload/lib.rs",
            "cdylib",
            &[
                "target-feature=-crt-static",
                "relocation-model=pic",
                "link-args=-nostdlib -Wl,-z,now",
            ],
        ),
        tracer: shim(
            "clusterctl-exec",
            "trace/main.rs",
            "bin",
            &[
                "target-feature=+crt-static",
                "relocation-model=static",
                "link-args=-nostdlib -nostartfiles -static",
            ],
        ),
        server: compile(COMPILER, "server.c", "server-aarch64", &["-pthread"]),
    }))
}

/// Compiles one of the shims as the build script does.
fn shim(name: &str, source: &str, kind: &str, options: &[&str]) -> String {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aarch64").join(name);
    std::fs::create_dir_all(output.parent().unwrap()).unwrap();
    let (output, linker) = (output.to_str().unwrap(), format!("linker={COMPILER}"));
    let usual = ["panic=abort", "opt-level=s", "lto=fat", "codegen-units=1", &linker];
    let options = usual.iter().chain(options).flat_map(|option| ["-C", *option]);
    let options: Vec<&str> = options.collect();
    let source = format!("src/shims/{source}");
    let files = ["--crate-name", "shim", "-D", "warnings", "-o", output, &source];
    let done = rustc(&[&["--crate-type", kind][..], &options, &files].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    output.to_owned()
}

/// Starts a program in the emulator, which is itself a program of this machine and must not get the listeners.
fn start(systemd: &Systemd, built: &Built, words: &[&str]) -> Program {
    let preload = format!("LD_PRELOAD={}", built.library);
    let emulated = [&["env", "-u", "LD_PRELOAD"][..], &EMULATOR, &["-E", &preload]].concat();
    systemd.start(&[&emulated[..], words].concat())
}

#[test]
fn servers_of_aarch64_get_their_listeners() {
    let Some(built) = built() else { return };
    for mode in ["blocking", "poll", "epoll", "prefork", "relisten", "reuseport", "duplicates"] {
        let (systemd, port) = Systemd::tcp("127.0.0.1");
        let _program = start(&systemd, built, &[&built.server, mode, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{mode}");
        assert!(!ask(port).is_empty(), "{mode}");
        assert!(systemd.is_nonblocking(), "{mode}");
    }
}

#[test]
fn a_server_of_aarch64_drains() {
    let Some(built) = built() else { return };
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let mut program = start(&systemd, built, &[&built.server, "slow", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut client = being_served(&mut program, port);
    ends_after_answer(&mut program, &mut client);
}

#[test]
fn listeners_of_all_processes_on_aarch64() {
    use std::io::Write;
    let Some(built) = built() else { return };
    let (mut systemd, first) = Systemd::tcp("127.0.0.1");
    let second = systemd.add_tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_READY", "all");
    let ports = format!("{first},{second}");
    let mut program = start(&systemd, built, &[&built.server, "one-each", &ports]);
    program.reports(&["first=1"]);
    assert!(!systemd.has_notification(), "one of two is not all");
    program.input.write_all(b"\n").unwrap();
    assert_eq!(systemd.notified(), "READY=1");
}

#[test]
fn the_tracer_of_aarch64_says_that_it_may_not_trace() {
    let Some(built) = built() else { return };
    let (systemd, _) = Systemd::tcp("127.0.0.1");
    let mut program = start(&systemd, built, &[&built.tracer, &built.server, "blocking", "1"]);
    assert!(program.error_line().contains("gets its listeners by ptrace, which is forbidden here"));
    assert_eq!(program.end(), 1);
    // Without listeners the tracer executes the program, which the emulator leaves to the kernel.
    let words = [&built.tracer, "--", "/bin/sh", "-c", "exit ${LISTEN_FDS:-7}"];
    assert_eq!(start(&Systemd::new(), built, &words).end(), 7);
}
