//! The file as it is written: the table of keys, values with their places, problems and how they are
//! shown, what is suggested for a slip, PM2's words, and files of variables.
//!
//! Never decides what an app is, and never asks the machine: that is for `resolve`.

pub(super) mod deploy_keys;
pub(super) mod dotenv;
pub(super) mod fields;
pub(super) mod fleet_keys;
pub(super) mod keys;
pub(super) mod node;
pub(super) mod path;
pub(super) mod pm2;
pub(super) mod problem;
mod render;
pub(super) mod suggest;
pub(super) mod syntax;
pub(super) mod value;

pub use render::Color;
