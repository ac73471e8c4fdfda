//! Users, and their entries in a user database.
//!
//! A file in the tree of another system must belong to the tree's user, so our process has to become that user.
//! The same number can be another account's here: an untrusted tree names any number, and numbers of services are
//! given out in the same order everywhere. A process that a package's author takes over would then act as that
//! account. [`Taken`] says whose the number is.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, DirEntry};

use super::fs::{self, CWD, Links};
use crate::error::{Error, Result};

/// The user that system-wide indexes belong to.
pub(crate) const CACHE_USER: &str = "epcache";
/// The user that runs the hooks of system-wide site directories.
pub(crate) const HOOK_USER: &str = "epcache-hook";

/// The file names of the shells of accounts for services. An account with another one may be a person's, who
/// would then choose what the programs of all users find.
const NO_LOGIN: [&str; 2] = ["nologin", "false"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    pub uid: u32,
    /// The only group; there are no supplementary ones.
    pub gid: u32,
}

impl User {
    /// The kernel's overflow user, who owns no files.
    pub(crate) const NOBODY: Self = Self { uid: 65534, gid: 65534 };
}

/// The entry of a user in a user database.
pub(super) struct Account {
    pub user: User,
    pub shell: PathBuf,
}

impl From<nix::unistd::User> for Account {
    fn from(user: nix::unistd::User) -> Self {
        Self { user: User { uid: user.uid.as_raw(), gid: user.gid.as_raw() }, shell: user.shell }
    }
}

/// Whether the shell is one that lets a person log in.
pub(super) fn can_log_in(shell: &Path) -> bool {
    !NO_LOGIN.iter().any(|program| shell.ends_with(program))
}

/// The account of the user `name` on the running system.
pub(super) fn look_up(name: &'static str) -> Result<Account> {
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(Account::from(user)),
        // glibc reports a missing database as an error.
        Ok(None) | Err(_) => Err(Error::NoUser { name, database: None }),
    }
}

/// How many processes and threads a user has on the running system, as far as `/proc` shows them.
pub(crate) fn tasks(uid: u32) -> u64 {
    let Ok(all) = fs::open_dir(CWD, "/proc", Links::Refuse) else { return 0 };
    let is_of_user = |entry: &DirEntry| {
        entry.file_name().to_bytes().iter().all(u8::is_ascii_digit)
            && rustix::fs::statat(&all, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| stat.st_uid == uid)
    };
    let threads = |entry: DirEntry| {
        let tasks = format!("{}/task", entry.file_name().to_string_lossy());
        let tasks = fs::open_dir(&all, tasks, Links::Refuse).and_then(Dir::read_from);
        // Apart from the names of the directory and the one above it.
        tasks.map_or(1, |tasks| tasks.count().saturating_sub(2) as u64)
    };
    let Ok(entries) = Dir::read_from(&all) else { return 0 };
    entries.flatten().filter(is_of_user).map(threads).sum()
}

/// A line of passwd(5): name, password, uid, gid, comment, home directory, shell
pub(super) fn parse_passwd_line(line: &str) -> Option<(&str, Account)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, _, shell] = fields[..] else { return None };
    let user = User { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
    Some((name, Account { user, shell: shell.into() }))
}

/// An account or a group of the running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Of a service, or a group. The process may work if it is confined.
    Service(String),
    /// An account that can log in. No process becomes that user.
    Person(String),
}

/// Who has the numbers of `user` here; `None` where they are free, or those of the user `epcache`.
pub(super) fn taken(user: User) -> Option<Taken> {
    uid_taken(user.uid).or_else(|| gid_taken(user.gid))
}

fn uid_taken(uid: u32) -> Option<Taken> {
    if uid == User::NOBODY.uid || !is_same_outside("/proc/self/uid_map", uid) {
        return None;
    }
    match nix::unistd::User::from_uid(uid.into()) {
        Ok(None) => None,
        Ok(Some(account)) if account.name == CACHE_USER => None,
        // Without privileges, root works on the running system's own directories too.
        Ok(Some(account)) if uid != 0 && can_log_in(&account.shell) => {
            Some(Taken::Person(format!("the user {}", account.name)))
        }
        Ok(Some(account)) => Some(Taken::Service(format!("the user {}", account.name))),
        Err(_) => Some(Taken::Service(format!("a user with the uid {uid}"))),
    }
}

fn gid_taken(gid: u32) -> Option<Taken> {
    if gid == User::NOBODY.gid || !is_same_outside("/proc/self/gid_map", gid) {
        return None;
    }
    match nix::unistd::Group::from_gid(gid.into()) {
        Ok(None) => None,
        Ok(Some(group)) if group.name == CACHE_USER => None,
        Ok(Some(group)) => Some(Taken::Service(format!("the group {}", group.name))),
        Err(_) => Some(Taken::Service(format!("a group with the gid {gid}"))),
    }
}

/// Whether a uid or gid is the same outside of this user namespace, so that it can be somebody's there. Without
/// `/proc`, this is assumed.
fn is_same_outside(map: &str, id: u32) -> bool {
    fs::read_of_kernel(map).map_or(true, |map| maps_to_itself(&map, id))
}

/// user_namespaces(7): in each line the first number inside, the first outside, and how many follow.
fn maps_to_itself(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let id = u64::from(id);
        matches!(numbers[..], [inside, outside, count] if inside == outside && (inside..inside + count).contains(&id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_with_other_numbers_is_recognized() {
        let initial = "         0          0 4294967295\n";
        let rootless = "0 1000 1\n1 100000 65536\n";
        let identity = "0 0 65536\n";
        for (map, id, same) in [
            (initial, 0, true),
            (initial, 61002, true),
            (rootless, 0, false),
            (rootless, 33, false),
            (identity, 33, true),
            (identity, 70000, false),
            ("", 33, false),
        ] {
            assert_eq!(maps_to_itself(map, id), same, "{map:?} {id}");
        }
    }

    #[test]
    fn the_threads_of_a_user_are_counted() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let others = std::thread::spawn(move || stopped.recv());
        let own = super::super::caller::threads().expect("a number");
        assert!(own >= 2 && tasks(super::super::caller::uid()) >= own);
        assert_eq!(tasks(3_000_000_000), 0);
        drop(stop);
        let _ = others.join();
    }

    #[test]
    fn the_numbers_of_other_accounts_are_taken() {
        let free = User { uid: 3_000_000_000, gid: 3_000_000_000 };
        assert_eq!(taken(free), None);
        assert_eq!(taken(User::NOBODY), None);
        if !is_same_outside("/proc/self/uid_map", 0) {
            eprintln!("skipped: in a user namespace");
            return;
        }
        let root = Taken::Service("the user root".to_owned());
        assert_eq!(taken(User { uid: 0, gid: 0 }), Some(root));
        let group = Taken::Service("the group root".to_owned());
        assert_eq!(taken(User { gid: 0, ..free }), Some(group));
    }
}
