//! libsystemd, loaded by the first command that reads the journal, and by no other.
//!
//! The crate `systemd` wants to be linked with libsystemd, and the dynamic loader would then bring nine
//! libraries into every run, and end the program where they are missing. Here stand functions of the
//! same names, so that the linker asks for no library: each passes its call on to the library's own,
//! found by `dlopen`. A container without libsystemd runs every command, but for the lines of the journal.
//!
//! Never reads or changes what it passes on; which functions there are is for the linker to say: one that
//! the crate calls and that is missing here brings the library back, which `tests/packages` sees.
#![allow(unsafe_code, reason = "functions of a C library, found at run time")]

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};

/// The name that libsystemd promises to keep for as long as it is the same library.
const NAME: &str = "libsystemd.so.0";

/// `RTLD_DEEPBIND` of glibc: the library calls its own functions, not those of their names here. Linux
/// has no other C library with systemd.
const DEEPBIND: c_int = 8;

/// `ENOSYS`: what a function answers without the library. [`load`] says it in words, beforehand.
const MISSING: c_int = -38;

/// The library, or why it cannot be had.
static LOADED: OnceLock<Result<Functions, String>> = OnceLock::new();

/// Makes the functions of this file work: before the first call of the crate `systemd`.
///
/// # Errors
/// The library is not installed, or cannot be loaded, in the words of the dynamic loader.
pub(crate) fn load() -> Result<(), &'static str> {
    functions().map(|_| ())
}

fn functions() -> Result<&'static Functions, &'static str> {
    LOADED.get_or_init(find).as_ref().map_err(String::as_str)
}

fn find() -> Result<Functions, String> {
    // SAFETY: loading runs what the library does at its start, and libsystemd does nothing then.
    let library = unsafe { Library::open(Some(NAME), RTLD_LAZY | RTLD_LOCAL | DEEPBIND) };
    let library = library.map_err(|error| words(&error))?;
    let functions = Functions::of(&library);
    // For the rest of the process: the functions point into it.
    std::mem::forget(library);
    functions.map_err(|error| words(&error))
}

/// What the dynamic loader says, which libloading has below its own words.
fn words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Functions of libsystemd: what each has for arguments and answers, and what it answers without the
/// library, where that is more than nothing.
macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $answer:ty, $missing:expr)?;)*) => {
        /// The functions of the library, found at run time.
        struct Functions {
            $($name: unsafe extern "C" fn($($kind),*) $(-> $answer)?,)*
        }

        impl Functions {
            fn of(library: &Library) -> Result<Functions, libloading::Error> {
                Ok(Functions {
                    // SAFETY: the types are those of the functions in the library's headers.
                    $($name: *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }?,)*
                })
            }
        }

        $(
            // SAFETY: the library's function of this name is wanted by whoever calls it, with or without
            // this one in between.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $kind),*) $(-> $answer)? {
                match functions() {
                    // SAFETY: the caller keeps to what the library asks for.
                    Ok(found) => unsafe { (found.$name)($($argument),*) },
                    Err(_) => { $($missing)? }
                }
            }
        )*
    };
}

functions! {
    fn sd_journal_open(journal: *mut *mut c_void, flags: c_int) -> c_int, MISSING;
    fn sd_journal_open_directory(journal: *mut *mut c_void, path: *const c_char, flags: c_int)
        -> c_int, MISSING;
    fn sd_journal_close(journal: *mut c_void);
    fn sd_journal_next(journal: *mut c_void) -> c_int, MISSING;
    fn sd_journal_previous_skip(journal: *mut c_void, count: u64) -> c_int, MISSING;
    fn sd_journal_get_realtime_usec(journal: *mut c_void, moment: *mut u64) -> c_int, MISSING;
    fn sd_journal_set_data_threshold(journal: *mut c_void, most: usize) -> c_int, MISSING;
    fn sd_journal_enumerate_data(journal: *mut c_void, data: *mut *const u8, length: *mut usize)
        -> c_int, MISSING;
    fn sd_journal_restart_data(journal: *mut c_void);
    fn sd_journal_add_match(journal: *mut c_void, data: *const c_void, length: usize)
        -> c_int, MISSING;
    fn sd_journal_add_disjunction(journal: *mut c_void) -> c_int, MISSING;
    fn sd_journal_flush_matches(journal: *mut c_void);
    fn sd_journal_seek_head(journal: *mut c_void) -> c_int, MISSING;
    fn sd_journal_seek_tail(journal: *mut c_void) -> c_int, MISSING;
    fn sd_journal_seek_realtime_usec(journal: *mut c_void, moment: u64) -> c_int, MISSING;
    fn sd_journal_get_fd(journal: *mut c_void) -> c_int, MISSING;
    fn sd_journal_wait(journal: *mut c_void, most: u64) -> c_int, MISSING;
    fn sd_journal_has_persistent_files(journal: *mut c_void) -> c_int, MISSING;
    fn sd_journal_has_runtime_files(journal: *mut c_void) -> c_int, MISSING;
}
