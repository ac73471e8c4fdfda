//! Drops all privileges, for good.

#![allow(unsafe_code)]

use std::io;

use caps::{CapSet, Capability};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::sandbox::{self, Confined, Confinement, Part, State};
use super::step;
use crate::error::Result;
use crate::sys::account::User;
use crate::sys::caller;

/// Becomes `user` without any capability, and confines this process.
pub fn to(user: User, confinement: &Confinement) -> Result<Confined> {
    let groups = become_user(user)?;
    sandbox::enter(confinement, groups)
}

/// Becomes `user` without any capability and without a way to get one, and verifies that. This process must have
/// a single thread: credentials and capabilities belong to a thread. Returns which groups it could not leave.
///
/// The kernel is called directly, since a library that is loaded before the C library (fakeroot) only pretends.
///
/// A process that is that user already and can't change its groups keeps them, and reports that. Nothing else
/// may fail. After an error the process must do nothing but end.
pub fn become_user(user: User) -> Result<Part> {
    let (uid, gid) = ids(user);
    let is_same_user = rustix::process::getuid() == uid && rustix::process::geteuid() == uid;
    step("emptying the bounding set", empty_bounding_set())?;
    step("emptying the ambient set", caps::clear(None, CapSet::Ambient).map_err(io::Error::other))?;
    let groups = step("setgroups", set_thread_groups(&[gid]).map_err(io::Error::from));
    let group = step("setresgid", set_thread_res_gid(gid, gid, gid).map_err(io::Error::from));
    if !is_same_user {
        groups.and(group)?;
    }
    step("setresuid", set_thread_res_uid(uid, uid, uid).map_err(io::Error::from))?;
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        step("emptying the capability sets", caps::clear(None, set).map_err(io::Error::other))?;
    }
    no_new_privileges()?;
    step("verifying", verify(uid, (!is_same_user).then_some(gid)))?;
    step("listing the groups", kept_groups(gid))
}

// Newer versions of the two functions are not unsafe.
#[allow(unused_unsafe)]
fn ids(user: User) -> (Uid, Gid) {
    // SAFETY: every number can be a user's or a group's.
    unsafe { (Uid::from_raw(user.uid), Gid::from_raw(user.gid)) }
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

/// What is left of the groups: all but `gid`, which is to be the only one.
fn kept_groups(gid: Gid) -> io::Result<Part> {
    let mut groups = rustix::process::getgroups()?;
    groups.extend([rustix::process::getgid(), rustix::process::getegid()]);
    groups.retain(|group| *group != gid);
    let mut groups: Vec<u32> = groups.into_iter().map(Gid::as_raw).collect();
    groups.sort_unstable();
    groups.dedup();
    let list = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Ok(match groups.is_empty() {
        true => Part::new(State::Enforced, format!("only {}", gid.as_raw())),
        false => Part::new(State::Missing, format!("the kernel does not let this process leave {list}")),
    })
}

/// Verifies that only `uid` is left, and of the groups only `gid`, unless that is `None`.
fn verify(uid: Uid, gid: Option<Gid>) -> io::Result<()> {
    let wrong = |what: &str| Err(io::Error::other(what.to_owned()));
    if [rustix::process::getuid(), rustix::process::geteuid()] != [uid; 2] {
        return wrong("the user is not as requested");
    }
    if let Some(gid) = gid {
        if [rustix::process::getgid(), rustix::process::getegid()] != [gid; 2] {
            return wrong("the group is not as requested");
        }
        if rustix::process::getgroups()? != [gid] {
            return wrong("the list of groups is not as requested");
        }
        // It would succeed with root's group as the saved one.
        if gid != Gid::ROOT && set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT) != Err(Errno::PERM) {
            return wrong("setgid(0) succeeded after dropping privileges");
        }
    }
    // The ambient set has nothing that is not in both of the last two.
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        if !caps::read(None, set).map_err(io::Error::other)?.is_empty() {
            return wrong("a capability set is not empty");
        }
    }
    if !nix::sys::prctl::get_no_new_privs()? {
        return wrong("no_new_privs is not set");
    }
    // It would succeed with root as the saved user.
    if uid != Uid::ROOT && set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT) != Err(Errno::PERM) {
        return wrong("setuid(0) succeeded after dropping privileges");
    }
    match set_thread_groups(&[Gid::ROOT]) {
        Err(Errno::PERM) => Ok(()),
        // An emulator of root (proot) pretends that it succeeds.
        Ok(()) if caller::is_traced() => Ok(()),
        _ => wrong("setgroups() succeeded after dropping privileges"),
    }
}
