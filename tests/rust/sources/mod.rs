//! The sources: directions of imports, unsafe code, where files are opened, and the linked packages.

mod allowed_calls;
mod groups;
mod layers;
mod locked;
mod opened_files;
mod unsafe_code;

use std::collections::BTreeMap;
use std::path::Path;

/// A file of the checkout.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a directory of the checkout, with its path from there.
fn sources(directory: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join(directory)).expect("listed").flatten() {
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.append(&mut sources(&path));
        } else if path.ends_with(".rs") {
            found.insert(path.clone(), file(&path));
        }
    }
    found
}
