//! What is promised: which cells of the matrix are 0, and why the others are not.

use std::collections::BTreeMap;

use super::{Cells, kinds::Cell, operations::Operation, runtimes::Runtime};
use crate::support::Machine;

/// An operation, a kind (`*` for all) and why requests of it may be lost.
pub const REASONS: &[(Operation, &str, &str)] = &[
    (
        Operation::Kill,
        "*",
        "The killed process had accepted these connections, and nobody else has them.",
    ),
    (
        Operation::Restart,
        "udp",
        "Datagrams wait for the new process in a queue of limited length, and nobody sends them again.",
    ),
    (
        Operation::Stop,
        "udp",
        "Nobody is left to answer a datagram, and UDP refuses none that its socket still takes.",
    ),
];

/// Cells that are promised and lose requests today: runtime, operation and kind, `*` for all.
/// They are shown and not asserted; a fix removes its line.
pub const OPEN: &[(&str, &str, &str)] = &[("*", "*", "*")];

/// Why this cell need not be 0.
pub fn reason(operation: Operation, kind: &str) -> Option<&'static str> {
    let of = |(of, what, _): &&(Operation, &str, &str)| {
        *of == operation && (*what == "*" || *what == kind)
    };
    REASONS.iter().find(of).map(|(_, _, why)| *why)
}

/// Whether the cell is known to lose requests although it should not.
pub fn open(runtime: &Runtime, operation: Operation, kind: &str) -> bool {
    let fits = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    OPEN.iter().any(|(of, during, what)| {
        fits(of, runtime.name) && fits(during, operation.name()) && fits(what, kind)
    })
}

/// What counts against the promise.
pub fn lost(operation: Operation, cell: &Cell) -> u64 {
    if operation.refuses() { cell.lost } else { cell.lost + cell.refused }
}

/// Every promised cell is 0, and something was sent.
///
/// # Panics
/// With the whole table, when it is not so.
pub fn check(m: &Machine, runtime: &Runtime, operation: Operation, cells: &Cells) {
    let table = super::page::plain(cells);
    assert!(cells.values().all(|cell| cell.sent > 0), "{table}");
    if operation == Operation::Alone {
        return;
    }
    let broken: Vec<&str> = cells
        .iter()
        .filter(|(kind, cell)| {
            let promised = reason(operation, kind).is_none() && !open(runtime, operation, kind);
            promised && lost(operation, cell) > 0
        })
        .map(|(kind, _)| kind.as_str())
        .collect();
    assert!(
        broken.is_empty(),
        "{} {}: {broken:?} are not 0\n{table}\n{}",
        runtime.name,
        operation.name(),
        m.journal("shop@*")
    );
}

/// Lines of the journal about instances that did not end by themselves.
pub fn killed(m: &Machine) -> String {
    let journal = m.journal("shop@*");
    let told = ["SIGKILL", "timed out", "Failed with result"];
    let lines = journal.lines().filter(|line| told.iter().any(|word| line.contains(word)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Kinds by which a program under clusterctl is compared with the same program alone.
const COMPARED: [&str; 3] = ["2 s", "stream", "short"];

/// Of what is under way, a reload loses no larger part than the program alone does.
///
/// # Panics
/// With both cells.
pub fn never_worse_than_alone(runtime: &Runtime, results: &BTreeMap<Operation, Cells>) {
    for kind in COMPARED {
        let (Some(ours), Some(alone)) =
            (results[&Operation::Reload].get(kind), results[&Operation::Alone].get(kind))
        else {
            continue;
        };
        let worse = lost(Operation::Reload, ours) > alone.lost;
        assert!(
            !worse || open(runtime, Operation::Reload, kind),
            "{kind}: {ours:?}, alone {alone:?}"
        );
    }
}
