//! How far apart lies what belongs together: in how many files a key, a unit of its own and a verb are.

use std::collections::BTreeSet;
use std::path::Path;

use super::{modules, sources};

/// Files of the program below src/ whose code has one of these words. `import` and `export` name what other
/// tools have: a key of ours is there only if one of them has it too, or as one that none has.
fn files_with(words: &[&str]) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = modules().filter(|module| !["import", "export"].contains(module)).flat_map(sources);
    let found = all.filter(|(_, text)| words.iter().any(|word| has_word(text, word)));
    found.map(|(path, _)| path.strip_prefix(&root).unwrap().display().to_string()).collect()
}

/// Whether a word stands in a text, and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

fn assert_files(words: &[&str], expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(files_with(words), expected, "{words:?}");
}

#[test]
fn a_key_with_a_unit_of_its_own_lies_in_at_most_nine_files() {
    let words = [
        "cron",
        "cron_restart",
        "schedule",
        "schedules",
        "Schedule",
        "timer",
        "Timer",
        "Timed",
        "OnCalendar",
        "NextElapseUSecRealtime",
    ];
    // These files have systemd's own words for unit kinds and directives, whatever keys there are.
    let of_systemd = [
        "embedded/units.rs",
        "plan/doctor/app.rs",
        "systemd/proxy.rs",
        "translate/health.rs",
        "translate/memory.rs",
        "translate/weight.rs",
        "unit/name.rs",
    ];
    let mut files = files_with(&words);
    files.retain(|file| !of_systemd.contains(&file.as_str()));
    let expected = [
        "cli/flags.rs",
        "ecosystem/model/app.rs",
        "ecosystem/model/role.rs",
        "ecosystem/read/keys.rs",
        "ecosystem/resolve/mod.rs",
        "ecosystem/resolve/schedule.rs",
        "translate/mod.rs",
        "translate/timer.rs",
    ];
    assert_eq!(files, expected.map(str::to_owned).into());
}

#[test]
fn a_plain_key_lies_in_at_most_four_files() {
    let (table, model) = ("ecosystem/read/keys.rs", "ecosystem/model/app.rs");
    let (read, written) = ("ecosystem/resolve/process.rs", "translate/instance.rs");
    assert_files(&["min_uptime"], &[table, model, read, written]);
    // No field of the model: it is an option of Node, which the environment carries.
    let (retired, resolved) = ("ecosystem/read/pm2.rs", "ecosystem/resolve/environment.rs");
    assert_files(&["source_map_support", "source_maps"], &[table, retired, resolved]);
}

#[test]
fn a_verb_lies_in_two_files() {
    assert_files(&["PidArgs"], &["cli/mod.rs", "cli/pid.rs"]);
    assert_files(&["DescribeArgs"], &["cli/describe.rs", "cli/mod.rs"]);
}
