//! Drops all privileges, for good.

use std::io;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};

use super::sandbox::{self, Confined, Confinement};
use super::step;
use crate::error::Result;
use crate::sys::account::User;

/// Becomes `user` without any capability and without a way to get one, verifies that, and confines this
/// process. It must have a single thread: capabilities and confinement belong to a thread.
///
/// After an error the process must do nothing but end.
pub fn to(user: User, confinement: &Confinement) -> Result<Confined> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
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

/// Sets `no_new_privs`: what this process executes gains no privileges. Confinement requires it.
pub fn no_new_privileges() -> Result<()> {
    step("no_new_privs", nix::sys::prctl::set_no_new_privs().map_err(io::Error::from))
}

/// Empties the bounding set, where this process may (some containers lack CAP_SETPCAP). With
/// `no_new_privs` it has no effect any more.
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
    let wrong = |what: &str| Err(io::Error::other(what.to_owned()));
    let ids = nix::unistd::getresuid()?;
    if [ids.real, ids.effective, ids.saved] != [uid; 3] {
        return wrong("the user is not as requested");
    }
    let ids = nix::unistd::getresgid()?;
    if [ids.real, ids.effective, ids.saved] != [gid; 3] {
        return wrong("the group is not as requested");
    }
    if nix::unistd::getgroups()? != [gid] {
        return wrong("the list of groups is not as requested");
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
        if !caps::read(None, set).map_err(io::Error::other)?.is_empty() {
            return wrong("a capability set is not empty");
        }
    }
    if !nix::sys::prctl::get_no_new_privs()? {
        return wrong("no_new_privs is not set");
    }
    let root = Uid::from_raw(0);
    if uid != root
        && (nix::unistd::setresuid(root, root, root) != Err(Errno::EPERM)
            || nix::unistd::setuid(root) != Err(Errno::EPERM))
    {
        return wrong("setuid(0) succeeded after dropping privileges");
    }
    if nix::unistd::setgroups(&[Gid::from_raw(0)]) != Err(Errno::EPERM) {
        return wrong("setgroups() succeeded after dropping privileges");
    }
    Ok(())
}
