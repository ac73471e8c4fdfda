//! Index files on disk: where they are ([`location`]), who writes which ([`target`]), opening and replacing one
//! ([`index_dir`]), removing those that are not updated any more ([`prune`]), making one stale ([`invalidate`]).

pub mod index_dir;
pub(crate) mod invalidate;
pub mod location;
pub(crate) mod prune;
pub mod target;
