//! What the tracer writes into a stopped program, for both machines, wherever the tests run.

use std::path::Path;
use std::process::Command;

use crate::support::skip;

#[path = "../../src/shims/trace/registers_aarch64.rs"]
#[allow(dead_code, reason = "the numbers are the tracer's")]
mod aarch64;
#[path = "../../src/shims/trace/registers_x86_64.rs"]
#[allow(dead_code, reason = "the numbers are the tracer's")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::number;
#[cfg(target_arch = "x86_64")]
pub use x86_64::number;

/// Compiles the tracer for a machine that need not be this one.
fn compiles(machine: &str) {
    let target = format!("{machine}-unknown-linux-gnu");
    let rustc = |args: &[&str]| {
        let root = env!("CARGO_MANIFEST_DIR");
        Command::new("rustc").args(["--target", &target]).args(args).current_dir(root).output()
    };
    let place = rustc(&["--print", "target-libdir"]).unwrap().stdout;
    if !Path::new(String::from_utf8(place).unwrap().trim()).exists() {
        skip::record(&format!(
            "the standard library of {machine} is missing (make deps installs it)"
        ));
        return;
    }
    let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tracer-{machine}.o"));
    let edition = ["--edition", "2024", "--crate-type", "bin", "--emit", "obj"];
    let options = ["-C", "panic=abort", "-C", "opt-level=1", "-D", "warnings", "-o"];
    let files = [object.to_str().unwrap(), "src/shims/trace/main.rs"];
    let output = rustc(&[&edition[..], &options, &files].concat()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_tracer_compiles_for_the_other_machine() {
    compiles(if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" });
}

/// Each register holds its own place, so that a swap shows.
fn places<const N: usize>() -> [u64; N] {
    std::array::from_fn(|place| 1000 + place as u64)
}

/// The places that differ from [`places`], with what they hold.
fn changed<const N: usize>(now: [u64; N]) -> Vec<(usize, u64)> {
    let before = places::<N>();
    (0..N).filter(|at| now[*at] != before[*at]).map(|at| (at, now[at])).collect()
}

const ARGUMENTS: [u64; 6] = [1, 2, 3, 4, 5, 6];

#[test]
fn x86_64_calls_are_replaced_repeated_and_answered() {
    let fresh = x86_64::Registers(places());
    // rdi, rsi, rdx, r10, r8 and r9 of struct user_regs_struct; orig_rax is 15, rax 10, rip 16.
    let arguments = [(7, 4), (8, 6), (9, 5), (12, 3), (13, 2), (14, 1)];
    let mut replaced = fresh;
    replaced.replace(292, ARGUMENTS);
    assert_eq!(changed(replaced.0), [&arguments[..], &[(15, 292)]].concat());
    let mut repeated = fresh;
    repeated.repeat(72, ARGUMENTS);
    let more = [(7, 4), (8, 6), (9, 5), (10, 72), (12, 3), (13, 2), (14, 1)];
    let expected = [&more[..], &[(15, u64::MAX), (16, 1014)]].concat();
    assert_eq!(changed(repeated.0), expected);
    let mut answered = fresh;
    answered.set_result(-97);
    assert_eq!(changed(answered.0), [(10, -97_i64 as u64), (15, u64::MAX)]);
}

#[test]
fn aarch64_calls_are_replaced_repeated_and_answered() {
    let fresh = aarch64::Registers(places());
    // x0 to x5 of struct user_pt_regs; the number is in x8, pc is 32.
    let arguments = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)];
    let mut replaced = fresh;
    replaced.replace(24, ARGUMENTS);
    assert_eq!(changed(replaced.0), [&arguments[..], &[(8, 24)]].concat());
    let mut repeated = fresh;
    repeated.repeat(25, ARGUMENTS);
    assert_eq!(changed(repeated.0), [&arguments[..], &[(8, 25), (32, 1028)]].concat());
    let mut answered = fresh;
    answered.set_result(-97);
    assert_eq!(changed(answered.0), [(0, -97_i64 as u64)]);
}

#[test]
fn the_layouts_are_the_kernels() {
    assert_eq!(size_of::<x86_64::Registers>(), 216);
    assert_eq!(size_of::<aarch64::Registers>(), 272);
    #[cfg(target_arch = "x86_64")]
    assert_eq!(x86_64::number::POLLING.len(), 9);
    assert_eq!(x86_64::Registers::EMPTY.0, [0; 27]);
    assert_eq!(aarch64::Registers::EMPTY.0, [0; 34]);
}
