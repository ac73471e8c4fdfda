//! The group of a process never comes from a file: its owner need not be in that group.

use super::sources;

#[test]
fn no_source_takes_the_group_of_a_file() {
    let mut found = 0;
    for (path, source) in sources("src") {
        // To compare two groups is not to take one.
        let source = source.replace("file.st_gid == directory.st_gid", "");
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        assert!(!code.contains("st_gid") && !code.contains(".gid()"), "{path}: the group of a file");
        found += usize::from(code.contains("user.gid"));
    }
    assert!(found > 0, "the search finds no group at all");
}
