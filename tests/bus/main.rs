//! The real client against a fake service manager: names and signatures, races, errors.
#![allow(clippy::unwrap_used)]

mod fake;
mod jobs;
mod odd;
mod questions;
mod refusals;
mod rollouts;
mod signals;
