//! The table of system calls in the documentation is the list of the filter.

use std::collections::BTreeSet;

use super::file;

/// Words in the table that are no calls.
const OTHERS: [&str; 7] = ["TCGETS", "TCGETS2", "TIOCGWINSZ", "FIONBIO", "FIOCLEX", "PR_GET_AUXV", "abort"];

#[test]
fn the_documented_system_calls_are_those_of_the_filter() {
    let source = file("src/privilege/sandbox/seccomp/allowed.rs");
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    let allowed: BTreeSet<String> =
        source.split("libc::SYS_").skip(1).filter_map(name).chain(["openat2".to_owned()]).collect();
    assert!(allowed.len() > 60, "{allowed:?}");
    let page = file("docs/reference/privileges.md");
    let (_, table) = page.split_once("| allowed | calls | only if |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).map(str::to_owned);
    let documented: BTreeSet<String> = words.filter(|word| !OTHERS.contains(&word.as_str())).collect();
    assert_eq!(documented, allowed, "left: in the documentation, right: in the source");
}
