//! `clusterctl -H … deploy`: what is deployed becomes an archive once, here, and each host reads it from standard input.
//! A host that has some of the apps alone gets an archive whose ecosystem file has those. It never unpacks anything.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::cli::Site;
use crate::cli::deploy::{DeployArgs, FILE, own_file};
use crate::ecosystem::{FleetFile, FleetHost};
use crate::error::Error;
use crate::fleet;
use crate::ops::fleet::HostInput;
use crate::release::{Archive, Source};

/// What is deployed, for all hosts.
#[derive(Debug)]
pub(super) struct FleetArchive {
    archive: Archive,
    /// The ecosystem file in it.
    pub text: String,
    /// The files that hosts get, which have no name: they are there as long as this is.
    files: Vec<File>,
}

impl FleetArchive {
    /// Makes the archive.
    ///
    /// # Errors
    /// There is no such thing, or it is none that a release can be made of.
    pub(super) fn of(args: &DeployArgs, place: &Site<'_>) -> Result<FleetArchive, Error> {
        if args.names_a_file() {
            let text = "with -H the ecosystem file is that of what is deployed: leave --file out, and put \
                        the file there as ecosystem.toml";
            return Err(Error::Usage(text.to_owned()));
        }
        let source = Source::named(args.what(), &place.current_folder()?);
        let spooled = source.spool(&place.layout()?.state, place.around.input())?;
        let archive = Archive::read(spooled.file)?;
        let text = own_file(&archive)?;
        Ok(FleetArchive { archive, text, files: Vec::new() })
    }

    /// What a host reads.
    ///
    /// # Errors
    /// An archive of its own cannot be written.
    pub(super) fn input(
        &mut self,
        host: &FleetHost,
        file: &FleetFile,
        state: &Path,
    ) -> Result<HostInput, Error> {
        let copy = match host.apps {
            None => self.archive.again()?,
            Some(_) => {
                let has = |at: usize| {
                    let name = file.apps.get(at).and_then(Option::as_ref);
                    name.is_none_or(|app| host.has(app))
                };
                let text = fleet::for_host(&self.text, &has);
                self.archive.with_text(Path::new(FILE), &text, state)?
            }
        };
        // Opened by this path, a file is read from its begin, however far somebody else has read it.
        let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
        self.files.push(copy);
        Ok(HostInput::File(PathBuf::from(path)))
    }
}
