//! `balance`: which of several instances takes a client. The library spreads clients, so it has to be in the program,
//! and instances tell each other at their doors what they have.

use super::handover::Hands;
use super::health::doorless;
use crate::ecosystem::model::app::{Balance, Handover, Listener, Remark};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::keys;
use crate::ecosystem::read::node::Reading;
use crate::ecosystem::read::problem::{Place, Problem};

/// Reads the key, and says what it cannot do here. Without it clients are spread where that is possible, also by an app
/// that has one instance in its file: `clusterctl scale` adds others without a change of the file.
pub(super) fn balance(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    hands: &Hands,
    listeners: &[(Listener, Place)],
) -> (Balance, Option<Remark>) {
    let why = doorless(hands, listeners);
    let Some(node) = fields.get("balance") else {
        return (if why.is_none() { Balance::Even } else { Balance::Queue }, None);
    };
    let asked = match node.choice(cx, keys::BALANCES) {
        Some("even") => Balance::Even,
        Some("client") => Balance::Client,
        _ => Balance::Queue,
    };
    match why {
        Some(why) if asked == Balance::Even && hands.handover == Handover::Trace => {
            (Balance::Queue, Some(Remark::Queued(why.to_owned())))
        }
        Some(why) if asked != Balance::Queue => {
            let message = format!("nobody can spread the clients of this program: {why}");
            cx.problems.push(Problem::error(&node.place, message).help("remove `balance`"));
            (Balance::Queue, None)
        }
        _ => (asked, (asked == Balance::Client).then_some(Remark::ByAddress)),
    }
}
