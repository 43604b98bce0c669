//! Which apps write to files, which a new process of theirs opens anew.

use std::collections::BTreeMap;

use super::Selected;
use crate::disk::FoundApp;
use crate::ecosystem::AppName;
use crate::translate::Record;

/// Those of the selection whose instances write to files, and the apps that write to the journal alone.
pub fn writes_files(
    apps: &BTreeMap<AppName, FoundApp>,
    selected: Vec<Selected>,
) -> (Vec<Selected>, Vec<AppName>) {
    let to_files = |one: &Selected| {
        let name = one.app.template_unit();
        let template = apps.get(&one.app).and_then(|found| found.units.parsed(&name));
        // By the record, not by files on disk: a file that was moved away is missing until it is opened anew.
        template.is_some_and(|unit| !Record::read(unit).log_files.is_empty())
    };
    let (files, journal): (Vec<_>, Vec<_>) = selected.into_iter().partition(to_files);
    (files, journal.into_iter().map(|one| one.app).collect())
}
