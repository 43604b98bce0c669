//! What holds for every verb.

use std::path::Path;

use clusterctl::error::exit;

use crate::stage::Stage;

#[test]
fn has_a_file_of_tests_and_help() {
    let stage = Stage::new().without_bus();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut count = 0;
    for verb in clusterctl::cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = verb.get_name();
        let file = format!("{}.rs", snake_case(name));
        assert!(folder.join(&file).is_file(), "tests/cli/{file} is missing");
        let (code, out, err) = stage.said(&[name, "--help"]);
        assert_eq!((code, err.as_str()), (exit::OK, ""), "{name}");
        assert!(out.contains(&format!("Usage: clusterctl {name}")), "{name}: {out}");
        count += 1;
    }
    assert!(count >= 18, "only {count} verbs were found");
}

/// `sendSignal` has its tests in `send_signal.rs`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Commands of PM2 whose work is done by systemd anyway end with code 0, so that scripts go on.
#[test]
fn says_in_a_line_what_does_the_work_of_commands_of_pm2() {
    let stage = Stage::new().without_bus();
    for already in
        ["save", "dump", "startup", "resurrect", "update", "updatePM2", "ping", "logrotate"]
    {
        stage.run(&[already], exit::OK);
    }
    for otherwise in [
        "unstartup",
        "cleardump",
        "kill",
        "report",
        "link",
        "plus",
        "pull",
        "install",
        "module:install",
        "set",
        "trigger",
        "inspect",
        "profile:cpu",
        "sysinfos",
        "examples",
    ] {
        stage.run(&[otherwise, "anything", "--at", "all"], exit::USAGE);
    }
    // Verbs of ours, in a form that they have in PM2 alone.
    stage.run(&["deploy", "ecosystem.config.js", "production", "setup"], exit::USAGE);
    stage.run(&["completion", "install"], exit::USAGE);
    stage.run(&["completion"], exit::USAGE);
    stage.expect("pm2");
}

#[test]
fn gives_no_advice_that_misleads() {
    let stage = Stage::new().without_bus();
    stage.run(&["frobnicate"], exit::USAGE);
    stage.run(&["relaod", "shop"], exit::USAGE);
    stage.run(&["reload", "shop", "--parallel", "2"], exit::USAGE);
    stage.run(&["list", "--sotr", "cpu"], exit::USAGE);
    stage.run(&["foo"], exit::USAGE);
    stage.run(&["list", "-o", "yaml"], exit::USAGE);
    stage.run(&["list", "--sort", "colour"], exit::USAGE);
    stage.expect("every");
}
