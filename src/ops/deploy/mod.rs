//! Makes a release of an archive, and keeps the folder of releases: what `deploy` does before and after its definition is
//! put in force. It never writes a unit: `ops::apply` does.

mod event;
mod inherited;
mod runner;
mod tidy;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub use event::{DeployEvent, DeploySink};
use runner::{Runner, Work};
pub use tidy::tidy;

use super::{Context, Error};
use crate::disk::{self, HistoryEntry, Layout, Lock};
use crate::ecosystem::{Deploy, User};
use crate::host;
use crate::release::{self, Archive, Note, Store};

/// What is deployed, and what the file says about it.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The files.
    pub archive: &'a Archive,
    /// The table `[deploy]`.
    pub deploy: &'a Deploy,
    /// The digest of all that makes the release what it is.
    pub digest: String,
    /// What it was made of, for people.
    pub from: String,
    /// Login name of who deploys.
    pub user: String,
    /// When.
    pub now: SystemTime,
    /// Make a new release even if one of the same content is there.
    pub rebuild: bool,
}

impl Deployment<'_> {
    /// The folder of releases.
    pub fn store(&self) -> Store {
        Store::of(&self.deploy.path)
    }

    /// Who owns the release, if that is somebody else than whoever deploys.
    fn owner(&self) -> Option<User> {
        let own = rustix::process::geteuid();
        let user = host::user(self.deploy.user.as_deref()?)?;
        (own.is_root() && user.uid != 0).then_some(user)
    }

    /// The release that is there already, or the name that a new one would have now.
    pub fn preview(&self) -> DeployEvent {
        let store = self.store();
        match store.same(&self.digest).filter(|_| !self.rebuild) {
            Some(note) => known(&store, &note),
            None => self.making(&store, &self.note(&store)),
        }
    }

    fn making(&self, store: &Store, note: &Note) -> DeployEvent {
        let (files, bytes) = self.archive.tree().size();
        let folder = store.release(&note.id);
        DeployEvent::Making { id: note.id.clone(), folder, from: self.from.clone(), files, bytes }
    }

    fn note(&self, store: &Store) -> Note {
        let now = self.now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        // Two of one second, or a clock that was set back: names sort by the order in which they were given.
        let last = store.notes().last().map_or(0, |note| note.time + 1);
        let free = |id: &String| !store.release(id).exists();
        let mut times = now.max(last)..;
        let found = times.find_map(|time| {
            let id = name(time, &self.digest);
            free(&id).then_some((time, id))
        });
        let (time, id) = found.unwrap_or_default();
        let (digest, from, user) = (self.digest.clone(), self.from.clone(), self.user.clone());
        Note { id, digest, from, user, time, complete: false, in_force: None }
    }

    /// Names of files in `shared` that releases need and that are not there.
    fn missing(&self, store: &Store) -> Vec<PathBuf> {
        let files = self.deploy.shared.iter().filter(|one| !one.folder);
        let paths = files.map(|one| store.shared().join(&one.path));
        paths.filter(|path| path.symlink_metadata().is_err()).collect()
    }

    /// Says of what releases share that it belongs to another user than theirs, as after a change of that user.
    fn of_another_user(&self, store: &Store) -> Vec<String> {
        let Some(user) = self.owner() else { return Vec::new() };
        let paths = self.deploy.shared.iter().map(|one| store.shared().join(&one.path));
        let others = paths.filter_map(|path| {
            let other = host::owner_of(&path).filter(|other| other.uid != user.uid)?;
            let (path, name) = (path.display(), &user.name);
            Some(format!(
                "{path} belongs to `{}`, and the releases to `{name}`: chown -Rh {name}: {path}",
                other.name
            ))
        });
        others.collect()
    }

    /// What can be known to be wrong before anything is touched.
    ///
    /// # Errors
    /// Releases cannot be kept there, or a shared file is missing.
    pub fn check(&self) -> Result<(), Error> {
        let store = self.store();
        Store::check(&self.deploy.path)?;
        let missing = self.missing(&store);
        let Some(first) = missing.first() else { return Ok(()) };
        let names: Vec<String> = missing.iter().map(|path| path.display().to_string()).collect();
        let there = if names.len() == 1 { "is not there" } else { "are not there" };
        let why = format!("{} {there}, which all releases share", names.join(" and "));
        let owner = self.owner().map_or_else(String::new, |user| format!(" -o {}", user.name));
        let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let put = format!("put it there: install -D{owner} -m 600 {name} {}", first.display());
        Err(release::Error::unfit(why, put).into())
    }
}

/// `20261130-044512-0123456789ab`: names sort by time.
fn name(time: u64, digest: &str) -> String {
    let time = i64::try_from(time).ok().and_then(|time| jiff::Timestamp::from_second(time).ok());
    let time = time.unwrap_or_default().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{time}-{}", digest.get(..12).unwrap_or_default())
}

/// A release that can be put in force. As long as it is there, no other deployment to the same folder begins.
#[derive(Debug)]
pub struct Release {
    /// Where it is.
    pub store: Store,
    /// What is known of it.
    pub note: Note,
    /// What is no reason to have no release, and is told: what of killed deployments could not be removed, and what of
    /// `shared` belongs to another user.
    pub warnings: Vec<String>,
    owner: Option<User>,
    former: Option<PathBuf>,
    _lock: Lock,
}

impl Release {
    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.store.release(&self.note.id)
    }

    /// Whether it was the last one to be put in force.
    fn is_in_force(&self) -> bool {
        self.former.as_ref() == Some(&self.folder())
    }

    /// The home of hooks of a user who has none, as those that `useradd --system` makes.
    fn home(&self) -> Result<Option<(&'static str, String)>, Error> {
        let Some(user) = &self.owner else { return Ok(None) };
        let own = |meta: std::fs::Metadata| meta.is_dir() && meta.uid() == user.uid;
        if user.home.metadata().is_ok_and(own) {
            return Ok(None);
        }
        let home = self.store.home((user.uid, user.gid))?;
        Ok(Some(("HOME", home.display().to_string())))
    }

    /// The variables that hooks get.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let shown = |path: &Path| path.display().to_string();
        let former = self.former.as_deref().filter(|_| !self.is_in_force());
        vec![
            ("CLUSTERCTL_RELEASE", shown(&self.folder())),
            ("CLUSTERCTL_SHARED", shown(&self.store.shared())),
            ("CLUSTERCTL_FORMER", former.map(shown).unwrap_or_default()),
        ]
    }
}

/// The release of a deployment: the one that is there of the same content, or a new one. Waits for another deployment to
/// the same folder, and sweeps away what killed ones have left.
///
/// # Errors
/// It cannot be made; nothing is left of it then.
pub fn release(
    context: &Context,
    deployment: &Deployment<'_>,
    sink: DeploySink<'_>,
) -> Result<Release, Error> {
    deployment.check()?;
    let store = deployment.store();
    let owner = deployment.owner();
    let waiting = |command| sink(DeployEvent::Waiting { command });
    let lock = Lock::releases(&context.layout.state, store.base(), waiting)?;
    let numbers = owner.as_ref().map(|user| (user.uid, user.gid));
    store.prepare(numbers, !deployment.deploy.shared.is_empty())?;
    Runner::new(context, &store, owner.as_ref()).end_leftovers();
    let (swept, failed) = store.sweep();
    let mut warnings: Vec<String> = failed.iter().map(tidy::still_there).collect();
    warnings.extend(deployment.of_another_user(&store));
    if !swept.is_empty() {
        sink(DeployEvent::Swept(swept));
    }
    let former = in_force(&context.layout, &store, None)?;
    let same = store.same(&deployment.digest).filter(|_| !deployment.rebuild);
    let (note, there) = match same {
        Some(note) => (note, true),
        None => (deployment.note(&store), false),
    };
    let release = Release { store, note, warnings, owner, former, _lock: lock };
    if there {
        sink(known(&release.store, &release.note));
    } else {
        make(context, deployment, &release, sink)?;
    }
    Ok(release)
}

fn known(store: &Store, note: &Note) -> DeployEvent {
    DeployEvent::Known { id: note.id.clone(), folder: store.release(&note.id) }
}

fn make(
    context: &Context,
    deployment: &Deployment<'_>,
    release: &Release,
    sink: DeploySink<'_>,
) -> Result<(), Error> {
    let Release { store, note, owner, .. } = release;
    sink(deployment.making(store, note));
    let numbers = owner.as_ref().map(|user| (user.uid, user.gid));
    let filled = store.begin(note, numbers).map_err(Error::from).and_then(|folder| {
        fill(context, deployment, release, &folder)?;
        hooks(context, release, ("build", &deployment.deploy.build), sink)
    });
    if let Err(error) = filled {
        // Whatever is wrong with that as well, the next deployment sweeps it away.
        let _ = store.sweep();
        return Err(error);
    }
    Ok(store.complete(note)?)
}

/// Unpacks the archive into the folder, with the rights of its owner.
fn fill(
    context: &Context,
    deployment: &Deployment<'_>,
    release: &Release,
    folder: &Path,
) -> Result<(), Error> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut words = vec![text(&context.program), "unpack-release".to_owned(), text(folder)];
    words.extend(["--shared-from".to_owned(), text(&release.store.shared())]);
    for one in &deployment.deploy.shared {
        let flag = if one.folder { "--shared-folder" } else { "--shared-file" };
        words.push(format!("{flag}={}", text(&one.path)));
    }
    let input = Some(deployment.archive.again()?);
    let mut runner = Runner::new(context, &release.store, release.owner.as_ref());
    let mut said = Vec::new();
    let work = Work { words, folder, variables: Vec::new(), input };
    let status = runner.run(work, &mut |line| said.push(line))?;
    if status.success() {
        return Ok(());
    }
    // What it says to do is told below, once.
    let lines = said.iter().filter(|line| !line.starts_with("next: "));
    let mut why =
        lines.map(|line| line.trim_start_matches("error: ")).collect::<Vec<_>>().join("\n");
    if why.is_empty() {
        // Somebody has killed it, such as the kernel for want of memory.
        why = format!("that process ended with {status}");
    }
    let why = format!("the release cannot be unpacked: {why}");
    Err(release::Error::failed(why, "mend that, then run the same command again").into())
}

/// Runs the lines of a hook, one after the other.
fn hooks(
    context: &Context,
    release: &Release,
    (key, lines): (&'static str, &[String]),
    sink: DeploySink<'_>,
) -> Result<(), Error> {
    let folder = release.folder();
    let mut runner = Runner::new(context, &release.store, release.owner.as_ref());
    let home = if lines.is_empty() { None } else { release.home()? };
    for line in lines {
        sink(DeployEvent::Hook { key, line: line.clone() });
        let words = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
        let mut variables = release.variables();
        variables.extend(home.clone());
        let work = Work { words, folder: &folder, variables, input: None };
        let status = runner.run(work, &mut |text| sink(DeployEvent::Said { key, text }))?;
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("ended with code {code}"),
                None => status.to_string(),
            };
            let next = match key {
                "build" => "mend it, and deploy again: nothing of the release was kept",
                "before_switch" => "mend it, and deploy again: no instance was touched",
                _ => "the release is in force; run by hand what is missing",
            };
            return Err(release::Error::failed(format!("`{key}` {how}: {line}"), next).into());
        }
    }
    Ok(())
}

/// What has to succeed before the release is put in force, unless it is so already.
///
/// # Errors
/// A line of the hook failed, or Ctrl-C.
pub fn before_switch(
    context: &Context,
    deploy: &Deploy,
    release: &Release,
    sink: DeploySink<'_>,
) -> Result<(), Error> {
    match release.is_in_force() {
        true => Ok(()),
        false => hooks(context, release, ("before_switch", &deploy.before_switch), sink),
    }
}

/// What follows when a release has been put in force: the hook `after`, and the link. A command that was killed before
/// the link was made does both again.
///
/// # Errors
/// The hook failed, or the link cannot be made.
pub fn after_switch(
    context: &Context,
    deploy: &Deploy,
    release: &Release,
    sink: DeploySink<'_>,
) -> Result<(), Error> {
    let Release { store, note, .. } = release;
    if store.linked().as_ref() == Some(&note.id) {
        return Ok(());
    }
    let ran = hooks(context, release, ("after", &deploy.after), sink);
    // The release is in force whatever the hook says.
    store.switch(&note.id)?;
    sink(DeployEvent::Current { link: store.current(), id: note.id.clone() });
    ran
}

/// The folder of the release of a store that was put in force last, of a file or of any.
///
/// # Errors
/// The history cannot be read.
pub fn in_force(
    layout: &Layout,
    store: &Store,
    source: Option<&Path>,
) -> Result<Option<PathBuf>, disk::Error> {
    let entries = disk::history(layout)?;
    let mut of_file = entries
        .iter()
        .rev()
        .filter(|entry| source.is_none() || entry.definition.source.as_deref() == source);
    let found = of_file.find_map(|entry| of_store(store, entry));
    Ok(found.map(|id| store.release(&id)))
}

/// The name of the release of a store that an entry of the history put in force.
fn of_store(store: &Store, entry: &HistoryEntry) -> Option<String> {
    let (own, id) = Store::named_by(&entry.definition.base)?;
    (own == *store).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_releases_sort_by_time() {
        let digest = "0123456789abcdef";
        assert_eq!(name(0, digest), "19700101-000000-0123456789ab");
        assert_eq!(name(1_796_013_912, digest), "20261130-044512-0123456789ab");
        assert!(release::is_id(&name(1_796_013_912, digest)));
    }
}
