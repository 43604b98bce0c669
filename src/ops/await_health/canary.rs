//! `rollout.check`: a program of the app that checks the first new instance of a rollout, before that instance has had
//! a client. It decides nothing about other instances: a start that fails is what rollouts act on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{CanaryCheck, HealthWait, Way, command};
use crate::door_client::{Address, Door};
use crate::{host, limits};

/// Runs the check once, with an address in its environment that reaches this instance alone.
///
/// # Errors
/// The instance did not pass; why, as the end of a sentence.
pub(super) fn check(
    canary: &CanaryCheck,
    wait: &HealthWait,
    deadline: Instant,
    said: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let mut variables = vec![("CANARY_INSTANCE", canary.instance.clone())];
    let door = match (canary.listener, &wait.way) {
        (Some(listener), Some(Way::Door(path))) => Some((listener, Door::at(path))),
        (Some(listener), Some(Way::Traced(_))) => {
            // The socket for checks is such an address already.
            let own = host::private_socket(wait.main, listener).map(|socket| socket.address);
            variables.extend(own.iter().flat_map(|address| named(*address)));
            None
        }
        _ => None,
    };
    let Some((listener, door)) = door else {
        return command::run(&canary.words, &variables, deadline, said);
    };
    let address = Address::open(listener.ip())
        .map_err(|error| format!("there is no port to reach it by: {error}"))?;
    variables.extend(named(address.local));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| address.serve(&door, listener.port(), limits::DOOR, &over));
        let result = command::run(&canary.words, &variables, deadline, said);
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// What the check is told of an address.
fn named(address: SocketAddr) -> [(&'static str, String); 2] {
    [("CANARY_ADDRESS", address.to_string()), ("CANARY_URL", format!("http://{address}"))]
}
