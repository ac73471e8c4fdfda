//! RPM file triggers: on standard input the paths of changed files, one a line, raw; or nothing.
//!
//! `%transfiletriggerin` gets the files of all packages installed in the transaction, or every
//! matching file of the database when our own package is among them; `%transfiletriggerpostun` gets
//! nothing. Paths are those of the system, never with the transaction's `--root` before them.

use std::ffi::OsStr;
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Hints;
use crate::metadata::name;

/// The longest list that is taken in. What follows is found by comparing stamps, as everything is.
const MAX_LIST: u64 = 256 << 20;
/// The longest path that is. No file has one of this length.
const MAX_LINE: u64 = 1 << 16;

/// Picks the files of distributions in `sites` out of a list.
///
/// # Errors
/// When the list can't be read to its end. What has been read so far is of no use then.
pub fn hints(list: impl Read, sites: &[PathBuf]) -> io::Result<Hints> {
    let mut list = io::BufReader::new(list.take(MAX_LIST));
    let mut hints = Hints::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if list.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(hints);
        }
        if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
            // What follows is no path of its own.
            list.skip_until(b'\n')?;
            continue;
        }
        let path = Path::new(OsStr::from_bytes(line.strip_suffix(b"\n").unwrap_or(&line)));
        for site in sites {
            let Ok(below) = path.strip_prefix(site) else { continue };
            // Deeper down lie the distributions that other packages have bundled.
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
    fn the_end_of_a_line_without_measure_is_no_path() {
        let sites = [PathBuf::from("/site")];
        for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE] {
            let junk = "x".repeat(length as usize);
            let list = format!("{junk}/site/a.dist-info\n/site/b.dist-info\n{junk}");
            let hints = hints(list.as_bytes(), &sites).expect("readable");
            assert_eq!(hints[&sites[0]].iter().collect::<Vec<_>>(), [b"b.dist-info"], "{length}");
        }
    }

    #[test]
    fn a_list_without_end_ends() {
        let sites = [PathBuf::from("/site")];
        assert!(hints(io::repeat(b'x'), &sites).expect("readable").is_empty());
    }
}
