//! Becoming a user for good.

use std::io;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};
use rustix::fs::{Dir, Mode, OFlags};

use super::sandbox::{self, Confined, Confinement};
use crate::error::{Error, Result};
use crate::sys::root::User;

/// Turns this process into one of `user` that has no capability and can't get any, verifies that, and
/// confines it.
///
/// The C library's functions are used, since those of the kernel change the calling thread alone;
/// the rest is per thread everywhere, so there must be one thread only.
///
/// # Errors
/// The step that failed. The process must then do nothing but end.
pub fn to(user: User, confinement: &Confinement) -> Result<Confined> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    step("counting threads", one_thread())?;
    step("emptying the bounding set", empty_bounding_set())?;
    step("emptying the ambient set", caps::clear(None, CapSet::Ambient).map_err(io::Error::other))?;
    step("setgroups", nix::unistd::setgroups(&[gid]).map_err(io::Error::from))?;
    step("setresgid", nix::unistd::setresgid(gid, gid, gid).map_err(io::Error::from))?;
    step("setresuid", nix::unistd::setresuid(uid, uid, uid).map_err(io::Error::from))?;
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        step("emptying the capability sets", caps::clear(None, set).map_err(io::Error::other))?;
    }
    no_new_privileges()?;
    step("verifying", verify(uid, gid))?;
    sandbox::enter(confinement)
}

/// Keeps this process from getting privileges by what it executes; that lets it confine itself.
///
/// # Errors
/// When the kernel refuses.
pub fn no_new_privileges() -> Result<()> {
    step("no_new_privs", nix::sys::prctl::set_no_new_privs().map_err(io::Error::from))
}

fn step(step: &'static str, result: io::Result<()>) -> Result<()> {
    result.map_err(|source| Error::Privileges { step, source })
}

fn one_thread() -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = match rustix::fs::open("/proc/self/task", flags, Mode::empty()) {
        Ok(directory) => Dir::new(directory)?,
        // A chroot without /proc. Nothing here ever starts a thread; this only guards against a change.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut threads = 0;
    for entry in entries {
        threads += usize::from(!entry?.file_name().to_bytes().starts_with(b"."));
    }
    if threads == 1 { Ok(()) } else { Err(io::Error::other(format!("there are {threads}"))) }
}

/// With no_new_privs the bounding set can't matter any more, so it stays where we lack the right to
/// change it (CAP_SETPCAP, in some containers).
fn empty_bounding_set() -> io::Result<()> {
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(io::Error::other)? {
        return Ok(());
    }
    for capability in caps::all() {
        // An error means that this kernel does not know the capability.
        if caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false) {
            caps::drop(None, CapSet::Bounding, capability).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

fn verify(uid: Uid, gid: Gid) -> io::Result<()> {
    let wrong = |what: &str| Err(io::Error::other(format!("{what} is not as requested")));
    let ids = nix::unistd::getresuid()?;
    if [ids.real, ids.effective, ids.saved] != [uid; 3] {
        return wrong("the user");
    }
    let ids = nix::unistd::getresgid()?;
    if [ids.real, ids.effective, ids.saved] != [gid; 3] {
        return wrong("the group");
    }
    if nix::unistd::getgroups()? != [gid] {
        return wrong("the list of groups");
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
        if !caps::read(None, set).map_err(io::Error::other)?.is_empty() {
            return wrong("a capability set");
        }
    }
    if !nix::sys::prctl::get_no_new_privs()? {
        return wrong("no_new_privs");
    }
    let root = Uid::from_raw(0);
    if uid != root
        && (nix::unistd::setresuid(root, root, root) != Err(Errno::EPERM)
            || nix::unistd::setuid(root) != Err(Errno::EPERM))
    {
        return wrong("the user, which could become root again,");
    }
    if nix::unistd::setgroups(&[Gid::from_raw(0)]) != Err(Errno::EPERM) {
        return wrong("the list of groups, which could be changed,");
    }
    Ok(())
}
