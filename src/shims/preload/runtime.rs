//! What is known of the language that the program is written in.

use core::ffi::{CStr, c_char, c_void};

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

/// Whether this process runs JavaScript as Node does, for programs that are written for Node: Bun,
/// Deno, and Node itself.
pub fn is_like_node() -> bool {
    has(c"napi_create_object")
}

/// Whether this process is Node.
pub fn is_node() -> bool {
    has(c"_ZN4node5StartEiPPc")
}

fn has(symbol: &CStr) -> bool {
    // SAFETY: a documented handle and a C string.
    unsafe { !dlsym(RTLD_DEFAULT, symbol.as_ptr()).is_null() }
}
