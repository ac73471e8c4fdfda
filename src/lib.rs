//! An index of the metadata of installed Python distributions. Not a public API.
//!
//! It does for entry points what `ldconfig` does for shared libraries. Package managers run it after they have
//! changed a site directory, and it reads what is new. Python programs then find their plugins in one small file
//! that is provably right.
//!
//! The data flow: [`command`] parses the arguments and selects site directories, [`site`] finds and opens
//! them, [`store`] decides where the index of each is and who writes it, [`privilege`] becomes that user,
//! [`refresh`] compares the old [`index`] with the disk and reads each distribution ([`metadata`]) whose
//! stamps ([`freshness`]) have changed. Beside it, [`package_manager`] says which distributions a package
//! manager has just changed, and [`interpreter_hook`] lets interpreters use the index from their start.
//!
//! Imports point down only, from the last of these layers to the first:
//!
//! 1. `checksum`, `encoding`, [`error`], [`freshness`], [`limits`], [`settings`]: checksums and hashes, text, errors,
//!    when an equal stamp proves that nothing changed, how much is read and written, and files of settings;
//! 2. [`sys`]: all access to files, signals and the log;
//! 3. [`metadata`]: the model of a distribution and its parsers, which open nothing;
//! 4. [`index`]: the format, as bytes;
//! 5. [`change`], [`config`], [`privilege`]: what changed between two indexes; the administrator's settings; giving
//!    up privileges and the sandbox;
//! 6. [`site`]: one open site directory;
//! 7. [`store`]: index files on disk;
//! 8. [`package_manager`], [`refresh`], [`interpreter_hook`], [`hook`]: what makes indexes, what lets interpreters
//!    use them, and what is registered to run after a change;
//! 9. [`command`]: all that a person types.

// Some code is used on Linux only.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

pub mod change;
mod checksum;
pub mod command;
pub mod config;
mod encoding;
pub mod error;
pub mod freshness;
pub mod hook;
pub mod index;
pub mod interpreter_hook;
pub mod limits;
pub mod metadata;
pub mod package_manager;
pub mod privilege;
pub mod refresh;
pub mod settings;
pub mod site;
pub mod store;
pub mod sys;
