//! An archive in the format of tar(5), as a file: everything in it is looked at before anything of it is used. It
//! never writes a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::error::Error;
use super::tree::{Member, Tree, inside};
use crate::limits;

/// Bytes of a block of an archive.
const BLOCK: u64 = 512;

/// An archive that holds nothing that a release may not.
#[derive(Debug)]
pub struct Archive {
    file: File,
    tree: Tree,
}

impl Archive {
    /// Looks at everything in an archive.
    ///
    /// # Errors
    /// It is none, is not whole, or holds what a release may not: all of that at once.
    pub fn read(mut file: File) -> Result<Archive, Error> {
        file.seek(SeekFrom::Start(0)).map_err(broken)?;
        let mut tree = Tree::default();
        let end = members(&file, &mut tree)?;
        // What nobody wants in it first: of a sparse file the end is not known.
        let tree = tree.checked().map_err(|wrong| {
            let lines: Vec<String> = wrong.iter().map(|why| format!("  {why}")).collect();
            Error::unfit(
                format!("a release cannot be made of this:\n{}", lines.join("\n")),
                "leave that out: a release has plain files, folders, and links that stay inside",
            )
        })?;
        is_whole(&file, end)?;
        if tree.size().0 == 0 {
            return Err(Error::unfit("there is no file in it", "name what the release is made of"));
        }
        Ok(Archive { file, tree })
    }

    /// What is in it.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The archive itself, from its begin on.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn again(&self) -> Result<File, Error> {
        let mut file = self.file.try_clone().map_err(broken)?;
        file.seek(SeekFrom::Start(0)).map_err(broken)?;
        Ok(file)
    }

    /// A copy in which a file has another text of the same length.
    ///
    /// # Errors
    /// There is no such file of that length, or the copy cannot be written.
    pub fn with_text(&self, path: &Path, text: &str, state: &Path) -> Result<File, Error> {
        let found = self.tree.get(path).and_then(|member| match member {
            Member::File { size, at, .. } if *size == text.len() as u64 => Some(*at),
            _ => None,
        });
        let at = found.ok_or_else(|| {
            Error::unfit(format!("{} cannot be changed", path.display()), "make the archive again")
        })?;
        let copy = super::source::copy(self.again()?, state)?;
        copy.write_all_at(text.as_bytes(), at).map_err(Error::io("write below", state))?;
        Ok(copy)
    }

    /// Some bytes of a file in it; `None` where it holds no such file.
    pub fn part(&self, path: &Path, offset: u64, length: usize) -> Option<Vec<u8>> {
        let Some(Member::File { size, at, .. }) = self.tree.get(path) else { return None };
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(length)];
        self.file.read_exact_at(&mut bytes, at + offset).ok()?;
        Some(bytes)
    }

    /// The text of a file in it; `None` where it holds no such file.
    ///
    /// # Errors
    /// It is too long, or is no UTF-8.
    pub fn text(&self, path: &Path) -> Result<Option<String>, Error> {
        let Some(Member::File { size, .. }) = self.tree.get(path) else { return Ok(None) };
        let unfit = |what: &str| {
            Error::unfit(format!("{} {what}", path.display()), "write it as an ecosystem file")
        };
        let size = usize::try_from(*size).ok().filter(|size| *size as u64 <= limits::FILE);
        let size = size.ok_or_else(|| unfit("is too long for an ecosystem file"))?;
        let bytes = self.part(path, 0, size).unwrap_or_default();
        String::from_utf8(bytes).map(Some).map_err(|_| unfit("is no text in UTF-8"))
    }

    /// A digest of everything in it and of `more`: the same for the same content, however it was packed and when.
    pub fn digest(&self, more: &str) -> String {
        let mut all = Sha256::new();
        let mut add = |bytes: &[u8]| {
            all.update((bytes.len() as u64).to_le_bytes());
            all.update(bytes);
        };
        for (path, member) in self.tree.members() {
            add(path.as_os_str().as_bytes());
            match member {
                Member::Folder => add(b"folder"),
                Member::File { mode, digest, .. } => {
                    add(if mode & 0o100 == 0 { b"file" } else { b"program" });
                    add(digest);
                }
                Member::Link(to) => {
                    add(b"link");
                    add(to.as_os_str().as_bytes());
                }
                Member::Same(to) => {
                    add(b"same");
                    add(to.as_os_str().as_bytes());
                }
            }
        }
        add(more.as_bytes());
        all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Notes every member, and gives where the last one ends.
fn members(file: &File, tree: &mut Tree) -> Result<u64, Error> {
    let mut archive = tar::Archive::new(file);
    let mut end = 0;
    let mut total: u64 = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let (at, size) = (entry.raw_file_position(), entry.size());
        end = at.saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
        total = total.saturating_add(size);
        if total > limits::RELEASE {
            let most = limits::RELEASE >> 30;
            return Err(Error::unfit(
                format!("it has more than {most} GiB"),
                "leave out what no program reads: see `.deployignore`",
            ));
        }
        if is_sparse(&mut entry).map_err(broken)? {
            tree.refuse(format!("a file is {}", name(EntryType::GNUSparse)));
            continue;
        }
        let path = entry.path_bytes().into_owned();
        let to = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let kind = entry.header().entry_type();
        match kind {
            EntryType::XGlobalHeader => {}
            EntryType::Directory => tree.add(&path, Member::Folder),
            EntryType::Regular | EntryType::Continuous => {
                let mode = entry.header().mode().map_err(broken)?;
                let digest = digest(&mut entry, size)?;
                tree.add(&path, Member::File { mode, size, at, digest });
            }
            EntryType::Symlink => {
                tree.add(&path, Member::Link(std::ffi::OsStr::from_bytes(&to).into()));
            }
            EntryType::Link => match inside(&to) {
                Ok(to) => tree.add(&path, Member::Same(to)),
                Err(why) => tree.refuse(why),
            },
            other => {
                tree.refuse(format!("`{}` is {}", String::from_utf8_lossy(&path), name(other)))
            }
        }
    }
    Ok(end)
}

/// Whether a member is a sparse file in the format of POSIX: to who does not know these keys it is another file.
fn is_sparse(entry: &mut tar::Entry<'_, impl Read>) -> std::io::Result<bool> {
    let Some(keys) = entry.pax_extensions()? else { return Ok(false) };
    for key in keys {
        if key?.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The digest of a member's content.
fn digest(entry: &mut impl Read, size: u64) -> Result<[u8; 32], Error> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut left = size;
    while left > 0 {
        match entry.read(&mut buffer).map_err(broken)? {
            0 => return Err(cut_short()),
            read => {
                digest.update(buffer.get(..read).unwrap_or_default());
                left = left.saturating_sub(read as u64);
            }
        }
    }
    Ok(digest.finalize().into())
}

fn name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file, which `tar --sparse` makes",
        _ => "neither a file, nor a folder, nor a link",
    }
}

/// A lost link may cut an archive between two members: only the mark at its end tells that this was the last one.
fn is_whole(file: &File, end: u64) -> Result<(), Error> {
    let mut block = [1; BLOCK as usize];
    match file.read_exact_at(&mut block, end) {
        Ok(()) if block.iter().all(|byte| *byte == 0) => Ok(()),
        _ => Err(cut_short()),
    }
}

fn cut_short() -> Error {
    Error::unfit("the archive has no end: it was cut short", "make or send it again")
}

fn broken(error: std::io::Error) -> Error {
    // It says what stands in the archive, which is to be no line of its own.
    let why = error.to_string().replace(char::is_control, "\u{fffd}");
    Error::unfit(
        format!("it is no archive that can be read: {why}"),
        "deploy a folder, a commit, or an archive that `tar -c` makes",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    /// An archive of raw headers, which no library would write: type, path, what a link says, content.
    fn archive(members: &[(u8, &str, &str, &[u8])]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for (kind, path, to, content) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(EntryType::new(*kind));
            let bytes = header.as_old_mut();
            bytes.name[..path.len()].copy_from_slice(path.as_bytes());
            bytes.linkname[..to.len()].copy_from_slice(to.as_bytes());
            header.set_cksum();
            file.write_all(header.as_bytes()).unwrap();
            file.write_all(content).unwrap();
            let rest = content.len().next_multiple_of(512) - content.len();
            file.write_all(&vec![0; rest]).unwrap();
        }
        file.write_all(&[0; 1024]).unwrap();
        file
    }

    fn refused(members: &[(u8, &str, &str, &[u8])]) -> String {
        Archive::read(archive(members)).unwrap_err().to_string()
    }

    #[test]
    fn hostile_members_are_told_all_at_once() {
        let text = refused(&[
            (b'0', "/etc/passwd", "", b"x"),
            (b'0', "../up", "", b"x"),
            (b'2', "link", "/etc", b""),
            (b'2', "a/out", "../../x", b""),
            (b'1', "hard", "../up", b""),
            (b'1', "hard2", "nowhere", b""),
            (b'3', "null", "", b""),
            (b'4', "disk", "", b""),
            (b'6', "pipe", "", b""),
            (b'0', "link/below", "", b"x"),
        ]);
        for part in [
            "`/etc/passwd` is an absolute path",
            "`../up` leads out of the release by `..`",
            "`link` is a link to `/etc`, which leads out of the release: it is an absolute path",
            "`a/out` is a link to `../../x`, which leads out of the release",
            "`hard2` is another name of `nowhere`, which is no file of the archive",
            "`null` is a device",
            "`disk` is a device",
            "`pipe` is a pipe",
            "`link/below` lies below `link`, which is no folder",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_was_cut_short_is_no_release() {
        let whole: [(u8, &str, &str, &[u8]); 2] =
            [(b'0', "a", "", b"text"), (b'0', "b", "", &[7; 2000])];
        let length = archive(&whole).metadata().unwrap().len();
        for cut in [length - 1024, 1024, 1024 + 512 + 700, 700] {
            let file = archive(&whole);
            file.set_len(cut).unwrap();
            let text = Archive::read(file).unwrap_err().to_string();
            assert!(text.contains("cut short") || text.contains("no archive"), "{cut}: {text}");
        }
        assert!(Archive::read(archive(&whole)).is_ok());
        let text = Archive::read(tempfile::tempfile().unwrap()).unwrap_err().to_string();
        assert!(text.contains("cut short"), "{text}");
        assert_eq!(refused(&[(b'5', "a", "", b"")]), "there is no file in it");
    }

    #[test]
    fn sparse_files_are_told_as_such_whichever_format_they_have() {
        let keys = b"22 GNU.sparse.major=1\n";
        let text =
            refused(&[(b'x', "pax", "", &keys[..]), (b'0', "GNUSparseFile.1/x", "", b"text")]);
        assert!(text.contains("a file is a sparse file, which `tar --sparse` makes"), "{text}");
        // As they are made, of which one ends where nobody expects it.
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("x")).unwrap().set_len(1 << 20).unwrap();
        for format in ["gnu", "oldgnu", "pax"] {
            let mut tar = std::process::Command::new("tar");
            tar.args(["--sparse", "--format", format, "-c", "x"]).current_dir(dir.path());
            let made = tempfile::tempfile().unwrap();
            assert!(tar.stdout(made.try_clone().unwrap()).status().unwrap().success());
            let text = Archive::read(made).unwrap_err().to_string();
            assert!(text.contains("a sparse file, which `tar --sparse` makes"), "{format}: {text}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_content() {
        let of = |members: &[(u8, &str, &str, &[u8])]| {
            Archive::read(archive(members)).unwrap().digest("")
        };
        let one = of(&[(b'0', "a", "", b"text"), (b'0', "b", "", b"more")]);
        assert_eq!(one, of(&[(b'0', "./b", "", b"more"), (b'0', "a", "", b"text")]));
        assert_ne!(one, of(&[(b'0', "a", "", b"tex"), (b'0', "b", "", b"tmore")]));
        assert_ne!(one, of(&[(b'0', "a", "", b"text"), (b'2', "b", "a", b"")]));
        let archive = Archive::read(archive(&[(b'0', "x/a", "", b"text")])).unwrap();
        assert_ne!(archive.digest(""), archive.digest("npm ci"));
        assert_eq!(archive.text(Path::new("x/a")).unwrap().unwrap(), "text");
        assert_eq!(archive.text(Path::new("a")).unwrap(), None);
        let state = tempfile::tempdir().unwrap();
        let other = archive.with_text(Path::new("x/a"), "TEXT", state.path()).unwrap();
        let other = Archive::read(other).unwrap();
        assert_eq!(other.text(Path::new("x/a")).unwrap().unwrap(), "TEXT");
        assert!(archive.with_text(Path::new("x/a"), "TEXTS", state.path()).is_err());
        assert_eq!(archive.part(Path::new("x/a"), 1, 2).unwrap(), b"ex");
        assert_eq!(archive.part(Path::new("x/a"), 9, 2).unwrap(), b"");
    }
}
