//! `pid_file` → the lines of the template that have the script `pid-file` write the number of the main
//! process, and remove it. It opens no file.

use super::UnitContext;
use crate::ecosystem::PidFile;
use crate::handover::contract::TRACER;
use crate::unit::{Section, quote};

/// Writes the number of the main process to a file, and removes it when the instance has stopped. Neither is
/// worth a start that fails. `root` runs the script with all rights.
pub(super) fn set(s: &mut Section, context: &UnitContext<'_>, root: &str) {
    let Some(PidFile { path, by_program }) = &context.app.process.pid_file else { return };
    let helper = match by_program {
        true => format!("{} --bare -- {}", context.helper(TRACER), context.helper("pid-file")),
        false => root.to_owned(),
    };
    let file = quote::argument(&path.to_string_lossy());
    s.set("ExecStartPost", format!("-{helper} write {file} %i $MAINPID"));
    s.set("ExecStopPost", format!("-{helper} remove {file} %i"));
}
