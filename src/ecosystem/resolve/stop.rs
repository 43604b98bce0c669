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
pub(super) struct StopSettings {
    /// The signal, such as `SIGTERM`.
    pub signal: String,
    /// Which of its processes get it.
    pub asks: Asks,
    /// A variable without which the program does not end gracefully at the signal.
    pub variable: Option<(&'static str, &'static str)>,
    /// A remark about a signal that was chosen because the file names none.
    pub remark: Option<Remark>,
}

/// The settings as written; for a known server, the signal that suits it. Such a signal goes to the main
/// process alone, which asks its workers: they, and programs started for a request, give it another
/// meaning.
pub(super) fn stop(
    signal: Option<String>,
    all: Option<bool>,
    kind: Option<&ProgramKind>,
) -> StopSettings {
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
            StopSettings {
                signal,
                asks: written.unwrap_or(Asks::Main),
                variable,
                remark: Some(remark),
            }
        }
        (signal, _) => StopSettings {
            signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()),
            asks: written.unwrap_or(Asks::All),
            variable: None,
            remark: None,
        },
    }
}
