//! Giving up privileges. The only modules with `unsafe` code.
//!
//! Everything that touches an index or the metadata of strangers is done by a process that can't
//! regain any privilege: [`child::run`] forks one, which becomes who it is told to be ([`mod@drop`]) before
//! it does anything else. The process that stays behind, root, only waits for the answer. Should
//! the answer be that an index could neither be brought up to date nor be removed, it moves the site
//! directory's times ([`crate::store::invalidate`]), so that every reader sees that the index is stale; it
//! opens nothing.
//!
//! What is left to the child is confined further ([`sandbox`]) at the end of [`drop::to`], after the
//! verification and before the job.

pub mod child;
pub mod drop;
pub mod inherited;
pub mod sandbox;

use crate::sys::root::User;

/// As whom something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunAs {
    /// As whoever runs this, who has nothing to give up.
    Caller,
    /// As this user, without any capability. The user may be root: then nothing but ownership is left.
    User(User),
}
