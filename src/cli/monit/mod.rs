//! `clusterctl monit`: the loop of the dashboard between keys, looks and logs. What is shown, and what a key
//! means, is `report::monit`'s.

mod feed;
mod screen;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Site, Ui, control};
use crate::error::{Error, exit};
use crate::ops;
use crate::report::monit::{Action, Dashboard, Input};

use feed::Event;
use screen::Screen;

/// Watch apps live: CPU, memory, rollouts and logs; reload, scale and stop by a key
///
/// A dashboard over the whole terminal. What a key starts is this program itself, shown before it is
/// done, and goes on when the dashboard is left. `?` shows all keys.
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["dashboard", "dash"])]
pub(super) struct MonitArgs {
    /// Only these apps, instances (`api@2`), namespaces, ids or `/patterns/`
    #[arg(value_name = "APP", add = super::complete::selectors())]
    apps: Vec<String>,
}

/// So many events wait to be drawn; then whoever reads logs waits.
const WAITING: usize = 1024;

/// Runs the verb. The exit code tells whether a signal ended it.
pub(super) fn run(args: &MonitArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    if ui.json {
        return Err(Error::Usage(
            "monit is for people; as data: clusterctl list --now -o json".to_owned(),
        ));
    }
    let ctl = place.connect_to_ask()?;
    // What is named is looked for once, so that a slip is told before the screen is taken.
    let selected = match args.apps.is_empty() {
        true => Vec::new(),
        false => control::selected_of(place, &ctl, &ops::apps(&ctl)?, &args.apps)?,
    };
    if !ui.out.boxes || !screen::is_terminal() {
        return Err(Error::Usage(
            "monit needs a terminal; in a pipe: clusterctl list --watch, clusterctl logs -f"
                .to_owned(),
        ));
    }
    let (events, coming) = sync_channel(WAITING);
    feed::signals(&events).map_err(Error::Signals)?;
    feed::looks(ctl, selected.clone(), events.clone());
    feed::logs(place.connect_to_ask()?, selected, events.clone());
    let mut dashboard = Dashboard::default();
    let screen = Screen::take(ui.out.color).map_err(screen_failed)?;
    feed::keys(events.clone());
    let starter = feed::Starter::new(place, events);
    let ended = drive(&mut dashboard, screen, &coming, &starter);
    for command in dashboard.under_way() {
        ui.note(&format!("{command} goes on"));
    }
    ended
}

fn screen_failed(source: std::io::Error) -> Error {
    Error::Io { doing: "draw on", path: "the terminal".to_owned(), source }
}

/// Draws what there is, until somebody wants to leave.
fn drive(
    dashboard: &mut Dashboard,
    mut screen: Screen,
    coming: &Receiver<Event>,
    starter: &feed::Starter,
) -> Result<u8, Error> {
    loop {
        screen.draw(dashboard).map_err(screen_failed)?;
        let Ok(first) = coming.recv() else { return Ok(exit::FAILED) };
        // A flood of lines is drawn once.
        for event in std::iter::once(first).chain(coming.try_iter().take(WAITING)) {
            let input = match event {
                Event::Input(input) => input,
                Event::End => return Ok(exit::INTERRUPTED),
            };
            match dashboard.take(input) {
                Action::Draw => {}
                Action::Quit => return Ok(exit::OK),
                Action::Run(id, words) => starter.start(id, words),
            }
        }
    }
}

/// Hands an event over; false: nobody draws any more.
fn tell(events: &SyncSender<Event>, input: Input) -> bool {
    events.send(Event::Input(input)).is_ok()
}
