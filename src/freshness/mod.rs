//! Stamps, and when an equal stamp proves that nothing has changed.
//!
//! # Words
//! * *Stamp*: what `stat` reports of one file or directory: mtime, ctime, inode, size ([`Stamp`]).
//! * *Racy*: a stamp that a later change can leave again, because the clock of the file system has not
//!   moved on. The term is git's ("racy git problem"). [`clock`] waits until a stamp is not racy.
//! * *Settled*: a distribution is settled if its installer has finished. An index is settled if no stamp in it
//!   is racy and all distributions are settled. A reader then needs one `stat` of the site directory.
//! * *Final*: a distribution whose own `RECORD` shows by hashes that its metadata is what the installer writes.
//! * *Sealed*: a sealed index also records what survives a copy of the tree, such as an image.
//! * *Content*: what a file has to have, where no stamp proves it, for the index to be right about it
//!   (`metadata::Contents`).
//! * *Fresh*: a fresh index describes what is on disk now, proven by stamps or by the seal.
//! * *Stale*: the opposite; readers check each distribution by itself.
//!
//! # What can go wrong
//! A stamp is taken, the index is made from what was there, and later a reader finds the same stamp and
//! trusts the index. That can be wrong in two ways.
//!
//! *The clock did not move.* File systems stamp with a clock that ticks every few milliseconds (1 s on
//! ext3, 2 s on FAT). A change right after the stamp was taken can leave an equal one. [`clock`] waits
//! until the clock of the file system has passed every recorded ctime; then no later change can repeat
//! it. mtimes do not matter here: any program can set them, but not without a change of the ctime.
//!
//! *An installer is at work.* `X.dist-info` is created first and filled later, and only the creation
//! changes the site directory's stamp. So a distribution that is younger than [`clock::SETTLE_AFTER`] is
//! recorded as unsettled, and a reader checks its own stamps as well. One that is final is settled at once. A
//! package manager's trigger runs when everything is in place, so it need not wait.
//!
//! In a copy of the tree all stamps differ. `refresh::seal` has the proof for that.

pub mod clock;
mod stamp;

pub use stamp::Stamp;

/// Stamps count nanoseconds.
pub(crate) const SECOND: i64 = 1_000_000_000;
