//! What is really executed, through `#!` lines and wrappers, and how its system calls can be
//! reached. Opens nothing itself: `Host` reads the heads of files.

use std::path::{Path, PathBuf};

use super::command::ResolvedCommand;
use super::elf::{self, Elf, Image};
use super::graceful::{self, Graceful};
use super::node;
use crate::ecosystem::model::host::{PathKind, Search};
use crate::ecosystem::read::value;
use crate::limits;

/// Programs that run another one, whose own kind says nothing about it.
const WRAPPERS: &[&str] = &[
    "sh", "bash", "dash", "ash", "zsh", "ksh", "env", "nice", "ionice", "timeout", "stdbuf",
    "time", "setsid", "chrt", "taskset",
];
/// Wrappers that run a text of shell commands.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh"];

/// What a program is, as far as its handover depends on it.
#[derive(Debug)]
pub(crate) struct ProgramKind {
    /// Whether Node runs it, or may run below it.
    pub node: bool,
    /// Whether Python runs it, or may run below it.
    pub python: bool,
    /// The signal at which it finishes what it has begun, where that is not SIGTERM.
    pub graceful: Option<Graceful>,
    /// How its listeners can be handed over.
    pub handover: HandoverChoice,
}

/// How a program's system calls can be reached.
#[derive(Debug)]
pub(crate) enum HandoverChoice {
    /// A library can be loaded into it.
    Preload,
    /// It makes its system calls itself; the text says why.
    Trace(&'static str),
    /// It cannot run on this machine.
    Broken { message: String, help: String },
}

/// Reads the heads of the program and of its interpreters.
pub(crate) fn program_kind(host: Search<'_>, ran: &ResolvedCommand, cwd: &Path) -> ProgramKind {
    let command = &ran.command;
    let mut kind = ProgramKind {
        node: false,
        python: false,
        graceful: None,
        handover: HandoverChoice::Preload,
    };
    follow(
        host,
        Startup { program: &command.program, args: &command.args, cwd },
        limits::SCRIPTS,
        &mut kind,
    );
    kind
}

fn base_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A program about to be started.
struct Startup<'a> {
    program: &'a Path,
    args: &'a [String],
    cwd: &'a Path,
}

fn follow(host: Search<'_>, start: Startup<'_>, depth: u32, kind: &mut ProgramKind) {
    let Startup { program, args, cwd } = start;
    let name = base_name(program);
    kind.node |= node::is_node(&name);
    let wraps = WRAPPERS.contains(&name.as_str());
    // A shell may run anything.
    kind.python |= wraps || ["python", "pypy"].iter().any(|python| name.starts_with(python));
    kind.graceful = graceful::graceful(host, program, args).or(kind.graceful.take());
    if wraps {
        kind.node |= args.iter().any(|arg| node::mentioned(arg));
    }
    // A file that we may not read may be readable for the manager: a dynamically linked program is assumed.
    let Some(head) = host.head(program, elf::HEAD) else { return };
    match elf::image(&head) {
        Image::Elf(elf) => {
            kind.node |= elf.dynamic && !kind.node && node::is_inside(host, program, &head);
            kind.handover = reach(&elf, program);
        }
        Image::Unknown => {
            kind.handover = HandoverChoice::Broken {
                message: format!("`{}` is neither a program nor a script", program.display()),
                help: "begin it with a `#!` line, or write `interpreter = \"…\"`".to_owned(),
            };
        }
        Image::Script { interpreter, argument } => {
            script(host, &start, &head, (&interpreter, argument.as_deref()), depth, kind);
        }
    }
    if wraps
        && depth > 0
        && let Some(next) = wrapped(host, &name, args, cwd)
    {
        follow_next(host, &next, depth, kind);
    }
}

/// The main process is what gets a signal: a shell that waits for a server hands none on.
fn follow_next(host: Search<'_>, next: &Next, depth: u32, kind: &mut ProgramKind) {
    follow(host, next.start(), depth - 1, kind);
    kind.graceful.take_if(|_| !next.replaces);
}

/// A script is what its interpreter is; one for a shell is what it runs in the end.
fn script(
    host: Search<'_>,
    start: &Startup<'_>,
    head: &[u8],
    (interpreter, argument): (&str, Option<&str>),
    depth: u32,
    kind: &mut ProgramKind,
) {
    let text = String::from_utf8_lossy(head);
    let shell = WRAPPERS.contains(&base_name(Path::new(interpreter)).as_str());
    kind.node |= shell && node::mentioned(&text);
    match interpreted_by(host, interpreter, argument) {
        Some(next) if depth > 0 => {
            follow(host, Startup { program: &next, args: &[], ..*start }, depth - 1, kind);
            let shell = SHELLS.contains(&base_name(&next).as_str());
            if shell
                && head.len() < elf::HEAD
                && let Some(next) = last_command(host, &text, start.cwd)
            {
                follow_next(host, &next, depth, kind);
            }
        }
        Some(_) => kind.handover = broken_line(start.program, "leads through too many `#!` lines"),
        None => {
            let what = interpreter_text(interpreter, argument);
            let what = format!("is run by `{what}`, which does not exist");
            kind.handover = broken_line(start.program, &what);
        }
    }
}

fn broken_line(program: &Path, what: &str) -> HandoverChoice {
    HandoverChoice::Broken {
        message: format!("`{}` {what}", program.display()),
        help: "correct its first line, or install what it names".to_owned(),
    }
}

fn interpreter_text(interpreter: &str, argument: Option<&str>) -> String {
    argument.map_or_else(|| interpreter.to_owned(), |argument| format!("{interpreter} {argument}"))
}

/// The program that a `#!` line really starts, through `env` and `env -S`.
fn interpreted_by(host: Search<'_>, interpreter: &str, argument: Option<&str>) -> Option<PathBuf> {
    let path = Path::new(interpreter);
    if base_name(path) != "env" {
        return (host.kind(path) == PathKind::Executable).then(|| path.to_path_buf());
    }
    let argument = argument?;
    let split = ["-S", "--split-string="].iter().find_map(|flag| argument.strip_prefix(flag));
    let words = match split {
        Some(line) => value::shell_words(line)?,
        None => vec![argument.to_owned()],
    };
    let named = words.into_iter().find(|word| !word.starts_with('-') && !word.contains('='))?;
    if named.contains('/') {
        let path = PathBuf::from(named);
        return (host.kind(&path) == PathKind::Executable).then_some(path);
    }
    host.program(&named)
}

/// `e_machine` of x86-64, which the x32 ABI shares.
const X86_64: u16 = 62;

fn reach(elf: &Elf, program: &Path) -> HandoverChoice {
    let native = elf::native_machine();
    if native.is_some_and(|native| native != elf.machine) {
        return HandoverChoice::Broken {
            message: format!(
                "`{}` is built for {}, and this machine is {}",
                program.display(),
                elf::machine_name(elf.machine),
                std::env::consts::ARCH
            ),
            help: "install or build it for this machine".to_owned(),
        };
    }
    if elf.machine == X86_64 && !elf.wide {
        return HandoverChoice::Broken {
            message: format!("`{}` is built for the x32 ABI", program.display()),
            help: "build it for x86_64".to_owned(),
        };
    }
    if elf.go {
        return HandoverChoice::Trace("it is a Go program, which makes its system calls itself");
    }
    if !elf.dynamic {
        return HandoverChoice::Trace("it is statically linked");
    }
    let musl = elf.loader.as_deref().is_some_and(|loader| loader.contains("ld-musl"));
    if musl && cfg!(target_env = "gnu") {
        return HandoverChoice::Trace("it is linked against musl");
    }
    HandoverChoice::Preload
}

/// What a wrapper goes on to run.
struct Next {
    program: PathBuf,
    args: Vec<String>,
    cwd: PathBuf,
    /// Whether it takes the place of the wrapper, as after `exec`.
    replaces: bool,
}

impl Next {
    fn start(&self) -> Startup<'_> {
        Startup { program: &self.program, args: &self.args, cwd: &self.cwd }
    }
}

/// Through `env A=b program`, `nice -n 5 program`, `sh -c "exec program"` and `sh script`.
fn wrapped(host: Search<'_>, name: &str, args: &[String], cwd: &Path) -> Option<Next> {
    if !SHELLS.contains(&name) {
        // Options and their values name no program.
        let found = |arg: &String| locate(host, arg, cwd).filter(|_| !arg.starts_with('-'));
        let (at, program) =
            args.iter().enumerate().find_map(|(at, arg)| Some((at, found(arg)?)))?;
        let args = args.get(at + 1..).unwrap_or_default().to_vec();
        let replaces = !["timeout", "time"].contains(&name);
        return Some(Next { program, args, cwd: cwd.to_owned(), replaces });
    }
    let is_option = |arg: &&String| arg.starts_with('-');
    if args.iter().take_while(is_option).any(|arg| !arg.starts_with("--") && arg.contains('c')) {
        return last_command(host, args.iter().find(|arg| !is_option(arg))?, cwd);
    }
    let file = value::absolute(cwd, args.iter().find(|arg| !is_option(arg))?);
    let head = host.head(&file, elf::HEAD).filter(|head| head.len() < elf::HEAD)?;
    last_command(host, &String::from_utf8_lossy(&head), cwd)
}

/// The parts of a shell text between ends of commands that are in no quotes: `nginx -g 'daemon off;'` is one. Quotes
/// end with their line, since most that do not are apostrophes in comments.
fn unquoted(text: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    text.split(move |c: char| {
        match quote {
            Some(open) if open == c => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ if c == '\n' => quote = None,
            _ => {}
        }
        quote.is_none() && matches!(c, '\n' | ';')
    })
}

/// The last simple command of a shell text, if it is plain enough to be sure of.
fn last_command(host: Search<'_>, text: &str, cwd: &Path) -> Option<Next> {
    let mut cwd = cwd.to_owned();
    let lines = unquoted(text).flat_map(|line| line.split("&&")).map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (last, before) = lines.split_last()?;
    for folder in before.iter().filter_map(|line| line.strip_prefix("cd ")) {
        cwd = value::absolute(&cwd, folder.trim());
    }
    if last.contains(['|', '&', '`', '(']) {
        return None;
    }
    let words = value::shell_words(last)?;
    let mut words = words.into_iter().skip_while(|word| word == "exec" || word.contains('='));
    let program = locate(host, &words.next()?, &cwd)?;
    let replaces = last.starts_with("exec ");
    Some(Next { program, args: words.collect(), cwd, replaces })
}

/// A program by its path or name, as the wrapper finds it.
fn locate(host: Search<'_>, word: &str, cwd: &Path) -> Option<PathBuf> {
    if !word.contains('/') {
        return host.program(word);
    }
    let path = value::absolute(cwd, word);
    (host.kind(&path) == PathKind::Executable).then_some(path)
}
