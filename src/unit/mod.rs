//! The language of unit files: names, quoting, printing. Knows nothing of apps, never does I/O.

mod file;
mod name;
pub mod quote;

pub use file::{Section, UnitFile, UnitSet};
pub use name::{InvalidUnitName, UnitKind, UnitName, escape};
