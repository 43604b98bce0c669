//! The rollout of one app: replace its instances, change their number, or start the missing ones, a few at a time.
//!
//! A pure state machine. The driver tells it what happened and does what it answers:
//!
//! ```text
//!     Rollout::new(spec, now) ─→ commands          handle(now, event) ─→ commands
//!                                                  deadline(), outcome(), progress()
//! ```
//!
//! It never looks at a clock, never does I/O, knows neither unit names nor the bus: instances are numbers, time is an
//! argument, and a definition is only ever "the old one" or "the new one".
//!
//! What one instance goes through (edges are named after the functions in `slot`, `sight` and `machine`):
//!
//! ```text
//!              submit               job_done            settle
//!     Serving ───────→ Busy ──────────────────→ Settling ─────→ Serving (new)
//!      │  ↑              │ fail                   │ fail          │ lose
//! lose ↓  │ sight        ↓                        ↓               ↓
//!     Down              Failed ←───────────── (died, overdue) ← Recovering ──→ Settling
//! ```
//!
//! and the whole rollout:
//!
//! ```text
//!     Rolling ──abort──→ Aborting ──→ Restoring ──→ RollingBack ──→ Finished
//!        │                  └───────────┴─→ Leaving ────────────────↗
//!        ├──force──→ Forced ────────────────────────────────────────↗
//!        └──────────────────────────────────────────────────────────↗
//! ```
//!
//! Rules it keeps whatever happens:
//!
//! * An instance that serves is only taken down when `wanted - max_unavailable` others serve; surge instances count,
//!   instances that are ready but still settling do not.
//! * Nothing that serves with the old definition is touched before one instance has settled with the new one, unless
//!   the policy has no surge and allows everything to be down at once.
//! * The result of our own job, or the answer to our own question after a deadline, decides; anything else that is
//!   seen on the way is for the live view only. Sightings are ordered, and older ones are ignored.
//! * Every state that waits has a deadline, and before a deadline becomes a failure the machine asks once.

mod command;
mod event;
mod machine;
mod outcome;
mod policy;
mod progress;
mod sight;
mod slot;
mod spec;
mod steps;
mod time;

pub use command::{Change, Command, Doubt, Reason, Ticket};
pub use event::{Event, JobResult, Serial, Sight, State};
pub use machine::Rollout;
pub use outcome::{Failure, Left, Outcome, Trouble, Why};
pub use policy::{Limits, Policy, PolicyProblem};
pub use progress::{InstanceProgress, Phase, Progress, Stage};
pub use spec::{Observed, Spec};
pub use time::Time;
