//! What this process was given when it was started, for a command that is to get the same.
//!
//! Before `main`, the runtime of Rust ignores SIGPIPE and opens `/dev/null` in the place of standard
//! streams that are closed, so it must be looked at before that.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::signal::SigSet;

/// Standard streams that were closed, a bit each.
static CLOSED: AtomicU8 = AtomicU8::new(0);
/// Those of [`CHANGED`] that were ignored, a bit each.
static IGNORED: AtomicU8 = AtomicU8::new(0);

/// The signals whose dispositions do not stay as they were: the runtime ignores the first, and its
/// `Command` sets that to the default; who waits for a child must not ignore the second.
const CHANGED: [libc::c_int; 2] = [libc::SIGPIPE, libc::SIGCHLD];

#[used]
// SAFETY: the C library calls the functions of this section before `main`; what is called there needs
// nothing of Rust's runtime.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = look;

extern "C" fn look() {
    for stream in 0..3 {
        // SAFETY: asks for flags of a descriptor that may be closed.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << stream, Ordering::Relaxed);
        }
    }
    for (bit, signal) in CHANGED.into_iter().enumerate() {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks; zeroes are a valid value, should that fail.
        let action = unsafe {
            libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        if action.sa_sigaction == libc::SIG_IGN {
            IGNORED.fetch_or(1 << bit, Ordering::Relaxed);
        }
    }
}

/// Makes `command` start with this signal mask, and with dispositions and standard streams as this
/// process got them.
pub fn hand_down(command: &mut Command, mask: SigSet) {
    let (closed, ignored) = (CLOSED.load(Ordering::Relaxed), IGNORED.load(Ordering::Relaxed));
    let restore = move || {
        for (bit, signal) in CHANGED.into_iter().enumerate() {
            if ignored & 1 << bit != 0 {
                // SAFETY: sets no handler.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
        }
        for stream in (0..3).filter(|stream| closed & 1 << stream != 0) {
            // SAFETY: what is closed is the runtime's /dev/null; this process only goes on to become
            // another program.
            unsafe { libc::close(stream) };
        }
        Ok(mask.thread_set_mask()?)
    };
    // SAFETY: everything called is safe in a forked process: system calls, no memory is allocated.
    unsafe { command.pre_exec(restore) };
}

/// Ends this process by `signal`, as a process that was never prepared for it, without a core file.
///
/// Returns only where that is impossible: the first process of a container can't be killed so.
pub fn end_by(signal: i32) {
    let _ = nix::sys::prctl::set_dumpable(false);
    let mut only = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sets no handler; the set is initialised by the first call that gets it.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::sigemptyset(only.as_mut_ptr());
        libc::sigaddset(only.as_mut_ptr(), signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, only.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
    }
}
