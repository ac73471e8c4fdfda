//! Walking a path part by part, from a descriptor of the root of the system that it belongs to.
//!
//! Each part is opened from the directory before it, without access and not through a link (`O_PATH`,
//! `O_NOFOLLOW`): nothing is read, and what was examined can't be exchanged. The text of a link is walked in
//! the same way. An absolute link begins again at the root, and `..` ends there, as that system itself sees it.
//!
//! `openat2` can do the same, but kernels before 5.6 lack it, some containers refuse it, and our own filter
//! refuses it to a job of root's. It also does not give the path without links, which decides where an index is.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::fs::{self, Links};
use crate::error::Error;

/// The most links that are followed, as by the kernel.
const MAX_LINKS: usize = 40;

/// The most descriptors that are opened for one path, which `..` in links can multiply.
const MAX_OPENED: usize = 10_000;

/// Something on the way.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Absolute and without links, as the running system sees it.
    pub path: PathBuf,
    pub stat: Stat,
}

impl Step {
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub fn identity(&self) -> (u64, u64) {
        identity(&self.stat)
    }
}

/// The device and the inode.
#[allow(clippy::unnecessary_cast)] // Their types differ between architectures.
pub(super) fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// A walk. It holds few descriptors, since a caller may have left us few; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    /// What has been passed, from the root to the present place, which is the last.
    pub(super) steps: Vec<Step>,
    /// The links that were followed and the directories that were left by `..` or by a link.
    pub(super) left: Vec<Step>,
    top: Arc<OwnedFd>,
    /// The present place and the directory above it. `None` for the root.
    here: Option<Arc<OwnedFd>>,
    above: Option<Arc<OwnedFd>>,
    links: usize,
    opened: usize,
    /// The last link that was followed, and what it says.
    link: Option<(PathBuf, PathBuf)>,
    /// What is being looked up.
    at: PathBuf,
}

impl Walk {
    /// The beginning of a walk in the system below `root`, which is open as `top`.
    pub(super) fn begin(root: &Path, top: Arc<OwnedFd>) -> Result<Self, Lost> {
        let stat = rustix::fs::fstat(&top).map_err(|error| Lost::root(error, root))?;
        Ok(Self {
            steps: vec![Step { path: root.to_owned(), stat }],
            left: Vec::new(),
            top,
            here: None,
            above: None,
            links: 0,
            opened: 0,
            link: None,
            at: PathBuf::new(),
        })
    }

    /// Walks on from here to the end of `path`. `links` is about the last part; others are followed.
    pub fn to(mut self, path: &Path, links: Links) -> Result<Self, Lost> {
        match self.follow(path, links) {
            Ok(()) => Ok(self),
            Err(error) => {
                let root = self.steps.swap_remove(0).path;
                Err(Lost { error, at: self.at, link: self.link, root })
            }
        }
    }

    /// The walk to a file of this name in the present directory, which the caller has opened already. The result has no
    /// descriptor for that file, so it is for [`resolve::end`](super::resolve::end) and [`Self::changed`] alone.
    pub fn at_open(mut self, name: &OsStr, stat: &Stat) -> Self {
        let path = self.end().path.join(name);
        self.steps.push(Step { path, stat: *stat });
        self
    }

    fn follow(&mut self, path: &Path, links: Links) -> Result<(), Errno> {
        let mut parts = VecDeque::new();
        put_first(&mut parts, path);
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                self.leave()?;
                continue;
            }
            let (step, descriptor) = self.look_up(&part)?;
            if step.kind() != FileType::Symlink || links == Links::Refuse && parts.is_empty() {
                self.enter(step, descriptor);
                continue;
            }
            let target = self.read_link(&step, &descriptor)?;
            if target.is_absolute() {
                self.left.extend(self.steps.drain(1..));
                (self.here, self.above) = (None, None);
            }
            put_first(&mut parts, &target);
            self.left.push(step);
        }
        Ok(())
    }

    /// Where the walk has come to.
    pub(super) fn end(&self) -> &Step {
        &self.steps[self.steps.len() - 1]
    }

    /// The descriptor of the end, for nothing but looking it up.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.here.as_ref().unwrap_or(&self.top).as_fd()
    }

    /// When the present place changed (ctime), in seconds since 1970.
    pub fn changed(&self) -> u64 {
        u64::try_from(self.end().stat.st_ctime).unwrap_or(0)
    }

    /// The directory in which the end is, and its name there.
    pub fn into_entry(self) -> (Arc<OwnedFd>, PathBuf) {
        let name = match &self.steps[..] {
            [_, .., end] => end.path.file_name().unwrap_or_default().into(),
            _ => ".".into(),
        };
        (self.above.unwrap_or(self.top), name)
    }

    fn look_up(&mut self, name: &OsStr) -> Result<(Step, OwnedFd), Errno> {
        self.at = self.end().path.join(name);
        self.opened += 1;
        if self.opened > MAX_OPENED {
            return Err(Errno::LOOP);
        }
        // First as a directory: otherwise one that is mounted on demand would not be.
        let opened = fs::reach_dir(self.descriptor(), name, Links::Refuse).or_else(|error| match error {
            Errno::NOTDIR | Errno::LOOP => fs::reach(self.descriptor(), name, Links::Refuse),
            error => Err(error),
        });
        let descriptor = opened?;
        let stat = rustix::fs::fstat(&descriptor)?;
        Ok((Step { path: self.at.clone(), stat }, descriptor))
    }

    fn enter(&mut self, step: Step, descriptor: OwnedFd) {
        self.steps.push(step);
        self.above = self.here.replace(Arc::new(descriptor));
    }

    /// Goes to the directory above, by its path from the root. The kernel's `..` could lead out of a tree, if
    /// the directory has been moved meanwhile.
    fn leave(&mut self) -> Result<(), Errno> {
        if self.end().kind() != FileType::Directory {
            self.at = self.end().path.clone();
            return Err(Errno::NOTDIR);
        }
        if self.steps.len() > 1 {
            self.left.extend(self.steps.pop());
        }
        let passed: Vec<Step> = self.steps.drain(1..).collect();
        (self.here, self.above) = (None, None);
        for before in passed {
            let (step, descriptor) = self.look_up(before.path.file_name().unwrap_or_default())?;
            if step.identity() != before.identity() {
                return Err(Errno::STALE);
            }
            self.enter(step, descriptor);
        }
        Ok(())
    }

    /// The text of a link.
    fn read_link(&mut self, link: &Step, descriptor: &OwnedFd) -> Result<PathBuf, Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let name = link.path.file_name().unwrap_or_default();
        let text = fs::read_link(self.descriptor(), name, descriptor.as_fd())?;
        let target = PathBuf::from(OsString::from_vec(text.into_bytes()));
        self.link = Some((link.path.clone(), target.clone()));
        Ok(target)
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

/// Why a path leads to nothing.
#[derive(Debug)]
pub(crate) struct Lost {
    pub error: Errno,
    at: PathBuf,
    /// The last link that was followed, and what it says.
    link: Option<(PathBuf, PathBuf)>,
    root: PathBuf,
}

impl Lost {
    /// Why the root itself could not be opened.
    pub(super) fn root(error: Errno, root: &Path) -> Self {
        Self { error, at: root.to_owned(), link: None, root: root.to_owned() }
    }

    /// Whether there is simply nothing, and no link on the way.
    pub fn is_missing(&self) -> bool {
        self.link.is_none() && matches!(self.error, Errno::NOENT | Errno::NOTDIR)
    }

    /// In a tree, the link that may be meant for the running system.
    fn misleading(&self) -> Option<&(PathBuf, PathBuf)> {
        let is_missing = matches!(self.error, Errno::NOENT | Errno::NOTDIR);
        self.link.as_ref().filter(|_| is_missing && self.root != Path::new("/"))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.misleading(), self.error) {
            (Some((link, target)), _) => {
                let (link, target, root) = (link.display(), target.display(), self.root.display());
                write!(f, "{link} is a link to {target}, which does not exist below {root}")
            }
            (None, Errno::NOENT) => f.write_str("does not exist"),
            (None, error) => io::Error::from(error).fmt(f),
        }
    }
}

impl From<Lost> for Errno {
    fn from(lost: Lost) -> Self {
        lost.error
    }
}

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> Self {
        Self::new(Self::from(lost.error).kind(), lost.to_string())
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        match lost.misleading() {
            None if lost.error != Errno::NOENT => Self::io("can't find", &lost.at, lost.error),
            _ => Self::site(&lost.at, lost.to_string()),
        }
    }
}
