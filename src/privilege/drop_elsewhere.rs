//! Where privileges can't be dropped for good: on systems other than Linux.

use std::io::{Error, ErrorKind};

use super::sandbox::{Confined, Confinement};
use super::step;
use crate::error::Result;
use crate::sys::account::User;

/// Fails: the job must not begin.
pub fn to(_: User, _: &Confinement) -> Result<Confined> {
    let why = "root can do this on Linux only; run epcache as the owner of the environment";
    step("dropping them", Err(Error::new(ErrorKind::Unsupported, why)))
}

/// Does nothing. A program with a set-user-ID bit gains the privileges that it has when the caller runs it.
pub fn no_new_privileges() -> Result<()> {
    Ok(())
}
