//! Every verb of the command line, from its words to its messages and its exit code, in the process of
//! the test: with a fake manager on a fake bus, facts of a made-up machine, and all folders below a
//! temporary one. What is said is in `expected`; `UPDATE_EXPECT=1` rewrites it, read the diff.
#![allow(clippy::unwrap_used, missing_docs)]

mod door;
#[allow(dead_code, reason = "shared with tests/bus, which uses more of it")]
#[path = "../bus/fake.rs"]
mod fake;
#[path = "../support/host.rs"]
mod host;
mod manager;
mod plain;
mod stage;

mod apply;
mod audit;
mod await_health;
mod check_health;
mod completions;
mod curl;
mod delete;
mod deploy;
mod describe;
mod detect;
mod dev;
mod doctor;
mod drain;
mod endings;
mod env;
mod every;
mod export;
mod flush;
mod history;
mod hostile;
mod id;
mod import;
mod init;
mod jlist;
mod list;
mod logs;
mod metrics;
mod monit;
mod options_of_pm2;
mod pid;
mod prettylist;
mod reload;
mod reload_logs;
mod reset;
mod restart;
mod rollback;
mod scale;
mod send_signal;
mod serve;
mod start;
mod start_or_reload;
mod start_or_restart;
mod stop;
mod undrain;
mod validate;
