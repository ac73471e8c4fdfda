//! Files are opened in `sys::fs` alone, so that a security review has one place to read.

use super::sources;

/// Functions that open a file without `sys::fs`.
const WAYS: [&str; 6] =
    ["OFlags", "OpenOptions", "File::open", "File::create", "std::fs::write", "std::fs::read"];

#[test]
fn nothing_but_sys_fs_and_the_sandbox_opens_files() {
    let mut found = 0;
    for (path, source) in sources("src") {
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        // To list a directory reads no file.
        let code = code.replace("std::fs::read_dir", "");
        let ways: Vec<_> = WAYS.into_iter().filter(|way| code.contains(way)).collect();
        if path == "src/sys/fs.rs" || path.starts_with("src/privilege/sandbox") {
            found += ways.len();
        } else {
            assert!(ways.is_empty(), "{path}: {ways:?}");
        }
    }
    assert!(found > 0, "the search finds nothing where files are opened");
}
