//! Reading what is there: our units by app, and who owns a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::seen::Owned;
use super::{DropIns, Error, Layout, by_halves};
use crate::clock::Timestamp;
use crate::ecosystem::{AppName, ListenAddress, fnv1a};
use crate::limits;
use crate::plan::{LinkId, ObservedFile, OwnedUnit, OwnedUnits};
use crate::translate::{self, MARK, Record};
use crate::unit::{UnitFile, UnitName, quote};

/// The disk's part of an observed app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundApp {
    /// Unit files that carry our mark for this app.
    pub units: OwnedUnits,
    /// The environment file, when we may read it.
    pub environment: Option<ObservedFile>,
    /// The ecosystem file that the group names as its source.
    pub source: Option<PathBuf>,
    /// Namespace for selectors.
    pub namespace: String,
    /// Enabled instances.
    pub links: BTreeSet<u32>,
    /// Whether the group is enabled at boot.
    pub enabled: bool,
}

impl FoundApp {
    /// The `--env` with which it was applied last.
    pub fn profile(&self, app: &AppName) -> Option<String> {
        self.units.record(&app.group_unit()).group.profile
    }

    /// A digest of the app's unit files and variables: it differs after every change in them.
    pub fn digest(&self) -> String {
        digest(&self.units, self.environment.as_ref())
    }

    /// Whether it runs to its end once instead of serving, and counts as running afterwards.
    pub fn is_job(&self, app: &AppName) -> bool {
        let template = self.units.parsed(&app.template_unit());
        template.is_some_and(|unit| unit.get("Service", "RemainAfterExit") == Some("yes"))
    }

    /// The environment file that the instances read.
    pub fn environment_path(&self, layout: &Layout, app: &AppName) -> Option<PathBuf> {
        let template = self.units.parsed(&app.template_unit())?;
        let mut files = translate::env_files(template).map(quote::unescaped).map(PathBuf::from);
        files.find(|path| path.parent() == Some(&layout.environment))
    }
}

/// What an app's units and variables are made of: another text for every change in them.
#[must_use]
pub fn digest(units: &OwnedUnits, environment: Option<&ObservedFile>) -> String {
    let texts = units.iter().map(|(unit, file)| (unit.as_str(), &file.text));
    let texts = texts.chain(environment.iter().map(|file| ("", &file.text)));
    let mut all = String::new();
    for (name, text) in texts {
        let _ = write!(all, "{name}\0{}\0{text}\0", text.len());
    }
    format!("{:016x}", fnv1a(all.as_bytes()))
}

/// Finds every app of ours.
///
/// # Errors
/// The unit directory exists but cannot be read.
pub fn scan(layout: &Layout) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    scan_whole(layout, |_| true)
}

/// As [`scan`], without slices, of which nothing is shown.
///
/// # Errors
/// As [`scan`].
pub fn scan_shown(layout: &Layout) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    scan_whole(layout, |name| !name.ends_with(".slice"))
}

/// Every app of ours with its group, and the few other services that are no template: enough for what the group says.
/// Neither links nor variables are looked at.
///
/// # Errors
/// As [`scan`].
pub fn scan_groups(layout: &Layout) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    scan_files(layout, |name| name.ends_with(".service") && !name.contains('@'))
}

/// So many apps are looked for one after the other; of more the whole folder is read once.
const FEW: usize = 8;

/// Finds these apps; those that there are not are not in the answer.
///
/// # Errors
/// As [`scan`].
pub fn scan_apps(layout: &Layout, apps: &[&AppName]) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    let mut all = BTreeMap::new();
    if apps.len() > FEW {
        all = scan(layout)?;
        all.retain(|app, _| apps.contains(&app));
        return Ok(all);
    }
    for app in apps {
        all.extend(scan_app(layout, app)?.map(|found| ((*app).clone(), found)));
    }
    Ok(all)
}

/// Every app of ours with its template, which says where its variables are. Neither links nor variables are looked at.
///
/// # Errors
/// As [`scan`].
pub(super) fn scan_templates(layout: &Layout) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    scan_files(layout, |name| name.ends_with("@.service"))
}

/// Finds one app of ours; what there is of others costs a look at its name.
///
/// # Errors
/// As [`scan`].
pub fn scan_app(layout: &Layout, app: &AppName) -> Result<Option<FoundApp>, Error> {
    let slice = app.slice_unit();
    let may_be = |name: &str| name.starts_with(app.as_str()) || name == slice.as_str();
    // A name may begin with that of another app: the mark in the file tells whose it is.
    Ok(scan_whole(layout, may_be)?.remove(app))
}

fn scan_files(
    layout: &Layout,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    let mut apps: BTreeMap<AppName, FoundApp> = BTreeMap::new();
    let entries = match fs::read_dir(&layout.units) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(apps),
        other => other.map_err(Error::new("read", &layout.units))?,
    };
    let wanted = entries.flatten().filter(|entry| {
        // The directory entry tells the type, without a system call for each file.
        let named = entry.file_name().to_str().is_some_and(&wanted);
        named && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    let paths: Vec<PathBuf> = wanted.map(|entry| entry.path()).collect();
    let files = by_halves(&paths, |path| owned_file(layout, path));
    for (app, file) in files.into_iter().flatten() {
        let found = apps.entry(app.clone()).or_default();
        let is_group = file.unit.name == app.group_unit();
        // Every unit names it, so that an app is found that a killed run has removed in part.
        if found.source.is_none() || is_group {
            found.source.clone_from(&file.record.source);
        }
        if is_group {
            let namespace = file.record.group.namespace.clone();
            found.namespace = namespace.unwrap_or_else(|| "default".to_owned());
        }
        found.units.add(file);
    }
    Ok(apps)
}

fn scan_whole(
    layout: &Layout,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    let mut apps = scan_files(layout, wanted)?;
    let all: Vec<(&AppName, &FoundApp)> = apps.iter().collect();
    let beside = by_halves(&all, |(app, found)| {
        let environment = found.environment_path(layout, app).and_then(|path| read(&path));
        let enabled = layout.link(app, &LinkId::Boot).0.symlink_metadata().is_ok();
        (environment, links(layout, app), enabled)
    });
    for (found, (environment, links, enabled)) in apps.values_mut().zip(beside) {
        (found.environment, found.links, found.enabled) = (environment, links, enabled);
    }
    Ok(apps)
}

pub(super) fn owned(layout: &Layout, path: &Path) -> Owned {
    if let Some(known) = layout.seen.unchanged(path) {
        return known;
    }
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    read_owned(layout, path)
}

/// As [`owned`], for a path that is known to be a regular file.
fn owned_file(layout: &Layout, path: &Path) -> Owned {
    layout.seen.unchanged(path).unwrap_or_else(|| read_owned(layout, path))
}

fn read_owned(layout: &Layout, path: &Path) -> Owned {
    let name = UnitName::parse(path.file_name()?.to_str()?).ok()?;
    let opened = Timestamp::now();
    let (file, meta) = read_with_inode(path)?;
    let owned = file.text.contains(MARK).then(|| OwnedUnit::new(name, file));
    let owned = owned.and_then(|file| Some((file.record.app.clone()?, Arc::new(file))));
    layout.seen.note(path, opened, &meta, &owned);
    owned
}

fn read(path: &Path) -> Option<ObservedFile> {
    read_with_inode(path).map(|(file, _)| file)
}

/// Reads a file with as few system calls as possible: a scan reads hundreds.
fn read_with_inode(path: &Path) -> Option<(ObservedFile, Metadata)> {
    // A FIFO in its place is neither waited for nor read.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let meta = file.metadata().ok().filter(Metadata::is_file)?;
    let mut bytes = vec![0; usize::try_from(meta.len()).ok()? + 1];
    let length = file.read(&mut bytes).ok()?;
    let whole = length + 1 == bytes.len();
    bytes.truncate(length);
    if !whole {
        // The file has changed its size since, or is read in parts.
        file.read_to_end(&mut bytes).ok()?;
    }
    let file = ObservedFile { text: String::from_utf8(bytes).ok()?, modified: changed(&meta) };
    Some((file, meta))
}

/// Microseconds since 1970 of the last change; 0 for what is not there.
fn modified(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| changed(&meta))
}

/// When a file came to its place or its inode changed, where that is later than the time of its content; 0 otherwise.
/// Microseconds since 1970.
pub fn put_in_place(path: &Path) -> u64 {
    let Ok(meta) = fs::metadata(path) else { return 0 };
    let inode = micros(meta.ctime(), meta.ctime_nsec());
    let last = last_change(inode, inode, Timestamp::now().realtime_usec);
    if last > changed(&meta) { last } else { 0 }
}

fn changed(meta: &Metadata) -> u64 {
    last_change(
        micros(meta.mtime(), meta.mtime_nsec()),
        micros(meta.ctime(), meta.ctime_nsec()),
        Timestamp::now().realtime_usec,
    )
}

fn micros(seconds: i64, nanos: i64) -> u64 {
    u64::try_from(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)).unwrap_or(0)
}

/// When a content last changed, by the time that the file says and by that of the change of its inode, which nobody sets:
/// not later than this, whatever an archive or `touch` says. Where that lies in the future too, the clock has been set
/// back since, and every process that started by the clock of now started after the change.
fn last_change(content: u64, inode: u64, now: u64) -> u64 {
    let last = content.min(inode);
    if last > now.saturating_add(limits::CLOCK_SET) { 0 } else { last }
}

fn links(layout: &Layout, app: &AppName) -> BTreeSet<u32> {
    let Ok(entries) = fs::read_dir(layout.wants(app)) else { return BTreeSet::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| app.instance_of(&UnitName::parse(&name).ok()?)).collect()
}

/// Newest change of what instances read besides unit and environment file: drop-ins of `unit` and
/// the files that its definition names. Microseconds since 1970.
pub fn inputs_changed(
    layout: &Layout,
    drop_ins: &DropIns,
    unit: &UnitName,
    definition: Option<&UnitFile>,
) -> u64 {
    let drop_ins = drop_ins.folders(unit).flat_map(|dir| {
        let inside = fs::read_dir(&dir).into_iter().flatten().flatten();
        // The directory itself tells of a drop-in that was removed.
        let files = inside.map(|entry| entry.path());
        files.chain([dir]).map(|path| modified(&path)).collect::<Vec<_>>()
    });
    let own = layout.environment.as_path();
    let named = definition.into_iter().flat_map(|unit| {
        let of_manager = translate::env_files(unit).map(quote::unescaped).map(PathBuf::from);
        let files = of_manager.chain(Record::read(unit).env_files);
        files.filter(|path| !path.starts_with(own)).map(|path| modified(&path)).collect::<Vec<_>>()
    });
    drop_ins.chain(named).max().unwrap_or(0)
}

/// The ecosystem file that an app comes from, if there is such an app and it came from a file.
pub fn source(layout: &Layout, app: &AppName) -> Option<PathBuf> {
    let (owner, group) = owned(layout, &layout.unit(&app.group_unit()))?;
    group.record.source.clone().filter(|_| owner == *app)
}

/// Whether the instances of an app rely on its listener for this address, be its unit there or not.
pub fn relies_on(layout: &Layout, app: &AppName, address: &ListenAddress) -> bool {
    let Some((owner, template)) = owned(layout, &layout.unit(&app.template_unit())) else {
        return false;
    };
    let listener = app.address_unit(address);
    let mut sockets = template.unit.all("Service", "Sockets").flat_map(str::split_whitespace);
    owner == *app && sockets.any(|name| name == listener.as_str())
}

/// Whether one of the app's own socket units on disk holds an address that conflicts with this.
pub fn owns_address(layout: &Layout, app: &AppName, address: &ListenAddress) -> bool {
    let Ok(entries) = fs::read_dir(&layout.units) else { return false };
    let sockets = entries.flatten().map(|entry| entry.path());
    let sockets = sockets.filter(|path| path.extension().is_some_and(|ext| ext == "socket"));
    sockets.filter_map(|path| owned(layout, &path)).any(|(owner, file)| {
        owner == *app
            && ListenAddress::of_socket_unit(&file.unit).is_some_and(|a| a.conflicts_with(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_changed_in_the_future() {
        let (hour, now) = (3_600_000_000, 1_000_000_000_000);
        assert_eq!(last_change(now - hour, now, now), now - hour);
        assert_eq!(last_change(now + hour, now - 1, now), now - 1, "somebody has set its time");
        assert_eq!(last_change(now + hour, now + hour, now), 0, "the clock has been set back");
        assert_eq!(last_change(now + 1, now + 1, now), now + 1, "the clock of a file server");
    }
}
