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
    sections.insert(runtime.name.to_owned(), section(results));
    let known = RUNTIMES.iter().filter_map(|runtime| {
        let text = marked(runtime, sections.get(runtime.name)?);
        Some(format!("\n## {}\n\n{text}\n", runtime.name))
    });
    let head = HEAD.replace("REASONS\n", &reasons()).replace("OPEN\n", &open());
    let head = head.replace("SUMMARY\n", &summary(&sections));
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
    let (lost, sent) = cells.map(counts).fold((0, 0), |(lost, sent), (l, s)| (lost + l, sent + s));
    format!("{lost} of {sent}")
}

/// The numbers of a cell that [`shown`] or [`marked`] wrote.
fn counts(cell: &str) -> (u64, u64) {
    let mut words = cell.trim_start_matches('*').split([' ', ':', '*']);
    let lost = words.next().unwrap().parse().unwrap();
    (lost, words.nth(1).unwrap().parse().unwrap())
}

/// The table with the cells in bold that ought to be 0, by what is promised now.
fn marked(runtime: &Runtime, section: &str) -> String {
    let row = |line: &str| {
        let line = line.replace("**", "");
        let mut words = line.trim_matches(['|', ' ']).split(" | ");
        let kind = words.next().unwrap();
        let cells: Vec<String> = OPERATIONS
            .iter()
            .zip(words)
            .map(|(operation, cell)| {
                let (lost, sent) = counts(cell);
                let bad = lost > 0 && promises::promised(runtime, *operation, kind);
                let numbers = format!("{lost} of {sent}");
                if bad {
                    cell.replacen(&numbers, &format!("**{numbers}**"), 1)
                } else {
                    cell.to_owned()
                }
            })
            .collect();
        format!("| {kind} | {} |", cells.join(" | "))
    };
    let lines = section.lines().enumerate();
    let lines = lines.map(|(at, line)| if at < 2 { line.to_owned() } else { row(line) });
    lines.collect::<Vec<_>>().join("\n")
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

/// Lists of patterns as the page has them.
fn name(pattern: &str) -> String {
    pattern.replace('*', "all").replace(';', ",")
}

fn open() -> String {
    let lines = promises::open_lines().map(|[of, during, kinds, why]| {
        let patterns = [of, during, kinds].map(name);
        format!("| {} | {why} |\n", patterns.join(" | "))
    });
    lines.collect()
}

fn reasons() -> String {
    let lines = promises::EXCEPT.iter().map(|except| {
        let patterns = [except.runtimes, except.operations, except.kinds].map(name);
        format!("| {} | {} |\n", patterns.join(" | "), except.why)
    });
    lines.collect()
}

fn section(results: &BTreeMap<Operation, Cells>) -> String {
    let names = OPERATIONS.map(Operation::name).join(" | ");
    let mut text = format!("| kind | {names} |\n| --- {}|", "| --- ".repeat(OPERATIONS.len()));
    for kind in order(results.values().next().unwrap()) {
        let cells = OPERATIONS.map(|operation| shown(operation, &results[&operation][kind]));
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
fn shown(operation: Operation, cell: &Cell) -> String {
    let lost = promises::lost(operation, cell);
    let words: Vec<String> = cell
        .saw
        .iter()
        .filter(|(word, _)| *word != "answered")
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    format!("{lost} of {}{words}", cell.sent)
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
