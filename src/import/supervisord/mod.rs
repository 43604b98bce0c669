//! `supervisord.conf`: each `[program:x]` is an app. It never opens the files that `[include]` names.

mod ini;
mod program;

use std::collections::BTreeMap;

use super::Refusal;
use super::draft::{Drafts, LeftOut};
use ini::IniSection;

/// The patterns of `[include] files`, as they stand there.
pub fn includes(text: &str) -> Vec<String> {
    let sections = ini::sections(text);
    let include = sections.iter().filter(|section| section.name == "include");
    include
        .filter_map(|section| section.get("files"))
        .flat_map(|files| files.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The apps of a configuration: its own text first, then each file that it includes. `here` is its folder,
/// which `%(here)s` stands for.
///
/// # Errors
/// There is no program in it.
pub fn from_text(texts: &[String], here: &str) -> Result<Drafts, Refusal> {
    let sections: Vec<IniSection> = texts.iter().flat_map(|text| ini::sections(text)).collect();
    let groups = groups(&sections);
    let mut drafts = Drafts::default();
    for section in &sections {
        let (kind, name) = section.name.split_once(':').unwrap_or((&section.name, ""));
        match kind {
            "program" => drafts.apps.push(program::app(section, name, groups.get(name), here)),
            "fcgi-program" => drafts.left.push(
                LeftOut::new(
                    &section.name,
                    "gets its socket as standard input, which is no `listen` here",
                )
                .instead("php-fpm and others take a listener by themselves: write an app for them"),
            ),
            "eventlistener" => drafts.left.push(
                LeftOut::new(&section.name, "listens to supervisord's own events").instead(
                    "systemd starts a unit when another one fails: OnFailure= in `service`",
                ),
            ),
            _ => {}
        }
    }
    if drafts.apps.is_empty() {
        let why = "it has no `[program:NAME]`";
        return Err(Refusal::new(why, "name the file that has them: clusterctl import FILE"));
    }
    drafts.name_apps();
    Ok(drafts)
}

/// The group of each program.
fn groups(sections: &[IniSection]) -> BTreeMap<String, String> {
    let mut groups = BTreeMap::new();
    for section in sections {
        let Some(group) = section.name.strip_prefix("group:") else { continue };
        let programs = section.get("programs").unwrap_or_default();
        for program in programs.split(',') {
            groups.insert(program.trim().to_owned(), group.to_owned());
        }
    }
    groups
}
