//! Whatever files, units, processes and the manager say reaches the terminal as text, in the output of every verb.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use clusterctl::report::Style;

use crate::stage::Stage;

/// A colour that nothing of ours has, and commands to a terminal: to clear it, to ring, to begin a line anew, and
/// to turn the order of what follows.
const NASTY: &str = "\x1b[35mred\x1b[2J\x07\u{9b}31m\r\u{202e}";

const COLOURS: Style = Style { color: true, boxes: true, width: 80 };

/// An app that has such a text wherever a file can have one.
fn ecosystem() -> String {
    let nasty = toml::Value::from(NASTY).to_string();
    format!(
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\nuser = 'api'\ninstances = 2\nlisten = '127.0.0.1:3999'\n\
         args = [{nasty}]\nenv = {{ A = {nasty} }}\nenv_live = {{ A = {nasty} }}\n\
         rollout = {{ min_ready = 0 }}\n"
    )
}

/// A program whose name, arguments and variables are such texts.
struct Program(Child);

impl Program {
    fn start() -> Program {
        let mut sleep = Command::new("/bin/sleep");
        sleep.arg0(NASTY).arg("600").env("A", NASTY).env(NASTY, "b").stdin(Stdio::null());
        Program(sleep.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The commands to a terminal in a text.
fn commands(text: &str) -> Vec<&str> {
    let all = ["\x1b[35m", "\x1b[2J", "\x07", "\u{9b}", "\r", "\u{202e}"];
    all.into_iter().filter(|command| text.contains(command)).collect()
}

/// What each command line prints, without a command of somebody else in it.
fn assert_harmless(stage: &Stage, lines: &[&str]) -> String {
    let mut all = String::new();
    for line in lines {
        let words: Vec<&str> =
            line.split(' ').map(|word| if word == "NASTY" { NASTY } else { word }).collect();
        let (_, out, err) = stage.printed(&words, COLOURS);
        assert_eq!((commands(&out), commands(&err)), (vec![], vec![]), "{line}: {out:?} {err:?}");
        all += &format!("$ {line}\n{out}{err}");
    }
    all
}

#[test]
fn nothing_that_files_processes_and_the_manager_say_is_a_command_to_a_terminal() {
    let stage = Stage::applied(&ecosystem());
    stage.manager().words = Some(NASTY);
    let program = Program::start();
    stage.manager().pids.insert("shop@0.service".to_owned(), program.0.id());
    let seen = assert_harmless(
        &stage,
        &[
            "list",
            "list -o json",
            "list --verbose",
            "describe shop",
            "describe shop -o json",
            "env shop@0",
            "env shop@0 -o json",
            "jlist",
            "prettylist",
            "metrics",
            "history",
            "history -o json",
            "doctor",
            "audit shop",
            "pid shop",
            "id shop",
            "apply -n --verbose",
            "validate",
            "reload shop",
            "apply --env live",
        ],
    );
    // The texts were there, and so is what stands for an escape.
    assert!(seen.contains("A=␛[35mred") && seen.contains("␛[35mred␛[2J\u{fffd}"), "{seen}");
}

#[test]
fn nothing_that_is_said_of_a_failure_is_a_command_to_a_terminal() {
    let stage = Stage::applied(&ecosystem());
    stage.run(&["stop", "shop"], 0);
    stage.manager().words = Some(NASTY);
    for unit in ["shop.service", "shop@0.service", "shop@1.service", "shop@2.service"] {
        stage.manager().broken.insert(unit.to_owned());
    }
    let verbs = ["start shop", "restart shop", "apply", "scale shop 3", "start shop -o json"];
    let seen = assert_harmless(&stage, &verbs);
    assert!(seen.contains("␛[35mred"), "{seen}");
    let stage = stage.denied();
    let verbs = ["start shop", "stop shop", "apply", "reload shop", "delete shop"];
    let seen = assert_harmless(&stage, &verbs);
    assert!(seen.contains("␛[35mred"), "{seen}");
}

#[test]
fn nothing_that_is_said_of_a_bad_file_or_a_bad_word_is_a_command_to_a_terminal() {
    let stage = Stage::new();
    let nasty = toml::Value::from(NASTY).to_string();
    for key in [
        "name",
        "script",
        "listen",
        "user",
        "cwd",
        "env_file",
        "namespace",
        "kill_signal",
        "instances",
        "command",
    ] {
        stage.write(
            "ecosystem.toml",
            &format!("[[apps]]\nscript = 'server.js'\n{key} = {nasty}\n{nasty} = 1\n"),
        );
        assert_harmless(&stage, &["validate", "apply", "validate -o json"]);
    }
    assert_harmless(
        &stage,
        &[
            "start NASTY",
            "stop NASTY",
            "describe NASTY",
            "logs NASTY",
            "apply NASTY",
            "scale shop NASTY",
            "reload NASTY",
            "env NASTY",
            "NASTY",
            "list --sort NASTY",
            "import NASTY",
            "init NASTY",
        ],
    );
}
