//! The list of changed files that a package manager writes to the standard input of its trigger: one path a
//! line, unescaped.
//!
//! Paths are those of the system, without the transaction's `--root`: absolute ones (rpm), or relative to its
//! root (pacman).

use std::ffi::OsStr;
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Hints;
use crate::metadata::name;

/// The longest list that is read. Changes named after that are found by comparing stamps, as all are.
const MAX_LIST: u64 = 256 << 20;
/// The longest path in the list. Linux has none beyond 4096 bytes.
const MAX_LINE: u64 = 1 << 16;

/// Selects from a list the distributions in `sites` whose files it names.
pub fn hints(list: impl Read, sites: &[PathBuf]) -> io::Result<Hints> {
    hints_up_to(MAX_LIST, list, sites)
}

fn hints_up_to(limit: u64, list: impl Read, sites: &[PathBuf]) -> io::Result<Hints> {
    let mut list = io::BufReader::new(list.take(limit));
    let mut hints = Hints::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if list.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(hints);
        }
        if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
            // The rest of the line is not a path.
            list.skip_until(b'\n')?;
            continue;
        }
        // An absolute path stays as it is.
        let path = Path::new("/").join(OsStr::from_bytes(line.strip_suffix(b"\n").unwrap_or(&line)));
        for site in sites {
            let Ok(below) = path.strip_prefix(site) else { continue };
            // Only the first part: distributions deeper down are bundled with other packages.
            if let Some(first) = below.iter().next().filter(|first| name::is_distribution(first.as_bytes())) {
                hints.entry(site.clone()).or_default().insert(first.as_bytes().to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_distributions_directly_in_a_site_directory_count() {
        let sites = [PathBuf::from("/usr/lib/python3.13/site-packages")];
        let list = "/usr/lib/python3.13/site-packages/foo/__init__.py
/usr/lib/python3.13/site-packages/foo-1.dist-info
/usr/lib/python3.13/site-packages/foo-1.dist-info/METADATA
/usr/lib/python3.13/site-packages/sp ace-1.dist-info/METADATA
/usr/lib/python3.13/site-packages/setuptools/_vendor/inner-1.dist-info/METADATA
/usr/lib/python3.13/site-packages-other/bar-1.dist-info/METADATA
/usr/lib/python3.13/site-packages/last-1.egg-info";
        let hints = hints(list.as_bytes(), &sites).expect("readable");
        let names: Vec<&[u8]> = hints[&sites[0]].iter().map(Vec::as_slice).collect();
        assert_eq!(names, [&b"foo-1.dist-info"[..], b"last-1.egg-info", b"sp ace-1.dist-info"]);
    }

    #[test]
    fn paths_are_absolute_or_relative_to_the_root() {
        let sites = [PathBuf::from("/usr/lib/python3.14/site-packages")];
        let list = "usr/lib/python3.14/site-packages/
usr/lib/python3.14/site-packages/foo-1.dist-info/
usr/lib/python3.14/site-packages/foo-1.dist-info/METADATA
usr/lib/python3.14/site-packages/foo/__init__.py
/usr/lib/python3.14/site-packages/bar-1.dist-info
opt/usr/lib/python3.14/site-packages/baz-1.dist-info/
";
        let hints = hints(list.as_bytes(), &sites).expect("readable");
        let names: Vec<&[u8]> = hints[&sites[0]].iter().map(Vec::as_slice).collect();
        assert_eq!(names, [&b"bar-1.dist-info"[..], b"foo-1.dist-info"]);
    }

    #[test]
    fn the_rest_of_an_overlong_line_is_not_a_path() {
        let sites = [PathBuf::from("/site")];
        for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE] {
            let junk = "x".repeat(length as usize);
            let list = format!("{junk}/site/a.dist-info\n/site/b.dist-info\n{junk}");
            let hints = hints(list.as_bytes(), &sites).expect("readable");
            assert_eq!(hints[&sites[0]].iter().collect::<Vec<_>>(), [b"b.dist-info"], "{length}");
        }
    }

    #[test]
    fn an_endless_list_is_read_up_to_the_limit() {
        let sites = [PathBuf::from("/site")];
        let limit = 16 * MAX_LINE;
        assert!(hints_up_to(limit, io::repeat(b'x'), &sites).expect("readable").is_empty());
        let list = b"/site/a.dist-info\n".chain(io::repeat(b'\n'));
        assert_eq!(hints_up_to(limit, list, &sites).expect("readable")[&sites[0]].len(), 1);
    }
}
