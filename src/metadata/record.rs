//! What a `RECORD` says of the metadata beside it, and whether it has been written to its end.
//!
//! Nothing here touches the disk: [`crate::site::install_state`] compares it with what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::white_space::lines;
use crate::checksum::sha256;
use crate::encoding::find;

/// The name of the list itself.
pub(crate) const RECORD: &str = "RECORD";
/// The file that names the installer. It is written after the files of a wheel, so no wheel lists it.
pub(crate) const INSTALLER: &str = "INSTALLER";

/// Programs copy files in blocks, which are multiples of this. A list of such a length may be incomplete.
const BLOCK: usize = 512;
/// A file smaller than this is written by one system call, and appears on the disk at once.
const PAGE: usize = 4096;
/// The csv module's limit for a field, in characters.
const MAX_FIELD: usize = 131_072;
/// The most digits of a size. Python's `int` raises for too many (4300 by default); real sizes have ten.
const MAX_SIZE_DIGITS: usize = 18;
/// The most files in the directory of a distribution. No real one has so many.
const MAX_FILES: usize = 1000;

/// The lines of a `RECORD` about the files of its own distribution.
#[derive(Debug)]
pub(crate) struct Record<'t> {
    /// The hash of each, by its path in the directory of the distribution; empty where there is none.
    hashes: BTreeMap<&'t str, &'t str>,
    /// Whether no line can be missing, whatever program wrote the list.
    pub is_whole: bool,
}

impl<'t> Record<'t> {
    /// Parses the text of the list of the distribution `file_name`. `None` where it does not say with
    /// certainty which files there are: its end may be missing, versions of Python may read it differently, or
    /// it contradicts itself.
    pub fn parse(text: &'t str, file_name: &str) -> Option<Self> {
        if !text.ends_with('\n') || text.len() % BLOCK == 0 {
            return None;
        }
        let mut hashes = BTreeMap::new();
        let mut mentions = 0;
        let mut last = "";
        for line in lines(text) {
            let (path, hash) = record_fields(line)?;
            last = path;
            let Some(own) = path.strip_prefix(file_name).and_then(|path| path.strip_prefix('/')) else {
                continue;
            };
            mentions += 1;
            let is_plain = own.split('/').all(|part| !matches!(part, "" | "." | ".."));
            let contradicts = hashes.insert(own, hash).is_some_and(|other| other != hash);
            if !is_plain || contradicts || hashes.len() > MAX_FILES {
                return None;
            }
        }
        // Other spellings of these paths, such as absolute ones, would have to be resolved.
        let everywhere = text.to_ascii_lowercase().matches(&file_name.to_ascii_lowercase()).count();
        let ends_with_itself =
            last.strip_prefix(file_name).and_then(|path| path.strip_prefix('/')) == Some(RECORD);
        let is_whole = text.len() < PAGE || ends_with_itself;
        (everywhere == mentions).then_some(Self { hashes, is_whole })
    }

    /// Whether it lists a file, given by its path in the directory of the distribution.
    pub fn lists(&self, file: &str) -> bool {
        self.hashes.contains_key(file)
    }

    /// Whether it says that a file has this content. Of the hashes, SHA-256 alone is compared: every installer
    /// writes it.
    pub fn confirms(&self, file: &str, text: &str) -> bool {
        self.hashes.get(file).and_then(|hash| hash.strip_prefix("sha256=")) == Some(&sha256(text.as_bytes()))
    }

    /// The names that the directory of the distribution has by this list.
    pub fn names(&self) -> BTreeSet<&'t str> {
        self.hashes
            .keys()
            .map(|path| path.split_once('/').map_or(*path, |(directory, _)| directory))
            .collect()
    }

    /// The paths of the files in directories below that of the distribution.
    pub fn nested(&self) -> impl Iterator<Item = &'t str> {
        self.hashes.keys().copied().filter(|path| path.contains('/'))
    }
}

/// Path and hash in a simple line of comma-separated values: path, hash and size. CPython requires the size to
/// be a number.
pub(super) fn record_fields(line: &str) -> Option<(&str, &str)> {
    if line.len() > MAX_FIELD {
        return None;
    }
    let is_quoted = find(b'"', line.as_bytes()).is_some();
    let (path, rest) = match line.strip_prefix('"') {
        None => at_comma(line).map_or((line, None), |(path, rest)| (path, Some(rest))),
        Some(quoted) => {
            let (path, rest) = quoted.split_once('"')?;
            (path, if rest.is_empty() { None } else { Some(rest.strip_prefix(',')?) })
        }
    };
    let (hash, size) = rest.and_then(at_comma).unwrap_or((rest.unwrap_or_default(), ""));
    let is_number = size.len() <= MAX_SIZE_DIGITS && size.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = !is_quoted || !path.contains('"') && !hash.contains('"');
    (is_number && is_plain).then_some((path, hash))
}

fn at_comma(text: &str) -> Option<(&str, &str)> {
    let comma = find(b',', text.as_bytes())?;
    Some((&text[..comma], &text[comma + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "foo-1.dist-info";
    const LINES: &str = "foo.py,,\nfoo-1.dist-info/METADATA,sha256=x,1\nfoo-1.dist-info/RECORD,,\n";

    fn parse(text: &str) -> Option<Record<'_>> {
        Record::parse(text, OWN)
    }

    #[test]
    fn a_hash_confirms_the_text_that_it_is_of() {
        let hash = "UzbzT_7weZidcmdBPh4TpBUbUpcMZ3rk5SkXY2XLWrc";
        let text = format!("{OWN}/METADATA,sha256={hash},7\r\n\"{OWN}/a,b\",,\r\n{OWN}/RECORD,,\r\n");
        let record = parse(&text).expect("a list");
        assert_eq!(sha256(b"Name: x"), hash);
        assert!(record.confirms("METADATA", "Name: x"));
        assert!(!record.confirms("METADATA", "Name: y") && !record.confirms("RECORD", ""));
        assert!(record.lists("a,b") && !record.lists("entry_points.txt"));
        for other in ["sha384=", "SHA256=", "", "md5=", "sha256=="] {
            let text = text.replace("sha256=", other);
            assert!(!parse(&text).expect("a list").confirms("METADATA", "Name: x"), "{other}");
        }
    }

    #[test]
    fn names_and_nested_files() {
        let text = format!("{OWN}/METADATA,,\n{OWN}/licenses/a/b,,\n{OWN}/licenses/c,,\nfoo-1.py,,\n");
        let record = parse(&text).expect("a list");
        assert_eq!(record.names(), BTreeSet::from(["METADATA", "licenses"]));
        assert_eq!(record.nested().collect::<Vec<_>>(), ["licenses/a/b", "licenses/c"]);
    }

    #[test]
    fn a_list_whose_end_may_be_missing_says_nothing() {
        assert!(parse(LINES).is_some());
        for length in 0..LINES.len() {
            assert_eq!(parse(&LINES[..length]).is_some(), LINES[..length].ends_with('\n'), "{length}");
        }
        let padding = |length: usize| format!("{}\n{LINES}", "x".repeat(length - LINES.len() - 1));
        assert!(parse(&padding(BLOCK)).is_none() && parse(&padding(2 * BLOCK)).is_none());
        assert!(parse(&padding(BLOCK + 1)).is_some());
    }

    #[test]
    fn a_list_is_whole_if_it_is_small_or_ends_with_itself() {
        let long = "x.py,,\n".repeat(600);
        let (before, after) = (format!("{long}{LINES}"), format!("{LINES}{long}"));
        assert!(parse(LINES).is_some_and(|record| record.is_whole));
        assert!(parse(&before).is_some_and(|record| record.is_whole));
        assert!(parse(&after).is_some_and(|record| !record.is_whole));
    }

    #[test]
    fn contradictions_and_unusual_paths_say_nothing() {
        for line in [
            "foo-1.dist-info/METADATA,sha256=y,1",
            "/srv/foo-1.dist-info/METADATA,sha256=x,1",
            "./foo-1.dist-info/METADATA,sha256=x,1",
            "bar/../foo-1.dist-info/METADATA,sha256=x,1",
            "Foo-1.Dist-Info/METADATA,sha256=x,1",
            "foo-1.dist-info//METADATA,sha256=x,1",
            "foo-1.dist-info/./METADATA,sha256=x,1",
            "foo-1.dist-info/../METADATA,sha256=x,1",
            "\"foo-1.dist-info/METADATA,sha256=x,1",
            "foo-1.dist-info/METADATA,sha256=x,many",
        ] {
            assert!(parse(&format!("{line}\n{LINES}")).is_none(), "{line}");
        }
        assert!(parse(&format!("foo-1.dist-info/METADATA,sha256=x,1\n{LINES}")).is_some());
    }
}
