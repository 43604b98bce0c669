//! Which releases go when another one is in force: what units, processes and the history refer to is looked up here.
//! A release that cannot be removed is no failure of the deployment.

use std::collections::{BTreeMap, BTreeSet};

use super::{DeployEvent, DeploySink, Release, of_store};
use crate::disk::{self, HistoryEntry, Lock};
use crate::ecosystem::Deploy;
use crate::ops::{Context, Error};
use crate::release::{self, Needed, Note, Store};

/// Removes releases that are not needed any more; gives why others could not be removed.
///
/// # Errors
/// What refers to releases cannot be read.
pub fn tidy(
    context: &Context,
    deploy: &Deploy,
    release: &Release,
    sink: DeploySink<'_>,
) -> Result<Vec<String>, Error> {
    let Release { store, note, .. } = release;
    let notes: BTreeMap<String, Note> =
        store.notes().into_iter().map(|note| (note.id.clone(), note)).collect();
    let all: Vec<String> = notes.keys().cloned().collect();
    let shared = Lock::shared(&context.layout.state)?;
    let entries = disk::history(&context.layout)?;
    let mut used = used(context, store, &entries)?;
    used.insert(note.id.clone());
    let history = entries.iter().rev().filter_map(|entry| of_store(store, entry)).collect();
    let needed = Needed { history, in_force: marked(&notes), used };
    let pruned = release::prune(&all, &needed, deploy.keep);
    let forgotten = entries
        .iter()
        .filter(|entry| of_store(store, entry).is_some_and(|id| pruned.forget.contains(&id)));
    for entry in forgotten {
        disk::forget(&context.layout, entry.number)?;
    }
    drop(shared);
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    for note in pruned.remove.iter().filter_map(|id| notes.get(id)) {
        match store.remove(note) {
            Ok(()) => removed.push(note.id.clone()),
            Err(error) => failed.push(still_there(&error)),
        }
    }
    if !removed.is_empty() {
        sink(DeployEvent::Pruned(removed));
    }
    Ok(failed)
}

/// Says why a release could not be removed.
pub(super) fn still_there(error: &release::Error) -> String {
    format!("an old release is still there: {error}; the next deploy tries again")
}

/// Those that were in force, newest first.
fn marked(notes: &BTreeMap<String, Note>) -> Vec<String> {
    let mut marked: Vec<&Note> = notes.values().filter(|note| note.in_force.is_some()).collect();
    marked.sort_by_key(|note| std::cmp::Reverse(note.in_force));
    marked.into_iter().map(|note| note.id.clone()).collect()
}

/// Releases of a store that something refers to besides the history.
fn used(
    context: &Context,
    store: &Store,
    entries: &[HistoryEntry],
) -> Result<BTreeSet<String>, Error> {
    let releases = store.releases();
    let real = releases.canonicalize().unwrap_or_else(|_| releases.clone());
    let mut used = release::in_use(&real);
    used.extend(release::in_use(&releases));
    used.extend(store.linked());
    let texts: Vec<String> = disk::scan(&context.layout)?
        .into_values()
        .flat_map(|found| found.units.values().map(|file| file.text.clone()).collect::<Vec<_>>())
        .collect();
    let named = store.notes().into_iter().map(|note| note.id);
    used.extend(named.filter(|id| texts.iter().any(|text| text.contains(id.as_str()))));
    let begun = entries.iter().filter(|entry| {
        let source = entry.definition.source.as_deref();
        disk::begun_return(&context.layout, source) == Some(entry.number)
    });
    used.extend(begun.filter_map(|entry| of_store(store, entry)));
    Ok(used)
}
