//! The process of `ExecStop=`, whose end systemd waits for before it sends a program its signal: it ends
//! when the program may have the signal, while another process goes on watching until the program ends. A
//! stream that the program cuts by `close()`, `shutdown()` or `exit_group()` ends by a close frame first.

use core::ffi::c_int;

use crate::{kernel, sys};

/// The process whose end systemd waits for before it sends the program its signal.
pub struct Waiting(Option<c_int>);

impl Waiting {
    pub const NOBODY: Waiting = Waiting(None);

    /// Leaves this process behind to wait, and goes on in another one. Where that is not possible,
    /// nobody waits, and the program has its signal when the drain is over.
    pub fn begin() -> Waiting {
        let Ok([from, to]) = kernel::pipe() else { return Waiting::NOBODY };
        match kernel::fork() {
            Ok(0) => {
                sys::close(from);
                Waiting(Some(to))
            }
            Ok(_) => {
                sys::close(to);
                let _ = kernel::receive(from);
                sys::exit_group(0)
            }
            Err(_) => Waiting::NOBODY,
        }
    }

    /// The program may have its signal now; false where nobody waits for that.
    pub fn end(&mut self) -> bool {
        self.0.take().map(sys::close).is_some()
    }
}
