//! The door of an instance: the Unix socket by which one instance is reached that shares its listener with
//! others. The preload library answers it; this is its client, with the little HTTP that is needed to ask
//! the program behind it.
//!
//! There is no private port, which every local user could open and which would have an address of its own:
//! the client makes a TCP connection on the loopback interface itself, and hands the accepted end in. The
//! program gets it from `accept()`, as if it had come by the shared listener. An AF_UNIX stream would not do
//! for a program that listens on TCP: setting TCP_NODELAY fails on it, and its peer has no address.
//!
//! The socket lies in a folder that systemd makes at the start of the instance (`RuntimeDirectory=`) and
//! removes at its end, and belongs to the app's user with mode 0600: nobody else but root gets in.
//!
//! `protocol` and `http` are values in, values out; `client`, `exchange` and `address` are the input and output.

mod address;
mod client;
mod exchange;
mod http;
mod loopback;
mod protocol;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use client::{Door, DoorError};
pub use exchange::exchange;
pub use http::{Answer, HttpError, Request};
pub use loopback::connection;
pub use protocol::{Command, DoorState, Gate};
