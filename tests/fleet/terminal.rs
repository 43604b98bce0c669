//! What somebody at a terminal sees, of 80 columns and 24 lines: the plan, a question, a line for each host, and nothing of
//! that afterwards.

use std::process::Command;
use std::time::Duration;

use crate::skip;
use crate::stage::{GOOD, SHOP, Stage};
use crate::tmux::Tmux;

/// A shell in the folder of the shop, in a terminal.
fn terminal(stage: &Stage) -> Tmux {
    let program = stage.path("bin/clusterctl");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_clusterctl"), program).unwrap();
    }
    let mut shell = Command::new("sh");
    let of_stage = stage.command(&[]);
    let known = ["PATH", "XDG_RUNTIME_DIR", "PWD"];
    let known = of_stage.get_envs().filter(|(name, _)| known.iter().any(|known| name == known));
    shell.envs(known.filter_map(|(name, value)| Some((name, value?))));
    shell.env("TERM", "xterm-256color").env("PS1", "% ");
    let terminal = Tmux::of(&shell, 80, 24);
    terminal.type_in(&format!("cd {}; clear\n", stage.path("shop").display()));
    terminal.wait_without("clear");
    terminal
}

/// What the window shows when the command is over, which ends with this code.
fn end(terminal: &Tmux, code: i32) -> String {
    let screen = terminal.wait_for(&format!("code {code}\n"));
    for gone in ["waits", "1.0s  api"] {
        assert!(!screen.contains(gone), "{gone} is left:\n{screen}");
    }
    screen
}

/// The lines of a screen that are not empty, from the one on that begins so.
fn from<'a>(screen: &'a str, beginning: &str) -> Vec<&'a str> {
    let lines = screen.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.skip_while(|line| !line.starts_with(beginning)).collect()
}

const PROGRESS: &str =
    "data '{\"event\":\"rollout\",\"app\":\"api\",\"change\":\"restart\",\"instance\":1}'";

/// Three hosts whose work goes on until `hosts/go` is there.
fn held() -> Stage {
    let stage = Stage::shop();
    let waits = format!("{PROGRESS}\nuntil [ -e $HOSTS/go ]; do sleep 0.05; done\ndone_\n");
    let host = GOOD.replace("done_\n", &waits);
    ["web1", "web2", "web3"].iter().for_each(|name| stage.host(name, &host));
    stage
}

#[test]
fn the_plan_is_shown_and_asked_about_and_each_host_has_a_line() {
    if !skip::has("tmux") {
        return;
    }
    let stage = held();
    let terminal = terminal(&stage);
    terminal.type_in("clusterctl -H all apply; echo code $?\n");
    let screen = terminal.wait_for("go on? [y/N]");
    let expected = [
        "web1, web2, web3",
        "  api:",
        "    replace 2 instances (changed)",
        "order: web1, then web2, then web3",
        "go on? [y/N]",
    ];
    assert_eq!(from(&screen, "web1"), expected, "{screen}");
    assert_eq!(stage.worked().len(), 0);
    terminal.type_in("y\n");
    let screen = terminal.wait_for("api: restart @1");
    let lines = from(&screen, "go on? [y/N] y");
    assert!(lines[1].starts_with("web1  ") && lines[1].ends_with("s  api: restart @1"), "{screen}");
    assert_eq!(lines[2..], ["web2  waits", "web3  waits"], "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    stage.write("hosts/go", "");
    let screen = end(&terminal, 0);
    let lines = from(&screen, "go on? [y/N] y");
    let beginnings = [
        "go on? [y/N] y",
        "✓ web1: api: 2 replaced (",
        "✓ web2: api: 2 replaced (",
        "✓ web3: api: 2 replaced (",
        "✓ 3 hosts done",
        "code 0",
        "%",
    ];
    assert_eq!(lines.len(), beginnings.len(), "{screen}");
    assert!(lines.iter().zip(beginnings).all(|(line, first)| line.starts_with(first)), "{screen}");
}

#[test]
fn who_does_not_agree_has_nothing_done() {
    if !skip::has("tmux") {
        return;
    }
    let stage = Stage::shop();
    let terminal = terminal(&stage);
    for (key, code) in [("n\n", 1), ("\n", 1), ("\u{4}", 1), ("\u{3}", 130)] {
        terminal.type_in("clear; clusterctl -H all apply; echo code $?\n");
        terminal.wait_for("go on? [y/N]");
        terminal.type_in(key);
        let screen = end(&terminal, code);
        let lines = from(&screen, "go on?");
        let expected = ["nothing was done on any host", &format!("code {code}"), "%"];
        assert_eq!(lines[1..], expected, "{key:?}: {screen}");
        assert_eq!(stage.worked().len(), 0, "{key:?}: {screen}");
        terminal.type_in("clear\n");
        terminal.wait_without("code ");
    }
    // Nobody is asked who has agreed before, or who sits at no terminal.
    for words in ["-y -H all apply", "-H all apply </dev/null"] {
        stage.write("hosts/log", "");
        terminal.type_in(&format!("clear; clusterctl {words}; echo code $?\n"));
        let screen = end(&terminal, 0);
        assert!(!screen.contains("go on?"), "{screen}");
        assert_eq!(stage.worked().len(), 3, "{screen}");
        terminal.type_in("clear\n");
        terminal.wait_without("code ");
    }
}

#[test]
fn ctrl_c_leaves_a_clean_screen_at_any_moment() {
    if !skip::has("tmux") {
        return;
    }
    let stage = held();
    let terminal = terminal(&stage);
    terminal.type_in("clusterctl -y -H all apply; echo code $?\n");
    terminal.wait_for("api: restart @1");
    terminal.press("C-c");
    terminal.wait_for("web1 is worked on to the end");
    stage.write("hosts/go", "");
    let screen = end(&terminal, 130);
    let lines = from(&screen, "web1 is worked on");
    // The note is longer than a line of this terminal.
    let after: Vec<&str> =
        lines.into_iter().skip(1).filter(|line| !line.contains("Ctrl-C")).collect();
    assert!(after[after.len() - 5].starts_with("✓ web1: api: 2 replaced ("), "{screen}");
    let last = [
        "✗ done: web1; not touched: web2, web3",
        "next: clusterctl -H web2,web3 -y apply",
        "code 130",
        "%",
    ];
    assert_eq!(after[after.len() - 4..], last, "{screen}");
    // While a host has yet to say what it would do.
    stage.host("web2", "begin\nexec sleep 60\n");
    terminal.type_in("clear; clusterctl -H all apply; echo code $?\n");
    terminal.wait_for("web3  waits");
    terminal.press("C-c");
    let screen = end(&terminal, 130);
    assert!(screen.contains("nothing was done on any host"), "{screen}");
    assert_eq!(stage.worked(), ["web1"]);
}

#[test]
fn more_hosts_than_lines_leave_a_clean_screen() {
    if !skip::has("tmux") {
        return;
    }
    let names: Vec<String> = (1..=40).map(|number| format!("h{number}")).collect();
    let hosts: String =
        names.iter().map(|name| format!("[[hosts]]\nname = \"{name}\"\n")).collect();
    let app = SHOP.split("[[hosts]]").next().unwrap();
    let stage = Stage::new(&format!("{app}{hosts}[fleet]\nfirst = 0\nlimit = \"100%\"\n"));
    let waits = format!("{PROGRESS}\nuntil [ -e $HOSTS/go ]; do sleep 0.2; done\ndone_\n");
    names.iter().for_each(|name| stage.host(name, &GOOD.replace("done_\n", &waits)));
    let terminal = terminal(&stage);
    terminal.type_in("clusterctl -y -H all apply; echo code $?\n");
    terminal.wait_for("21 hosts more at work, 8 wait");
    // A window sends no event when it changes.
    while terminal.screen().matches("restart @1").count() < 11 {
        std::thread::sleep(Duration::from_millis(50));
    }
    stage.write("hosts/go", "");
    let screen = end(&terminal, 0);
    assert!(!screen.contains("restart @1") && !screen.contains("at work"), "{screen}");
    assert!(screen.contains("✓ 40 hosts done"), "{screen}");
}
