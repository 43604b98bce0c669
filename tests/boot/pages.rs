//! Follows a page of docs/ as a reader does, and compares what is printed with what the page says.
//!
//! A block of `console` holds commands and what they print. `$ ` is the prompt of ada, who may use
//! sudo; `ci$ ` is that of a user `ci`, and so on. `…` stands for anything: alone for lines, in a line
//! for a part of it. Numbers that differ from run to run (times, process ids, memory) are not compared.
//! A command succeeds, unless `# exit code N` stands behind it. A block that begins with a comment that
//! is a path is that file. What the reader has and the machine of the test lacks stands in
//! `<!-- machine: … -->`, a line for root's shell.
//!
//! `UPDATE_EXPECT=1` writes what was printed into the page, where it differs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use crate::support::Machine;

/// One thing to do, in the order of the page.
#[derive(Debug)]
enum Step {
    /// A line for root's shell that readers do not see.
    Prepare(String),
    /// A file to write.
    File(String, String),
    /// Something to type.
    Type(Typed),
}

/// A command of the page.
#[derive(Debug)]
struct Typed {
    user: String,
    command: String,
    code: i32,
    /// Numbers of the lines that follow it in the page, counted from 0.
    printed: std::ops::Range<usize>,
}

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)
}

fn read(page: &str) -> Vec<String> {
    let text = fs::read_to_string(path(page)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The user and the command, where a line is one that is typed.
fn typed(line: &str) -> Option<(&str, &str)> {
    let (prompt, command) = line.split_once("$ ")?;
    let known = prompt.chars().all(|c| c.is_ascii_lowercase());
    known.then_some((if prompt.is_empty() { "ada" } else { prompt }, command))
}

fn steps(lines: &[String]) -> Vec<Step> {
    let (mut at, end) = (0, lines.len());
    let mut found = Vec::new();
    while at < end {
        let line = &lines[at];
        at += 1;
        if let Some(command) = line.strip_prefix("<!-- machine: ") {
            found.push(Step::Prepare(command.strip_suffix(" -->").unwrap().to_owned()));
        }
        if !line.starts_with("```") {
            continue;
        }
        let closing = at + lines[at..end].iter().position(|line| line == "```").unwrap();
        if line == "```console" {
            commands(lines, at, closing, &mut found);
        } else if let Some(path) = lines[at..closing].iter().take(2).find_map(|line| named(line)) {
            found.push(Step::File(path.to_owned(), lines[at..closing].join("\n") + "\n"));
        }
        at = closing + 1;
    }
    found
}

/// The path that a comment consists of.
fn named(line: &str) -> Option<&str> {
    let path = ["# ", "// ", "; "].iter().find_map(|mark| line.strip_prefix(mark))?;
    (path.starts_with('/') && !path.contains(' ')).then_some(path)
}

fn commands(lines: &[String], start: usize, end: usize, found: &mut Vec<Step>) {
    let starts: Vec<usize> = (start..end).filter(|at| typed(&lines[*at]).is_some()).collect();
    for (index, at) in starts.iter().enumerate() {
        let (user, line) = typed(&lines[*at]).unwrap();
        let (command, code) = line.split_once("# exit code ").unwrap_or((line, "0"));
        let after = starts.get(index + 1).copied().unwrap_or(end);
        found.push(Step::Type(Typed {
            user: user.to_owned(),
            command: command.trim().to_owned(),
            code: code.parse().unwrap(),
            printed: at + 1..after,
        }));
    }
}

/// A page that is followed on a machine.
#[derive(Debug)]
pub struct Page<'m> {
    machine: &'m Machine,
    name: &'static str,
    lines: Vec<String>,
    /// What is still to be done, the next step last.
    steps: Vec<Step>,
    /// Where each user is.
    places: BTreeMap<String, String>,
    wrong: String,
    changes: Vec<(std::ops::Range<usize>, Vec<String>)>,
}

impl<'m> Page<'m> {
    /// Opens a page of docs/, to be followed from its beginning.
    pub fn open(machine: &'m Machine, name: &'static str) -> Self {
        let lines = read(name);
        let mut steps = steps(&lines);
        steps.reverse();
        let (places, wrong, changes) = (BTreeMap::new(), String::new(), Vec::new());
        Self { machine, name, lines, steps, places, wrong, changes }
    }

    /// Does what the page says before the command that begins so.
    pub fn until(&mut self, command: &str) {
        let next =
            |step: &Step| matches!(step, Step::Type(typed) if typed.command.starts_with(command));
        while !self.steps.last().is_none_or(next) {
            self.step();
        }
        assert!(!self.steps.is_empty(), "{} has no `{command}` here", self.name);
    }

    fn step(&mut self) {
        match self.steps.pop().unwrap() {
            Step::Prepare(command) => drop(self.machine.ok_sh(&command)),
            Step::File(path, text) => {
                self.machine.write(&path, text);
                self.machine.ok_sh(&format!("chown --reference=\"$(dirname '{path}')\" '{path}'"));
            }
            Step::Type(typed) => {
                let said = type_in(self.machine, &typed, &mut self.places, &mut self.wrong);
                if !same(&self.lines[typed.printed.clone()], &said) {
                    self.wrong += &format!("$ {}\n{}\n", typed.command, said.join("\n"));
                    self.changes.push((typed.printed, said));
                }
            }
        }
    }

    /// Does the rest of what the page says, and compares.
    ///
    /// # Panics
    /// With everything that was printed and is not what the page says.
    pub fn end(mut self) {
        while !self.steps.is_empty() {
            self.step();
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            for (range, said) in self.changes.into_iter().rev() {
                self.lines.splice(range, said);
            }
            fs::write(path(self.name), self.lines.join("\n") + "\n").unwrap();
        }
        assert!(self.wrong.is_empty(), "{} says something else:\n{}", self.name, self.wrong);
    }
}

/// Types a command where its user is, and gives the lines that it prints.
fn type_in(
    m: &Machine,
    typed: &Typed,
    places: &mut BTreeMap<String, String>,
    wrong: &mut String,
) -> Vec<String> {
    let Typed { user, command, code, .. } = typed;
    let home = format!("/home/{user}");
    let place = places.entry(user.clone()).or_insert_with(|| home.clone());
    // The place is where the next command of this user begins, as in a terminal.
    let script = format!("cd '{place}' && {{ {command}\n}} 2>&1; code=$?; echo; pwd; exit $code");
    let environment = [format!("HOME={home}"), format!("USER={user}")];
    let mut words = ["runuser", "-u", user, "--", "env"].map(str::to_owned).to_vec();
    words.extend(environment);
    words.extend(["sh", "-c", &script].map(str::to_owned));
    let output = m.run(words);
    let mut said: Vec<String> =
        output.stdout.lines().map(|line| line.trim_end().to_owned()).collect();
    if let Some(now) = said.pop() {
        *place = now;
    }
    while said.last().is_some_and(String::is_empty) {
        said.pop();
    }
    if output.code != *code {
        *wrong +=
            &format!("`{command}` ended with {} instead of {code}: {output:?}\n", output.code);
    }
    said
}

/// What differs from run to run, as one mark.
fn masked(line: &str) -> String {
    let masks = [
        (r"[0-9a-f]{12,}", "HASH"),
        (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:]{5,8})?", "DATE"),
        (r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b", "CLOCK"),
        (r"\b[0-9]+(\.[0-9]+)? ?(ms|s|m|h)\b", "TIME"),
        (r"\b[0-9]+(\.[0-9]+)?(kb|mb|gb|K|M|G)\b", "SIZE"),
        (r"\b[0-9]+(\.[0-9]+)?%", "SHARE"),
        (r"\b(pid|process|from) [0-9]+", "PID"),
        (r"(online|starting) +[0-9]+", "ONLINE"),
        (r" +", " "),
        (r"─+", "─"),
    ];
    masks.iter().fold(line.trim_end().to_owned(), |line, (pattern, mark)| {
        Regex::new(pattern).unwrap().replace_all(&line, *mark).into_owned()
    })
}

fn same_line(page: &str, said: &str) -> bool {
    let parts: Vec<String> = page.split('…').map(regex_lite::escape).collect();
    Regex::new(&format!("^{}$", parts.join(".*"))).unwrap().is_match(said)
}

/// Whether these lines are those of the page, in which a line `…` stands for any number of them.
fn same(page: &[String], said: &[String]) -> bool {
    // Versions of systemctl write differently of links; what is waited for shows on a busy machine alone.
    let others = [
        "Created symlink ",
        "Removed ",
        " is not ready yet: ",
        ": it listens on nothing yet; ",
        ": waiting: ",
    ];
    let counts =
        |line: &&String| !line.is_empty() && !others.iter().any(|text| line.contains(text));
    let lines = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(counts).map(|line| masked(line)).collect()
    };
    fits(&lines(page), &lines(said))
}

fn fits(page: &[String], said: &[String]) -> bool {
    match page.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=said.len()).any(|skipped| fits(rest, &said[skipped..]))
        }
        Some((first, rest)) => match said.split_first() {
            Some((line, others)) => same_line(first, line) && fits(rest, others),
            None => false,
        },
    }
}

/// A user who may become root, as the pages assume one, and a name for the machine that sudo finds.
pub fn people(m: &Machine, others: &[&str]) {
    m.ok_sh("echo \"127.0.1.1 $(cat /etc/hostname)\" >>/etc/hosts");
    for user in others.iter().chain(&["ada"]) {
        m.ok_sh(&format!("id {user} || useradd --create-home --shell /bin/sh {user}"));
    }
    m.write("/etc/sudoers.d/ada", "ada ALL=(ALL) NOPASSWD: ALL\n");
}

#[test]
fn lines_fit_where_only_numbers_differ() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let said = lines("✓ shop: 2 replaced in 4.5 s, 0 refused\nfrom 12\nmore");
    assert!(same(&lines("✓ shop: 2 replaced in 12 s, 0 refused\n…\nmore"), &said));
    assert!(same(&lines("✓ shop: … replaced in 9.9 s, 0 refused\nfrom 1\nmore"), &said));
    assert!(!same(&lines("✓ shop: 2 replaced in 4.5 s, 1 refused\n…"), &said));
    assert!(!same(&lines("✓ shop: 3 replaced in 4.5 s, 0 refused\n…"), &said));
    assert!(!same(&lines("…\nfrom 12"), &said));
}
