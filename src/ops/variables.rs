//! Instances whose files of variables say something else than what their process was started with. The time of a file does
//! not always tell: what `cp -p`, `rsync -t` or an archive puts in its place has the time of its content, and may be older
//! than a process that has never read it.
//!
//! The time of the inode, which nobody sets, is no answer alone: `chmod` and a backup by hard links change it as well.
//! Where only that is later than a start, the variables of the process are compared with the file. Never shows a value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::template::env_files;
use super::{Context, Error};
use crate::disk;
use crate::ecosystem::{AppName, variables};
use crate::host;
use crate::limits;
use crate::plan::ObservedApp;
use crate::systemd::Field;
use crate::unit::UnitName;

/// An instance that may have read something else: its app, number and unit.
type Doubtful = (AppName, u32, UnitName);

/// Notes instances that run with other variables than those of their files.
///
/// # Errors
/// The manager does not answer.
pub(super) fn note_other_variables(
    context: &Context,
    apps: &mut BTreeMap<AppName, ObservedApp>,
) -> Result<(), Error> {
    let mut files: BTreeMap<AppName, Vec<PathBuf>> = BTreeMap::new();
    let mut doubtful: Vec<Doubtful> = Vec::new();
    for (name, app) in &*apps {
        let own = context.layout.environment.as_path();
        let mut named = app.units.parsed(&name.template_unit()).map(env_files).unwrap_or_default();
        named.retain(|path| !path.starts_with(own));
        let moved = named.iter().map(|path| disk::put_in_place(path)).max().unwrap_or(0);
        let before = doubtful.len();
        doubtful.extend(in_doubt(name, app, moved));
        if doubtful.len() > before {
            files.insert(name.clone(), named);
        }
    }
    if doubtful.is_empty() {
        return Ok(());
    }
    let units: Vec<UnitName> = doubtful.iter().map(|(.., unit)| unit.clone()).collect();
    let states = context.systemd.instances(&units, &[Field::MainPid])?;
    let said: BTreeMap<AppName, BTreeMap<String, String>> =
        files.into_iter().map(|(name, files)| (name, merged(&files))).collect();
    for ((name, number, _), state) in doubtful.into_iter().zip(states) {
        let differs = state
            .main_pid
            .zip(said.get(&name))
            .is_some_and(|(pid, said)| host::variables(pid).is_ok_and(|held| lacks(&held, said)));
        let app = apps.get_mut(&name);
        if let Some(instance) = app.and_then(|app| app.instances.get_mut(&number)) {
            instance.other_variables = differs;
        }
    }
    Ok(())
}

/// Instances that are up and started before something was put in the place of a file, and after all that its time tells.
fn in_doubt(name: &AppName, app: &ObservedApp, moved: u64) -> Vec<Doubtful> {
    let instances = app.instances.iter();
    let doubt = instances.filter(|(number, one)| {
        one.active.is_up() && one.started != 0 && one.started < moved && !app.is_outdated(**number)
    });
    doubt.map(|(number, _)| (name.clone(), *number, name.instance_unit(*number))).collect()
}

/// What the files say together: later ones win. One that cannot be read now says nothing.
fn merged(files: &[impl AsRef<Path>]) -> BTreeMap<String, String> {
    let texts = files
        .iter()
        .filter_map(|path| host::text::read(path.as_ref(), limits::ENV_FILE as u64).ok());
    let all: Vec<String> = texts.collect();
    all.iter().flat_map(|text| variables(text)).map(|(name, value, _)| (name, value)).collect()
}

/// Whether a process has not every variable that its files say. Others come from elsewhere.
fn lacks(held: &[(String, String)], said: &BTreeMap<String, String>) -> bool {
    let held: BTreeMap<&str, &str> =
        held.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A program may write its title over its variables: then nothing can be compared.
    !held.is_empty()
        && said.iter().any(|(name, value)| held.get(name.as_str()) != Some(&value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lacks_what_its_files_say_otherwise() {
        let held = |text: &str| -> Vec<(String, String)> {
            variables(text).into_iter().map(|(name, value, _)| (name, value)).collect()
        };
        let said = |text: &str| held(text).into_iter().collect::<BTreeMap<_, _>>();
        for (process, file, differs) in [
            ("A=1\nHOME=/root\n", "A=1\n", false),
            ("A=1\n", "A=2\n", true),
            ("A=1\n", "A=1\nB=\n", true),
            ("A=1\nB=2\n", "A=0\nA=1\n", false),
            // What was removed from a file may come from elsewhere as well.
            ("A=1\nB=2\n", "", false),
            ("", "A=1\n", false),
        ] {
            assert_eq!(lacks(&held(process), &said(file)), differs, "{process:?} {file:?}");
        }
    }
}
