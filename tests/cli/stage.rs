//! Where command lines run in these tests, and the record of what they said.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt::{Debug, Write as _};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use clusterctl::cli::{self, Purpose, Surroundings, Ui, World};
use clusterctl::disk::Layout;
use clusterctl::ecosystem::{Host, Scope};
use clusterctl::error::{Error, exit};
use clusterctl::ops::Context;
use clusterctl::plan::doctor::MachineFacts;
use clusterctl::report::Style;
use clusterctl::systemd::{self, Systemd};

use crate::fake::{self, Fake};
use crate::host::{FakeHost, dynamic_elf};
use crate::manager::{Manager, Shared};
use crate::plain::{without_content, without_time};

/// Two instances on one port, for the current folder.
pub const SHOP: &str = "\
[[apps]]
name = \"shop\"
script = \"server.js\"
user = \"api\"
instances = 2
listen = \"127.0.0.1:3999\"
rollout = { min_ready = 0 }
";

/// One app without a listener.
pub const WORKER: &str = "\
[[apps]]
name = \"worker\"
script = \"worker.js\"
user = \"api\"
rollout = { min_ready = 0 }
";

/// A machine with a manager, and the transcript of what was typed on it.
pub struct Stage {
    machine: Rc<Machine>,
    transcript: RefCell<String>,
}

struct Machine {
    root: tempfile::TempDir,
    manager: Arc<Mutex<Manager>>,
    /// A fake manager for each connection; connections are closed before their manager is dropped.
    buses: RefCell<Vec<Fake>>,
    has_bus: RefCell<bool>,
    is_root: RefCell<bool>,
    input: RefCell<String>,
    words: RefCell<Vec<OsString>>,
}

impl Stage {
    pub fn new() -> Stage {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        for folder in [&layout.units, &layout.state, &layout.runtime, &layout.environment] {
            fs::create_dir_all(folder).unwrap();
        }
        // Whether a sandbox may have namespaces is a question to the real machine.
        fs::write(layout.runtime.join("namespaces"), "yes").unwrap();
        let machine = Machine {
            manager: Arc::new(Mutex::new(Manager::new(layout.units))),
            buses: RefCell::default(),
            has_bus: true.into(),
            is_root: true.into(),
            input: RefCell::default(),
            words: RefCell::default(),
            root,
        };
        let stage = Stage { machine: Rc::new(machine), transcript: RefCell::default() };
        stage.write("clusterctl", "");
        stage.write("server.js", "");
        stage.write("worker.js", "");
        stage
    }

    /// The same with an ecosystem file that is in force.
    pub fn applied(text: &str) -> Stage {
        let stage = Stage::new();
        stage.write("ecosystem.toml", text);
        stage.run(&["apply"], exit::OK);
        stage.transcript.borrow_mut().clear();
        stage
    }

    /// The bus does not answer from now on.
    pub fn without_bus(self) -> Stage {
        self.machine.has_bus.replace(false);
        self
    }

    /// The manager permits no change from now on.
    pub fn denied(self) -> Stage {
        self.manager().denies = true;
        self
    }

    /// The caller is not root from now on.
    pub fn unprivileged(self) -> Stage {
        self.machine.is_root.replace(false);
        self
    }

    pub fn manager(&self) -> MutexGuard<'_, Manager> {
        self.machine.manager.lock().unwrap()
    }

    /// What standard input holds.
    pub fn input(&self, text: &str) {
        self.machine.input.replace(text.to_owned());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.machine.root.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command line that ends with this exit code, and notes what it says; gives what is said on standard error.
    #[track_caller]
    pub fn run(&self, words: &[&str], expected: u8) -> String {
        let (code, out, err) = self.said(words);
        let mut transcript = self.transcript.borrow_mut();
        writeln!(transcript, "$ clusterctl {}", words.join(" ")).unwrap();
        for (mark, text) in [("", &out), ("2> ", &err)] {
            text.lines().for_each(|line| writeln!(transcript, "{mark}{line}").unwrap());
        }
        writeln!(transcript, "exit code {code}\n").unwrap();
        assert_eq!(code, expected, "{transcript}");
        err
    }

    /// Notes what a file holds.
    pub fn show(&self, name: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let text = text.replace(&self.machine.root.path().display().to_string(), "ROOT");
        let text = without_content(&text);
        let mut transcript = self.transcript.borrow_mut();
        writeln!(transcript, "$ cat {name}\n{text}").unwrap();
    }

    /// The exit code, standard output and standard error of a command line.
    pub fn said(&self, words: &[&str]) -> (u8, String, String) {
        let (code, out, err) = self.printed(words, Style::PLAIN);
        (code, self.plain(&out), in_turn(&self.plain(&err)))
    }

    /// The same as a terminal of this style gets it, character by character.
    pub fn printed(&self, words: &[&str], style: Style) -> (u8, String, String) {
        let (out, err) = (Sheet::default(), Sheet::default());
        self.machine.words.replace(words.iter().map(OsString::from).collect());
        let mut ui = Ui::over(Box::new(out.clone()), Box::new(err.clone()));
        (ui.out, ui.err) = (style, style);
        let mut world = World { ui, surroundings: Box::new(Seen(Rc::clone(&self.machine))) };
        let line = ["clusterctl"].iter().chain(words).map(OsString::from);
        let code = cli::run(line, &mut world);
        let text = |sheet: &Sheet| String::from_utf8(sheet.0.borrow().clone()).unwrap();
        (code, text(&out), text(&err))
    }

    /// Text without what differs from run to run and from compiler to compiler: the temporary folder, columns that
    /// are as wide as its name, sums of texts that hold it, and the sum of the handover files.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.machine.root.path().display().to_string(), "ROOT");
        let text = without_content(&text);
        let narrow = |line: &str| {
            for sum in ["Checksum=", "Revision="] {
                if let Some((start, _)) = line.split_once(sum) {
                    return format!("{start}{sum}…\n");
                }
            }
            if let Some((start, rest)) = line.split_once("revision=\"") {
                let end = rest.split_once('"').map_or("", |(_, end)| end);
                return format!("{start}revision=\"…\"{end}\n");
            }
            let line = &*without_time(line);
            // A line with carets below it keeps its columns.
            if line.contains(" |") || line.starts_with("{") {
                return format!("{line}\n");
            }
            let (start, rest) = line.split_at(line.len() - line.trim_start().len());
            let words = rest.split("  ").map(str::trim).filter(|word| !word.is_empty());
            format!("{start}{}\n", words.collect::<Vec<_>>().join("  "))
        };
        text.lines().map(narrow).collect()
    }

    /// Compares all that was said with `expected/NAME.txt`.
    #[track_caller]
    pub fn expect(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/expected");
        let path = folder.join(format!("{name}.txt"));
        let said = self.transcript.borrow();
        let said = format!("{}\n", said.trim_end());
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, &said).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let shown = path.display();
        assert!(expected == said, "{shown} differs; UPDATE_EXPECT=1 shows how:\n{said}");
    }
}

/// Instances of several apps are told of as they come: what is told one after the other is put in the order of names.
fn in_turn(text: &str) -> String {
    let of_instance = |line: &&str| line.starts_with("  ✓ ") && line.contains('@');
    let mut lines: Vec<&str> = text.lines().collect();
    let runs = lines.chunk_by_mut(|one, next| of_instance(one) && of_instance(next));
    runs.for_each(<[&str]>::sort_unstable);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Bytes that were written to standard output or standard error.
#[derive(Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn layout(root: &Path) -> Layout {
    Layout {
        units: root.join("units"),
        environment: root.join("environment"),
        state: root.join("state"),
        runtime: root.join("run"),
        foreign: Vec::new(),
        drop_ins: Vec::new(),
        pins: Some(root.join("pins")),
        ..Layout::system()
    }
}

/// A machine as a command line sees it.
struct Seen(Rc<Machine>);

impl Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Surroundings for Seen {
    fn arguments(&self) -> Vec<OsString> {
        self.0.words.borrow().clone()
    }

    fn default_scope(&self) -> Scope {
        Scope::System
    }

    fn layout(&self, scope: Scope) -> Result<Layout, Error> {
        let root = self.0.root.path();
        Ok(match scope {
            Scope::System => layout(root),
            Scope::User => Layout::private(&root.join("own")),
        })
    }

    fn systemd(&self, _scope: Scope) -> Result<Systemd, systemd::Error> {
        if !*self.0.has_bus.borrow() {
            return Systemd::connect_to("unix:path=/nowhere/bus");
        }
        let (fake, systemd) = fake::start_script(Shared(Arc::clone(&self.0.manager)));
        self.0.buses.borrow_mut().push(fake);
        Ok(systemd)
    }

    fn host(&self, _layout: &Layout, _purpose: Purpose) -> Box<dyn Host> {
        let mut host = FakeHost::new();
        host.changeable.clear();
        for name in ["server.js", "worker.js"] {
            host.file(&self.0.root.path().join(name).display().to_string());
        }
        let program = self.program().display().to_string();
        host.program_with(&program, &dynamic_elf());
        Box::new(host)
    }

    fn machine_facts(&self, _scope: Scope) -> MachineFacts {
        MachineFacts::default()
    }

    fn folder(&self) -> io::Result<PathBuf> {
        Ok(self.0.root.path().to_owned())
    }

    fn named_folder(&self) -> Option<PathBuf> {
        None
    }

    fn standard_input(&self) -> io::Result<String> {
        Ok(self.0.input.borrow().clone())
    }

    fn input(&self) -> Box<dyn Read> {
        Box::new(io::Cursor::new(self.0.input.borrow().clone().into_bytes()))
    }

    fn request(&self, most: usize) -> io::Result<Vec<u8>> {
        let input = self.0.input.borrow();
        Ok(input.bytes().take(most).collect())
    }

    fn program(&self) -> PathBuf {
        self.0.root.path().join("clusterctl")
    }

    fn user(&self) -> String {
        "alice".to_owned()
    }

    fn is_root(&self) -> bool {
        *self.0.is_root.borrow()
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH
    }

    fn catch_interrupts(&self, _ctl: &Context) -> io::Result<()> {
        Ok(())
    }

    fn catch_end(&self, _ctl: &Context) -> io::Result<()> {
        Ok(())
    }
}
