//! Replaces Landlock where this program is built without it.

use super::{Needs, Part, State};

/// Does nothing, and reports that.
///
/// # Errors
/// Never.
pub fn enter(_: &Needs) -> std::io::Result<Part> {
    Ok(Part::new(State::Omitted, "this program was built without it"))
}
