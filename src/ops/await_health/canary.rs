//! `rollout.check`: a program of the app that checks the first new instance of a rollout, before that instance has had
//! a client. It decides nothing about other instances: a start that fails is what rollouts act on.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{CanaryCheck, command};
use crate::door_client::{Address, Door};
use crate::limits;

/// Runs the check once, with an address in its environment that reaches this instance alone.
///
/// # Errors
/// The instance did not pass; why, as the end of a sentence.
pub(super) fn check(
    canary: &CanaryCheck,
    door: Option<&Path>,
    deadline: Instant,
    said: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let mut variables = vec![("CANARY_INSTANCE", canary.instance.clone())];
    let (Some(listener), Some(door)) = (canary.listener, door.map(Door::at)) else {
        return command::run(&canary.words, &variables, deadline, said);
    };
    let address = Address::open(listener.ip())
        .map_err(|error| format!("there is no port to reach it by: {error}"))?;
    variables.push(("CANARY_ADDRESS", address.local.to_string()));
    variables.push(("CANARY_URL", format!("http://{}", address.local)));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| address.serve(&door, listener.port(), limits::DOOR, &over));
        let result = command::run(&canary.words, &variables, deadline, said);
        over.store(true, Ordering::Relaxed);
        result
    })
}
