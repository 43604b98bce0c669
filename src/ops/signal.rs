//! Sends a signal to the main processes of instances, as the manager does it.

use super::{Context, Error, Row};
use crate::systemd::KillWhom;
use crate::unit::UnitName;

/// Signals by their names without `SIG`, signal(7), in the numbers of x86 and ARM.
const SIGNALS: [(&str, i32); 29] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
];

/// The number of `SIGUSR2`, `usr2` or `12`.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// To which process the signal was sent, for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `api@0`.
    pub instance: String,
    /// The process that got it; `None` where nothing runs.
    pub pid: Option<u32>,
}

/// Sends a signal to the main process of each of these instances that has one.
///
/// # Errors
/// Not permitted, or the manager does not answer.
pub fn send_signal(context: &Context, signal: i32, rows: &[Row]) -> Result<Vec<Sent>, Error> {
    let mut sent = Vec::new();
    for row in rows {
        if let (Some(_), Ok(unit)) = (row.pid, UnitName::parse(&row.unit)) {
            context.systemd.kill(&unit, KillWhom::Main, signal)?;
        }
        sent.push(Sent { instance: format!("{}@{}", row.app, row.instance), pid: row.pid });
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["SIGUSR2", "usr2", "USR2", "12"] {
            assert_eq!(signal_number(text), Some(12), "{text}");
        }
        for text in ["", "SIG", "0", "65", "-9", "usr3"] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }
}
