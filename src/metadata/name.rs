//! Names of distributions: which directory entries count, and which of them have the same name.

use std::collections::HashMap;

use crate::encoding::escape;

/// Whether a directory entry of this name is a distribution for `importlib.metadata`: it goes by the suffix
/// alone, ignoring case.
pub fn is_distribution(file_name: &[u8]) -> bool {
    has_suffix(file_name, b".dist-info") || has_suffix(file_name, b".egg-info")
}

/// The metadata file that belongs in a directory of this name.
pub(crate) fn metadata_file(file_name: &[u8]) -> &'static str {
    if has_suffix(file_name, b".egg-info") { "PKG-INFO" } else { "METADATA" }
}

fn has_suffix(file_name: &[u8], suffix: &[u8]) -> bool {
    file_name.len() >= suffix.len()
        && file_name[file_name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

/// Whether an interrupted pip left this behind: it renames a distribution before it removes it.
pub(crate) fn is_pip_leftover(file_name: &[u8]) -> bool {
    file_name.starts_with(b"~")
}

/// The normalized form of a name by PEP 503, which people use.
pub(crate) fn standard(name: &str) -> String {
    normalize(name).replace('_', "-")
}

/// `importlib.metadata`'s normalized form of an ASCII name: PEP 503's, with `_` in place of `-`.
pub fn normalize(name: &str) -> String {
    let mut normalized = String::with_capacity(name.len());
    let mut in_run = false;
    for c in name.chars() {
        let separator = matches!(c, '-' | '_' | '.');
        if !separator {
            normalized.push(c.to_ascii_lowercase());
        } else if !in_run {
            normalized.push('_');
        }
        in_run = separator;
    }
    normalized
}

/// The part of a directory name that is the distribution's name for `importlib.metadata`; `None` where it
/// uses the metadata instead (`PathDistribution._name_from_stem`).
fn stem(file_name: &str) -> Option<&str> {
    let base = file_name.strip_suffix(".dist-info").or_else(|| file_name.strip_suffix(".egg-info"))?;
    // For os.path.splitext, leading dots do not begin an extension.
    if base.bytes().all(|b| b == b'.') {
        return None;
    }
    base.split('-').next().filter(|stem| !stem.is_empty())
}

/// Whether the directory name gives the name of the distribution.
pub(crate) fn has_stem(file_name: &[u8]) -> bool {
    stem(&lossless(file_name)).is_some()
}

/// The normalized name by which `entry_points()` recognises duplicates.
///
/// `None` where only the reader can find it out: the name is not ASCII (the Unicode tables of its Python
/// decide), holds a control character (which a line of an index can't hold), or is missing.
pub fn key(file_name: &[u8], metadata_name: Option<&str>) -> Option<String> {
    let file_name = std::str::from_utf8(file_name).ok()?;
    let name = stem(file_name).or(metadata_name)?;
    let usual = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (usual && !name.is_empty()).then(|| normalize(name))
}

/// Like [`key`], also for names that are not ASCII: Rust's Unicode tables stand in for Python's.
pub fn key_of_any(file_name: &[u8], metadata_name: Option<&str>) -> Option<String> {
    let file_name = lossless(file_name);
    Some(normalize(&stem(&file_name).or(metadata_name)?.to_lowercase()))
}

/// A name as text. Bytes that are not UTF-8 are escaped, so that different names stay different.
fn lossless(file_name: &[u8]) -> String {
    let mut text = String::with_capacity(file_name.len());
    escape(&mut text, file_name);
    text
}

/// Sorts a listing into the order of `importlib.metadata`, which groups distributions of one name at the
/// position of the first (`Lookup.infos`).
///
/// That name is always the directory's. Where it equals the [`key`], the order of the group makes no
/// difference, since only its first member counts. So nothing is sorted unless a name may differ.
pub(crate) fn arrange(listing: &mut [Box<[u8]>]) {
    let usual = |file_name: &[u8]| std::str::from_utf8(file_name).is_ok_and(|name| stem(name).is_some());
    if listing.iter().all(|file_name| usual(file_name)) {
        return;
    }
    let lookup_name = |file_name: &[u8]| {
        let name = lossless(file_name).to_lowercase();
        let base = name.rsplit_once('.').map_or("", |(base, _)| base);
        normalize(base.split('-').next().unwrap_or_default())
    };
    let mut first = HashMap::new();
    for (position, file_name) in listing.iter().enumerate() {
        first.entry(lookup_name(file_name)).or_insert(position);
    }
    listing.sort_by_cached_key(|file_name| first.get(&lookup_name(file_name)).copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_with_one_lookup_name_are_listed_together() {
        let arranged = |names: &[&str]| {
            let mut listing: Vec<Box<[u8]>> = names.iter().map(|name| name.as_bytes().into()).collect();
            arrange(&mut listing);
            listing.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            arranged(&["foo-1.dist-info", "bar-1.dist-info", "Foo-2.DIST-INFO", ".egg-info", "-1.dist-info"]),
            ["foo-1.dist-info", "Foo-2.DIST-INFO", "bar-1.dist-info", ".egg-info", "-1.dist-info"]
        );
        let usual = ["foo-1.dist-info", "bar-1.dist-info", "foo-2.dist-info"];
        assert_eq!(arranged(&usual), usual);
    }

    #[test]
    fn the_key_comes_from_the_directory_name_or_else_from_the_metadata() {
        for (file_name, metadata_name, expected) in [
            ("foo-1.dist-info", Some("bar"), Some("foo")),
            ("Foo..Bar_-1.dist-info", None, Some("foo_bar_")),
            ("foo-bar-1.egg-info", None, Some("foo")),
            ("~oo-1.dist-info", Some("foo"), Some("~oo")),
            (".dist-info", Some("Foo-Bar"), Some("foo_bar")),
            ("-1.dist-info", Some("foo"), Some("foo")),
            ("Foo-1.DIST-INFO", Some("bar"), Some("bar")),
            (".egg-info", None, None),
            ("fö-1.dist-info", Some("foo"), None),
            ("f\no-1.dist-info", Some("foo"), None),
            ("f\to-1.dist-info", Some("foo"), None),
            ("f o-1.dist-info", Some("foo"), Some("f o")),
        ] {
            assert_eq!(key(file_name.as_bytes(), metadata_name).as_deref(), expected, "{file_name}");
        }
    }

    #[test]
    fn names_that_differ_only_in_non_utf_8_bytes_are_different() {
        assert_eq!(
            key_of_any("FÖ-1.dist-info".as_bytes(), None),
            key_of_any("fö-2.dist-info".as_bytes(), None)
        );
        assert_eq!(key_of_any(b"F\xff-1.dist-info", None), key_of_any(b"f\xff-2.dist-info", None));
        assert_ne!(key_of_any(b"f\xff-1.dist-info", None), key_of_any(b"f\xfe-1.dist-info", None));
    }

    #[test]
    fn only_the_suffix_in_any_case_makes_a_distribution() {
        for (file_name, expected) in [
            ("foo-1.dist-info", true),
            (".dist-info", true),
            ("foo.EGG-info", true),
            ("foo.egg-link", false),
            ("foo-1.dist-info.dpkg-new", false),
            ("egg-info", false),
        ] {
            assert_eq!(is_distribution(file_name.as_bytes()), expected, "{file_name}");
        }
    }
}
