//! Which files of a site directory exist, found out without leaving it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::text::unreadable;
use crate::metadata::file_list::{Entry, Presence};
use crate::site::Listing;

/// A site directory that is asked for files.
#[derive(Debug)]
pub struct Within<'s> {
    /// Where paths begin.
    pub site: BorrowedFd<'s>,
    /// What is in it.
    pub listing: &'s Listing,
}

impl Presence for Within<'_> {
    fn entry(&self, name: &str) -> Entry {
        match self.listing.kind(name.as_bytes()) {
            None => Entry::Absent,
            Some(FileType::Symlink | FileType::Unknown) => Entry::Unknown,
            Some(_) => Entry::Plain,
        }
    }

    fn exists(&self, path: &str) -> io::Result<Option<bool>> {
        // One call is enough where only the last part can be a link, and is none.
        if let Some((directory, file)) = path.split_once('/') {
            let plain = !file.contains('/') && file != "..";
            if plain && self.listing.kind(directory.as_bytes()) == Some(FileType::Directory) {
                match rustix::fs::statat(self.site, path, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                        return Ok(Some(true));
                    }
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Some(false)),
                    _ => {}
                }
            }
        }
        match self.find(path, ResolveFlags::BENEATH) {
            Ok(()) => Ok(Some(true)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Some(false)),
            Err(error) => unreadable(error).map(|_| None),
        }
    }

    fn has_links(&self, path: &str) -> io::Result<bool> {
        match self.find(path, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => unreadable(error).map(|_| true),
        }
    }
}

impl Within<'_> {
    fn find(&self, path: &str, resolve: ResolveFlags) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::openat2(self.site, path, flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and filters of system calls that don't know it, or refuse it.
            Err(Errno::NOSYS | Errno::PERM) => walk(self.site, path),
            found => found.map(drop),
        }
    }
}

/// Opens one part of a path after the other, with `LOOP` for the first that is a link, and `XDEV` for what
/// leads up: of these it can't be told where they lead.
fn walk(site: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    if path.starts_with('/') {
        return Err(Errno::XDEV);
    }
    let mut reached: Option<OwnedFd> = None;
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            return Err(Errno::XDEV);
        }
        let parent = reached.as_ref().map_or(site, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = rustix::fs::openat(parent, part, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        reached = Some(next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn old_kernels_find_what_newer_ones_find_unless_there_are_links() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir_all(at("a/b")).expect("room");
        std::fs::write(at("a/b/file"), "").expect("room");
        symlink("a", at("link")).expect("room");
        symlink("../../..", at("a/out")).expect("room");
        let site = std::fs::File::open(place.path()).expect("a directory");
        let newer = |path: &str| {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            rustix::fs::openat2(&site, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).map(drop)
        };
        let plain = ["a", "a/b", "a/b/file", "a//b/./file", "no", "a/no", "a/b/file/no", "no/no", "/etc"];
        for path in plain.into_iter().chain(["link", "link/b", "a/out", "a/out/etc", "a/no/out"]) {
            assert_eq!(walk(site.as_fd(), path), newer(path), "{path}");
        }
        assert_eq!(walk(site.as_fd(), "a/../a/b"), Err(Errno::XDEV));
    }
}
