//! An index of the metadata of installed Python distributions. Not a public API.
//!
//! What `ldconfig` is to shared libraries, this is to entry points: package managers run it after they
//! have changed a site directory, it reads what is new, and Python programs find their plugins in one
//! small file that is provably right.
//!
//! The way of the data: [`command`] parses what is wanted and selects site directories, [`site`] finds and
//! opens them, [`store`] says where the index of each is and who writes it, [`privilege`] becomes that user,
//! [`refresh`] compares the old [`index`] with the disk and reads each distribution ([`metadata`]) whose
//! stamps ([`freshness`]) have changed.
//!
//! Imports point down only: `encoding, error, freshness <- metadata <- index <- site <- store <- refresh <-
//! command`, and `sys <- privilege, site`.

pub mod command;
pub mod config;
mod encoding;
pub mod error;
pub mod freshness;
pub mod index;
pub mod interpreter_hook;
pub mod metadata;
pub mod package_manager;
pub mod privilege;
pub mod refresh;
pub mod site;

pub mod store;
pub mod sys;
