//! Features of the running kernel, independent of the program.
#![allow(unsafe_code)]

/// The version of Landlock that has all requested rights.
const LANDLOCK: libc::c_long = 6;

/// Whether all features are available, in this kernel and in this build; prints a note if not.
pub fn has_everything() -> bool {
    // SAFETY: only asks for the version.
    let landlock = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    let seccomp = std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    let built = cfg!(feature = "landlock") && cfg!(feature = "seccomp");
    let has = landlock >= LANDLOCK && seccomp && built;
    if !has {
        eprintln!(
            "skipped: this machine has Landlock {landlock}, seccomp: {seccomp}; built with both: {built}"
        );
    }
    has
}
