//! Resolving a path that was named or found, so that no untrusted user decides where it leads.
//!
//! The path is walked part by part (`sys::walk`). The owner of a link or a directory on the way decides where the
//! path leads. [`Trust`] says who may.
//!
//! * The owner of `/` counts as root. In a user namespace, root's directories may appear as those of uid 65534,
//!   and the owner of `/` can exchange everything anyway. The same holds for the root of another system.
//! * A directory that everybody may write to is refused, unless it is sticky: there, nobody can exchange what
//!   belongs to another user.
//! * A directory that its group may write to is accepted. What a member puts there belongs to the member, so it
//!   is refused if it is a link or a directory; and the owner has chosen the group. Debian's `/usr/local` is
//!   such a directory, of root's and the group `staff`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RawMode, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::caller;
use super::fs::is_writable_by_others;
use super::walk::{Step, Walk, identity};
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};

const STICKY: RawMode = 0o1000;
const EXCHANGED: &str = "was replaced after it was found";

/// Who may own the links and directories on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Root, the caller, and the owner of what the path leads to.
    Owner,
    /// Root alone, who must own what the path leads to as well.
    Root,
    /// Root and this user, who must own what the path leads to as well. Nobody else may write to any of it, not
    /// even a group.
    Only(u32),
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Absolute and without links.
    pub path: PathBuf,
    pub owner: u32,
    pub is_directory: bool,
    /// Its kind and its permissions.
    pub mode: RawMode,
    /// Whether it and everything on the way belongs to root. Nobody else may write to it, and nobody else can
    /// exchange anything on the way.
    pub is_roots: bool,
    identity: (u64, u64),
}

impl Place {
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// Fails unless an open descriptor leads to this same directory.
    pub fn check(&self, directory: impl AsFd) -> Result<()> {
        match rustix::fs::fstat(directory) {
            Ok(stat) if identity(&stat) == self.identity => Ok(()),
            Ok(_) => Err(Error::site(&self.path, EXCHANGED)),
            Err(error) => Err(Error::io("can't examine", &self.path, error)),
        }
    }
}

/// Gives the directory at the end of a walk the present mtime, and leaves its atime. It is not opened.
///
/// Fails where there was a link on the way, or not the `expected` directory at its end.
pub(super) fn touch(walk: Walk, path: &Path, expected: Option<&Place>) -> Result<()> {
    expect_canonical(&walk, path)?;
    expected.map_or(Ok(()), |place| place.check(walk.descriptor()))?;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    let (parent, name) = walk.into_entry();
    rustix::fs::utimensat(&parent, &name, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| Error::io("can't make its index stale", path, error))
}

/// Fails unless the walk has come to a directory without a link on the way.
pub(super) fn expect_canonical(walk: &Walk, path: &Path) -> Result<()> {
    match walk.left.is_empty() && walk.end().kind() == FileType::Directory {
        true => Ok(()),
        false => Err(Error::site(path, EXCHANGED)),
    }
}

impl Step {
    fn is_sticky(&self) -> bool {
        self.stat.st_mode & STICKY != 0
    }

    fn is_open_to_everybody(&self) -> bool {
        self.kind() != FileType::Symlink && self.stat.st_mode & 0o002 != 0 && !self.is_sticky()
    }

    fn is_open_to_others(&self) -> bool {
        self.kind() != FileType::Symlink && is_writable_by_others(&self.stat)
    }

    /// Whether somebody who does not own it decides what it is or, for a directory, can exchange what is in it.
    fn is_changed_by_others(&self) -> bool {
        let is_shared = self.kind() == FileType::Directory && self.is_sticky();
        self.is_open_to_others() && !is_shared
    }
}

/// Where a walk has ended, if only trusted users decided that. Otherwise fails with [`Error::Unusable`].
pub(crate) fn end(walk: &Walk, trust: Trust) -> Result<Place> {
    let end = walk.end();
    let root = walk.steps[0].stat.st_uid;
    let is_root = |step: &Step| step.stat.st_uid == 0 || step.stat.st_uid == root;
    let is_trusted = |step: &&Step| {
        let owner = step.stat.st_uid;
        is_root(step)
            || match trust {
                Trust::Owner => owner == end.stat.st_uid || owner == caller::uid(),
                Trust::Root => false,
                Trust::Only(user) => owner == user,
            }
    };
    let is_open = |step: &Step| match trust {
        Trust::Only(_) => step.is_changed_by_others(),
        Trust::Owner | Trust::Root => step.is_open_to_everybody(),
    };
    let is_safe = |step: &&Step| is_trusted(step) && !is_open(step);
    let above = &walk.steps[..walk.steps.len() - 1];
    let way = if trust == Trust::Owner { above } else { &walk.steps[..] };
    if let Some(step) = way.iter().find(|step| !is_safe(step)) {
        return Err(refused_directory(step, end, is_trusted(&step)));
    }
    if let Some(step) = walk.left.iter().rev().find(|step| !is_safe(step)) {
        return Err(refused_detour(step, end));
    }
    let is_kept = |step: &Step| is_root(step) && (step.is_sticky() || !step.is_open_to_others());
    Ok(Place {
        path: end.path.clone(),
        owner: end.stat.st_uid,
        is_directory: end.kind() == FileType::Directory,
        mode: end.stat.st_mode,
        is_roots: above.iter().chain(&walk.left).all(is_kept) && is_root(end) && !end.is_open_to_others(),
        identity: end.identity(),
    })
}

/// An error for a directory above the end, or the end itself.
fn refused_directory(step: &Step, end: &Step, is_trusted: bool) -> Error {
    let (why, hint) = if !is_trusted {
        (
            format!("belongs to the untrusted uid {}", step.stat.st_uid),
            format!("move {} to a directory of root or of its own owner", shell_quoted(&end.path)),
        )
    } else if step.stat.st_mode & 0o002 != 0 {
        ("every user may write to it".to_owned(), format!("chmod o-w {}", shell_quoted(&step.path)))
    } else {
        ("its group may write to it".to_owned(), format!("chmod g-w {}", shell_quoted(&step.path)))
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

    use super::super::fs::{CWD, Links, open_dir};
    use super::super::root::System;
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
            let found = System::default().resolve(&path, Trust::Owner).ok();
            assert_eq!(found.map(|place| place.path), expected, "{}", path.display());
        }
    }

    #[test]
    fn a_directory_that_was_exchanged_is_neither_used_nor_touched() {
        let (_tree, top) = tree();
        let path = top.join("a/b");
        let place = System::default().resolve(&path, Trust::Owner).expect("a directory");
        let system = System::default();
        let open = |path: &Path| open_dir(CWD, path, Links::Follow);
        place.check(open(&path).expect("a directory")).expect("the same one");
        system.touch(&path, Some(&place)).expect("ours");

        std::fs::rename(&path, top.join("a/old")).expect("ours");
        std::fs::create_dir(&path).expect("a directory");
        let mtime = |path: &Path| std::fs::metadata(path).map(|meta| (meta.mtime(), meta.mtime_nsec())).ok();
        let before = mtime(&path);
        assert!(place.check(open(&path).expect("a directory")).is_err());
        assert!(system.touch(&path, Some(&place)).is_err());
        assert_eq!(mtime(&path), before);
        // The same directory, but by a link on the way.
        std::fs::rename(top.join("a"), top.join("moved")).expect("ours");
        std::fs::create_dir(top.join("a")).expect("a directory");
        symlink("../moved/old", &path).expect("a link");
        place.check(open(&path).expect("a directory")).expect("the same one");
        let before = mtime(&top.join("moved/old"));
        assert!(system.touch(&path, Some(&place)).is_err() && system.touch(&path, None).is_err());
        assert_eq!(mtime(&top.join("moved/old")), before);
        assert!(system.open_canonical(&path).is_err() && system.open_canonical(&top).is_ok());
    }
}
