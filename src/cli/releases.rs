//! What verbs other than `deploy` do about releases: a file that keeps releases is applied to the one that is in force,
//! and the link `current` follows what is put in force. It never makes a release.

use std::path::{Path, PathBuf};

use super::{Site, Ui};
use crate::ecosystem;
use crate::error::Error;
use crate::release::{self, Store};
use crate::{disk, host, ops};

/// The path by which a file is known and the folder that its relative paths start from: that of a release, if the file
/// keeps releases and one is in force. The file of a release itself stands for `current`, and means that release.
///
/// # Errors
/// The history cannot be read.
pub(super) fn followed(
    text: &str,
    source: Option<PathBuf>,
    base: PathBuf,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(Option<PathBuf>, PathBuf), Error> {
    let Some((path, store)) =
        source.clone().zip(ecosystem::releases_folder(text).map(|path| Store::of(&path)))
    else {
        return Ok((source, base));
    };
    refuse_changed(text, &path, &store, place)?;
    let own = Store::of_release(&base).filter(|(found, _)| *found == store);
    let (path, folder) = match own {
        Some((_, id)) => {
            let name = path.file_name().unwrap_or_default();
            (store.current().join(name), Some(store.release(&id)))
        }
        None => {
            let recorded = ops::in_force(&place.layout()?, &store, Some(&path))?;
            let linked = || store.linked().map(|id| store.release(&id));
            let folder = recorded.or_else(linked);
            // Its apps would be looked for in the folder of the file.
            folder.as_deref().map_or(Ok(()), refuse_gone)?;
            (path, folder)
        }
    };
    let Some(folder) = folder.filter(|folder| Store::of_release(folder).is_some()) else {
        return Ok((source, base));
    };
    ui.note(&format!("relative paths start from the release in force, {}", folder.display()));
    Ok((Some(path), folder))
}

/// Refuses the file of a release that says something else than when it was deployed, where somebody else than root may
/// have written that: the release belongs to the user of its apps, and an ecosystem file decides what root does.
fn refuse_changed(text: &str, path: &Path, store: &Store, place: &Site<'_>) -> Result<(), Error> {
    // Whichever way it is named: by the link, or by the release.
    let Ok(real) = path.canonicalize() else { return Ok(()) };
    let folder = real.parent().unwrap_or(&real);
    if Store::named_by(folder).is_none_or(|(found, _)| found != *store) {
        return Ok(());
    }
    let by_others = rustix::process::geteuid().is_root()
        && (host::owner_of(&real).is_some_and(|owner| owner.uid != 0)
            || host::changeable_by(&real).is_some());
    let entries = disk::history(&place.layout()?)?;
    let known = entries
        .iter()
        .any(|entry| entry.definition.base == folder && entry.definition.text == text);
    if !by_others || known {
        return Ok(());
    }
    let why =
        format!("{} is not what was deployed, and not only root may change it", path.display());
    let next = "deploy it: clusterctl deploy FOLDER; what was deployed: clusterctl history";
    Err(release::Error::unfit(why, next).into())
}

/// Makes the link of a release that has been put in force lead to it.
///
/// # Errors
/// The file system refuses.
pub(super) fn link(base: &Path, ui: &mut Ui) -> Result<(), Error> {
    let Some((store, id)) = Store::of_release(base) else { return Ok(()) };
    if store.switch(&id)? {
        ui.note(&format!("{} leads to release {id} now", store.current().display()));
    }
    Ok(())
}

/// Refuses a definition whose release is gone: its programs would be missing.
///
/// # Errors
/// It is gone.
pub(super) fn refuse_gone(base: &Path) -> Result<(), Error> {
    let Some((_, id)) = Store::named_by(base).filter(|_| !base.is_dir()) else { return Ok(()) };
    let why = format!("release {id} is gone: {} is not there", base.display());
    let next =
        "deploy it again (clusterctl deploy …), or go back to another one: clusterctl history";
    Err(release::Error::unfit(why, next).into())
}
