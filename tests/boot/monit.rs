//! `clusterctl monit` in a real terminal. What differs from run to run is masked in the expected screens;
//! `UPDATE_EXPECT=1` writes them anew.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::booted_long;
use crate::support::{Machine, skip, tmux::Tmux, wait_until};

/// Two apps, one of which writes what a terminal would obey.
const FILE: &str = r#"
[[apps]]
name = "api"
command = ["sh", "-c", 'echo up; printf "\033[2J\033]0;owned\007hostile\n"; echo "<3>bad" >&2; exec sleep infinity']
instances = 2
rollout = { min_ready = 0 }

[[apps]]
name = "worker"
command = ["sleep", "infinity"]
rollout = { min_ready = 0 }
"#;

fn applied(m: &Machine) {
    m.write("/srv/api/ecosystem.toml", FILE);
    m.ok(["clusterctl", "apply", "/srv/api/ecosystem.toml"]);
}

/// A screen without numbers, and without what they are drawn as.
fn masked(screen: &str) -> String {
    let masked_line = |line: &str| {
        let mut out = String::new();
        let mut number = String::new();
        for c in line.chars().chain(['\n']) {
            match c {
                '▁'..='█' => out.push(' '),
                c if c.is_ascii_digit() || ".:".contains(c) && !number.is_empty() => number.push(c),
                c => {
                    // A longer number has fewer blanks before it, a shorter unit fewer letters behind it.
                    if !number.is_empty() {
                        while out.ends_with("  ") {
                            out.pop();
                        }
                        out.push('N');
                        number.clear();
                    }
                    out.push(c);
                }
            }
        }
        let words: Vec<&str> = out.split_whitespace().collect();
        words.join(" ").replace("Nkb", "Nmb").replace("Nm ", "Ns ") + "\n"
    };
    let mut lines: Vec<String> = screen.lines().map(masked_line).collect();
    // Which of two instances says something first is nobody's to decide.
    let of_log = |line: &String| line.starts_with("│N api@N");
    let first = lines.iter().position(of_log).unwrap_or(lines.len());
    let count = lines[first..].iter().take_while(|line| of_log(line)).count();
    lines[first..first + count].sort();
    lines.concat()
}

#[track_caller]
fn expect(name: &str, screen: &str, (width, height): (u32, u32)) {
    assert_eq!(screen.lines().count(), height as usize, "{screen}");
    for line in screen.lines() {
        assert!(line.chars().count() <= width as usize, "{line}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/monit");
    let path = folder.join(format!("{name}.txt"));
    let shown = masked(screen);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &shown).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == shown, "{}:\n{screen}\nmasked:\n{shown}", path.display());
}

/// Begins, and waits until everything is there that is there at the beginning.
fn begin(terminal: &Tmux) -> String {
    terminal.type_in("stty -a | md5sum; clusterctl monit; echo \"code $?\"; stty -a | md5sum\n");
    terminal.wait_for("3 of 3 online");
    terminal.wait_for("api@1 ! bad");
    terminal.wait_for("api@0 ! bad");
    // The second look, at which CPU is known.
    terminal.wait_for("0.0%")
}

/// Waits for the end, and sees that the terminal is what it was before.
fn end(terminal: &Tmux, code: u8) {
    let screen = terminal.wait_for(&format!("code {code}\n"));
    let settings = |screen: &str| {
        // The first one may have a prompt in front of it.
        let sums = screen.lines().filter_map(|line| line.strip_suffix("  -"));
        sums.filter_map(|line| line.split(' ').next_back().map(str::to_owned)).collect::<Vec<_>>()
    };
    let both = || settings(&terminal.screen());
    wait_until("both sums", Duration::from_secs(20), || both().len() == 2);
    let sums = both();
    assert_eq!(sums[0], sums[1], "the terminal is not what it was: {screen}");
    assert!(screen.contains("clusterctl monit; echo"), "the former screen is there: {screen}");
    terminal.type_in("clear\n");
    terminal.wait_without("code ");
}

booted_long!(the_dashboard_shows_and_does_what_keys_say, |m| {
    if !skip::has("tmux") {
        return;
    }
    applied(m);
    let size = (80, 24);
    let terminal = Tmux::shell(m, size.0, size.1);
    let screen = begin(&terminal);
    expect("80x24", &screen, size);
    let pid = m.ok(["clusterctl", "pid", "api@1"]);
    terminal.type_in("r");
    terminal.wait_for("clusterctl reload api?");
    terminal.type_in("y");
    terminal.wait_for("✓ clusterctl reload api: api: 2 replaced");
    assert_ne!(pid, m.ok(["clusterctl", "pid", "api@1"]));
    terminal.type_in("s+1\n");
    terminal.wait_for("4 of 4 online");
    terminal.wait_for("✓ clusterctl scale api +1");
    terminal.type_in("/hostile\n");
    terminal.wait_for("/ hostile");
    // To the newest line, then without the search: two at once are one to whoever reads a terminal.
    wait_until("the search is over", Duration::from_secs(60), || {
        terminal.press("Escape");
        terminal.is_soon_without("/ hostile")
    });
    terminal.type_in("fbad\n");
    terminal.wait_without("hostile");
    terminal.type_in("d");
    terminal.wait_for("defined in: /srv/api/ecosystem.toml");
    terminal.press("Escape");
    terminal.wait_for("with bad");
    terminal.press("Down");
    terminal.wait_for("logs of api@0");
    terminal.type_in("xy");
    terminal.wait_for("3 of 4 online");
    terminal.wait_for("✓ clusterctl stop api@0");
    terminal.type_in("q");
    end(&terminal, 0);
});

booted_long!(the_terminal_is_given_back_however_the_dashboard_ends, |m| {
    if !skip::has("tmux") {
        return;
    }
    applied(m);
    let size = (140, 40);
    let terminal = Tmux::shell(m, size.0, size.1);
    let screen = begin(&terminal);
    expect("140x40", &screen, size);
    terminal.press("C-c");
    end(&terminal, 0);
    for signal in ["TERM", "INT", "HUP"] {
        begin(&terminal);
        m.ok(["pkill", &format!("-{signal}"), "-x", "-f", "clusterctl monit"]);
        end(&terminal, 130);
    }
    // Nothing that it shows is touched by its end.
    assert!(m.ok(["clusterctl", "list"]).matches("online").count() == 3);
});
