//! The system that is worked on: the running one, or the tree of another one below `--root`.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::fs::{CWD, Links, open_file};
use super::resolve::{self, Place, Trust};
use crate::error::{Error, Result};

/// The user that system-wide indexes belong to.
pub(crate) const CACHE_USER: &str = "epcache";

/// The file names of the shells of accounts for services. An account with another one may be a person's, who
/// would then choose what the programs of all users find.
const NO_LOGIN: [&str; 2] = ["nologin", "false"];

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

/// What a user database says of a user.
struct Account {
    user: User,
    shell: PathBuf,
}

impl From<nix::unistd::User> for Account {
    fn from(user: nix::unistd::User) -> Self {
        Self { user: User { uid: user.uid.as_raw(), gid: user.gid.as_raw() }, shell: user.shell }
    }
}

/// A directory tree with its own users, configuration and indexes.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
    /// Known before a process gives up root's privileges.
    called_by_root: bool,
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
            Ok(meta) if meta.is_dir() => Ok(Self::assumed(&canonical)),
            Ok(_) => Err(Error::site(root, "is not a directory")),
            Err(error) => Err(Error::io("can't use as root", root, error)),
        }
    }

    /// The system below `root`, an absolute path that is not examined.
    pub fn assumed(root: &Path) -> Self {
        let called_by_root = nix::unistd::geteuid().is_root();
        Self { root: root.to_owned(), called_by_root, cache_user: OnceLock::new() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this is the tree of another system.
    pub(crate) fn is_foreign(&self) -> bool {
        self.root != Path::new("/")
    }

    /// Whether the caller may have indexes in a cache directory of their own. Root has none there, and the
    /// users as whom root's processes work can't enter it.
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

    /// What the system's `path` leads to, if no untrusted user decides that ([`resolve`]).
    ///
    /// The resulting path is that which the running system sees.
    pub(crate) fn resolve(&self, path: &Path, trust: Trust) -> Result<Place> {
        let absolute = match self.is_foreign() {
            true => path.to_owned(),
            false => std::path::absolute(path).map_err(|_| Error::site(path, "does not exist"))?,
        };
        resolve::resolve(&self.root, &absolute, trust)
    }

    /// The path of the system's `path` as the running system sees it, without links.
    ///
    /// Fails when it does not exist, or a link leads out of the tree.
    fn canonical(&self, path: &Path) -> Result<PathBuf> {
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
    /// A user who is root, is in root's group or can log in is refused.
    pub(crate) fn cache_user(&self) -> Result<User> {
        if let Some(user) = self.cache_user.get() {
            return Ok(*user);
        }
        let account = match self.is_foreign() {
            true => self.look_up_in_passwd(|name, _| name == CACHE_USER)?,
            false => look_up()?,
        };
        let Account { user, shell } = account;
        if user.uid == 0 || user.gid == 0 {
            let source = std::io::Error::other(format!("the user {CACHE_USER} has the rights of root"));
            return Err(Error::Privileges { step: "choosing the user", source });
        }
        if !NO_LOGIN.iter().any(|program| shell.ends_with(program)) {
            return Err(Error::LoginUser { name: CACHE_USER, shell });
        }
        Ok(*self.cache_user.get_or_init(|| user))
    }

    /// The user with this uid and his primary group in the user database, `nogroup` where he is not in it.
    ///
    /// The group of a file that he owns says nothing about him: in a directory with the set-group-id bit,
    /// files get its group, which he may not be in. Root's group is for root alone.
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
        const PASSWD: &str = "/etc/passwd";
        let Some(path) = self.own_file(Path::new(PASSWD))? else {
            return Err(Error::NoUser { name: CACHE_USER, database: Some(self.root.join(&PASSWD[1..])) });
        };
        let missing = || Error::NoUser { name: CACHE_USER, database: Some(path.clone()) };
        let opened = open_file(CWD, &path, Links::Follow);
        let text = opened.and_then(|file| file.read(MAX_PASSWD)).map_err(|_| missing())?;
        let text = String::from_utf8_lossy(&text);
        let mut users = text.lines().filter_map(parse_passwd_line);
        let found = users.find(|(name, account)| is_wanted(name, account.user));
        found.map(|(_, account)| account).ok_or_else(missing)
    }
}

fn look_up() -> Result<Account> {
    match nix::unistd::User::from_name(CACHE_USER) {
        Ok(Some(user)) => Ok(Account::from(user)),
        // glibc reports a missing database as an error.
        Ok(None) | Err(_) => Err(Error::NoUser { name: CACHE_USER, database: None }),
    }
}

/// passwd(5): name, password, uid, gid, comment, home directory, shell
fn parse_passwd_line(line: &str) -> Option<(&str, Account)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, _, shell] = fields[..] else { return None };
    let user = User { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
    Some((name, Account { user, shell: shell.into() }))
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
