//! What is promised: every cell of the matrix is 0, except those for which a reason stands here.

use std::collections::BTreeMap;

use super::{Cells, kinds::Cell, operations::Operation, page, runtimes::Runtime};
use crate::support::Machine;

/// Cells that need not be 0. Each pattern is a list with `;` between its words, `*` for all.
#[derive(Debug)]
pub struct Except {
    pub runtimes: &'static str,
    pub operations: &'static str,
    pub kinds: &'static str,
    pub why: &'static str,
}

/// In the page, in this order.
pub const EXCEPT: &[Except] = &[
    Except {
        runtimes: "*",
        operations: "kill",
        kinds: "*",
        why: "The killed process had accepted these connections, and nobody else has them. What it had not accepted is served by the others.",
    },
    Except {
        runtimes: "*",
        operations: "restart",
        kinds: "udp",
        why: "Nobody reads between the old process and the new one: datagrams wait in the socket's queue, and what does not fit in is dropped. A reload loses none.",
    },
    Except {
        runtimes: "*",
        operations: "stop",
        kinds: "udp",
        why: "UDP refuses nobody: a datagram that reaches a socket without a reader is lost.",
    },
    Except {
        runtimes: "go;go-context;go-shutdown;hypercorn;deno;rust;rust-graceful;rust-static;nginx",
        operations: "reload;restart;scale;stop",
        kinds: "h2 stream",
        why: "One stream of HTTP/2 cannot be ended from outside: what it carries is compressed or encrypted, and the program would go on sending on it, which is an error of the whole connection. In clear text its client is told by GOAWAY to open no more, and the connection ends when the time is over, as with nginx, Envoy and gRPC, whose clients report UNAVAILABLE and may try again. The Node file sees what streams carry, and ends server-sent events.",
    },
];

/// Lines `runtime | operation | kinds` with what is promised and lost today, as in [`Except`], each below
/// a line `# why`: in the page with that reason, there in bold, and not asserted. A fix removes its line.
const OPEN: &str = include_str!("open.txt");

/// What is lost today: runtimes, operations, kinds, and why.
pub fn open_lines() -> impl Iterator<Item = [&'static str; 4]> {
    let mut why = "";
    OPEN.lines().filter(|line| !line.is_empty()).filter_map(move |line| {
        if let Some(reason) = line.strip_prefix("# ") {
            why = reason;
            return None;
        }
        let words: Vec<&str> = line.split('|').map(str::trim).collect();
        let [of, during, kinds] = words[..] else { panic!("open.txt: {words:?}") };
        Some([of, during, kinds, why])
    })
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.split(';').map(str::trim).any(|word| word == "*" || word == name)
}

/// Why this cell need not be 0, if so.
fn excepted(runtime: &Runtime, operation: Operation, kind: &str) -> bool {
    EXCEPT.iter().any(|except| {
        fits(except.runtimes, runtime.name)
            && fits(except.operations, operation.name())
            && fits(except.kinds, kind)
    })
}

/// Whether the cell is known to lose requests although it should not.
fn open(runtime: &Runtime, operation: Operation, kind: &str) -> bool {
    open_lines().any(|[of, during, kinds, _]| {
        fits(of, runtime.name) && fits(during, operation.name()) && fits(kinds, kind)
    })
}

/// Whether the cell has to be 0.
pub fn promised(runtime: &Runtime, operation: Operation, kind: &str) -> bool {
    operation != Operation::Alone && !excepted(runtime, operation, kind)
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
    let table = page::plain(cells);
    assert!(!cells.is_empty() && cells.values().all(|cell| cell.sent > 0), "{table}");
    let broken = |(kind, cell): &(&String, &Cell)| {
        let asserted = promised(runtime, operation, kind) && !open(runtime, operation, kind);
        asserted && lost(operation, cell) > 0
    };
    let broken: Vec<&String> = cells.iter().filter(broken).map(|(kind, _)| kind).collect();
    let (name, operation) = (runtime.name, operation.name());
    assert!(broken.is_empty(), "{name} {operation}: {broken:?} are not 0\n{table}\n{}", killed(m));
}

/// Lines of the journal about instances that did not end by themselves.
pub fn killed(m: &Machine) -> String {
    let journal = m.journal("shop@*");
    let told = ["timed out", "Failed with result"];
    let lines = journal.lines().filter(|line| told.iter().any(|word| line.contains(word)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Kinds by which a program under clusterctl is compared with the same program alone.
const COMPARED: [&str; 5] = ["short", "kept", "2 s", "2 s, same tick", "stream"];

/// A reload loses no more of what is under way than the end of the same program alone does.
///
/// # Panics
/// With both cells.
pub fn never_worse_than_alone(runtime: &Runtime, results: &BTreeMap<Operation, Cells>) {
    for kind in COMPARED.iter().filter(|kind| results[&Operation::Reload].contains_key(**kind)) {
        let ours = &results[&Operation::Reload][*kind];
        let alone = &results[&Operation::Alone][*kind];
        let worse = lost(Operation::Reload, ours) > alone.lost;
        let known = open(runtime, Operation::Reload, kind);
        assert!(!worse || known, "{kind}: {ours:?}, alone {alone:?}");
    }
}
