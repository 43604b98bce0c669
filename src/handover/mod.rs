//! Which inherited listener answers a program's `bind()`, what the unit's
//! environment says about it, and what becomes of a connection when the program
//! is asked to stop.
//!
//! One set of pure functions for the preload library and for the tracer. Core
//! only: nothing here allocates, panics, opens a file or calls the system.

pub mod address;
pub mod buffer;
pub mod contract;
pub mod conversation;
pub mod decide;
pub mod digits;
pub mod door;
pub mod drain;
pub mod environment;
pub mod events;
pub mod first_line;
pub mod guard;
pub mod hpack;
pub mod http2;
pub mod line;
pub mod listing;
pub mod message;
pub mod overheard;
pub mod question;
pub mod spread;
pub mod sticky;
pub mod websocket;

pub use address::{Address, SocketKind, UnixName};
pub use decide::{Asked, Decision, Held, View, decide};
