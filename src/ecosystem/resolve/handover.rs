//! `handover`, `readiness`, `wait_ready`, `shutdown_with_message`: how the program gets its
//! listeners and says that it serves. Decided by what is really executed, through `#!` lines.

use std::path::{Path, PathBuf};

use super::command::Ran;
use crate::ecosystem::app::{Handover, Listener, Readiness};
use crate::ecosystem::elf::{self, Elf, Image};
use crate::ecosystem::host::{Host, Scope};
use crate::ecosystem::keys;
use crate::ecosystem::node::{Context, Fields};
use crate::ecosystem::problem::{Place, Problem};
use crate::ecosystem::value;

/// The kernel follows four scripts; one more shows that there is a loop.
const MAX_DEPTH: u32 = 5;
/// Programs that run another one, whose own kind says nothing about it.
const WRAPPERS: &[&str] = &[
    "sh", "bash", "dash", "ash", "zsh", "ksh", "env", "nice", "ionice", "timeout", "stdbuf", "time",
];
/// Words that mean that Node runs somewhere below.
const NODE_WORDS: &[&str] =
    &["node", "nodejs", "npm", "npx", "yarn", "pnpm", "corepack", "nodemon", "tsx", "ts-node"];

/// What a program is, as far as its handover depends on it.
#[derive(Debug)]
pub(super) struct Nature {
    /// Whether Node runs it, or may run below it.
    pub node: bool,
    /// How it can be reached.
    way: Way,
}

/// How a program's system calls can be reached.
#[derive(Debug)]
enum Way {
    /// A library can be loaded into it.
    Preload,
    /// It makes its calls itself; why.
    Trace(&'static str),
    /// It cannot run here at all.
    Broken { message: String, help: String },
}

/// What the keys about handover came to.
#[derive(Debug)]
pub(super) struct Hands {
    pub handover: Handover,
    pub readiness: Readiness,
    pub shutdown_with_message: bool,
}

/// Reads the heads of the program and of its interpreters.
pub(super) fn nature(host: &dyn Host, ran: &Ran) -> Nature {
    let command = &ran.command;
    let mut nature = Nature { node: false, way: Way::Preload };
    follow(host, &command.program, &command.args, MAX_DEPTH, &mut nature);
    nature
}

fn base_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn follow(host: &dyn Host, program: &Path, args: &[String], depth: u32, nature: &mut Nature) {
    let name = base_name(program);
    nature.node |= NODE_WORDS.contains(&name.as_str());
    if WRAPPERS.contains(&name.as_str()) {
        nature.node |= args.iter().any(|arg| mentions_node(arg));
    }
    // Not readable for us says nothing about the manager: the usual case is assumed.
    let Some(head) = host.head(program, elf::HEAD) else { return };
    match elf::image(&head) {
        Image::Elf(elf) => nature.way = reach(&elf, program),
        Image::Unknown => {
            nature.way = Way::Broken {
                message: format!("`{}` is neither a program nor a script", program.display()),
                help: "begin it with a `#!` line, or write `interpreter = \"…\"`".to_owned(),
            };
        }
        Image::Script { interpreter, argument } => {
            let shell = WRAPPERS.contains(&base_name(Path::new(&interpreter)).as_str());
            nature.node |= shell && mentions_node(&String::from_utf8_lossy(&head));
            match interpreted_by(host, &interpreter, argument.as_deref()) {
                Some(next) if depth > 0 => follow(host, &next, &[], depth - 1, nature),
                Some(_) => {
                    nature.way = broken_line(program, "leads through too many `#!` lines");
                }
                None => {
                    let what = format!(
                        "is run by `{}`, which does not exist",
                        interpreter_text(&interpreter, argument.as_deref())
                    );
                    nature.way = broken_line(program, &what);
                }
            }
        }
    }
}

fn broken_line(program: &Path, what: &str) -> Way {
    Way::Broken {
        message: format!("`{}` {what}", program.display()),
        help: "correct its first line, or install what it names".to_owned(),
    }
}

fn interpreter_text(interpreter: &str, argument: Option<&str>) -> String {
    argument.map_or_else(|| interpreter.to_owned(), |argument| format!("{interpreter} {argument}"))
}

/// The program that a `#!` line really starts, through `env` and `env -S`.
fn interpreted_by(host: &dyn Host, interpreter: &str, argument: Option<&str>) -> Option<PathBuf> {
    use crate::ecosystem::host::Kind;
    let path = Path::new(interpreter);
    if base_name(path) != "env" {
        return (host.kind(path) == Kind::Executable).then(|| path.to_path_buf());
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
        return (host.kind(&path) == Kind::Executable).then_some(path);
    }
    host.program(&named)
}

fn mentions_node(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.any(|word| NODE_WORDS.contains(&word))
}

fn reach(elf: &Elf, program: &Path) -> Way {
    let native = elf::native_machine();
    if native.is_some_and(|native| native != elf.machine) {
        return Way::Broken {
            message: format!(
                "`{}` is built for {}, and this machine is {}",
                program.display(),
                elf::machine_name(elf.machine),
                std::env::consts::ARCH
            ),
            help: "install or build it for this machine".to_owned(),
        };
    }
    if elf.go {
        return Way::Trace("it is a Go program, which makes its system calls itself");
    }
    if !elf.dynamic {
        return Way::Trace("it is statically linked");
    }
    let musl = elf.loader.as_deref().is_some_and(|loader| loader.contains("ld-musl"));
    if musl && cfg!(target_env = "gnu") {
        return Way::Trace("it is linked against musl");
    }
    Way::Preload
}

/// Reads the keys; `program` is `None` after a problem with the command.
pub(super) fn handover(
    cx: &mut Context<'_>,
    fields: &Fields<'_>,
    program: Option<(&Ran, &Nature)>,
    listeners: &[(Listener, Place)],
) -> Hands {
    let wanted = fields.read_with("handover", |node| node.choice(cx, keys::HANDOVERS));
    let explicit = wanted.filter(|way| *way != "auto");
    if let Some((ran, Nature { way: Way::Broken { message, help }, .. })) = program
        && explicit.is_none()
    {
        cx.problems.push(Problem::error(&ran.at, message.as_str()).help(help.as_str()));
    }
    let handover = if listeners.is_empty() {
        nothing_to_hand(cx, fields, explicit);
        Handover::Nothing
    } else {
        chosen(cx, fields, program, explicit)
    };
    Hands {
        handover,
        readiness: readiness(cx, fields, handover),
        shutdown_with_message: message(cx, fields, program),
    }
}

fn nothing_to_hand(cx: &mut Context<'_>, fields: &Fields<'_>, explicit: Option<&str>) {
    if let (Some(way @ ("native" | "preload" | "trace")), Some(node)) =
        (explicit, fields.get("handover"))
        && fields.entry("listen").is_none()
        && fields.entry("port").is_none()
    {
        let message = format!("there is no listener for `{way}` to hand over");
        let problem = Problem::warning(&node.place, message).help("add `listen`, or remove it");
        cx.problems.push(problem);
    }
}

fn chosen(
    cx: &mut Context<'_>,
    fields: &Fields<'_>,
    program: Option<(&Ran, &Nature)>,
    explicit: Option<&str>,
) -> Handover {
    let at = fields.get("handover").map(|node| node.place.clone()).unwrap_or_default();
    if !matches!(explicit, Some("native" | "none"))
        && let Some((ran, _)) = program
    {
        refuse_elevated(cx, fields, ran);
    }
    match (explicit, program.map(|(_, nature)| &nature.way)) {
        (Some("native"), _) => Handover::Native,
        (Some("trace"), _) => refuse_trace(cx, at, "nothing traces it yet"),
        (Some("none"), _) => {
            let problem = Problem::error(&at, "nobody would take the listeners")
                .help("write \"native\" if the program speaks LISTEN_FDS, or remove `listen`");
            cx.problems.push(problem);
            Handover::Native
        }
        (Some("preload"), Some(Way::Trace(why))) => {
            let problem = Problem::error(&at, format!("no library can be loaded here: {why}"))
                .help(NATIVE_ONLY);
            cx.problems.push(problem);
            Handover::Trace
        }
        (None, Some(Way::Trace(why))) => {
            let at = program.map(|(ran, _)| ran.at.clone()).unwrap_or_default();
            refuse_trace(cx, at, why)
        }
        _ => Handover::Preload,
    }
}

/// What such a program can do today.
const NATIVE_ONLY: &str = "let the program take its listener from systemd (LISTEN_FDS, sd_listen_fds(3)) and \
     write `handover = \"native\"`";

/// The tracer that answers `bind()` of programs which no library can be loaded into is missing.
fn refuse_trace(cx: &mut Context<'_>, at: Place, why: &str) -> Handover {
    let message = format!("this program cannot be given its listener: {why}");
    cx.problems.push(Problem::error(&at, message).help(NATIVE_ONLY));
    Handover::Trace
}

/// The kernel takes neither a preloaded library nor a tracer into a program that gains privileges.
fn refuse_elevated(cx: &mut Context<'_>, fields: &Fields<'_>, ran: &Ran) {
    let unprivileged = fields.entry("user").is_some() || cx.host.scope() == Scope::User;
    if unprivileged && cx.host.gains_privileges(&ran.command.program) {
        let shown = ran.command.program.display();
        let message =
            format!("`{shown}` gains privileges when it starts, so no listener can be handed over");
        let help = format!(
            "remove them (`chmod ug-s {shown}`, `setcap -r {shown}`): systemd binds low ports for it; or write `handover = \"native\"`"
        );
        cx.problems.push(Problem::error(&ran.at, message).help(help));
    }
}

fn readiness(cx: &mut Context<'_>, fields: &Fields<'_>, handover: Handover) -> Readiness {
    let wait_ready = fields.flag(cx, "wait_ready", false);
    let usual = match handover {
        _ if wait_ready => Readiness::Notify,
        Handover::Nothing => Readiness::Exec,
        Handover::Native => Readiness::Listening,
        Handover::Preload | Handover::Trace => Readiness::FirstListener,
    };
    let Some(node) = fields.get("readiness") else { return usual };
    let Some(choice) = node.choice(cx, keys::READINESS) else { return usual };
    let chosen = match choice {
        "first" => Readiness::FirstListener,
        "all" => Readiness::AllListeners,
        "notify" => Readiness::Notify,
        "exec" => Readiness::Exec,
        _ => Readiness::Listening,
    };
    if let Some((message, help)) = contradiction(chosen, handover, wait_ready) {
        cx.problems.push(Problem::error(&node.place, message).help(help));
    }
    chosen
}

fn contradiction(
    chosen: Readiness,
    handover: Handover,
    wait_ready: bool,
) -> Option<(&'static str, &'static str)> {
    use Readiness::{AllListeners, Exec, FirstListener, Listening, Notify};
    match (chosen, handover) {
        (Notify | Exec, _) if !wait_ready || chosen == Notify => None,
        _ if wait_ready => Some((
            "`wait_ready` waits for the program's own word",
            "remove `wait_ready`, or write `readiness = \"notify\"`",
        )),
        (FirstListener | AllListeners | Listening, Handover::Nothing) => Some((
            "there is no listener to wait for",
            "write \"exec\" or \"notify\", or add `listen`",
        )),
        (FirstListener | AllListeners, Handover::Native) => Some((
            "nobody sees when a program takes its listeners natively",
            "write \"listening\", or \"notify\" if the program sends `READY=1`",
        )),
        (Listening, Handover::Preload | Handover::Trace) => Some((
            "\"listening\" is for programs that take their listeners natively",
            "write \"first\" or \"all\"",
        )),
        _ => None,
    }
}

/// `shutdown_with_message`, which only Node understands.
fn message(cx: &mut Context<'_>, fields: &Fields<'_>, program: Option<(&Ran, &Nature)>) -> bool {
    let wanted = fields.flag(cx, "shutdown_with_message", false);
    if let (true, Some(entry), Some((_, Nature { node: false, .. }))) =
        (wanted, fields.entry("shutdown_with_message"), program)
    {
        let problem = Problem::error(&entry.at, "only a Node program gets messages")
            .help("remove it: the program gets `kill_signal`");
        cx.problems.push(problem);
    }
    wanted
}
