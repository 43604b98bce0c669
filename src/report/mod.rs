//! Views of what happened, and their text and JSON. Pure: colour, width and time are arguments.

pub mod audit;
pub mod counts;
pub mod deploy;
pub mod describe;
pub mod doctor;
pub mod fleet;
mod hidden;
pub mod history;
pub mod jlist;
pub mod list;
pub mod logs;
pub mod metrics;
pub mod moment;
pub mod monit;
pub mod own_metrics;
pub mod plan;
mod printable;
pub mod progress;
mod style;
mod table;
mod unified;
pub mod verdict;

pub use counts::ActionCounts;
pub use printable::{json_line, json_lines, only_colours, printable, printable_lines};
pub use style::{Paint, Style};
pub use table::{Column, cut, table, wrap};
pub use verdict::AppVerdict;

/// A row for tests of this module: an instance of the app `api` that has run for a minute.
#[cfg(test)]
fn row(instance: u32, status: crate::ops::Status) -> crate::ops::Row {
    let online = status == crate::ops::Status::Online;
    crate::ops::Row {
        app: "api".into(),
        namespace: "default".into(),
        instance,
        unit: format!("api@{instance}.service"),
        status,
        pid: online.then_some(4711),
        uptime_seconds: online.then_some(75.0),
        restarts: 2,
        cpu_seconds: None,
        cpu_percent: Some(1.25),
        memory_bytes: Some(44_564_480),
        connections: None,
        user: "www".into(),
        listeners: vec!["[::]:80".into()],
        unheld: None,
        lost: vec![],
        binds: [].into(),
        enabled: true,
        units: Default::default(),
        rollout: None,
    }
}
