//! What is known of an app besides its instances, with texts from outside wherever there can be one.

use clusterctl::ecosystem::{ListenAddress, Protocol};
use clusterctl::host::Queue;
use clusterctl::ops::{AppMetrics, Audit};
use clusterctl::plan::audit::{Advice, Need};

use crate::output::row;

pub fn audited(text: &str) -> Audit {
    let own = || text.to_owned();
    let need = Need { directive: own(), because: own() };
    Audit {
        app: "api".into(),
        sandbox: own(),
        user: own(),
        exposure: None,
        open: vec![own()],
        instances: 1,
        unseen: Some(own()),
        advice: Advice { needs: vec![need], lines: vec![own()], notes: vec![own()] },
    }
}

/// An app as metrics see it, with a listener whose path is hostile where a path can be.
pub fn metrics(text: &str) -> AppMetrics {
    let own = || text.to_owned();
    let path = format!("/run/{text}").into();
    let unix = ListenAddress::Unix { protocol: Protocol::Stream, path };
    let queue = |address| Queue { address, waiting: 1, limit: Some(2), dropped: Some(3) };
    AppMetrics {
        app: "api".into(),
        namespace: own(),
        profile: Some(own()),
        revision: own(),
        up: true,
        wanted: 1,
        outdated: 0,
        rolls: false,
        instances: vec![row(text)],
        listeners: vec![queue(unix)],
    }
}
