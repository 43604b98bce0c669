//! `clusterctl import --takeover` and `--give-back`: a running PM2's apps, one after the other.

use std::path::Path;

use super::foreign::{self, Origin};
use super::in_force::read_definition;
use super::policy::PolicyArgs;
use super::world::Purpose;
use super::{Site, Ui, in_force, input, show};
use crate::disk::Definition;
use crate::ecosystem::{AppName, Ecosystem};
use crate::error::Error;
use crate::import::Pm2Process;
use crate::ops::import::{RunningPm2, running};
use crate::ops::takeover::{Moved, Passage, give_back, take_over};
use crate::ops::{self, ApplyRequest};
use crate::plan::shell_word;

/// The PM2 daemon of the calling user.
fn pm2() -> Result<RunningPm2, Error> {
    running().ok_or_else(|| Error::Foreign {
        file: String::new(),
        why: "no PM2 runs for you".to_owned(),
        instead: "call as the user whose PM2 it is, with sudo; PM2_HOME names another folder"
            .to_owned(),
    })
}

fn processes(pm2: &RunningPm2) -> Result<Vec<Pm2Process>, Error> {
    let list = pm2.list().map_err(|refusal| foreign::refused("pm2", refusal))?;
    Ok(crate::import::process_list(&list))
}

/// Moves every app that PM2 runs and that the file has. The file is made of what PM2 runs where there is none.
pub(super) fn run(
    file: Option<&Path>,
    to: &Path,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let pm2 = pm2()?;
    let processes = processes(&pm2)?;
    let (file, definition) = match file {
        Some(file) => (file, read_definition(file, place, ui)?),
        None => (to, written(to, &pm2, &processes, place, ui)?),
    };
    let layout = place.layout()?;
    // Addresses that PM2's processes hold are no problem of the file: they are taken over.
    let host = place.around.host(&layout, Purpose::TakeOver);
    let ecosystem = input::resolve(&definition, &file.display().to_string(), &*host, ui)?.ecosystem;
    let mut ctl = place.interruptible(place.connect()?)?;
    let online: Vec<&AppName> =
        ecosystem.apps.keys().filter(|name| is_online(name, &processes)).collect();
    if online.is_empty() {
        let why = format!("PM2 runs none of the apps of {}", file.display());
        let instead = "see: pm2 list".to_owned();
        return Err(Error::Foreign { file: String::new(), why, instead });
    }
    let mut left = Vec::new();
    for name in &online {
        let moved = one(&mut ctl, &pm2, &processes, (name, &ecosystem, &definition), place, ui)?;
        if !moved {
            left.push((*name).clone());
        }
    }
    ended(&pm2, &online, &left, ui)
}

fn is_online(name: &AppName, processes: &[Pm2Process]) -> bool {
    processes.iter().any(|process| process.name == name.as_str() && process.status == "online")
}

/// The ecosystem file: the one that is there, else one that is made of what PM2 runs, and counts as it was written.
fn written(
    to: &Path,
    pm2: &RunningPm2,
    processes: &[Pm2Process],
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Definition, Error> {
    if place.inside(to).exists() {
        ui.note(&format!("{} is there and counts", to.display()));
        return read_definition(to, place, ui);
    }
    let name = format!("the PM2 in {}", pm2.home.display());
    let (drafts, _) = pm2.drafts().map_err(|refusal| foreign::refused(&name, refusal))?;
    let base = place.current_folder()?;
    let origin = Origin {
        name: name.clone(),
        base,
        file: None,
        tries: false,
        prefers_running: true,
        runs_as: pm2.user(),
    };
    let imported = foreign::settled(drafts, &origin, Some((pm2, processes)), place, ui)?;
    foreign::write(&imported, to, &name, place, ui)?;
    in_force::written(imported.text, to, place, ui)
}

/// Moves one app; says whether it serves from its units now.
fn one(
    ctl: &mut ops::Context,
    pm2: &RunningPm2,
    processes: &[Pm2Process],
    (name, ecosystem, definition): (&AppName, &Ecosystem, &Definition),
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<bool, Error> {
    let mut alone = ecosystem.clone();
    alone.apps.retain(|own, _| own == name);
    let request = ApplyRequest {
        policies: PolicyArgs::default().policies(&alone)?,
        definition: Definition { only: vec![name.to_string()], ..definition.clone() },
        ecosystem: alone,
        verb: "takeover".to_owned(),
        user: place.user(),
        back_to: None,
        dry_run: false,
        prune: false,
        reloads: false,
    };
    ui.begin_again();
    ui.note(&format!("{name}: moving it to units"));
    let moved = {
        let mut sink = |event: ops::Event| match event {
            ops::Event::Planned { .. } => {}
            event => show::event(&event, ui),
        };
        take_over(ctl, pm2, processes, request, &mut sink)?
    };
    let Some(moved) = moved else { return Ok(false) };
    tell(name, &moved, ui);
    let done = [(name.clone(), moved.done)].into();
    match show::finish(ctl, &done, ui) {
        Ok(()) => Ok(true),
        Err(Error::Failed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn tell(name: &AppName, moved: &Moved, ui: &mut Ui) {
    if !moved.done.is_success() {
        return ui.note(&match moved.passage {
            Passage::Closed(closed) => format!(
                "{name}: PM2 serves it again; its port was closed for {} ms at most",
                closed.as_millis()
            ),
            _ => format!("{name}: PM2 goes on serving it; nothing was changed there"),
        });
    }
    if let Some(why) = &moved.why {
        ui.note(&format!("{name}: {why}"));
    }
    ui.note(&match moved.passage {
        Passage::NoPort => format!("{name}: taken over; it listens on nothing"),
        Passage::Shared { drained } => format!(
            "{name}: taken over, nobody was refused; PM2's processes had finished what they had begun after {} ms",
            drained.as_millis()
        ),
        Passage::Closed(gap) => {
            format!("{name}: taken over; its port was closed for {} ms at most", gap.as_millis())
        }
    });
    if let Some(refusal) = &moved.left_running {
        ui.note(&format!("{name}: {}; {}", refusal.why, refusal.instead));
    }
}

/// PM2's saved state follows when everything has come over: until then the next boot brings PM2's apps.
fn ended(
    pm2: &RunningPm2,
    online: &[&AppName],
    left: &[AppName],
    ui: &mut Ui,
) -> Result<(), Error> {
    if !left.is_empty() {
        ui.note("PM2's saved state is untouched, since not all apps have come over: the same command goes on");
        return Err(Error::Failed { apps: left.to_vec(), denied: false });
    }
    pm2.run(&["save", "--force"]).map_err(|refusal| foreign::refused("pm2", refusal))?;
    let names: Vec<String> = online.iter().map(|name| shell_word(name.as_str())).collect();
    let names = names.join(" ");
    ui.note(&format!(
        "PM2 keeps {names} as stopped, and has saved that: nothing starts twice at the next boot"
    ));
    ui.note(&format!(
        "back: clusterctl import --give-back; for good: pm2 delete {names} && pm2 save --force"
    ));
    Ok(())
}

/// The way back: every app that PM2 has as stopped and that has units.
pub(super) fn back(place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let pm2 = pm2()?;
    let processes = processes(&pm2)?;
    let ctl = place.connect()?;
    let apps = ops::apps(&ctl)?;
    let is_stopped = |name: &AppName| {
        processes.iter().any(|process| process.name == name.as_str() && process.status == "stopped")
    };
    let names: Vec<&AppName> = apps.keys().filter(|name| is_stopped(name)).collect();
    if names.is_empty() {
        let why = "PM2 has no app as stopped that has units here".to_owned();
        let instead = "see: pm2 list, clusterctl list".to_owned();
        return Err(Error::Foreign { file: String::new(), why, instead });
    }
    let mut failed = Vec::new();
    for name in names {
        let mut sink = |event: ops::Event| match event {
            ops::Event::Planned { .. } => {}
            event => show::event(&event, ui),
        };
        let returned = give_back(&ctl, &pm2, &processes, name, &apps[name], &mut sink)?;
        match (&returned.refused, returned.closed) {
            (Some(refusal), _) => {
                ui.note(&format!("{name}: {}; {}", refusal.why, refusal.instead));
                failed.push(name.clone());
            }
            (None, Some(gap)) => ui.note(&format!(
                "{name}: PM2 serves it again; its port was closed for {} ms at most",
                gap.as_millis()
            )),
            (None, None) => ui.note(&format!("{name}: PM2 runs it again")),
        }
    }
    if !failed.is_empty() {
        return Err(Error::Failed { apps: failed, denied: false });
    }
    pm2.run(&["save", "--force"]).map_err(|refusal| foreign::refused("pm2", refusal))?;
    ui.note("PM2 has saved that, for the next boot");
    Ok(())
}
