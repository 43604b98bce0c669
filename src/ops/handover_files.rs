//! The files that units run and load: a package's, or copies of our own where there is none.

use super::{Context, Error};
use crate::disk::{self, HandoverPlace};
use crate::ecosystem::Scope;

impl Context {
    /// Where units find them; they need not be there yet.
    pub(super) fn handover(&self) -> HandoverPlace {
        self.handover.get_or_init(|| self.find_handover()).clone()
    }

    fn find_handover(&self) -> HandoverPlace {
        let files = crate::embedded_files();
        if self.layout.scope == Scope::User {
            // A package that is removed cannot know what units of users name.
            return disk::own_handover_place(&self.layout.state, &files);
        }
        disk::handover_place(&self.layout.state, &self.program, &files)
    }

    /// Puts them there, unless a package has. The caller holds the lock of what apps share.
    ///
    /// # Errors
    /// The file system refuses, or would let nobody execute them.
    pub fn install_helpers(&self) -> Result<(), Error> {
        let HandoverPlace { dir, packaged } = self.handover();
        if packaged {
            return Ok(());
        }
        if disk::is_noexec(&dir) {
            return Err(Error::NoExec(self.layout.state.clone()));
        }
        Ok(disk::unpack_handover(&dir, &crate::embedded_files())?)
    }
}
