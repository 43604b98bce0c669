//! Which inherited listener answers a program's `bind()`, and what the unit's
//! environment says about it.
//!
//! One set of pure functions for the preload library and for the tracer. Core
//! only: nothing here allocates, panics, opens a file or calls the system.

pub mod address;
pub mod decide;
pub mod environment;

pub use address::{Address, Kind, UnixName};
pub use decide::{Asked, Decision, Held, View, decide};
