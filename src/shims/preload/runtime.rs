//! Which language runtime runs in this process, by symbols and by the name of its file. It never loads
//! anything.

use core::ffi::{CStr, c_char, c_void};

use crate::sys;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_DEFAULT: *mut c_void = core::ptr::null_mut();

/// Whether a Java virtual machine runs in this process.
pub fn is_java() -> bool {
    has(c"JNI_CreateJavaVM")
}

/// Whether this process is, or has loaded, CPython.
pub fn is_python() -> bool {
    has(c"Py_Initialize")
}

/// Whether this process is, or has loaded, Ruby's own interpreter.
pub fn is_ruby() -> bool {
    has(c"ruby_init")
}

/// Whether this process is Node.
pub fn is_node() -> bool {
    has(c"_ZN4node5StartEiPPc")
}

/// Whether this process is uWSGI, by the name of its file: to ask the loader would allocate, which
/// nothing may do before `main`.
pub fn is_uwsgi() -> bool {
    let mut path = [0; 512];
    let length = sys::link_target(c"/proc/self/exe", &mut path);
    let name = path.get(..length).and_then(|path| path.rsplit(|byte| *byte == b'/').next());
    name.is_some_and(|name| name.starts_with(b"uwsgi"))
}

fn has(symbol: &CStr) -> bool {
    // SAFETY: a documented handle and a C string.
    unsafe { !dlsym(RTLD_DEFAULT, symbol.as_ptr()).is_null() }
}
