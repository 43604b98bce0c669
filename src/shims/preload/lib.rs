//! The preload library: an unmodified program that binds an address which one
//! of its inherited listeners holds gets that listener, and systemd hears
//! `READY=1` when it listens.
//!
//! It lives in other people's processes, so it never allocates, never panics,
//! takes no lock, keeps `errno`, and chains to the next library with
//! `dlsym(RTLD_NEXT)`. It needs nothing but core: no symbol versions and no
//! `DT_NEEDED`, hence one file serves every glibc and musl.

#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod adopt;
mod clients;
mod connections;
mod counting;
mod direct;
mod door;
mod drain;
mod drain_timer;
mod drain_watch;
mod endings;
mod entry;
mod errors;
mod exec;
mod explain;
mod flags;
mod follow;
mod gate;
#[path = "../../handover/mod.rs"]
#[allow(dead_code, reason = "the tracer uses the rest")]
mod handover;
mod hide;
mod interpose;
mod main_thread;
mod next;
mod notify;
mod peers;
mod places;
mod polite;
mod poll;
mod probe;
mod receiving;
mod rotation;
mod runtime;
mod say;
mod sending;
mod sets;
mod setup;
mod shared;
mod signals;
mod sys;
mod table;
mod take;
mod transfer;
mod unlink;
mod watchdog;
mod workers;

/// Run by the dynamic loader before `main`. glibc hands over the environment,
/// musl has `environ` ready by then.
extern "C" fn start(_: core::ffi::c_int, _: *const *const u8, environment: *const *const u8) {
    next::resolve_all();
    setup::watch_forks();
    let current = sys::environment();
    let current = if current.is_null() { environment } else { current };
    setup::run(current);
    // Whoever has a listener says by a socket that it is ready.
    errors::apart(current.cast_mut(), setup::active().is_some());
    if let Some(setup) = setup::active() {
        shared::begin(setup);
        rotation::begin(setup);
        hide::from_misreaders();
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn(core::ffi::c_int, *const *const u8, *const *const u8) = start;

/// Run by the dynamic loader when the program calls `exit()`.
extern "C" fn stop() {
    endings::at_exit();
}

#[used]
#[unsafe(link_section = ".fini_array")]
static STOP: extern "C" fn() = stop;

/// Nothing here panics; should core do so, this is the quickest way out that
/// does not unwind through C.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::abort()
}
