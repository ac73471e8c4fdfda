//! Names: which directory entries are distributions, and by what key two of them are the same.

use std::collections::HashMap;

use crate::encoding::escape;

/// Whether `importlib.metadata` takes a directory entry of this name for a distribution: by its
/// suffix alone, ignoring case.
#[must_use]
pub fn is_distribution(file_name: &[u8]) -> bool {
    has_suffix(file_name, b".dist-info") || has_suffix(file_name, b".egg-info")
}

/// The name of the metadata file that belongs into a directory of this name.
#[must_use]
pub fn metadata_file(file_name: &[u8]) -> &'static str {
    if has_suffix(file_name, b".egg-info") { "PKG-INFO" } else { "METADATA" }
}

fn has_suffix(file_name: &[u8], suffix: &[u8]) -> bool {
    file_name.len() >= suffix.len()
        && file_name[file_name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

/// Whether this is what an interrupted pip leaves behind: it renames what it is about to remove.
#[must_use]
pub fn is_pip_leftover(file_name: &[u8]) -> bool {
    file_name.starts_with(b"~")
}

/// `importlib.metadata`'s normalized form of an ASCII name: PEP 503's, with `_` in place of `-`.
#[must_use]
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

/// The part of a directory name that `importlib.metadata` takes for the distribution's name, or
/// nothing where it asks the metadata instead (`PathDistribution._name_from_stem`).
#[must_use]
pub fn stem(file_name: &str) -> Option<&str> {
    let base = file_name.strip_suffix(".dist-info").or_else(|| file_name.strip_suffix(".egg-info"))?;
    // os.path.splitext sees no extension behind leading dots alone.
    if base.bytes().all(|b| b == b'.') {
        return None;
    }
    base.split('-').next().filter(|stem| !stem.is_empty())
}

/// Whether the name of the directory is enough to know that of the distribution.
#[must_use]
pub fn has_stem(file_name: &[u8]) -> bool {
    stem(&lossless(file_name)).is_some()
}

/// The key by which `entry_points()` recognises a distribution that it has seen already.
///
/// `None`: only the reader can tell, because the name is not ASCII (the Unicode tables of its Python
/// decide), holds a control character (which an index line has no room for), or is not there at all.
#[must_use]
pub fn key(file_name: &[u8], metadata_name: Option<&str>) -> Option<String> {
    let file_name = std::str::from_utf8(file_name).ok()?;
    let name = stem(file_name).or(metadata_name)?;
    let usual = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (usual && !name.is_empty()).then(|| normalize(name))
}

/// The [`key`] for who has no Python at hand to ask: of any name, by Rust's Unicode tables.
#[must_use]
pub fn key_of_any(file_name: &[u8], metadata_name: Option<&str>) -> Option<String> {
    let file_name = lossless(file_name);
    Some(normalize(&stem(&file_name).or(metadata_name)?.to_lowercase()))
}

/// A name as text, in which bytes that are not UTF-8 keep apart what differs.
fn lossless(file_name: &[u8]) -> String {
    let mut text = String::with_capacity(file_name.len());
    escape(&mut text, file_name);
    text
}

/// Puts a listing into the order of `importlib.metadata`, which keeps distributions of one name
/// together, at the place of the first (`Lookup.infos`).
///
/// The name is that of the directory, normalized, whatever the [`key`]. Where these are the same this
/// makes no difference, since only the first counts; so it is done only where they may not be.
pub fn arrange(listing: &mut [Box<[u8]>]) {
    let usual = |file_name: &[u8]| std::str::from_utf8(file_name).is_ok_and(|name| stem(name).is_some());
    if listing.iter().all(|file_name| usual(file_name)) {
        return;
    }
    let found_as = |file_name: &[u8]| {
        let name = lossless(file_name).to_lowercase();
        let base = name.rsplit_once('.').map_or("", |(base, _)| base);
        normalize(base.split('-').next().unwrap_or_default())
    };
    let mut first = HashMap::new();
    for (place, file_name) in listing.iter().enumerate() {
        first.entry(found_as(file_name)).or_insert(place);
    }
    listing.sort_by_cached_key(|file_name| first.get(&found_as(file_name)).copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_that_are_looked_up_by_one_name_are_found_together() {
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
    fn the_key_comes_from_the_directory_name_and_else_from_the_metadata() {
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
    fn bytes_that_are_not_text_keep_names_apart() {
        assert_eq!(
            key_of_any("FÖ-1.dist-info".as_bytes(), None),
            key_of_any("fö-2.dist-info".as_bytes(), None)
        );
        assert_eq!(key_of_any(b"F\xff-1.dist-info", None), key_of_any(b"f\xff-2.dist-info", None));
        assert_ne!(key_of_any(b"f\xff-1.dist-info", None), key_of_any(b"f\xfe-1.dist-info", None));
    }

    #[test]
    fn a_suffix_alone_in_any_case_makes_a_distribution() {
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
