//! Machines with a real systemd, and a load client, for the booted tests.
//!
//! A test takes a machine with [`machine`] (or through `booted!`), runs commands in it, and drops it.
//! Of clusterctl these modules know only where its binary is.
#![allow(dead_code, reason = "each test target compiles this module and uses its own part of it")]

pub mod cgroup;
pub mod chance;
mod child;
pub mod command;
mod enter;
pub mod fleet;
pub mod load;
mod logs;
mod machine;
pub mod made;
pub mod network;
pub mod podman;
pub mod recipe;
pub mod requirements;
pub mod roots;
pub mod skip;
pub mod tmux;
mod user;

#[allow(unused_imports, reason = "the face of the module; not every target uses all of it")]
pub use {
    child::Child,
    enter::{Output, wait_until},
    fleet::Fleet,
    machine::Machine,
    roots::Root,
    user::User,
};

impl tmux::Tmux {
    /// A window of so many columns and lines, with a shell in the machine.
    ///
    /// # Panics
    /// Without tmux.
    pub fn shell(m: &Machine, width: u32, height: u32) -> Self {
        Self::of(&m.command(["env", "TERM=xterm-256color", "PS1=% ", "sh"]), width, height)
    }
}

/// Boots a machine for the calling test. When this host cannot boot one, the reason is recorded and the
/// result is `None`; in continuous integration (`CI=true`) the test fails instead.
pub fn machine(root: Root) -> Option<Machine> {
    booted_by(Machine::boot, root)
}

/// As [`machine`], with nspawn's filter of system calls: see [`Machine::boot_filtered`].
pub fn filtered_machine(root: Root) -> Option<Machine> {
    booted_by(Machine::boot_filtered, root)
}

fn booted_by(boot: fn(Root) -> Machine, root: Root) -> Option<Machine> {
    if let Err(reason) = requirements::bootable(root) {
        skip::record(&reason);
        return None;
    }
    Some(boot(root))
}

/// One scenario, run on each systemd: `booted!(name, |m| { … })` makes the tests
/// `name::host`, `name::trixie` and, for long runs (`--ignored`), `name::testing`.
#[macro_export]
macro_rules! booted {
    ($(#[$attr:meta])* $name:ident, $scenario:expr) => {
        $(#[$attr])*
        mod $name {
            $crate::on_each_root!($scenario);

            #[test]
            fn trixie() {
                on($crate::support::Root::Trixie);
            }
        }
    };
}

/// As [`booted!`], for a scenario that takes long: `name::trixie` is for long runs as well.
#[macro_export]
macro_rules! booted_long {
    ($(#[$attr:meta])* $name:ident, $scenario:expr) => {
        $(#[$attr])*
        mod $name {
            $crate::on_each_root!($scenario);

            #[test]
            #[ignore = "takes long, Debian 12 is tried: make check-long"]
            fn trixie() {
                on($crate::support::Root::Trixie);
            }
        }
    };
}

/// What [`booted!`] and [`booted_long!`] have in common.
#[macro_export]
macro_rules! on_each_root {
    ($scenario:expr) => {
        #[allow(unused_imports, reason = "short scenarios use nothing of their module")]
        use super::*;

        fn on(root: $crate::support::Root) {
            let scenario: fn(&$crate::support::Machine) = $scenario;
            if let Some(machine) = $crate::support::machine(root) {
                scenario(&machine);
            }
        }

        #[test]
        fn host() {
            on($crate::support::Root::Host);
        }

        #[test]
        #[ignore = "Debian testing: make check-long"]
        fn testing() {
            on($crate::support::Root::Testing);
        }
    };
}

/// One scenario on a fleet of three hosts (see [`fleet::Fleet`]), run on each systemd: `fleet!(name, |fleet| { … })` makes
/// the tests `name::host` and, for long runs, `name::trixie`.
#[macro_export]
macro_rules! fleet {
    ($(#[$attr:meta])* $name:ident, $scenario:expr) => {
        $(#[$attr])*
        mod $name {
            #[allow(unused_imports, reason = "short scenarios use nothing of their module")]
            use super::*;

            fn on(root: $crate::support::Root) {
                let scenario: fn(&$crate::support::Fleet) = $scenario;
                if let Some(fleet) = $crate::support::fleet::fleet(root, 3) {
                    scenario(&fleet);
                }
            }

            #[test]
            fn host() {
                on($crate::support::Root::Host);
            }

            #[test]
            #[ignore = "three machines, Debian 12 is tried: make check-long"]
            fn trixie() {
                on($crate::support::Root::Fleet);
            }
        }
    };
}
