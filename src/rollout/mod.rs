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
//! What one instance goes through (edges are named after the functions in `slot`, `sight`, `settle`, `failure` and `machine`):
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
//! * An instance that serves is only taken down when `wanted - max_unavailable` others serve; surge instances count.
//! * Nothing that serves with the old definition is touched before one instance has been ready with the new one for
//!   `min_ready`, unless the policy has no surge and allows everything to be down at once. The others do not wait for
//!   one another, and what is too many goes when the last of them has been ready for `min_ready` as well.
//! * Until then the death of any new instance ends the rollout at once.
//! * It is complete when every new instance has been asked once more, after the last has been ready for `min_ready` and
//!   our last job has ended, and was still ready.
//! * What is pinned to the old definition is unpinned when the new one is proven, or before a job of ours starts it.
//! * No more starts begin within a tenth of a second than there are processors; where the new definition has proven
//!   itself and one of the old may go, no further process is started beside them.
//! * While a job of ours is under way, the answer to our own question after its end, or after a deadline, decides;
//!   anything else that is seen meanwhile is for the live view only. Sightings are ordered, and older ones are ignored.
//! * Every state that waits has a deadline, and before a deadline becomes a failure the machine asks once.

mod command;
mod event;
mod failure;
mod machine;
mod outcome;
mod overrides;
mod pace;
mod pins;
mod policy;
mod progress;
mod settle;
mod sight;
mod slot;
mod spec;
mod steps;
mod time;
mod vigil;

pub use command::{Doubt, Instruction, JobReason, Ticket, UnitJob};
pub use event::{RolloutEvent, Serial, Sight, State};
pub use machine::Rollout;
pub use outcome::{Failure, InstanceFault, Outcome, RolloutJobResult, StillRunning, Trouble};
pub use overrides::Overrides;
pub use policy::{Limits, Policy, PolicyProblem};
pub use progress::{InstancePhase, InstanceProgress, Progress, Stage};
pub use spec::{Former, FoundInstance, Spec};
pub use time::Time;
pub use vigil::{Expected, Look, NotServing, Vigil};
