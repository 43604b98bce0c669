//! Clients that wait in the queue of a socket that closes: while this value lives, the kernel hands them to
//! the other socket of the port (`tcp_migrate_req` of ip-sysctl, Linux 5.14). It never changes what
//! somebody has switched on already.

use std::fs;

const SWITCH: &str = "/proc/sys/net/ipv4/tcp_migrate_req";

/// The switch is on until this is dropped.
#[derive(Debug)]
pub(super) struct Migration(bool);

impl Migration {
    /// Switches it on. Where the kernel has no such switch nothing changes, and a client that came in the
    /// moment between the opening of the second socket and the choice of who gets new clients may have to
    /// come again.
    pub(super) fn on() -> Migration {
        let off = fs::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "0");
        Migration(off && fs::write(SWITCH, "1").is_ok())
    }
}

impl Drop for Migration {
    fn drop(&mut self) {
        if self.0 {
            // Fails only where switching on has failed too.
            let _ = fs::write(SWITCH, "0");
        }
    }
}
