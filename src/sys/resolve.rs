//! Resolving a path that was named or found, so that no untrusted user decides where it leads.
//!
//! The path is walked one part after the other. Each is opened from the descriptor of the directory before it,
//! without following a link (`O_PATH`, `O_NOFOLLOW`): nothing is read, and what was examined can't be
//! exchanged. The text of a link is walked in the same way.
//!
//! Whoever owns a link or a directory on the way decides where the path leads. [`Trust`] says who may.
//!
//! * The owner of `/` counts as root. In a user namespace, root's directories may appear as those of uid 65534,
//!   and whoever owns `/` can exchange everything anyway. The same holds for the root of another system.
//! * A directory that everybody may write to is refused, unless it is sticky: there, nobody can exchange what
//!   belongs to another user.
//! * A directory that its group may write to is accepted. What a member puts there belongs to the member, so it
//!   is refused if it is a link or a directory; and the owner has chosen the group. Debian's `/usr/local` is
//!   such a directory, of root's and the group `staff`.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use super::fs::{CWD, is_writable_by_others};
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};

/// The most links that are followed, as by the kernel.
const MAX_LINKS: usize = 40;
const STICKY: u32 = 0o1000;
const EXCHANGED: &str = "was exchanged after it was found";

/// Who may own the links and directories on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Root, the caller, and the owner of what the path leads to.
    Owner,
    /// Root alone, who must own what the path leads to as well.
    Root,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Absolute and without links.
    pub path: PathBuf,
    pub owner: u32,
    pub is_directory: bool,
    /// Whether it and everything on the way belongs to root. Nobody else may write to it, and nobody else can
    /// exchange anything on the way.
    pub is_roots: bool,
    identity: (u64, u64),
}

impl Place {
    /// Fails unless an open descriptor leads to this same directory.
    pub fn check(&self, directory: impl AsFd) -> Result<()> {
        match rustix::fs::fstat(directory) {
            Ok(stat) if identity(&stat) == self.identity => Ok(()),
            Ok(_) => Err(Error::site(&self.path, EXCHANGED)),
            Err(error) => Err(Error::io("can't examine", &self.path, error)),
        }
    }
}

/// The device and the inode.
#[allow(clippy::unnecessary_cast)] // Their types differ between architectures.
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Resolves `path`, an absolute path of the system below `root`.
///
/// Fails with [`Error::Site`] where it leads to nothing or out of `root`, and with [`Error::Unusable`] where an
/// untrusted user decides where it leads.
pub fn resolve(root: &Path, path: &Path, trust: Trust) -> Result<Place> {
    let mut walk = Walk::new(root)?;
    walk.follow(path)?;
    walk.end(trust)
}

/// Gives the directory at a canonical path the present mtime, and leaves its atime. It is not opened.
///
/// Fails where there is a link on the way by now, or not the `expected` directory at its end.
pub fn touch(path: &Path, expected: Option<&Place>) -> Result<()> {
    let steps = walk_canonical(path)?;
    let [.., parent, end] = &steps[..] else { return Err(Error::site(path, EXCHANGED)) };
    expected.map_or(Ok(()), |place| place.check(&end.descriptor))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    let name = end.path.file_name().unwrap_or_default();
    rustix::fs::utimensat(&parent.descriptor, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| Error::io("can't make its index stale", path, error))
}

/// Opens the directory at a canonical path, not for reading. Fails where there is a link on the way by now.
pub fn open_canonical(path: &Path) -> Result<OwnedFd> {
    let end = walk_canonical(path)?.pop().filter(|end| end.kind() == FileType::Directory);
    end.map(|end| end.descriptor).ok_or_else(|| Error::site(path, "is not a directory"))
}

/// The directories on a way without links.
fn walk_canonical(path: &Path) -> Result<Vec<Step>> {
    let mut walk = Walk::new(Path::new("/"))?;
    walk.follow(path)?;
    if walk.left.is_empty() { Ok(walk.steps) } else { Err(Error::site(path, EXCHANGED)) }
}

/// Something on the way.
#[derive(Debug)]
struct Step {
    path: PathBuf,
    descriptor: OwnedFd,
    stat: Stat,
}

impl Step {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    fn is_sticky(&self) -> bool {
        self.stat.st_mode & STICKY != 0
    }

    fn is_open_to_everybody(&self) -> bool {
        self.kind() != FileType::Symlink && self.stat.st_mode & 0o002 != 0 && !self.is_sticky()
    }

    fn is_open_to_others(&self) -> bool {
        self.kind() != FileType::Symlink && is_writable_by_others(&self.stat)
    }
}

struct Walk<'r> {
    root: &'r Path,
    /// The directories from the root to the present place, which is the last.
    steps: Vec<Step>,
    /// The links that were followed and the directories that were left by `..` or by a link.
    left: Vec<Step>,
    links: usize,
}

impl<'r> Walk<'r> {
    fn new(root: &'r Path) -> Result<Self> {
        let failed = |error: Errno| Error::io("can't find", root, error);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(CWD, root, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&descriptor).map_err(failed)?;
        let top = Step { path: root.to_owned(), descriptor, stat };
        Ok(Self { root, steps: vec![top], left: Vec::new(), links: 0 })
    }

    /// Walks to the end of `path`.
    fn follow(&mut self, path: &Path) -> Result<()> {
        let mut parts = VecDeque::new();
        put_first(&mut parts, path);
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                self.go_up()?;
                continue;
            }
            let step = self.step(&part)?;
            if step.kind() != FileType::Symlink {
                self.steps.push(step);
                continue;
            }
            let target = self.target(&step)?;
            if target.is_absolute() {
                // A link of another system that is meant for the running one leads out of its tree.
                let below = target.strip_prefix(self.root).map_err(|_| self.leads_out(&step.path))?;
                put_first(&mut parts, below);
                self.left.extend(self.steps.drain(1..));
            } else {
                put_first(&mut parts, &target);
            }
            self.left.push(step);
        }
        Ok(())
    }

    fn here(&self) -> &Step {
        &self.steps[self.steps.len() - 1]
    }

    fn go_up(&mut self) -> Result<()> {
        if self.here().kind() != FileType::Directory {
            return Err(Error::io("can't find", &self.here().path, Errno::NOTDIR));
        }
        if self.steps.len() > 1 {
            self.left.extend(self.steps.pop());
        } else if self.root != Path::new("/") {
            return Err(self.leads_out(&self.root.join("..")));
        }
        Ok(())
    }

    fn step(&self, part: &OsStr) -> Result<Step> {
        let at = self.here();
        let path = at.path.join(part);
        let open = |kind| {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
            rustix::fs::openat(&at.descriptor, part, flags, Mode::empty())
        };
        // First as a directory: otherwise one that is mounted on demand would not be.
        let opened = open(OFlags::DIRECTORY).or_else(|error| match error {
            Errno::NOTDIR | Errno::LOOP => open(OFlags::empty()),
            error => Err(error),
        });
        let found = opened.and_then(|descriptor| Ok((rustix::fs::fstat(&descriptor)?, descriptor)));
        match found {
            Ok((stat, descriptor)) => Ok(Step { path, descriptor, stat }),
            Err(Errno::NOENT) => Err(Error::site(&path, "does not exist")),
            Err(error) => Err(Error::io("can't find", &path, error)),
        }
    }

    /// The text of a link.
    fn target(&mut self, link: &Step) -> Result<PathBuf> {
        self.links += 1;
        let text = match self.links > MAX_LINKS {
            true => Err(Errno::LOOP),
            false => rustix::fs::readlinkat(&link.descriptor, "", Vec::new()),
        };
        let text = text.map_err(|error| Error::io("can't find", &link.path, error))?;
        Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
    }

    fn leads_out(&self, path: &Path) -> Error {
        Error::site(path, format!("leads out of {}", self.root.display()))
    }

    /// Where the walk has ended, if only trusted users decided that.
    fn end(&self, trust: Trust) -> Result<Place> {
        let end = self.here();
        let root = self.steps[0].stat.st_uid;
        let is_root = |step: &Step| step.stat.st_uid == 0 || step.stat.st_uid == root;
        let caller = nix::unistd::geteuid().as_raw();
        let is_trusted = |step: &&Step| {
            let owner = step.stat.st_uid;
            is_root(step) || trust == Trust::Owner && (owner == caller || owner == end.stat.st_uid)
        };
        let is_safe = |step: &&Step| is_trusted(step) && !step.is_open_to_everybody();
        let above = &self.steps[..self.steps.len() - 1];
        let way = if trust == Trust::Root { &self.steps[..] } else { above };
        if let Some(step) = way.iter().find(|step| !is_safe(step)) {
            return Err(refused_directory(step, end, is_trusted(&step)));
        }
        if let Some(step) = self.left.iter().rev().find(|step| !is_safe(step)) {
            return Err(refused_detour(step, end));
        }
        let is_kept = |step: &Step| is_root(step) && (step.is_sticky() || !step.is_open_to_others());
        Ok(Place {
            path: end.path.clone(),
            owner: end.stat.st_uid,
            is_directory: end.kind() == FileType::Directory,
            is_roots: above.iter().chain(&self.left).all(is_kept) && is_root(end) && !end.is_open_to_others(),
            identity: identity(&end.stat),
        })
    }
}

/// Puts the parts of a path before those that are left to walk.
fn put_first(parts: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        if matches!(part, Component::Normal(_) | Component::ParentDir) {
            parts.push_front(part.as_os_str().to_owned());
        }
    }
}

/// An error for a directory above the end, or the end itself.
fn refused_directory(step: &Step, end: &Step, is_trusted: bool) -> Error {
    let (why, hint) = if is_trusted {
        ("every user may write to it".to_owned(), format!("chmod o-w {}", shell_quoted(&step.path)))
    } else {
        (
            format!("belongs to the untrusted uid {}", step.stat.st_uid),
            format!("move {} to a directory of root or of its own owner", shell_quoted(&end.path)),
        )
    };
    Error::Unusable { path: step.path.clone(), why, hint: Some(hint) }
}

/// An error for a link that was followed, or a directory that a link or `..` led out of.
fn refused_detour(step: &Step, end: &Step) -> Error {
    let why = match step.kind() {
        FileType::Symlink => {
            format!("a link of the untrusted uid {}, which is not followed", step.stat.st_uid)
        }
        _ => "an untrusted user may change what is in it".to_owned(),
    };
    let hint = format!("if it is the right one, name the end of the path: {}", shell_quoted(&end.path));
    Error::Unusable { path: step.path.clone(), why, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// `a/b/file`, and links; with its canonical path.
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let tree = tempfile::tempdir().expect("a directory");
        let top = tree.path().canonicalize().expect("a path");
        std::fs::create_dir_all(top.join("a/b")).expect("a directory");
        std::fs::write(top.join("a/b/file"), "").expect("a file");
        for (target, name) in [("a", "link"), ("../link/b", "a/turn"), ("loop", "loop"), ("none", "dangling")]
        {
            symlink(target, top.join(name)).expect("a link");
        }
        symlink(top.join("a/b"), top.join("absolute")).expect("a link");
        symlink("/etc", top.join("out")).expect("a link");
        symlink("../../..", top.join("a/up")).expect("a link");
        (tree, top)
    }

    #[test]
    fn a_path_is_resolved_as_by_the_kernel() {
        let (_tree, top) = tree();
        for path in [
            "",
            "a",
            "a/",
            "a/./b",
            "link",
            "link/b/file",
            "a/turn/file",
            "absolute",
            "a/..",
            "a/b/../../link/b",
            "none",
            "loop",
            "dangling",
            "a/b/file/..",
            "a/b/file/none",
            "absolute/none",
            "/..",
            "a/up",
        ] {
            let path = top.join(path);
            let expected = std::fs::canonicalize(&path).ok();
            let found = resolve(Path::new("/"), &path, Trust::Owner).ok();
            assert_eq!(found.map(|place| place.path), expected, "{}", path.display());
        }
    }

    #[test]
    fn nothing_outside_of_another_system_is_found() {
        let (_tree, top) = tree();
        let found = |path: &str| resolve(&top, Path::new(path), Trust::Root).map(|place| place.path);
        assert_eq!(found("/link/b").ok(), Some(top.join("a/b")));
        assert_eq!(found("/absolute").ok(), Some(top.join("a/b")));
        for path in ["/out", "/out/passwd", "/..", "/a/../../etc", "/a/up"] {
            let error = found(path).expect_err("it leads out").to_string();
            assert!(error.ends_with(&format!("leads out of {}", top.display())), "{path}: {error}");
        }
    }

    #[test]
    fn a_directory_that_was_exchanged_is_neither_used_nor_touched() {
        let (_tree, top) = tree();
        let path = top.join("a/b");
        let place = resolve(Path::new("/"), &path, Trust::Owner).expect("a directory");
        let open = |path: &Path| super::super::fs::open_dir(CWD, path, super::super::fs::Links::Follow);
        place.check(open(&path).expect("a directory")).expect("the same one");
        touch(&path, Some(&place)).expect("ours");

        std::fs::rename(&path, top.join("a/old")).expect("ours");
        std::fs::create_dir(&path).expect("a directory");
        let mtime = |path: &Path| std::fs::metadata(path).map(|meta| (meta.mtime(), meta.mtime_nsec())).ok();
        let before = mtime(&path);
        assert!(place.check(open(&path).expect("a directory")).is_err());
        assert!(touch(&path, Some(&place)).is_err());
        assert_eq!(mtime(&path), before);
        // The same directory, but by a link on the way.
        std::fs::rename(top.join("a"), top.join("moved")).expect("ours");
        std::fs::create_dir(top.join("a")).expect("a directory");
        symlink("../moved/old", &path).expect("a link");
        place.check(open(&path).expect("a directory")).expect("the same one");
        let before = mtime(&top.join("moved/old"));
        assert!(touch(&path, Some(&place)).is_err() && touch(&path, None).is_err());
        assert_eq!(mtime(&top.join("moved/old")), before);
        assert!(open_canonical(&path).is_err() && open_canonical(&top).is_ok());
    }
}
