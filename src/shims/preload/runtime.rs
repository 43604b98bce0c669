//! What is known of the language that the program is written in.

use core::ffi::{c_char, c_void};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_DEFAULT: *mut c_void = core::ptr::null_mut();

/// Whether a Java virtual machine runs in this process.
pub fn is_java() -> bool {
    // SAFETY: a documented handle and a C string.
    unsafe { !dlsym(RTLD_DEFAULT, c"JNI_CreateJavaVM".as_ptr()).is_null() }
}
