//! How an app is asked to stop: the signal that is written, or the graceful one of a known server with
//! what that server needs for it.

use crate::ecosystem::model::app::{Asks, Remark};
use crate::ecosystem::program::graceful::Graceful;
use crate::ecosystem::program::kind::ProgramKind;
use crate::handover::contract;

/// At SIGTERM, uWSGI starts again, or with `die-on-term` ends at once. It reads its options from the environment as well.
const UWSGI: (&str, &str) = ("UWSGI_HOOK_MASTER_START", "unix_signal:15 gracefully_kill_them_all");

/// The master of php-fpm asks its processes by SIGQUIT, and those that are at work by SIGTERM in the same moment: that is
/// what the library has to put off in them.
const PHP_FPM: (&str, &str) = (contract::KILL_SIGNAL, "SIGTERM");

/// How an app is asked to stop.
#[derive(Debug)]
pub(super) struct Stop {
    /// Such as `SIGTERM`.
    pub signal: String,
    /// Which of its processes get it.
    pub asks: Asks,
    /// A variable without which the program does not take it so.
    pub variable: Option<(&'static str, &'static str)>,
    /// What nobody has written.
    pub remark: Option<Remark>,
}

/// What is written, and for a known server what suits it. Its signal is for its main process, which asks its own: they,
/// and programs that they have started for a request, would take it for another one.
pub(super) fn stop(signal: Option<String>, all: Option<bool>, kind: Option<&ProgramKind>) -> Stop {
    let written = all.map(|all| if all { Asks::All } else { Asks::MainAlone });
    match (signal, kind.and_then(|kind| kind.graceful.as_ref())) {
        (None, Some(Graceful { program, signal })) => {
            let signal = (*signal).to_owned();
            let remark = Remark::StopSignal { program: program.clone(), signal: signal.clone() };
            let variable = match program {
                name if name.starts_with("uwsgi") => Some(UWSGI),
                name if name.contains("php-fpm") => Some(PHP_FPM),
                _ => None,
            };
            Stop { signal, asks: written.unwrap_or(Asks::Main), variable, remark: Some(remark) }
        }
        (signal, _) => Stop {
            signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()),
            asks: written.unwrap_or(Asks::All),
            variable: None,
            remark: None,
        },
    }
}
