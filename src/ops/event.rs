//! Facts that a verb reports while it works: no text, no colour.

use crate::ecosystem::AppName;
use crate::plan::Plan;
use crate::rollout;
use crate::unit::UnitName;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Another command holds the lock of an app, or of what apps share; we wait for it.
    Waiting {
        /// The app; none for what apps share.
        app: Option<AppName>,
        /// Its command line, as it wrote it; empty if it did not.
        command: String,
    },
    /// What will be done, or with a dry run would be.
    Planned {
        /// The plan.
        plan: Plan,
        /// Whether the apps that nothing is planned for serve as they should.
        all_well: bool,
    },
    /// So many files and links were written.
    Written(usize),
    /// The manager has read the unit files that were written.
    Reloaded,
    /// The manager has read unit files that somebody else, or a killed run, had changed.
    Loaded,
    /// It would have to, and the caller may not ask for it.
    Unread,
    /// Something is not as the file asks for, and the app serves all the same.
    Warning {
        /// The app.
        app: AppName,
        /// A sentence, and what to do about it.
        text: String,
    },
    /// A job of one unit ended.
    Unit {
        /// The app.
        app: AppName,
        /// The unit.
        unit: UnitName,
        /// What was asked, such as `start`.
        verb: &'static str,
        /// `None` when it went well, else why not.
        failure: Option<String>,
    },
    /// A rollout does something.
    Rollout {
        /// The app.
        app: AppName,
        /// What, and why.
        command: rollout::Instruction,
    },
    /// How a rollout stands.
    Progress {
        /// The app.
        app: AppName,
        /// Since it began.
        at: rollout::Time,
        /// Every instance.
        progress: rollout::Progress,
    },
    /// An instance that is waited for does something else than to get ready.
    Elsewhere {
        /// The app.
        app: AppName,
        /// The instance.
        instance: u32,
        /// What it does: "it listens on 4444, not on 3000".
        text: String,
    },
    /// A rollout of somebody else is under way; we wait for it.
    UnderWay {
        /// The app.
        app: AppName,
        /// What it says of itself.
        text: String,
    },
    /// A rollout was asked to stop between two instances.
    Interrupted {
        /// The app.
        app: AppName,
    },
}

/// Who hears of events.
pub type Sink<'a> = &'a mut dyn FnMut(Event);
