//! What apps measure: the facts behind `clusterctl metrics`, gathered at one moment. Only reads.

use std::collections::BTreeMap;

use super::{Context, Error, Row, Selected, apps, list, observe};
use crate::ecosystem::{AppName, ListenAddress};
use crate::host::{self, Queue};
use crate::plan::ObservedApp;

/// One app.
#[derive(Clone, Debug, PartialEq)]
pub struct AppMetrics {
    /// Its name.
    pub app: String,
    /// Namespace for selectors.
    pub namespace: String,
    /// The `--env` of the last apply.
    pub profile: Option<String>,
    /// The mark of the definition in force.
    pub revision: String,
    /// Whether its group is up.
    pub up: bool,
    /// Instances that are enabled.
    pub wanted: usize,
    /// Instances that started before their definition changed.
    pub outdated: usize,
    /// Whether a rollout is under way.
    pub rolls: bool,
    /// Its instances.
    pub instances: Vec<Row>,
    /// Its listeners that are open.
    pub listeners: Vec<Queue>,
}

/// All apps, in the order of their names.
///
/// # Errors
/// The manager does not answer.
pub fn metrics(context: &Context) -> Result<Vec<AppMetrics>, Error> {
    let found = apps(context)?;
    let all = found.keys().map(|app| Selected { app: app.clone(), instance: None });
    let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in list(context, &found, &all.collect::<Vec<_>>())? {
        rows.entry(row.app.clone()).or_default().push(row);
    }
    let observed = observe(context)?;
    // Where the kernel does not tell, nothing is said of queues.
    let queues = host::queues().unwrap_or_default();
    let apps = observed.apps.iter().map(|(app, observed)| {
        of_app(app, observed, rows.remove(app.as_str()).unwrap_or_default(), &queues)
    });
    Ok(apps.collect())
}

fn of_app(app: &AppName, found: &ObservedApp, instances: Vec<Row>, queues: &[Queue]) -> AppMetrics {
    let group = found.units.record(&app.group_unit()).group;
    let addresses = found.units.listeners().filter_map(ListenAddress::of_socket_unit);
    let up = found.instances.iter().filter(|(_, one)| one.active.is_up());
    AppMetrics {
        app: app.to_string(),
        namespace: group.namespace.unwrap_or_else(|| "default".to_owned()),
        profile: group.profile,
        revision: found.units.record(&app.template_unit()).revision.unwrap_or_default(),
        up: found.group.is_up(),
        wanted: found.links.len(),
        outdated: up.filter(|(number, _)| found.is_outdated(**number)).count(),
        rolls: instances.iter().any(|row| row.rollout.is_some()),
        instances,
        listeners: addresses.filter_map(|address| queue(&address, queues)).collect(),
    }
}

/// The queue of a listener; several sockets of one address are one.
fn queue(address: &ListenAddress, queues: &[Queue]) -> Option<Queue> {
    let same = |queue: &&Queue| match (&queue.address, address) {
        (
            ListenAddress::Inet { protocol, socket, .. },
            ListenAddress::Inet { protocol: wanted, socket: place, .. },
        ) => (protocol, socket) == (wanted, place),
        (held, wanted) => held == wanted,
    };
    let add = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
    let all = queues.iter().filter(same).cloned();
    let sum = all.reduce(|one, other| Queue {
        address: one.address,
        waiting: one.waiting + other.waiting,
        limit: add(one.limit, other.limit),
        dropped: add(one.dropped, other.dropped),
    })?;
    Some(Queue { address: address.clone(), ..sum })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ecosystem::Protocol;

    #[test]
    fn sockets_of_one_address_are_one_queue() {
        let tcp = |socket: &str| ListenAddress::inet(Protocol::Stream, socket.parse().unwrap());
        let one = |socket: &str, waiting| Queue {
            address: tcp(socket),
            waiting,
            limit: Some(10),
            dropped: Some(1),
        };
        let all = [one("[::]:80", 2), one("[::]:81", 9), one("[::]:80", 3)];
        let sum = queue(&tcp("[::]:80").beside_inet4(), &all).unwrap();
        assert_eq!((sum.waiting, sum.limit, sum.dropped), (5, Some(20), Some(2)));
        assert_eq!(queue(&tcp("0.0.0.0:80"), &all), None);
    }
}
