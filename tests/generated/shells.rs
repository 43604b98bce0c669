//! The completion scripts in the shells that they are for: each is loaded, asked for words, and answers
//! with the apps, instances, namespaces and profiles that there are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::{packaging, skip};

/// A user with two apps, and an ecosystem file in the current folder.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let units = home.path().join("systemd/user");
    fs::create_dir_all(&units).unwrap();
    for (app, space) in [("api", "shop"), ("web", "shop")] {
        let text = format!("[X-Clusterctl]\nApp={app}\nRole=group\nNamespace={space}\n");
        fs::write(units.join(format!("{app}.service")), text).unwrap();
        let wants = units.join(format!("{app}.service.wants"));
        fs::create_dir(&wants).unwrap();
        for number in 0..2 {
            symlink("/dev/null", wants.join(format!("{app}@{number}.service"))).unwrap();
        }
    }
    let file =
        "[[apps]]\nname = 'api'\nenv_production = { A = '1' }\n[[apps]]\nscript = 'mail.js'\n";
    fs::write(home.path().join("ecosystem.toml"), file).unwrap();
    home
}

fn run(home: &Path, program: &str, arguments: &[&str]) -> String {
    let own = Path::new(env!("CARGO_BIN_EXE_clusterctl")).parent().unwrap();
    let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home).env("PATH", path).env("HOME", home);
    command.env("XDG_CONFIG_HOME", home).env("TERM", "dumb").env_remove("XDG_RUNTIME_DIR");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {text}{output:?}");
    text
}

/// Lines that are typed, and the words that each shell has to offer.
const LINES: [(&str, &[&str]); 8] = [
    ("clusterctl rel", &["reload", "reloadLogs"]),
    ("clusterctl --user stop ", &["api", "web", "shop", "all"]),
    ("clusterctl --user stop w", &["web"]),
    ("clusterctl --user restart api@", &["api@0", "api@1"]),
    ("clusterctl apply --env ", &["production", "none"]),
    ("clusterctl apply --only ", &["api", "mail"]),
    ("clusterctl apply --only api,m", &["api,mail"]),
    ("clusterctl apply ecosy", &["ecosystem.toml"]),
];

#[test]
fn bash_offers_what_there_is() {
    let home = home();
    let script = packaging("completions/clusterctl.bash");
    for (line, words) in LINES {
        // As bash sets them: it breaks words at `@`, and replaces the last part alone.
        let ask = format!(
            "source '{}'; complete -p clusterctl >/dev/null || exit 1; COMP_WORDBREAKS=$' \\t\\n@=:'; \
             COMP_LINE='{line}' COMP_POINT={}; _clusterctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            line.len(),
        );
        let said = run(home.path(), "bash", &["--norc", "-c", &ask]);
        let offered: Vec<&str> = said.lines().map(str::trim).collect();
        let wanted = words.iter().map(|word| word.rsplit_once('@').map_or(*word, |(_, end)| end));
        for word in wanted {
            assert!(offered.contains(&word), "{line}: {word} is not among {offered:?}");
        }
    }
}

/// Names of files that would be instructions to a shell if they stood in a line as they are.
const TRAPS: [&str; 5] =
    ["trap$(touch ran)", "trap;touch ran", "trap`touch ran`", "trap&touch ran", "trap * 'x'"];

#[test]
fn bash_obeys_no_name_of_a_file() {
    let home = home();
    let script = packaging("completions/clusterctl.bash");
    for name in TRAPS {
        fs::write(home.path().join(name), "").unwrap();
        let ask = format!(
            "source '{}'; COMP_LINE='clusterctl apply tra' COMP_POINT=20; _clusterctl; \
             eval \"printf '%s\\n' ${{COMPREPLY[*]}}\"",
            script.display(),
        );
        let said = run(home.path(), "bash", &["--norc", "-c", &ask]);
        assert_eq!(said.trim_end(), name);
        assert!(!home.path().join("ran").exists(), "{name} was obeyed");
        fs::remove_file(home.path().join(name)).unwrap();
    }
}

#[test]
fn fish_offers_what_there_is() {
    if !skip::has("fish") {
        return;
    }
    let home = home();
    let script = packaging("completions/clusterctl.fish");
    for (line, words) in LINES {
        let ask = format!("source '{}'; complete -C '{line}'", script.display());
        let said = run(home.path(), "fish", &["--no-config", "-c", &ask]);
        for word in words {
            let offered = said.lines().any(|line| line.split('\t').next() == Some(word));
            assert!(offered, "{line}: {word} is not among {said}");
        }
    }
}

/// zsh has to be asked by a terminal: it runs in one, of which everything is read that it writes.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='' PS2='' RPS1='' LISTMAX=0; unsetopt zle_bracketed_paste beep; stty rows 60 cols 200"
zpty -w shell "fpath=($FOLDER \$fpath); autoload -Uz compinit; compinit -u -D; setopt auto_list no_list_ambiguous; print lo''aded"
zpty -r shell said '*loaded*'
zpty -n -w shell "$LINE"$'\t\t'
zpty -n -w shell $'\C-a\C-kprint en\'\'ded\n'
zpty -r shell said '*ended*'
print -r -- "$said"
zpty -d shell
"#;

#[test]
fn zsh_offers_what_there_is() {
    if !skip::has("zsh") {
        return;
    }
    let home = home();
    let folder = packaging("completions");
    for (line, words) in LINES {
        let script = format!("FOLDER='{}' LINE='{line}'\n{ZSH}", folder.display());
        let said = run(home.path(), "zsh", &["-f", "-c", &script]);
        for word in words {
            assert!(said.contains(word), "{line}: {word} is not in {said}");
        }
    }
}
