//! `handover`, `readiness`, `wait_ready`, `shutdown_with_message`: how the program gets its
//! listeners and says that it serves. Decided by what is really executed, as `program::kind` tells.

use crate::ecosystem::model::app::{Handover, Listener, Readiness};
use crate::ecosystem::model::host::Scope;
use crate::ecosystem::program::command::ResolvedCommand;
use crate::ecosystem::program::kind::{HandoverChoice, ProgramKind};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::keys;
use crate::ecosystem::read::node::Reading;
use crate::ecosystem::read::problem::{Place, Problem};

/// The result of the keys about the handover.
#[derive(Debug)]
pub(super) struct Hands {
    pub handover: Handover,
    /// Why it is traced, if it is.
    pub traced_because: Option<&'static str>,
    pub readiness: Readiness,
    pub shutdown_with_message: bool,
}

impl Hands {
    /// `non_blocking` as written, else what suits the program. The children of php-fpm wait in `accept()` on a
    /// listener that they take natively; on a non-blocking one `accept()` returns at once, they end, and are
    /// started again for ever.
    pub(super) fn non_blocking(&self, written: Option<bool>, kind: Option<&ProgramKind>) -> bool {
        let known = kind.and_then(|kind| kind.graceful.as_ref());
        let php = known.is_some_and(|known| known.program.contains("php-fpm"));
        written.unwrap_or(self.handover != Handover::Native || !php)
    }
}

/// Reads the keys; `program` is `None` after a problem with the command.
pub(super) fn handover(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    program: Option<(&ResolvedCommand, &ProgramKind)>,
    listeners: &[(Listener, Place)],
    loses_rights: bool,
) -> Hands {
    let wanted = fields.read_with("handover", |node| node.choice(cx, keys::HANDOVERS));
    let explicit = wanted.filter(|way| *way != "auto");
    if let Some((ran, ProgramKind { handover: HandoverChoice::Broken { message, help }, .. })) =
        program
        && matches!(explicit, None | Some("trace"))
    {
        cx.problems.push(Problem::error(&ran.at, message.as_str()).help(help.as_str()));
    }
    let handover = if listeners.is_empty() {
        nothing_to_hand(cx, fields, explicit);
        Handover::Nothing
    } else {
        chosen(cx, fields, program, explicit, loses_rights)
    };
    let why = match program.map(|(_, kind)| &kind.handover) {
        Some(HandoverChoice::Trace(why)) => why,
        _ => "`handover = \"trace\"` asks for it",
    };
    Hands {
        handover,
        traced_because: (handover == Handover::Trace).then_some(why),
        readiness: readiness(cx, fields, handover),
        shutdown_with_message: message(cx, fields, program),
    }
}

fn nothing_to_hand(cx: &mut Reading<'_>, fields: &Fields<'_>, explicit: Option<&str>) {
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
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    program: Option<(&ResolvedCommand, &ProgramKind)>,
    explicit: Option<&str>,
    loses_rights: bool,
) -> Handover {
    let at = fields.get("handover").map(|node| node.place.clone()).unwrap_or_default();
    if !matches!(explicit, Some("native" | "none"))
        && !loses_rights
        && let Some((ran, _)) = program
    {
        refuse_elevated(cx, fields, ran);
    }
    match (explicit, program.map(|(_, kind)| &kind.handover)) {
        (Some("native"), _) => Handover::Native,
        (Some("trace"), _) | (None, Some(HandoverChoice::Trace(_))) => Handover::Trace,
        (Some("none"), _) => {
            let problem = Problem::error(&at, "nobody would take the listeners")
                .help("write \"native\" if the program speaks LISTEN_FDS, or remove `listen`");
            cx.problems.push(problem);
            Handover::Native
        }
        (Some("preload"), Some(HandoverChoice::Trace(why))) => {
            let problem = Problem::error(&at, format!("no library can be loaded here: {why}"))
                .help("remove it, or write \"trace\", which reaches every program");
            cx.problems.push(problem);
            Handover::Trace
        }
        _ => Handover::Preload,
    }
}

/// The kernel takes neither a preloaded library nor a tracer into a program that gains privileges.
fn refuse_elevated(cx: &mut Reading<'_>, fields: &Fields<'_>, ran: &ResolvedCommand) {
    let unprivileged = fields.entry("user").is_some() || cx.host.scope() == Scope::User;
    if unprivileged && cx.host.gains_privileges(&ran.command.program) {
        let shown = ran.command.program.display();
        let message =
            format!("`{shown}` gains privileges when it starts, so no listener can be handed over");
        let help = format!(
            "remove `sandbox = \"off\"`, or these privileges (`chmod ug-s {shown}`, `setcap -r {shown}`): systemd binds low ports for it; or write `handover = \"native\"`"
        );
        cx.problems.push(Problem::error(&ran.at, message).help(help));
    }
}

fn readiness(cx: &mut Reading<'_>, fields: &Fields<'_>, handover: Handover) -> Readiness {
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
fn message(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    program: Option<(&ResolvedCommand, &ProgramKind)>,
) -> bool {
    let wanted = fields.flag(cx, "shutdown_with_message", false);
    if let (true, Some(entry), Some((_, ProgramKind { node: false, .. }))) =
        (wanted, fields.entry("shutdown_with_message"), program)
    {
        let problem = Problem::error(&entry.at, "only a Node program gets messages")
            .help("remove it: the program gets `kill_signal`");
        cx.problems.push(problem);
    }
    wanted
}
