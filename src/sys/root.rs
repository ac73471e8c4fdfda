//! The system that is worked on: the running one, or the tree of another one below `--root`.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use super::account::{self, Account, CACHE_USER, HOOK_USER, Taken, User, can_log_in, parse_passwd_line};
use super::caller;
use super::fs::{self, CWD, Links};
use super::resolve::{self, Place, Trust};
use super::tree::{Entry, Tree};
use super::walk::{Lost, Walk};
use crate::error::{Error, Result};

/// The largest user database of another system that is read: some hundred thousand users.
const MAX_PASSWD: u64 = 16 << 20;

/// A directory tree with its own users, configuration and indexes.
///
/// A path below its root, as the running system sees it, is *seen*; the system itself knows the same file by
/// the rest of the path. Every seen path is opened by [`System::entry`], which does not leave the tree.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
    /// `None` on the running system.
    tree: Option<Tree>,
    /// Known before a process gives up root's privileges.
    called_by_root: bool,
    /// The cache user after the first look-up: a confined process can't look it up any more.
    cache_user: OnceLock<User>,
}

impl Default for System {
    /// The running system.
    fn default() -> Self {
        Self::assumed(Path::new("/"))
    }
}

impl System {
    /// The system below `root`, or the running one for `None`.
    pub fn new(root: Option<&Path>) -> Result<Self> {
        let Some(root) = root else { return Ok(Self::default()) };
        let failed = |error| Error::io("can't use as root", root, error);
        let system = Self::assumed(&std::fs::canonicalize(root).map_err(failed)?);
        match system.tree.as_ref().map(Tree::open) {
            Some(Err(Errno::NOTDIR)) => Err(Error::site(root, "is not a directory")),
            Some(Err(error)) => Err(failed(error.into())),
            Some(Ok(_)) | None => Ok(system),
        }
    }

    /// The system below `root`, an absolute path that is not examined.
    pub fn assumed(root: &Path) -> Self {
        let called_by_root = caller::is_root();
        let tree = (root != Path::new("/")).then(|| Tree::new(root));
        Self { root: root.to_owned(), tree, called_by_root, cache_user: OnceLock::new() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The descriptor of the root of another system, without which its paths can't be looked up.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.tree.as_ref().and_then(Tree::descriptor)
    }

    /// Whether this is the tree of another system.
    pub(crate) fn is_foreign(&self) -> bool {
        self.tree.is_some()
    }

    /// Whether the caller may have indexes in a cache directory of their own. Root has none there, and the users that
    /// root's processes become can't enter it.
    pub(crate) fn caller_has_cache(&self) -> bool {
        !self.called_by_root
    }

    /// The path by which the system itself knows `path`.
    pub(crate) fn within(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(below) => Path::new("/").join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// The system's `path` as the running system sees it.
    pub(crate) fn seen(&self, path: &Path) -> PathBuf {
        if !self.is_foreign() {
            return path.to_owned();
        }
        let parts =
            path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        self.root.join(parts.collect::<PathBuf>())
    }

    /// Finds what a seen path leads to. `links` is about its last part; others are followed as the system
    /// itself would.
    pub(crate) fn entry(&self, seen: &Path, links: Links) -> std::result::Result<Entry, Lost> {
        match &self.tree {
            None => Ok(Entry::of_running_system(seen, links)),
            Some(tree) => tree.walk(&self.within(seen), links).map(Entry::in_tree),
        }
    }

    /// What the system's `path` leads to, if no untrusted user decides that ([`resolve`]).
    ///
    /// The resulting path is that which the running system sees. Fails with [`Error::Site`] where the path leads
    /// to nothing, and with [`Error::Unusable`] where an untrusted user decides where it leads.
    pub(crate) fn resolve(&self, path: &Path, trust: Trust) -> Result<Place> {
        let absolute = match self.is_foreign() {
            true => path.to_owned(),
            false => std::path::absolute(path).map_err(|_| Error::site(path, "does not exist"))?,
        };
        resolve::end(&self.walk(&absolute)?, trust)
    }

    /// Gives the directory at a canonical, seen path the present mtime, and leaves its atime. It is not opened.
    ///
    /// Fails where there is a link on the way by now, or not the `expected` directory at its end.
    pub(crate) fn touch(&self, seen: &Path, expected: Option<&Place>) -> Result<()> {
        resolve::touch(self.walk(&self.within(seen))?, seen, expected)
    }

    /// Opens the directory at a canonical, seen path, not for reading. Fails where there is a link on the way by
    /// now.
    pub(crate) fn open_canonical(&self, seen: &Path) -> Result<OwnedFd> {
        let walk = self.walk(&self.within(seen))?;
        resolve::expect_canonical(&walk, seen)?;
        walk.descriptor().try_clone_to_owned().map_err(|error| Error::io("can't open", seen, error))
    }

    fn walk(&self, path: &Path) -> std::result::Result<Walk, Lost> {
        self.top()?.to(path, Links::Follow)
    }

    /// The beginning of all walks, which several paths can share.
    pub(crate) fn top(&self) -> std::result::Result<Walk, Lost> {
        match &self.tree {
            Some(tree) => tree.top(),
            None => {
                let top =
                    fs::reach_dir(CWD, "/", Links::Refuse).map_err(|error| Lost::root(error, &self.root))?;
                Walk::begin(&self.root, Arc::new(top))
            }
        }
    }

    /// Which account of the running system has the uid or gid of a user of another system. `None` on the running
    /// system, whose users these are, and if the caller is not root, since no process then changes its user.
    pub(crate) fn taken(&self, user: User) -> Option<Taken> {
        if self.is_foreign() && self.called_by_root { account::taken(user) } else { None }
    }

    /// The user that root's process becomes to read what `user` may read. It is nobody, where no process may become
    /// `user`.
    pub(crate) fn reader(&self, user: User) -> User {
        if matches!(self.taken(user), Some(Taken::Person(_))) { User::NOBODY } else { user }
    }

    /// The user that runs the hooks of system-wide site directories. None of them runs in another system.
    ///
    /// The same users are refused as for the indexes, and so is the owner of the indexes.
    pub(crate) fn hook_user(&self) -> Result<User> {
        let user = check_service(HOOK_USER, account::look_up(HOOK_USER)?)?;
        if self.cache_user().is_ok_and(|owner| owner.uid == user.uid || owner.gid == user.gid) {
            let source = std::io::Error::other(format!("{HOOK_USER} has the uid or gid of {CACHE_USER}"));
            return Err(Error::Privileges { step: "choosing the user", source });
        }
        Ok(user)
    }

    /// The owner of the system-wide indexes.
    ///
    /// A user who is root, is in root's group or can log in is refused.
    pub(crate) fn cache_user(&self) -> Result<User> {
        if let Some(user) = self.cache_user.get() {
            return Ok(*user);
        }
        let account = match self.is_foreign() {
            true => self.look_up_in_passwd(|name, _| name == CACHE_USER)?,
            false => account::look_up(CACHE_USER)?,
        };
        let user = check_service(CACHE_USER, account)?;
        Ok(*self.cache_user.get_or_init(|| user))
    }

    /// The user with this uid, and the user's primary group in the user database. A user who is not in it gets the
    /// group `nogroup`.
    ///
    /// The group of a user's file is not taken: in a directory with the set-group-id bit, files get its group, which
    /// their owner need not be in. Root's group is for root alone.
    pub(crate) fn user(&self, uid: u32) -> User {
        let nobody = User { uid, ..User::NOBODY };
        if uid == 0 {
            return User { uid, gid: 0 };
        }
        let found = match self.is_foreign() {
            true => self.look_up_in_passwd(|_, user| user.uid == uid).ok(),
            false => nix::unistd::User::from_uid(uid.into()).ok().flatten().map(Account::from),
        };
        found.map(|account| account.user).filter(|user| user.gid != 0).unwrap_or(nobody)
    }

    /// Looks a user up in another system's own file: on the running system, the same name may belong to
    /// another user or to none.
    fn look_up_in_passwd(&self, is_wanted: impl Fn(&str, User) -> bool) -> Result<Account> {
        let path = self.seen(Path::new("/etc/passwd"));
        let missing = || Error::NoUser { name: CACHE_USER, database: Some(path.clone()) };
        let entry = self.entry(&path, Links::Follow).map_err(|lost| match lost.is_missing() {
            true => missing(),
            false => Error::io("can't read", &path, lost),
        })?;
        let text = entry.open_file().and_then(|file| file.read(MAX_PASSWD)).map_err(|_| missing())?;
        let text = String::from_utf8_lossy(&text);
        let mut users = text.lines().filter_map(parse_passwd_line);
        let found = users.find(|(name, account)| is_wanted(name, account.user));
        found.map(|(_, account)| account).ok_or_else(missing)
    }
}

/// Refuses an account that is root's, in root's group, or a person's.
fn check_service(name: &'static str, account: Account) -> Result<User> {
    let Account { user, shell } = account;
    if user.uid == 0 || user.gid == 0 {
        let source = std::io::Error::other(format!("the user {name} has the rights of root"));
        return Err(Error::Privileges { step: "choosing the user", source });
    }
    if can_log_in(&shell) {
        return Err(Error::LoginUser { name, shell });
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_user_is_that_of_the_user_database() {
        let place = tempfile::tempdir().expect("a directory");
        let system = System::new(Some(place.path())).expect("a directory");
        assert_eq!(system.user(7), User { uid: 7, gid: 65534 }, "without a database");
        std::fs::create_dir(place.path().join("etc")).expect("a directory");
        let text = "root:x:0:5::/:/bin/sh\nbroken\nuser:x:7:8::/:\noperator:x:11:0::/:\n";
        std::fs::write(place.path().join("etc/passwd"), text).expect("room");
        let groups = [(0, 0), (7, 8), (11, 65534), (12, 65534)];
        for (uid, gid) in groups {
            assert_eq!(system.user(uid), User { uid, gid });
        }
        let running = System::new(None).expect("the running system");
        assert_eq!(running.user(0), User { uid: 0, gid: 0 });
        let unused = 3_000_000_000;
        assert_eq!(running.user(unused), User { uid: unused, gid: 65534 });
    }
}
