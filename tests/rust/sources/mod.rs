//! The sources themselves: where there is unsafe code, how much, and why; and whose code is linked.

mod locked;
mod unsafe_code;

use std::path::Path;

/// A file of the checkout.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
