//! clusterctl-from-pm2(7): every command of PM2 is there, and every attribute that means something else.

use std::collections::BTreeSet;
use std::fs;

use clusterctl::ecosystem::{Pm2, keys};

use crate::{folder, page};

/// What PM2 7.0.4 knows as commands, with their other names.
const COMMANDS: &str = "\
    start stop restart reload startOrRestart startOrReload scale delete list jlist prettylist \
    describe env pid id inspect monit dashboard imonit slist sysinfos logs flush reloadLogs \
    logrotate reset sendSignal send attach trigger startup unstartup save dump resurrect cleardump \
    update updatePM2 deepUpdate kill ping report profile:cpu profile:mem ecosystem init create \
    examples completion deploy pull forward backward serve expose install uninstall module package \
    publish set get unset multiset conf config link unlink plus login logout register monitor \
    unmonitor open install-otel deepMonitoring monitoring pm2-runtime pm2-dev";

const NAME: &str = "clusterctl-from-pm2.7";

#[test]
fn every_command_of_pm2_has_its_counterpart() {
    let text = page(NAME);
    let words: BTreeSet<&str> = text.split_whitespace().collect();
    let missing: Vec<&str> =
        COMMANDS.split_whitespace().filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty(), "{NAME} lacks {missing:?}");
}

#[test]
fn every_command_of_ours_on_the_page_exists() {
    let text = page(NAME);
    let mut command = clusterctl::cli::command();
    command.build();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for verb in command.get_subcommands() {
        known.extend(verb.get_name_and_visible_aliases());
    }
    let lines = text.lines().filter(|line| !line.starts_with(".It Ql pm2"));
    for line in lines {
        let after = line.split("clusterctl ").skip(1);
        for word in after.filter_map(|rest| rest.split_whitespace().next()) {
            let verb = word.starts_with(|c: char| c.is_ascii_lowercase());
            assert!(!verb || known.contains(word), "{NAME} has `clusterctl {word}`");
        }
    }
    let (_, same) = text.split_once("the same meaning:\n").unwrap();
    let same = same.split("with PM2").next().unwrap();
    let verbs: Vec<&str> =
        same.split([' ', '\n']).filter(|word| !["", ".Ic", ","].contains(word)).collect();
    assert!(verbs.len() > 15 && verbs.iter().all(|word| known.contains(word)), "{verbs:?}");
}

/// Text of the program as mdoc: what stands between backticks is quoted.
fn mdoc(text: &str) -> String {
    let mut lines = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            lines += &format!("\n.Ql {}", part.replace('"', "\\(dq"));
        } else if let Some(end) = part.strip_prefix([',', '.', ';', ':']) {
            lines += &format!(" {}\n{}", &part[..1], end.trim_start());
        } else {
            lines += &format!("\n{}", part.trim_start());
        }
    }
    let lines = lines.lines().filter(|line| !line.trim().is_empty()).map(wrapped);
    lines.collect::<Vec<_>>().join("\n")
}

/// A line of words, cut into lines as short as mandoc wants them.
fn wrapped(line: &str) -> String {
    let mut text = String::new();
    let mut length = 0;
    for word in line.split_whitespace() {
        let fits = length + 1 + word.len() <= 78;
        text += if text.is_empty() {
            ""
        } else if fits {
            " "
        } else {
            "\n"
        };
        length = if fits && length > 0 { length + 1 + word.len() } else { word.len() };
        text += word;
    }
    text
}

/// `UPDATE_EXPECT=1` writes the list anew, from the table of keys.
#[test]
fn every_attribute_that_differs_is_listed() {
    let text = page(NAME);
    let (before, rest) = text.split_once(".Bl -tag -width Ds\n").unwrap();
    let (middle, rest) = rest.split_once(".Sh ATTRIBUTES").unwrap();
    let (intro, rest) = rest.split_once(".Bl -tag -width Ds\n").unwrap();
    let (_, after) = rest.split_once(".El\n").unwrap();
    let mut list = String::new();
    for key in keys() {
        if let Pm2::Differs(how) = key.pm2 {
            list += &format!(".It Ic {}\n{}\n", key.name, mdoc(how));
        }
    }
    assert!(list.matches(".It Ic ").count() > 10, "{list}");
    let open = ".Bl -tag -width Ds\n";
    let expected = format!("{before}{open}{middle}.Sh ATTRIBUTES{intro}{open}{list}.El\n{after}");
    if std::env::var_os("UPDATE_EXPECT").is_some() && expected != text {
        fs::write(folder().join(NAME), &expected).unwrap();
    }
    assert!(expected == page(NAME), "{NAME} is not what the table of keys says: make bless");
}
