//! The shape of the code: who may import whom, and what a layer never touches. Reads the sources.
#![allow(clippy::unwrap_used, missing_docs)]

mod imports;
mod places;
mod rooms;
mod tests_shape;

use std::fs;
use std::path::{Path, PathBuf};

use imports::{Files, Place};

/// Layers from the ground up, one module each: a module imports from those before it only. `src/lib.rs` and
/// the table of ARCHITECTURE.md have them in the same order.
const LAYERS: [&str; 23] = [
    "limits",
    "unit",
    "handover",
    "ecosystem",
    "import",
    "translate",
    "rollout",
    "plan",
    "export",
    "fleet",
    "clock",
    "disk",
    "host",
    "release",
    "door_client",
    "ssh",
    "systemd",
    "embedded",
    "ops",
    "report",
    "error",
    "cli",
    "shims",
];

/// The modules that the preload library, the launcher and the tracer share with the program. They are
/// compiled on their own, and use nothing else of it.
const OF_SHIMS: [&str; 1] = ["handover"];

/// The last of the pure modules: it and all before it, and what none of them may touch.
const LAST_PURE: &str = "fleet";
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

fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut todo = vec![root.join(module), root.join(format!("{module}.rs"))];
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.ends_with("tests.rs") {
            // Tests alone, of the module beside them.
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

fn modules() -> impl Iterator<Item = &'static str> {
    LAYERS.into_iter().filter(|module| *module != "shims")
}

/// Every file of the program, as the module that it is.
fn files() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = (root.join("lib.rs"), fs::read_to_string(root.join("lib.rs")).unwrap());
    let all = modules().flat_map(sources).chain([lib]);
    Files::new(all.map(|(path, text)| (place(&root, &path), text)).collect())
}

fn place(root: &Path, path: &Path) -> Place {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let words = inside.iter().map(|word| word.to_string_lossy().into_owned());
    words.filter(|word| word != "mod" && word != "lib").collect()
}

#[test]
fn imports_go_one_way() {
    let files = files();
    let level = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    for (level_of_module, module) in modules().enumerate() {
        for place in files.of(module) {
            for import in files.named(place) {
                let Some(found) = import.first().and_then(|name| level(name)) else { continue };
                let import = import.join("::");
                assert!(found <= level_of_module, "{} imports {import}", place.join("::"));
            }
        }
    }
}

#[test]
fn shims_import_what_they_are_compiled_with_alone() {
    let mut shared = 0;
    for (path, text) in sources("shims") {
        for place in imports::of_crate(&text) {
            let Some(module) = place.first().filter(|name| modules().any(|m| m == *name)) else {
                continue;
            };
            assert!(OF_SHIMS.contains(&module.as_str()), "{}: {module}", path.display());
            shared += 1;
        }
    }
    assert!(shared > 0, "nothing was found to be shared");
}

#[test]
fn no_files_import_from_one_another_in_a_circle() {
    let files = files();
    for module in modules() {
        let edges = files.of(module).map(|place| (place.clone(), files.imports(place))).collect();
        let circle = imports::circle(&edges);
        let shown = circle.map(|places| {
            places.iter().map(|place| place.join("::")).collect::<Vec<_>>().join(" → ")
        });
        assert_eq!(shown, None, "{module}");
    }
}

#[test]
fn the_order_of_modules_is_told_once() {
    let read = |path| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let lib = read("src/lib.rs");
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    assert_eq!(declared.collect::<Vec<_>>(), modules().collect::<Vec<_>>(), "src/lib.rs");
    let page = read("ARCHITECTURE.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: Vec<&str> = rows.map(|(name, _)| name).filter(|name| !name.ends_with('/')).collect();
    assert_eq!(rows, LAYERS, "ARCHITECTURE.md");
}

#[test]
fn pure_modules_touch_nothing() {
    let pure = 1 + LAYERS.iter().position(|layer| *layer == LAST_PURE).unwrap();
    for module in &LAYERS[..pure] {
        for (path, text) in sources(module) {
            for word in IMPURE {
                assert!(!text.contains(word), "{}: {word} in a pure module", path.display());
            }
        }
    }
}

#[test]
fn only_the_edge_knows_the_bus() {
    for module in modules().filter(|name| *name != "systemd") {
        for (path, text) in sources(module) {
            assert!(!text.contains("zbus"), "{}", path.display());
        }
    }
}

/// Lines of a file, and of a function, at most; tests and comments do not count.
const FILE_LINES: usize = 350;
const FUNCTION_LINES: usize = 80;
/// Nine of ten functions are shorter than this.
const USUAL_LINES: usize = 40;

#[test]
fn files_and_functions_are_short() {
    let mut lengths = Vec::new();
    for (path, text) in LAYERS.into_iter().flat_map(sources) {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES, "{}: {lines} lines", path.display());
        for (name, length) in functions(&text) {
            assert!(length <= FUNCTION_LINES, "{}: {name} has {length} lines", path.display());
            lengths.push(length);
        }
        let unwraps = [".unwrap()", "todo!(", "unimplemented!("];
        assert!(!unwraps.iter().any(|word| text.contains(word)), "{}", path.display());
    }
    let short = lengths.iter().filter(|length| **length < USUAL_LINES).count();
    assert!(lengths.len() > 1000, "functions are not seen: {}", lengths.len());
    assert!(short * 10 >= lengths.len() * 9, "{short} of {} are short", lengths.len());
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
            found.push((name, number - begun + 1));
        }
    }
    found
}

#[test]
fn no_module_is_a_drawer() {
    for module in modules() {
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
    ("cli/terminal/mod.rs", "that is what it is for"),
    ("cli/monit/screen.rs", "pictures, cell by cell; no cell holds a control character"),
    ("cli/dev.rs", "lines of apps, which it makes printable itself"),
    ("embedded/trial.rs", "a descriptor for a program, to which it writes nothing itself"),
];

#[test]
fn one_place_writes_to_the_terminal() {
    for module in modules() {
        for (path, text) in sources(module) {
            let writes =
                ["stdout()", "stderr()", "println!", "print!(", "dbg!(", "ratatui::try_init"];
            let known = PRINTING.iter().any(|(name, _)| path.ends_with(name));
            let found = writes.into_iter().find(|word| text.contains(word));
            assert_eq!(found.is_some(), known, "{}: {found:?}", path.display());
        }
    }
}

/// So many places may be unsafe in what is loaded into, or runs beside, other people's processes; there
/// is none elsewhere (`unsafe_code = "deny"`). Fewer is better: lower the number then.
const UNSAFE: [(&str, usize); 4] = [
    ("src/shims/preload", 249),
    ("src/shims/trace", 49),
    ("src/shims/libsystemd", 5),
    ("src/handover", 0),
];

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
