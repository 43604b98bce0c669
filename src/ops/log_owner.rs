//! Log files in folders of root's, for apps whose own user opens them: each is made, or given to that
//! user, before the app starts. Everything is done to the open file, never to its name.
//!
//! Log files are opened by the program's user (`clusterctl-exec --log`), always: systemd opens
//! `StandardOutput=append:` as root before it takes the user's rights, and a folder that is root's
//! at an apply may be somebody else's at the next restart. Apps of root get a file only where
//! nobody else can have put a link. `ops/log_owner.rs` gives files in folders of root's to the user
//! beforehand, by descriptor. A log that cannot be opened costs no app its start.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid, openat};

use super::template::log_paths;
use super::{Context, Error, Event, Sink};
use crate::disk;
use crate::ecosystem::{AppName, Scope};
use crate::host;
use crate::plan::{Observed, OwnedUnits, shell_word};
use crate::translate::{Record, of_instance};
use crate::unit::{UnitFile, quote};

/// Gives the log files of these apps to their users; the units are on disk.
///
/// # Errors
/// The units cannot be read.
pub(super) fn hand_over(
    context: &Context,
    apps: &[&AppName],
    observed: &Observed,
    sink: Sink<'_>,
) -> Result<(), Error> {
    if context.layout.scope == Scope::User {
        return Ok(());
    }
    let found = disk::scan_apps(&context.layout, apps)?;
    for app in apps {
        let Some(found) = found.get(*app) else { continue };
        let name = app.template_unit();
        let last = found.links.last().map_or(0, |last| last + 1);
        let former = observed.apps.get(*app).and_then(|before| before.units.parsed(&name));
        give_all(app, &found.units, last, former, sink);
    }
    Ok(())
}

/// Gives the log files of an app with this many instances to its user; `former` is the template that was in force
/// before.
pub(super) fn give_all(
    app: &AppName,
    units: &OwnedUnits,
    instances: u32,
    former: Option<&UnitFile>,
    sink: Sink<'_>,
) {
    let Some(unit) = units.parsed(&app.template_unit()) else { return };
    let user = unit.get("Service", "User").map(quote::unescaped);
    let Some(user) = user.and_then(|user| host::user(&user)).filter(|user| user.uid != 0) else {
        return;
    };
    // A rollout has more instances for a while.
    let number = instances + units.policy(app).limits(instances).surge;
    let former = former.map(|unit| log_files(unit, number)).unwrap_or_default();
    for path in log_files(unit, number) {
        if let Some(why) = give(&path, &user, former.contains(&path)) {
            let text = format!(
                "output goes to the journal, not to {}: {why}; chown {} {}",
                path.display(),
                shell_word(&user.name),
                shell_word(&path.to_string_lossy())
            );
            sink(Event::Warning { app: app.clone(), text });
        }
    }
}

/// The files of this many instances. Each once, although both streams of an app may go to one file.
fn log_files(unit: &UnitFile, instances: u32) -> BTreeSet<PathBuf> {
    let record = Record::read(unit);
    let files = record.log_files.into_iter();
    match record.logs_of_each {
        true => files
            .flat_map(|base| (0..instances).map(move |n| of_instance(&base, &n.to_string())))
            .collect(),
        false => files.collect(),
    }
}

/// Log files that instances cannot write to, and why, as far as that can be told without trying.
pub(super) fn unwritable(unit: &UnitFile) -> Vec<(PathBuf, String)> {
    let user = unit.get("Service", "User").map(quote::unescaped);
    let user = user.and_then(|user| host::user(&user)).filter(|user| user.uid != 0);
    let opened_by_program = unit.get("Service", "ExecStart").is_some_and(|l| l.contains("--log"));
    let why = |path: &Path| {
        let Some(user) = &user else {
            let (folder, who) = host::changeable_by(path)?;
            return Some(format!(
                "{who} may change {}, and the app runs as root",
                folder.display()
            ));
        };
        let meta = fs::metadata(path).ok().filter(|meta| meta.is_file())?;
        let others = meta.mode() & 0o022 != 0;
        (meta.uid() != user.uid && !others).then(|| format!("{} may not write to it", user.name))
    };
    // Those of single instances are known by looking.
    let of_each = log_paths(unit).into_iter().filter(|log| log.instance.is_some());
    let all = log_files(unit, 0).into_iter().chain(of_each.map(|log| log.path));
    all.filter(|_| opened_by_program).filter_map(|path| Some((path.clone(), why(&path)?))).collect()
}

/// Returns why the user will not be able to write to the file, as far as that can be told. One that
/// root owns is the user's from now on if it is empty, or was the app's log before: others may be
/// shared, such as /var/log/messages.
fn give(path: &Path, user: &crate::ecosystem::User, was_its_log: bool) -> Option<String> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if host::changeable_by(&real).is_some() {
        // Others may change the folder, so the name can lead anywhere: the app's user opens the file itself.
        return None;
    }
    let file = match open(&real) {
        Ok(file) => file,
        Err(error) => return Some(error.to_string()),
    };
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(error) => return Some(error.to_string()),
    };
    if !meta.is_file() || meta.uid() == user.uid {
        return None;
    }
    let own = meta.uid() == 0 && meta.nlink() == 1 && (meta.len() == 0 || was_its_log);
    if !own {
        let by_others = meta.mode() & 0o002 != 0;
        let by_group = meta.mode() & 0o020 != 0;
        let why = format!("{} may not write to it", user.name);
        // Whether the user is in the file's group, the kernel decides at the start.
        return (!by_others && !by_group).then_some(why);
    }
    let (owner, group) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::fs::fchown(&file, Some(owner), Some(group)).err().map(|error| error.to_string())
}

/// Opens a log, made if it is missing, without following a link at its end.
fn open(path: &Path) -> std::io::Result<File> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = flags | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(&folder, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => {
            let mode = Mode::from_raw_mode(0o644);
            openat(&folder, name, flags | OFlags::CREATE | OFlags::EXCL, mode)?
        }
        other => other?,
    };
    Ok(file.into())
}
