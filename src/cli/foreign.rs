//! Files of other tools as ecosystem files: what `import` writes, and what `apply`, `start`, `reload`, `stop` and
//! `delete` take as it stands. It writes no file.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::trial::{self, Trial};
use super::world::Purpose;
use super::{Site, Ui};
use crate::disk;
use crate::ecosystem::{self, AppName, Color, Scope, is_private, port_in, without_covered};
use crate::error::Error;
use crate::host::text;
use crate::import::{self, Draft, Drafts, Foreign, Imported, Pm2Process};
use crate::ops::import::RunningPm2;
use crate::plan::shell_word;
use crate::report::printable;

/// Limit of a trial run during an import, which nobody has asked for: most servers listen within a second.
const TRIAL: Duration = Duration::from_secs(10);

/// Where a set-up comes from.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    /// Its name in messages and in the file.
    pub name: String,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// The file, if it is one.
    pub file: Option<&'a Path>,
    /// Whether programs are run to see what they listen on.
    pub tries: bool,
    /// Whether addresses seen at PM2's processes win over those in the file.
    pub prefers_running: bool,
    /// The user who runs the apps so far, unless that is root.
    pub runs_as: Option<String>,
}

/// A file of another tool as an ecosystem file.
///
/// # Errors
/// It cannot be read, or has no app.
pub(super) fn converted(
    file: &Path,
    kind: Foreign,
    tries: bool,
    prefers_running: bool,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Imported, Error> {
    let path = place.absolute(file)?;
    let name = file.display().to_string();
    std::fs::metadata(&path).map_err(|source| Error::Io {
        doing: "read",
        path: name.clone(),
        source,
    })?;
    let drafts =
        crate::ops::import::read(&path, kind).map_err(|refusal| refused(&name, refusal))?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    // supervisord runs as root, and containers as whoever their image says.
    let own = !matches!(kind, Foreign::Supervisord | Foreign::Compose);
    let origin = Origin {
        name,
        base,
        file: Some(&path),
        tries,
        prefers_running,
        runs_as: own.then(caller).flatten(),
    };
    settled(drafts, &origin, None, place, ui)
}

/// PM2's JSON that came on standard input as an ecosystem file.
///
/// # Errors
/// It has no app.
pub(super) fn given(
    value: &serde_json::Value,
    base: PathBuf,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Imported, Error> {
    let name = "standard input".to_owned();
    let drafts = import::pm2(value).map_err(|refusal| refused(&name, refusal))?;
    let origin =
        Origin { name, base, file: None, tries: true, prefers_running: false, runs_as: caller() };
    settled(drafts, &origin, None, place, ui)
}

/// The calling user, unless that is root; with `sudo`, the user who called it, whose PM2 runs the apps.
fn caller() -> Option<String> {
    let caller = crate::ops::import::caller();
    let own = || Some(crate::host::own_user()).filter(|_| !rustix::process::geteuid().is_root());
    caller.other.map(|user| user.name).or_else(own)
}

/// Why a set-up cannot be imported.
pub(super) fn refused(name: &str, refusal: import::Refusal) -> Error {
    let plain = |text: &str| printable(text);
    Error::Foreign { file: plain(name), why: plain(&refusal.why), instead: plain(&refusal.instead) }
}

/// Adds to each draft what it listens on, and writes all of them as an ecosystem file.
///
/// # Errors
/// The machine cannot be asked.
pub(super) fn settled(
    mut drafts: Drafts,
    origin: &Origin<'_>,
    pm2: Option<(&RunningPm2, &[Pm2Process])>,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Imported, Error> {
    let layout = place.layout()?;
    // Apps of a user's own manager run as that user anyway.
    if let Some(user) = origin.runs_as.as_ref().filter(|_| place.scope == Scope::System) {
        drafts.apps.iter_mut().for_each(|draft| draft.runs_as(user));
    }
    let host = place.around.host(&layout, Purpose::Check);
    let around = import::ImportFacts { origin: &origin.name, base: &origin.base, host: &*host };
    let unknown = drafts.apps.iter().any(|draft| !draft.has_listener());
    if unknown || origin.prefers_running {
        let found = disk::scan(&layout).unwrap_or_default();
        let running = if pm2.is_none() { crate::ops::import::running() } else { None };
        let processes =
            running.as_ref().and_then(|pm2| Some(import::process_list(&pm2.list().ok()?)));
        let pm2 = pm2.or(running.as_ref().zip(processes.as_deref()));
        for draft in &mut drafts.apps {
            if origin.prefers_running || !draft.has_listener() {
                as_pm2_runs_it(draft, pm2);
            }
            let known = draft.has_listener() || as_its_units(draft, origin, &found);
            if !known && origin.tries {
                try_out(draft, origin, &around, ui);
            }
        }
    }
    Ok(import::settle(drafts, &around))
}

/// Takes the addresses that the app's processes under PM2 listen on.
fn as_pm2_runs_it(draft: &mut Draft, pm2: Option<(&RunningPm2, &[Pm2Process])>) {
    let Some((pm2, processes)) = pm2 else { return };
    let listens = pm2.listens(processes, draft.name());
    draft.listens(&listens, "as its process under PM2 does");
    let own = || processes.iter().filter(|process| process.name == draft.name());
    // In cluster mode PM2's daemon listens, for all of them.
    let all_seen = own().all(|process| !process.cluster && process.pid.is_some());
    if own().next().is_some() && all_seen && listens.is_empty() && !draft.has_listener() {
        draft.listens_on_nothing();
    }
}

/// Takes the addresses of the app's own units, where the same file was applied before.
fn as_its_units(
    draft: &mut Draft,
    origin: &Origin<'_>,
    found: &BTreeMap<AppName, disk::FoundApp>,
) -> bool {
    let own = AppName::parse(draft.name()).ok().and_then(|name| found.get(&name));
    let own = own.filter(|own| own.source.is_some() && own.source.as_deref() == origin.file);
    let Some(own) = own else { return false };
    let addresses = own.units.listeners().filter_map(ecosystem::ListenAddress::of_socket_unit);
    let addresses: Vec<_> = addresses.filter(|address| !is_private(address)).collect();
    draft.listens(&without_covered(&addresses), "as its units do");
    true
}

/// Runs the program once, with the rights of whoever wrote the file or, if that is the caller, with those that the
/// app will have, and looks into its source where that does not tell.
fn try_out(draft: &mut Draft, origin: &Origin<'_>, around: &import::ImportFacts<'_>, ui: &mut Ui) {
    let name = draft.name().to_owned();
    let alone = Drafts { apps: vec![draft.clone()], ..Drafts::default() };
    let text = import::settle(alone, around).text;
    let loaded = ecosystem::load(&text, None, around.base, None, around.host);
    let app = loaded.ok().and_then(|loaded| loaded.ecosystem.apps.into_values().next());
    let Some(app) = app else { return };
    ui.note(&format!(
        "{name}: nothing says what it listens on; running it once in a network of its own (for {TRIAL:?} at most)"
    ));
    let environment = app.env.clone();
    let waiting = || ui.note(&format!("{name}: {}", trial::still_nothing(TRIAL)));
    // A file may name any user: whoever wrote it does not get that user's rights because somebody looks at it.
    let author = origin.file.and_then(|file| crate::ops::import::author(file).other);
    let named = || app.process.user.as_deref().and_then(crate::host::user);
    let user = author.or_else(named);
    let user = user.as_ref();
    let tried = trial::tried_as(user, &app.command, &app.cwd, &environment, TRIAL, waiting);
    let why = match tried {
        Ok(Trial { listen, .. }) if !listen.is_empty() => {
            ui.note(&format!("{name}: it listens on {}", listen.join(", ")));
            return draft.listens(&listen, "seen in a trial run");
        }
        Ok(Trial { exit: Some(code), .. }) => {
            format!("is unknown: a trial run without a network ended with code {code}")
        }
        Ok(_) => "is unknown: in a trial run it listened on nothing".to_owned(),
        Err(error) => format!("is unknown: {error}"),
    };
    let script = app.command.script.as_ref().map(|script| app.cwd.join(script));
    let source = script.and_then(|path| text::read(&path, crate::limits::PROJECT_FILE).ok());
    match source.as_deref().and_then(port_in) {
        Some(port) => draft.listens(&[port.to_string()], "found in the source, not seen: check it"),
        None => draft.listens_on_unknown(&why),
    }
}

/// Says what is left out, and what has to be corrected.
pub(super) fn tell(imported: &Imported, name: &str, ui: &mut Ui) {
    tell_left_out(imported, ui);
    if let Some(problems) = &imported.problems {
        let color = if ui.err.color { Color::On } else { Color::Off };
        let shown = problems.clone().shown_as(name);
        ui.paragraph(shown.render(color).trim_end());
    }
}

/// What is left out, without its value.
fn named(what: &str) -> &str {
    let end = [" = ", ": "].iter().filter_map(|mark| what.find(mark)).min();
    &what[..end.unwrap_or(what.len())]
}

/// As [`tell`], in one line: for a file of another tool that is applied again and again.
pub(super) fn summarize(imported: &Imported, name: &str, ui: &mut Ui) {
    let mut words: Vec<&str> = imported.left.iter().map(|left| named(&left.what)).collect();
    words.sort();
    words.dedup();
    if !words.is_empty() {
        let name = shell_word(name);
        let text =
            format!("{name}: without {}; why: clusterctl import {name} --to -", words.join(", "));
        ui.note(&printable(&text));
    }
}

/// Says what is left out.
fn tell_left_out(imported: &Imported, ui: &mut Ui) {
    imported.left.iter().for_each(|left| ui.note(&printable(&left.to_string())));
}

/// Writes the file and says what is next.
pub(super) fn write(
    imported: &Imported,
    to: &Path,
    name: &str,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    if to == Path::new("-") {
        ui.data(&imported.text)?;
        tell(imported, "standard output", ui);
        return finish(imported);
    }
    const OPEN: u32 = 0o644;
    const OWN: u32 = 0o600;
    let shown = to.display();
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Usage(format!(
            "{shown} exists and is not overwritten; to another file: clusterctl import {} --to FILE",
            shell_word(name)
        )),
        _ => Error::Io { doing: "write", path: shown.to_string(), source },
    };
    let mode = if imported.secret { OWN } else { OPEN };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(place.inside(to));
    file.and_then(|mut file| file.write_all(imported.text.as_bytes())).map_err(failed)?;
    tell(imported, &shown.to_string(), ui);
    ui.note(&format!("wrote {shown} from {name}"));
    if imported.secret {
        ui.note(&format!("{shown} holds secrets, so that nobody else may read it"));
    }
    ui.note(&place.next(&shell_word(&shown.to_string())));
    finish(imported)
}

/// The exit code is that of a file with problems where it has some.
fn finish(imported: &Imported) -> Result<(), Error> {
    match &imported.problems {
        Some(_) => Err(Error::Marked),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn what_is_left_out_is_named_in_whole_words() {
        for (what, name) in [
            ("the port", "the port"),
            ("exec_mode = \"cluster\"", "exec_mode"),
            ("ports: 80-90", "ports"),
            ("GREETING, COLOUR", "GREETING, COLOUR"),
            ("env.api", "env.api"),
        ] {
            assert_eq!(named(what), name);
        }
    }
}
