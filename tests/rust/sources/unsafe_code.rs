//! Unsafe code is only in `src/privilege` and `src/sys/signal.rs`, each piece says why it is sound, and SECURITY.md counts it.

use std::collections::BTreeMap;

use super::{file, sources};

const PLACES: [&str; 2] = ["src/privilege/", "src/sys/signal.rs"];

fn is_allowed_in(path: &str) -> bool {
    PLACES.iter().any(|place| path.starts_with(place))
}

/// A use of the word as code.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    line: usize,
    is_justified: bool,
}

/// All uses in a file. Comments do not count; a string with the word does, and would have to be changed.
fn uses(source: &str) -> Vec<Use> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let word = |word: &&str| *word == "unsafe";
        let count = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(word).count();
        let above = lines[..number].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
        let is_justified = above.into_iter().any(|line| line.trim_start().starts_with("// SAFETY: "));
        found.extend((0..count).map(|_| Use { line: number + 1, is_justified }));
    }
    found
}

#[test]
fn unsafe_code_is_only_where_privileges_are_given_up_and_says_why_it_is_sound() {
    let sources = sources("src");
    assert!(sources.len() > 40, "{:?}", sources.keys());
    for (path, source) in &sources {
        for found in uses(source) {
            assert!(is_allowed_in(path), "{path}:{}: unsafe outside of {PLACES:?}", found.line);
            assert!(found.is_justified, "{path}:{}: no `// SAFETY: ` above it", found.line);
        }
        let is_allowed =
            ["allow", "warn", "expect"].iter().any(|level| source.contains(&format!("{level}(unsafe_code")));
        assert!(!is_allowed || is_allowed_in(path), "{path}: allows unsafe code");
    }
}

#[test]
fn the_count_in_the_security_policy_is_right() {
    let counted: BTreeMap<String, usize> = sources("src")
        .into_iter()
        .map(|(path, source)| (path, uses(&source).len()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let policy = file("SECURITY.md");
    let stated: BTreeMap<String, usize> = policy
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let path = cells.next()?.trim().strip_suffix('`')?;
            Some((path.to_owned(), cells.next()?.trim().parse().ok()?))
        })
        .collect();
    assert!(!stated.is_empty());
    assert_eq!(stated, counted, "left: stated in SECURITY.md, right: counted in the sources");
}

#[test]
fn unsafe_code_and_its_reason_are_recognized() {
    let source = "\
// unsafe in a comment
fn f() { unsafe { g() } }
    // SAFETY: a reason
    // on two lines.
    unsafe { g() };
#[unsafe(no_mangle)]
let unsafe_name = 1; // unsafe
// a comment

unsafe fn h() {}";
    let lines: Vec<_> = uses(source).iter().map(|found| (found.line, found.is_justified)).collect();
    assert_eq!(lines, [(2, false), (5, true), (6, false), (10, false)]);
}
