//! The shape of the code: who may import whom, and what a layer never touches. Reads the sources.
#![allow(clippy::unwrap_used, missing_docs)]

mod rooms;

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the ground up: a module imports from its own line and from lines above it only.
const LAYERS: [&[&str]; 5] = [
    &["limits", "unit", "handover"],
    &["ecosystem", "rollout", "translate", "plan"],
    &["disk", "host", "systemd", "embedded"],
    &["ops", "report"],
    &["error", "cli"],
];

/// Pure modules, and what none of them may touch.
const PURE: [&str; 7] = ["limits", "unit", "handover", "ecosystem", "rollout", "translate", "plan"];
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::env::var",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "println!",
    "zbus",
    "rustix",
    "std::thread",
];

/// Imports against the rule, each with its reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    // The words of a rollout's policy are those of the ecosystem file.
    ("rollout", "ecosystem"),
    // The program embeds its files; `ops` installs them.
    ("ops", "embedded_files"),
];

fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut todo = vec![root.join(module), root.join(format!("{module}.rs"))];
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.exists() && path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, without_tests(&text)));
        }
    }
    found
}

/// The text up to its tests, without comments.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn modules() -> impl Iterator<Item = (usize, &'static str)> {
    LAYERS
        .iter()
        .enumerate()
        .flat_map(|(level, names)| names.iter().map(move |name| (level, *name)))
}

/// Modules of this crate that a text names.
fn imports(text: &str) -> Vec<String> {
    let names = text.split("crate::").skip(1);
    names
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn imports_go_one_way() {
    for (level, module) in modules() {
        for (path, text) in sources(module) {
            for import in imports(&text) {
                let Some((found, _)) = modules().find(|(_, name)| *name == import) else {
                    continue;
                };
                let allowed = found < level
                    || import == module
                    || LAYERS[level].contains(&import.as_str())
                    || EXCEPTIONS.contains(&(module, import.as_str()));
                assert!(allowed, "{}: {module} imports {import}", path.display());
            }
        }
    }
}

#[test]
fn every_module_has_its_layer() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();
    for name in declared {
        let name = name.trim_end_matches(';');
        assert!(modules().any(|(_, known)| known == name), "{name} has no layer");
    }
}

#[test]
fn pure_modules_touch_nothing() {
    for module in PURE {
        for (path, text) in sources(module) {
            for word in IMPURE {
                assert!(!text.contains(word), "{}: {word} in a pure module", path.display());
            }
        }
    }
}

#[test]
fn only_the_edge_knows_the_bus() {
    for (_, module) in modules().filter(|(_, name)| *name != "systemd") {
        for (path, text) in sources(module) {
            assert!(!text.contains("zbus"), "{}", path.display());
        }
    }
}

/// Files that are longer than the rest, each with its reason.
const LONG: [(&str, &str); 2] = [
    ("rollout/machine.rs", "one state machine, one file"),
    ("ecosystem/read/keys.rs", "a table of all keys"),
];

#[test]
fn files_and_functions_are_short() {
    for (_, module) in modules() {
        for (path, text) in sources(module) {
            let lines = text.lines().count();
            let long = LONG.iter().any(|(name, _)| path.ends_with(name));
            assert!(lines <= 350 || long, "{}: {lines} lines", path.display());
            for (name, length) in functions(&text) {
                assert!(length <= 80, "{}: {name} has {length} lines", path.display());
            }
            let unwraps = [".unwrap()", "todo!(", "unimplemented!("];
            assert!(!unwraps.iter().any(|word| text.contains(word)), "{}", path.display());
        }
    }
}

/// Functions with their number of lines: from `fn` to the brace at the same depth.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(String, usize, usize)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let declared = line.trim_start().split("fn ").nth(1).filter(|_| {
            let start = line.trim_start();
            ["fn ", "pub", "const fn", "async fn", "unsafe fn"]
                .iter()
                .any(|word| start.starts_with(word))
        });
        if let Some(name) = declared {
            open.push((
                name.chars().take_while(|c| *c != '(' && *c != '<').collect(),
                indent,
                number,
            ));
        } else if line.trim_start().starts_with('}')
            && let Some(at) = open.iter().rposition(|(_, depth, _)| *depth == indent)
        {
            let (name, _, begun) = open.remove(at);
            found.push((name, number - begun));
        }
    }
    found
}

#[test]
fn no_module_is_a_drawer() {
    for (_, module) in modules() {
        for (path, _) in sources(module) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            for drawer in ["utils", "util", "helpers", "common", "types", "misc"] {
                assert_ne!(name, drawer, "{}", path.display());
            }
        }
    }
}

/// Files that write to a terminal, each with why it does not leave that to `cli::terminal`, whose last
/// step lets no control character but colours through.
const PRINTING: [(&str, &str); 4] = [
    ("cli/terminal.rs", "that is what it is for"),
    ("cli/dev.rs", "lines of apps, which it makes printable itself"),
    ("cli/pm2.rs", "the command line could not be read yet"),
    ("embedded/trial.rs", "a descriptor for a program, to which it writes nothing itself"),
];

#[test]
fn one_place_writes_to_the_terminal() {
    for (_, module) in modules() {
        for (path, text) in sources(module) {
            let writes = ["stdout()", "stderr()", "println!", "print!(", "dbg!("];
            let known = PRINTING.iter().any(|(name, _)| path.ends_with(name));
            for word in writes {
                assert!(known || !text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

/// So many places may be unsafe in what is loaded into, or runs beside, other people's processes; there
/// is none elsewhere (`unsafe_code = "deny"`). Fewer is better: lower the number then.
const UNSAFE: [(&str, usize); 3] =
    [("src/shims/preload", 233), ("src/shims/trace", 49), ("src/handover", 0)];

#[test]
fn unsafe_places_do_not_grow_in_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, most) in UNSAFE {
        let mut count = 0;
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|end| end == "rs")) {
            let text = without_tests(&fs::read_to_string(path).unwrap());
            let kinds = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
            count += kinds.iter().map(|kind| text.matches(kind).count()).sum::<usize>();
        }
        assert!(count <= most, "{folder} has {count} unsafe places, {most} were agreed on");
        assert!(most == 0 || count > 0, "nothing was counted in {folder}");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
}
