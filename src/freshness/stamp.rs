//! Stamps: what `stat` says of a file, by which a change is recognised.

use std::fmt;

/// mtime, ctime, inode and size of one file or directory.
///
/// Compared for equality, never for order: rpm sets mtimes back, images truncate them. The device
/// number is left out, since it is not stable on NFS and differs per mount on overlayfs. ctime and
/// inode are what tells a package rebuilt with clamped mtimes and the same size from its predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Modification time in ns since the epoch.
    pub mtime: i64,
    /// Change time in ns since the epoch; only the kernel sets it.
    pub ctime: i64,
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Stamp {
    /// Takes the stamp out of what the kernel answered.
    #[must_use]
    #[allow(clippy::cast_possible_wrap, clippy::unnecessary_cast, clippy::cast_sign_loss)]
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        // The fields' types differ between architectures and versions of rustix.
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Self {
            mtime: ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
        }
    }

    /// Reads four numbers separated by `separator`, as the index spells a stamp.
    #[must_use]
    pub fn parse(text: &str, separator: char) -> Option<Self> {
        let mut fields = text.split(separator);
        let stamp = Self {
            mtime: fields.next()?.parse().ok()?,
            ctime: fields.next()?.parse().ok()?,
            inode: fields.next()?.parse().ok()?,
            size: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(stamp)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.mtime, self.ctime, self.inode, self.size)
    }
}
