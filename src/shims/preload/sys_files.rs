//! System calls about files and folders. Writes none.

use core::ffi::{CStr, c_int};

use super::arch::{self, number};
use super::{AT_FDCWD, O_CLOEXEC, call, word};

const O_DIRECTORY: c_int = arch::O_DIRECTORY;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;
const AT_EMPTY_PATH: usize = 0x1000;

/// Which file a descriptor or a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// `struct stat` starts alike on both machines.
#[repr(C)]
struct Stat {
    device: u64,
    inode: u64,
    _rest: [u64; 16],
}

/// Opens a folder, to list it or to look below it.
pub fn open_directory(path: &CStr) -> Option<c_int> {
    open(path, O_DIRECTORY)
}

/// Opens a file for reading.
pub fn open_file(path: &CStr) -> Option<c_int> {
    open(path, 0)
}

/// Opens a file for reading, by a path relative to an open directory.
#[allow(dead_code, reason = "the tracer does without")]
pub fn open_file_in(directory: c_int, path: &CStr) -> Option<c_int> {
    open_at(directory, path, 0)
}

fn open(path: &CStr, flags: c_int) -> Option<c_int> {
    open_at(AT_FDCWD, path, flags)
}

fn open_at(directory: c_int, path: &CStr, flags: c_int) -> Option<c_int> {
    let arguments = [word(directory), path.as_ptr() as usize, word(flags | O_CLOEXEC), 0, 0, 0];
    call(number::OPENAT, arguments).ok().map(|fd| fd as c_int)
}

/// Fills the buffer with `struct linux_dirent64`; `None` at the end.
pub fn directory_entries(fd: c_int, buffer: &mut [u8]) -> Option<usize> {
    let arguments = [word(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
    call(number::GETDENTS64, arguments).ok().filter(|filled| *filled > 0)
}

/// Where a symbolic link leads to; how many bytes of the buffer that fills.
#[allow(dead_code, reason = "for the preload library")]
pub fn link_target(path: &CStr, to: &mut [u8]) -> usize {
    let (path, room) = (path.as_ptr() as usize, to.len());
    let arguments = [word(AT_FDCWD), path, to.as_mut_ptr() as usize, room, 0, 0];
    call(number::READLINKAT, arguments).unwrap_or(0)
}

/// The file behind a descriptor.
pub fn file_of(fd: c_int) -> Option<FileId> {
    stat_at(fd, c"".as_ptr().cast(), AT_EMPTY_PATH)
}

/// The file at a path that ends with NUL; a symbolic link at its end counts itself.
pub fn file_at(path: *const u8) -> Option<FileId> {
    stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
}

/// As [`file_at`], by a path relative to an open directory.
pub fn file_in(directory: c_int, path: *const u8) -> Option<FileId> {
    stat_at(directory, path, AT_SYMLINK_NOFOLLOW)
}

fn stat_at(directory: c_int, path: *const u8, flags: usize) -> Option<FileId> {
    let mut stat = Stat { device: 0, inode: 0, _rest: [0; 16] };
    let to = &raw mut stat as usize;
    call(number::NEWFSTATAT, [word(directory), path as usize, to, flags, 0, 0]).ok()?;
    Some(FileId { device: stat.device, inode: stat.inode })
}
