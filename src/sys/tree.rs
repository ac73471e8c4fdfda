//! The tree of another system. Its paths are looked up as that system itself would, and never outside of the
//! tree.
//!
//! An unpacked image can hold any link: `var/cache` may lead to `/home/user/.cache`, or to `../../home`. The
//! running system would follow it out of the tree. So a path is walked here part by part, from the descriptor
//! of the tree's root (`sys::walk`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::fs::{self, CWD, Links, OpenFile, Unreadable};
use super::walk::{Lost, Walk};

/// A tree. Clones share the descriptor of its root.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    root: PathBuf,
    descriptor: OnceLock<Arc<OwnedFd>>,
}

impl Tree {
    /// The tree below `root`, a canonical path, which is opened on first use.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), descriptor: OnceLock::new() }
    }

    /// Opens the root, unless it is open. Later it may be moved or replaced.
    pub fn open(&self) -> Result<&Arc<OwnedFd>, Errno> {
        if let Some(descriptor) = self.descriptor.get() {
            return Ok(descriptor);
        }
        let opened = fs::reach_dir(CWD, &self.root, Links::Refuse)?;
        Ok(self.descriptor.get_or_init(|| Arc::new(opened)))
    }

    /// The root, if it is open.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.get().map(|descriptor| descriptor.as_fd())
    }

    /// Walks to what `path` leads to, as this system sees it.
    pub(super) fn walk(&self, path: &Path, links: Links) -> Result<Walk, Lost> {
        self.top()?.to(path, links)
    }

    /// The beginning of all walks.
    pub(super) fn top(&self) -> Result<Walk, Lost> {
        let top = self.open().map_err(|error| Lost::root(error, &self.root))?;
        Walk::begin(&self.root, top.clone())
    }
}

/// What a path leads to: a name in a directory. On the running system, it is the path as a whole.
#[derive(Debug)]
pub(crate) struct Entry {
    directory: Option<Arc<OwnedFd>>,
    name: PathBuf,
    /// In a tree: `lstat` from when it was found.
    stat: Option<Stat>,
    /// In a tree, links have been followed already, so one that is there now is refused.
    links: Links,
}

impl Entry {
    pub fn of_running_system(path: &Path, links: Links) -> Self {
        Self { directory: None, name: path.to_owned(), stat: None, links }
    }

    pub(super) fn in_tree(walk: Walk) -> Self {
        let stat = Some(walk.end().stat);
        let (directory, name) = walk.into_entry();
        Self { directory: Some(directory), name, stat, links: Links::Refuse }
    }

    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_ref().map_or(CWD, |directory| directory.as_fd())
    }

    /// Opens what is there, only to name it in a rule of Landlock.
    #[cfg_attr(not(feature = "landlock"), expect(dead_code))]
    pub fn reach(&self, is_directory: bool) -> Result<OwnedFd, Errno> {
        match is_directory {
            true => fs::reach_dir(self.directory(), &self.name, self.links),
            false => fs::reach(self.directory(), &self.name, self.links),
        }
    }

    pub fn open_dir(&self) -> Result<OwnedFd, Errno> {
        fs::open_dir(self.directory(), &self.name, self.links)
    }

    /// Opens a file. In a tree it must be a regular one: opening a device can have effects.
    pub fn open_file(&self) -> Result<OpenFile, Unreadable> {
        match self.stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            None | Some(FileType::RegularFile) => fs::open_file(self.directory(), &self.name, self.links),
            Some(FileType::Symlink) => Err(Unreadable::Link),
            Some(_) => Err(Unreadable::NotRegular),
        }
    }

    pub fn stat(&self) -> Result<Stat, Errno> {
        let flags = match self.links {
            Links::Follow => AtFlags::empty(),
            Links::Refuse => AtFlags::SYMLINK_NOFOLLOW,
        };
        rustix::fs::statat(self.directory(), &self.name, flags)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(tree: &Tree, path: &str, links: Links) -> Result<String, String> {
        let walk = tree.walk(Path::new(path), links).map_err(|lost| lost.to_string())?;
        let below = walk.end().path.strip_prefix(&tree.root).expect("below the root");
        Ok(below.display().to_string())
    }

    #[test]
    fn links_are_followed_as_the_system_itself_would() {
        let outside = tempfile::tempdir().expect("a directory");
        let root = outside.path().join("tree");
        std::fs::create_dir_all(root.join("a/b")).expect("a directory");
        std::fs::write(root.join("a/b/file"), "").expect("room");
        std::fs::create_dir(outside.path().join("out")).expect("a directory");
        let far = outside.path().join("out");
        let far = far.to_str().expect("UTF-8");
        let up = "../".repeat(20);
        let links = [
            ("absolute", "/a"),
            ("relative", "a/../a/./b"),
            ("up", &format!("{up}a")),
            ("chain", "absolute/b"),
            ("root", "/"),
            ("to-root", "a/.."),
            ("out", far),
            ("out-relative", "../out"),
            ("loop", "loop"),
            ("a/sideways", "../up/b"),
            ("a/b/slow", &"../b/".repeat(700)),
            ("a/b/slower", "slow/slow/slow/slow/slow/slow/slow/slow/slow/slow/file"),
        ];
        for (name, target) in links {
            symlink(target, root.join(name)).expect("a link");
        }
        let tree = Tree::new(&root);
        for (path, expected) in [
            ("a/b/file", "a/b/file"),
            ("/a//b/./file", "a/b/file"),
            ("a/b/..", "a"),
            ("../../a", "a"),
            ("", ""),
            ("/", ""),
            ("..", ""),
            ("absolute/b", "a/b"),
            ("relative", "a/b"),
            ("up/b/file", "a/b/file"),
            ("chain/file", "a/b/file"),
            ("root/a", "a"),
            ("root", ""),
            ("to-root/a/b", "a/b"),
            ("a/sideways/file", "a/b/file"),
            ("a/b/slow/file", "a/b/file"),
        ] {
            assert_eq!(found(&tree, path, Links::Follow), Ok(expected.to_owned()), "{path}");
        }
        assert_eq!(found(&tree, "chain", Links::Refuse), Ok("chain".to_owned()), "the last part");
        for path in [
            "out",
            "out-relative",
            "out/x",
            "loop",
            "a/b/file/x",
            "a/b/file/..",
            "a/b/slower",
            "none",
            "none/..",
        ] {
            assert!(found(&tree, path, Links::Follow).is_err(), "{path}");
        }
        let why = found(&tree, "out", Links::Follow).expect_err("out of the tree");
        let (root, link) = (root.display(), root.join("out"));
        assert_eq!(why, format!("{} is a link to {far}, which does not exist below {root}", link.display()));
    }

    #[test]
    fn a_tree_stays_the_one_that_was_opened() {
        let place = tempfile::tempdir().expect("a directory");
        let [root, moved] = ["tree", "moved"].map(|name| place.path().join(name));
        std::fs::create_dir_all(root.join("old")).expect("a directory");
        let tree = Tree::new(&root);
        tree.open().expect("a directory");
        std::fs::rename(&root, &moved).expect("ours");
        std::fs::create_dir_all(root.join("new")).expect("a directory");
        assert!(found(&tree, "old", Links::Follow).is_ok() && found(&tree, "new", Links::Follow).is_err());
    }

    #[test]
    fn only_regular_files_are_opened_in_a_tree() {
        let place = tempfile::tempdir().expect("a directory");
        nix::unistd::mkfifo(&place.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        std::fs::write(place.path().join("file"), "six").expect("room");
        symlink("file", place.path().join("link")).expect("a link");
        let tree = Tree::new(place.path());
        let entry =
            |name: &str, links| Entry::in_tree(tree.walk(Path::new(name), links).expect("it is there"));
        let read = |name: &str, links| entry(name, links).open_file();
        assert!(read("link", Links::Follow).is_ok());
        assert_eq!(read("link", Links::Refuse).expect_err("a link"), Unreadable::Link);
        assert_eq!(read("fifo", Links::Follow).expect_err("a FIFO"), Unreadable::NotRegular);
        // A file that becomes a link after it was found is refused.
        let found = entry("file", Links::Follow);
        std::fs::remove_file(place.path().join("file")).expect("ours");
        symlink("link", place.path().join("file")).expect("a link");
        assert_eq!(found.open_file().expect_err("a link"), Unreadable::Link);
    }
}
