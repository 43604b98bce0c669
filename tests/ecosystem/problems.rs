//! What is said of files that are wrong: each in `tests/golden/bad`, and files with very many problems.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clusterctl::ecosystem::{Color, Ownership, Scope};
use rustix::time::{ClockId, clock_gettime};

use crate::host::{FakeHost, dynamic_elf};
use crate::read;

#[test]
fn problems_are_data_too() {
    let problems =
        read("[[apps]]\nscript = 'x.js'\n  portt = 1", None, &FakeHost::new()).unwrap_err();
    let json = problems.to_json();
    assert_eq!(json[1]["line"], 3);
    assert_eq!(json[1]["column"], 3);
    assert_eq!(json[1]["key"], "apps[0].portt");
    assert_eq!(json[1]["help"], "did you mean `port`?");
    assert_eq!(json[1]["severity"], "error");
}

#[test]
fn a_name_of_ours_on_a_continuation_line_is_a_part_of_the_variable_before_it() {
    let mut host = FakeHost::new();
    host.file("/etc/long.env");
    let mut said = |text: &str| {
        host.heads.insert("/etc/long.env".into(), text.into());
        let text = "[[apps]]\nscript = 'server.js'\nenv_file = '/etc/long.env'";
        read(text, None, &host).map(|_| ()).map_err(|problems| problems.to_string())
    };
    for ours in ["CLUSTERCTL_READY=first", "NODE_APP_INSTANCE=1", "LISTEN_PID=1"] {
        assert_eq!(said(&format!("A=1 \\\n{ours}\n")), Ok(()), "{ours}");
        assert_eq!(said(&format!("A='1\n{ours}'\n")), Ok(()), "{ours}");
    }
    assert!(said("A=1\nCLUSTERCTL_READY=first\n").is_err());
}

/// The machine that a golden asks for in its first lines: `# given: user scope`.
fn given(text: &str) -> (FakeHost, Option<String>) {
    let mut host = FakeHost::new();
    let mut env_name = None;
    let foreign = Ownership::Foreign("/usr/lib/systemd/system/nginx.service".into());
    host.units.insert("nginx.service".to_owned(), foreign);
    host.holders.insert("[::]:8080".to_owned(), "`java` (pid 812)".to_owned());
    host.program_with("/srv/app/it's", &dynamic_elf());
    let mut arm = dynamic_elf();
    arm[18] = 40;
    host.program_with("/srv/app/arm", &arm);
    host.program_with("/srv/app/old.cgi", b"#!/usr/bin/python2\n");
    host.program_with("/srv/app/text", b"hello\n");
    host.file("/srv/app/not-executable");
    for fact in text.lines().filter_map(|line| line.strip_prefix("# given: ")) {
        match fact.split_once(' ') {
            Some(("user", "scope")) => host.scope = Scope::User,
            Some(("--env", name)) => env_name = Some(name.to_owned()),
            _ => panic!("unknown fact {fact}"),
        }
    }
    (host, env_name)
}

fn goldens() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bad");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    paths.sort();
    paths
}

/// `UPDATE_EXPECT=1` writes what is shown now; read the difference before you commit it.
#[test]
fn bad_files_are_explained() {
    let mut changed = Vec::new();
    for path in goldens() {
        let text = fs::read_to_string(&path).unwrap();
        let (host, env_name) = given(&text);
        let problems = match read(&text, env_name.as_deref(), &host) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        assert!(!problems.is_empty(), "{} is a good file", path.display());
        let shown = problems.render(Color::Off);
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            changed.push(format!("{}\n{shown}", path.display()));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

#[test]
fn every_problem_says_what_to_do() {
    for path in goldens() {
        let text = fs::read_to_string(&path).unwrap();
        let (host, env_name) = given(&text);
        let Err(problems) = read(&text, env_name.as_deref(), &host) else { continue };
        let syntax = path.file_name().unwrap().to_str().unwrap().starts_with("syntax");
        for problem in problems.iter() {
            assert!(syntax || problem.help.is_some(), "{}: {}", path.display(), problem.message);
        }
    }
}

/// Files with very many problems, each of another kind, and how many: of one app, or of a tenth as many apps.
fn crowds(many: usize) -> [(String, usize); 5] {
    let lines = |line: &dyn Fn(usize) -> String| -> String { (0..many).map(line).collect() };
    let app = "[[apps]]\nscript = 'server.js'\n";
    let one_port =
        |nr| format!("[[apps]]\nname = 'a{nr}'\nscript = 'server.js'\nlisten = '127.0.0.1:80'\n");
    let own_host = |nr: usize| {
        let (high, low) = (nr / 250, nr % 250 + 1);
        format!(
            "[[apps]]\nname = 'a{nr}'\nscript = 'server.js'\nlisten = '127.0.{high}.{low}:80'\n"
        )
    };
    [
        (format!("{app}{}", lines(&|nr| format!("nmae{nr} = 1\n"))), many),
        (format!("{app}args = [{}]\n", lines(&|_| "{}, ".to_owned())), many),
        (lines(&|nr| format!("x{nr} = = 1\n")), many),
        ((0..many / 10).map(one_port).collect(), many / 10 - 1),
        ((0..many / 10).map(own_host).collect(), 0),
    ]
}

/// Processor time of this thread while it reads a file and draws what is wrong with it.
fn time_for(text: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let begun = now();
    if let Err(problems) = read(text, None, &FakeHost::new()) {
        std::hint::black_box(problems.render(Color::Off).len());
    }
    now() - begun
}

/// Ten times as many take ten times as long, give or take what a busy machine does to caches; with the square of their
/// number it would be a hundred times.
#[test]
fn the_time_for_problems_grows_as_their_number_does() {
    for (nr, (few, many)) in crowds(10_000).into_iter().zip(crowds(100_000)).enumerate() {
        // The best of three: a page that has to be found first is no work of ours.
        let best = (0..3).map(|_| time_for(&few.0)).min().unwrap();
        let (base, more) = (best.as_secs_f64(), time_for(&many.0).as_secs_f64());
        assert!(more < base * 40.0, "{nr}: {base} s, then {more} s");
    }
}

#[test]
fn very_many_problems_are_counted_and_the_first_are_shown() {
    for (nr, (text, count)) in crowds(20_000).into_iter().enumerate() {
        let problems = match read(&text, None, &FakeHost::new()) {
            Ok(_) if count == 0 => continue,
            Ok(loaded) => panic!("{nr}: {:?}", loaded.ecosystem.apps.len()),
            Err(problems) => problems,
        };
        let drawn = problems.render(Color::Off);
        assert!(problems.to_json().as_array().unwrap().len() >= count, "{nr}");
        assert!(drawn.contains(&format!("and {} more: ", problems.len() - 50)), "{nr}");
        assert_eq!(drawn.matches("--> ecosystem.toml:").count(), 50, "{nr}");
        assert_eq!(problems.to_string().lines().count(), problems.len(), "{nr}");
    }
}
