//! When a recorded stamp proves that nothing has changed since.
//!
//! # What can go wrong
//! A stamp is taken, the index is made from what was there, and later somebody finds the same stamp
//! again and believes the index. That is wrong in two cases.
//!
//! *The clock did not move.* File systems stamp with a clock that ticks every few milliseconds (1 s on
//! ext3, 2 s on FAT), so a change right after the stamp was taken can leave an equal one. [`settle`]
//! waits until the clock of the file system has passed every recorded ctime; then no later change
//! can repeat it. mtimes do not matter here: anybody can set them, but not without moving the ctime.
//!
//! *An installer is at work.* `X.dist-info` is created first and filled later, and only the creation
//! moves the site directory's stamp. So a distribution that is younger than [`settle::INSTALLING`] is
//! recorded as unsettled, and a reader looks at its own stamps as well. After a package manager's
//! trigger this is not needed: it runs when everything is in place.
//!
//! In a copy of the tree no stamp is as it was. What proves an index there is [`seal`]'s.

pub mod seal;
pub mod settle;
mod stamp;

pub use stamp::Stamp;
