//! The language of unit files: names, quoting, printing. Knows nothing of apps, never does I/O.

mod file;
mod name;
pub mod quote;
mod state;

pub use file::{Section, UnitFile, UnitSet};
pub use name::{InvalidUnitName, UnitKind, UnitName, escape};
pub use state::ActiveState;
