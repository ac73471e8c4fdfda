//! The user of this process, and whether the kernel lets it become another one.
//!
//! The kernel is asked, not the C library: a library that is loaded before it (fakeroot) says that every user
//! is root.

use std::io;

use super::fs::read_of_kernel;

/// The effective user.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub fn is_root() -> bool {
    uid() == 0
}

/// Whether this process can surely not become another user with that user's groups alone: it has no capability
/// for it and can get none, or its user namespace lets nobody change groups.
///
/// This is so in a user namespace with one user (`unshare -r`), and without capabilities. Where it is not known,
/// the answer is no, and becoming another user fails later.
#[cfg(target_os = "linux")]
pub fn is_bound() -> bool {
    use caps::{CapSet, Capability};

    let may = |capability| caps::has_cap(None, CapSet::Permitted, capability).unwrap_or(true);
    let is_forbidden = || read_of_kernel("/proc/self/setgroups").is_ok_and(|text| text == "deny\n");
    !(may(Capability::CAP_SETUID) && may(Capability::CAP_SETGID)) || is_forbidden()
}

/// Not known on other systems.
#[cfg(not(target_os = "linux"))]
pub fn is_bound() -> bool {
    false
}

/// The number of threads of this process, from proc_pid_stat(5).
///
/// An emulator (qemu-user) counts only those of the program that it runs. Some of its versions say 0.
pub fn threads() -> io::Result<u64> {
    let text = read_of_kernel("/proc/self/stat")?;
    // The name of the program can have spaces and parentheses. It is field 2, and the wanted one is 20.
    let field = text.rsplit(')').next().and_then(|rest| rest.split(' ').nth(18));
    field
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/stat has no such number"))
}

/// Whether another process traces this one, such as an emulator of root (proot).
pub fn is_traced() -> bool {
    let status = read_of_kernel("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).is_some_and(|tracer| tracer.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_counted() {
        let during = std::thread::spawn(threads).join().expect("no panic").expect("a number");
        assert!(during >= 2, "{during}");
    }
}
