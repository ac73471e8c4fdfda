//! The system that is worked on: the running one, or the tree of another one below `--root`.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::fs::{CWD, Links, open_file};
use crate::error::{Error, Result};

/// The user that system-wide indexes belong to.
pub(crate) const CACHE_USER: &str = "epcache";

/// The largest user database of another system that is read: some hundred thousand users.
const MAX_PASSWD: u64 = 16 << 20;

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

impl From<&nix::unistd::User> for User {
    fn from(user: &nix::unistd::User) -> Self {
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }
}

/// A directory tree with its own users, configuration and indexes.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
    /// The cache user after the first look-up: a confined process can't look it up any more.
    cache_user: OnceLock<User>,
}

impl System {
    /// The system below `root`, or the running one for `None`.
    pub fn new(root: Option<&Path>) -> Result<Self> {
        let Some(root) = root else { return Ok(Self::assumed(Path::new("/"))) };
        let canonical =
            std::fs::canonicalize(root).map_err(|error| Error::io("can't use as root", root, error))?;
        match std::fs::metadata(&canonical) {
            Ok(meta) if meta.is_dir() => Ok(Self { root: canonical, cache_user: OnceLock::new() }),
            Ok(_) => Err(Error::site(root, "is not a directory")),
            Err(error) => Err(Error::io("can't use as root", root, error)),
        }
    }

    /// The system below `root`, an absolute path that is not examined.
    pub fn assumed(root: &Path) -> Self {
        Self { root: root.to_owned(), cache_user: OnceLock::new() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this is the tree of another system.
    pub(crate) fn is_foreign(&self) -> bool {
        self.root != Path::new("/")
    }

    /// The path by which the system itself knows `path`.
    pub(crate) fn within(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(below) => Path::new("/").join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// The path of the system's `path` as the running system sees it, without links.
    ///
    /// Fails when it does not exist, or a link leads out of the tree.
    pub(crate) fn canonical(&self, path: &Path) -> Result<PathBuf> {
        let seen = if self.is_foreign() {
            let parts =
                path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
            self.root.join(parts.collect::<PathBuf>())
        } else {
            path.to_owned()
        };
        let canonical = std::fs::canonicalize(&seen).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::site(&seen, "does not exist"),
            _ => Error::io("can't find", &seen, error),
        })?;
        if !canonical.starts_with(&self.root) {
            return Err(Error::site(&seen, format!("leads out of {}", self.root.display())));
        }
        Ok(canonical)
    }

    /// The path of a file that belongs to the system itself, as the running system sees it; `None` where
    /// there is none. In the tree of another system, a link must not lead to a file of the running one.
    pub(crate) fn own_file(&self, path: &Path) -> Result<Option<PathBuf>> {
        if !self.is_foreign() {
            return Ok(Some(path.to_owned()));
        }
        match self.canonical(path) {
            Err(Error::Site { path, .. }) if std::fs::metadata(&path).is_err() => Ok(None),
            found => found.map(Some),
        }
    }

    /// The owner of the system-wide indexes.
    ///
    /// A user who is root or in root's group is refused.
    pub(crate) fn cache_user(&self) -> Result<User> {
        if let Some(user) = self.cache_user.get() {
            return Ok(*user);
        }
        let user = if self.is_foreign() {
            self.look_up_in_passwd(|name, _| name == CACHE_USER)?
        } else {
            look_up()?
        };
        if user.uid == 0 || user.gid == 0 {
            let source = std::io::Error::other(format!("the user {CACHE_USER} has the rights of root"));
            return Err(Error::Privileges { step: "choosing the user", source });
        }
        Ok(*self.cache_user.get_or_init(|| user))
    }

    /// The user with this uid and his primary group in the user database, `nogroup` where he is not in it.
    ///
    /// The group of a file that he owns says nothing about him: in a directory with the set-group-id bit,
    /// files get its group, which he may not be in. Root's group is for root alone.
    #[must_use]
    pub(crate) fn user(&self, uid: u32) -> User {
        let nobody = User { uid, ..User::NOBODY };
        if uid == 0 {
            return User { uid, gid: 0 };
        }
        let found = match self.is_foreign() {
            true => self.look_up_in_passwd(|_, user| user.uid == uid).ok(),
            false => nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| User::from(&user)),
        };
        found.filter(|user| user.gid != 0).unwrap_or(nobody)
    }

    /// Looks a user up in another system's own file: on the running system, the same name may belong to
    /// another user or to none.
    fn look_up_in_passwd(&self, is_wanted: impl Fn(&str, User) -> bool) -> Result<User> {
        const PASSWD: &str = "/etc/passwd";
        let Some(path) = self.own_file(Path::new(PASSWD))? else {
            return Err(Error::NoUser { name: CACHE_USER, database: Some(self.root.join(&PASSWD[1..])) });
        };
        let missing = || Error::NoUser { name: CACHE_USER, database: Some(path.clone()) };
        let opened = open_file(CWD, &path, Links::Follow);
        let text = opened.and_then(|file| file.read(MAX_PASSWD)).map_err(|_| missing())?;
        let text = String::from_utf8_lossy(&text);
        let mut users = text.lines().filter_map(parse_passwd_line);
        let found = users.find(|(name, user)| is_wanted(name, *user));
        found.map(|(_, user)| user).ok_or_else(missing)
    }
}

fn look_up() -> Result<User> {
    match nix::unistd::User::from_name(CACHE_USER) {
        Ok(Some(user)) => Ok(User::from(&user)),
        // glibc reports a missing database as an error.
        Ok(None) | Err(_) => Err(Error::NoUser { name: CACHE_USER, database: None }),
    }
}

/// passwd(5): name, password, uid, gid, ...
fn parse_passwd_line(line: &str) -> Option<(&str, User)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let mut ids = fields.skip(1).map(|field| field.parse().ok());
    Some((name, User { uid: ids.next()??, gid: ids.next()?? }))
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
