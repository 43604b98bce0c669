//! Each limit of what a file may ask for: what is at the limit is taken, and one more is not.

use clusterctl::ecosystem::{Color, Handover, Problems};
use clusterctl::limits;
use clusterctl::unit::quote;

use super::{FakeHost, app_on, go_elf, read};

/// All problems of a file with one app of this text, warnings among them.
fn problems(text: &str, host: &FakeHost) -> Option<Problems> {
    read(&format!("[[apps]]\n{text}"), None, host).err()
}

/// A file with `at` is taken, and one with `beyond` is refused.
fn ends(at: &str, beyond: &str) {
    let (host, start) = (FakeHost::new(), |text: &str| text.chars().take(60).collect::<String>());
    if let Some(problems) = problems(at, &host) {
        panic!("{}: {:.300}", start(at), problems.render(Color::Off));
    }
    assert!(problems(beyond, &host).is_some(), "beyond the limit: {}", start(beyond));
}

#[test]
fn numbers_end() {
    let most = limits::INSTANCES;
    let key = |key: &str, value: &str| format!("script = 'server.js'\n{key} = {value}");
    for name in ["instances", "rollout.max_surge", "rollout.max_unavailable"] {
        for quote in ["", "'"] {
            let number = |number: u32| key(name, &format!("{quote}{number}{quote}"));
            ends(&number(most), &number(most + 1));
        }
    }
    let number = |name: &str, least: i64, other: i64| {
        ends(&key(name, &least.to_string()), &key(name, &other.to_string()));
    };
    number("max_restarts", limits::RESTARTS, limits::RESTARTS + 1);
    let lines = i64::from(limits::LOG_LINES);
    number("log_rate_limit", lines, lines + 1);
    let memory = i64::try_from(limits::LEAST_MEMORY).unwrap();
    number("max_memory_restart", memory, memory - 1);
    let span = i64::try_from(limits::DURATION_MS).unwrap();
    number("listen_timeout", span, span + 1);
}

#[test]
fn names_and_paths_end() {
    let key = |key: &str, value: &str| format!("script = 'server.js'\n{key} = {value}");
    let name = |length: usize| key("name", &format!("'{}'", "n".repeat(length)));
    ends(&name(limits::APP_NAME), &name(limits::APP_NAME + 1));
    let listener = |length: usize| key("listen", &format!("{{ {} = 80 }}", "l".repeat(length)));
    ends(&listener(limits::LISTENER_NAME), &listener(limits::LISTENER_NAME + 1));
    let folder = "unix:/run/".len();
    let socket = |length: usize| {
        key("listen", &format!("'unix:/run/{}'", "s".repeat(length + "unix:".len() - folder)))
    };
    ends(&socket(limits::SOCKET_PATH), &socket(limits::SOCKET_PATH + 1));
    let credential = |length: usize| {
        key("credentials", &format!("{{ {} = '/etc/keys/db' }}", "c".repeat(length)))
    };
    ends(&credential(limits::CREDENTIAL_NAME), &credential(limits::CREDENTIAL_NAME + 1));
}

#[test]
fn what_the_kernel_and_the_manager_carry_ends() {
    let argument =
        |length: usize| format!("script = 'server.js'\nargs = ['{}']", "a".repeat(length));
    ends(&argument(limits::ARGUMENT), &argument(limits::ARGUMENT + 1));
    let variable = |length: usize| {
        format!("script = 'server.js'\nenv = {{ A = '{}' }}", "v".repeat(length - "A=".len()))
    };
    ends(&variable(limits::ARGUMENT), &variable(limits::ARGUMENT + 1));
    // Room for what else is in the line, such as `ExecStart=`.
    let line = limits::UNIT_LINE - 1024;
    let quotes = quote::argument("w").len() - "w".len();
    let command = |length: usize| {
        let mut left = length - "/usr/bin/node".len();
        let mut words = vec!["'node'".to_owned()];
        while left > 0 {
            let word = "w".repeat((left - 1 - quotes).min(100_000));
            left -= quote::argument(&word).len() + 1;
            words.push(format!("'{word}'"));
        }
        format!("name = 'x'\ncommand = [{}]", words.join(", "))
    };
    ends(&command(line), &command(line + 1));
}

#[test]
fn scripts_of_scripts_end() {
    let mut host = FakeHost::new();
    host.program_with("/srv/app/run0", &go_elf());
    for nr in 1..=limits::SCRIPTS + 1 {
        let line = format!("#!/srv/app/run{}\n", nr - 1);
        host.program_with(&format!("/srv/app/run{nr}"), line.as_bytes());
    }
    let file = |nr: u32| format!("listen = 80\nname = 'x'\nscript = './run{nr}'");
    assert_eq!(app_on(&file(limits::SCRIPTS), &host).handover, Handover::Trace);
    let refused = problems(&file(limits::SCRIPTS + 1), &host).unwrap().to_string();
    assert!(refused.contains("leads through too many `#!` lines"), "{refused}");
}

#[test]
fn a_shell_script_that_may_go_on_is_not_followed() {
    let handover = |length: usize| {
        let mut host = FakeHost::new();
        host.program_with("/srv/app/go", &go_elf());
        let (start, end) = ("#!/bin/sh\n#", "\nexec ./go\n");
        let filler = "x".repeat(length - start.len() - end.len());
        host.program_with("/srv/app/start", format!("{start}{filler}{end}").as_bytes());
        app_on("listen = 80\nscript = './start'", &host).handover
    };
    assert_eq!(handover(limits::PROGRAM_HEAD - 1), Handover::Trace);
    assert_eq!(handover(limits::PROGRAM_HEAD), Handover::Preload);
}

#[test]
fn files_of_variables_are_looked_at_so_far() {
    let warnings = |length: usize| {
        let mut host = FakeHost::new();
        let (start, end) = ("A=1\n#", "\nLISTEN_PID=");
        let filler = "x".repeat(length - start.len() - end.len());
        host.program_with("/etc/ours.env", format!("{start}{filler}{end}").as_bytes());
        let text = "[[apps]]\nscript = 'server.js'\nenv_file = '/etc/ours.env'";
        read(text, None, &host)
            .map_or_else(|problems| problems.len(), |loaded| loaded.warnings.len())
    };
    assert_eq!(warnings(limits::ENV_FILE), 1);
    assert_eq!(warnings(limits::ENV_FILE + 1), 0);
}

/// Keys that nothing knows and that are near to `max_memory_restart`.
fn unknown(count: usize) -> String {
    let letter = |nr: usize| char::from(b'a' + u8::try_from(nr % 26).unwrap());
    let keys = (0..count).map(|nr| {
        format!("max_memory_restart{}{}{} = 1\n", letter(nr), letter(nr / 26), letter(nr / 676))
    });
    format!("script = 'server.js'\n{}", keys.collect::<String>())
}

#[test]
fn so_many_problems_are_drawn_and_the_others_counted() {
    let drawn =
        |count: usize| problems(&unknown(count), &FakeHost::new()).unwrap().render(Color::Off);
    assert!(!drawn(limits::PROBLEMS).contains(" more: "));
    assert!(drawn(limits::PROBLEMS + 1).ends_with("\nand 1 more: 1 errors, 0 warnings\n"));
}

#[test]
fn so_many_unknown_keys_get_a_suggestion() {
    let problems = problems(&unknown(limits::SUGGESTED + 1), &FakeHost::new()).unwrap();
    let helped = problems.iter().filter_map(|problem| problem.help.as_deref());
    let helped = helped.filter(|help| help.contains("did you mean `max_memory_restart`?")).count();
    assert_eq!((problems.len(), helped), (limits::SUGGESTED + 1, limits::SUGGESTED));
}

#[test]
fn so_long_lines_are_drawn() {
    let drawn = |length: usize| {
        let (start, end) = ("\nnamee = '", "'");
        let line = format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()));
        let text = format!("script = 'server.js'{line}");
        problems(&text, &FakeHost::new()).unwrap().render(Color::Off)
    };
    assert!(drawn(limits::DRAWN_LINE).contains('^'));
    assert!(!drawn(limits::DRAWN_LINE + 1).contains('^'));
}

#[test]
fn listeners_end() {
    let listen = |count: usize| {
        let ports: Vec<String> = (0..count).map(|nr| (3000 + nr).to_string()).collect();
        format!("script = 'server.js'\nlisten = [{}]", ports.join(", "))
    };
    let (most, beyond) = (listen(limits::LISTENERS), listen(limits::LISTENERS + 1));
    ends(&most, &beyond);
    let host = FakeHost::new();
    let problems = problems(&beyond, &host).unwrap().render(Color::Off);
    assert!(problems.contains("65 listeners, and only 64 can be handed over"), "{problems}");
    // A program that reads LISTEN_FDS itself gets every listener: the limit does not hold for it.
    ends(&format!("{beyond}\nhandover = 'native'"), "listen = 'nowhere'");
}
