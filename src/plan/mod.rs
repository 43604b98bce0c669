//! UnitSet × Observed → Plan: what `apply` would do, with a reason for every step.
//!
//! Pure: it never opens, asks or prints. The executor has no choice left.

mod action;
pub mod audit;
mod check;
mod cost;
mod decide;
pub mod doctor;
mod files;
mod free;
mod observed;
mod pins;
pub mod profile;
pub mod reason;
mod summary;
mod typed;

pub use action::{
    Action, AppPlan, ChangeKind, Cost, FileChange, FileId, LinkChange, LinkId, Note, Plan, Step,
    StepReason,
};
pub use check::{Violation, check};
pub use decide::{plan, removal};
pub use observed::{Observed, ObservedApp, ObservedFile, ObservedInstance, OwnedUnit, OwnedUnits};
pub use summary::{plural, step_text, summary};
pub use typed::shell_word;
