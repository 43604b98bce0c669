//! The page in the documentation, written by the tests that fill it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::{
    Cells,
    kinds::Cell,
    operations::{OPERATIONS, Operation},
    promises,
    runtimes::{RUNTIMES, Runtime},
};

const HEAD: &str = include_str!("page.md");

/// Tests run in parallel, in threads of one process.
static PAGE: Mutex<()> = Mutex::new(());

/// With `UPDATE_EXPECT=1`: writes the runtime's section.
pub fn record(runtime: &Runtime, results: &BTreeMap<Operation, Cells>) {
    if std::env::var_os("UPDATE_EXPECT").is_none() {
        return;
    }
    let _one_at_a_time = PAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut sections = read();
    sections.insert(runtime.name.to_owned(), section(runtime, results));
    let known = RUNTIMES.iter().filter_map(|runtime| {
        sections.get(runtime.name).map(|text| format!("\n## {}\n\n{text}\n", runtime.name))
    });
    let head = HEAD.replace("REASONS\n", &reasons()).replace("SUMMARY\n", &summary(&sections));
    fs::write(path(), format!("{head}{}", known.collect::<String>())).unwrap();
}

/// All kinds of each runtime in one row.
fn summary(sections: &BTreeMap<String, String>) -> String {
    let names = OPERATIONS.map(Operation::name).join(" | ");
    let mut text = format!("| program | {names} |\n| --- {}|\n", "| --- ".repeat(OPERATIONS.len()));
    let known =
        RUNTIMES.iter().filter_map(|runtime| Some((runtime.name, sections.get(runtime.name)?)));
    for (name, section) in known {
        let sums = (0..OPERATIONS.len()).map(|column| sum(section, column));
        text += &format!("| {name} | {} |\n", sums.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Lost of sent in one column of a runtime's table.
fn sum(section: &str, column: usize) -> String {
    let cells = section.lines().skip(2).filter_map(|line| line.split(" | ").nth(column + 1));
    let counts = cells.map(|cell| {
        let mut words = cell.trim_start_matches('*').split([' ', ':', '*']);
        let lost: u64 = words.next().unwrap().parse().unwrap();
        let sent: u64 = words.nth(1).unwrap().parse().unwrap();
        (lost, sent)
    });
    let (lost, sent) = counts.fold((0, 0), |(lost, sent), (l, s)| (lost + l, sent + s));
    format!("{lost} of {sent}")
}

/// By runtime.
fn read() -> BTreeMap<String, String> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let parts = text.split("\n## ").skip(1).filter_map(|part| part.split_once("\n\n"));
    parts.map(|(name, text)| (name.to_owned(), text.trim_end().to_owned())).collect()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/what-happens-to-connections.md")
}

fn reasons() -> String {
    let name = |pattern: &str| pattern.replace('*', "all").replace(';', ",");
    let lines = promises::EXCEPT.iter().map(|except| {
        let patterns = [except.runtimes, except.operations, except.kinds].map(name);
        format!("| {} | {} |\n", patterns.join(" | "), except.why)
    });
    lines.collect()
}

fn section(runtime: &Runtime, results: &BTreeMap<Operation, Cells>) -> String {
    let names = OPERATIONS.map(Operation::name).join(" | ");
    let mut text = format!("| kind | {names} |\n| --- {}|", "| --- ".repeat(OPERATIONS.len()));
    for kind in order(results.values().next().unwrap()) {
        let cells = OPERATIONS.map(|operation| {
            let cell = &results[&operation][kind];
            let bad =
                promises::promised(runtime, operation, kind) && promises::lost(operation, cell) > 0;
            shown(operation, cell, if bad { "**" } else { "" })
        });
        text += &format!("\n| {kind} | {} |", cells.join(" | "));
    }
    text
}

/// The kinds as the runtimes name them, not by the alphabet.
fn order(cells: &Cells) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for kind in RUNTIMES.iter().flat_map(|runtime| runtime.kinds.iter().copied().flatten()) {
        if cells.contains_key(*kind) && !seen.contains(kind) {
            seen.push(kind);
        }
    }
    seen
}

/// Lost of sent, and the words for what clients saw.
fn shown(operation: Operation, cell: &Cell, bold: &str) -> String {
    let lost = promises::lost(operation, cell);
    let words: Vec<String> = cell
        .saw
        .iter()
        .filter(|(word, _)| *word != "answered")
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    format!("{bold}{lost} of {}{bold}{words}", cell.sent)
}

/// The same for people at a terminal.
pub fn plain(cells: &Cells) -> String {
    let lines = order(cells).into_iter().map(|kind| {
        let cell = &cells[kind];
        let words: Vec<String> = cell
            .saw
            .iter()
            .filter(|(word, _)| *word != "answered")
            .map(|(word, count)| {
                let first =
                    cell.first.get(word).map_or(String::new(), |at| format!(" from {at} s"));
                format!("{word} {count}{first}")
            })
            .collect();
        let details: Vec<String> =
            cell.details.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let (lost, sent) = (cell.lost + cell.refused, cell.sent);
        format!("  {kind:22} {lost:4} of {sent:5}  {}  {}", words.join(", "), details.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}
