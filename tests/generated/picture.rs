//! The picture of a reload in the README: what `make demo` shows in a terminal. `make picture` takes it anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::packaging;

const PICTURE: &str = "../docs/reload.svg";

/// The demo in a terminal of 100 columns; what it shows comes with its colours.
const TERMINAL: &str = "\
set -eu
terminal() { tmux -L \"$SERVER\" -f /dev/null \"$@\"; }
trap 'terminal kill-server' EXIT
# Every line stays on the screen, and the shell stays until its screen has been read.
terminal new-session -d -x 100 -y 200 'timeout 300 examples/demo.sh; tmux wait-for -S shown; sleep 60'
timeout 310 tmux -L \"$SERVER\" wait-for shown
terminal capture-pane -p -e
";

/// Headings of the demo whose parts are in the picture.
const PARTS: [&str; 3] = ["Four instances share", "A new release", "Lost requests"];

/// The parts of what was shown that make the picture.
fn chosen(screen: &str) -> String {
    let parts = screen.split("\n\n").filter(|part| PARTS.iter().any(|name| part.contains(name)));
    let parts: Vec<&str> = parts.map(str::trim_end).collect();
    assert_eq!(parts.len(), PARTS.len(), "{screen}");
    parts.join("\n\n") + "\n"
}

#[test]
#[ignore = "runs the demo in a terminal, and replaces the picture: make picture"]
fn take() {
    let program = Path::new(env!("CARGO_BIN_EXE_clusterctl")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", TERMINAL]);
    shell.env("PATH", path).env("SERVER", format!("clusterctl-{}", std::process::id()));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let screen = String::from_utf8(output.stdout).unwrap();
    let svg = anstyle_svg::Term::new().render_svg(&chosen(&screen));
    fs::write(packaging(PICTURE), svg).unwrap();
}

#[test]
fn the_picture_shows_a_reload_without_a_lost_request() {
    let path = packaging(PICTURE);
    let parse =
        "import sys, xml.dom.minidom as m; print(m.parse(sys.argv[1]).documentElement.tagName)";
    let output = Command::new("python3").args(["-c", parse]).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "svg", "{output:?}");
    let text = fs::read_to_string(path).unwrap();
    for words in PARTS.iter().chain(&["clusterctl reload hello", "4 replaced in", "lost: 0"]) {
        assert!(text.contains(words), "the picture has no `{words}`: make picture");
    }
    let readme = fs::read_to_string(packaging("../README.md")).unwrap();
    assert!(readme.contains("](docs/reload.svg)"), "the README shows no picture");
}
