//! The list of changed files from a package manager: the hints equal those of a simple reading of the whole list, however the
//! list is split into pieces.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use epcache::metadata::name::is_distribution;
use epcache::package_manager::list::hints;
use epcache_fuzz::within;
use libfuzzer_sys::fuzz_target;

const SITES: [&str; 3] = ["/usr/lib/python3/dist-packages", "/usr/lib/python3.13/site-packages", "/s"];

/// A pipe that delivers a few bytes at a time.
struct Pipe<'a> {
    left: &'a [u8],
    most: usize,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.left.read(&mut buffer[..most])
    }
}

fn plainly(list: &[u8]) -> BTreeMap<PathBuf, BTreeSet<Vec<u8>>> {
    let parts = |path| <[u8]>::split(path, |byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for line in list.split(|byte| *byte == b'\n') {
        for site in SITES {
            let mut line = parts(line);
            let is_below = parts(site.as_bytes()).all(|part| line.next() == Some(part));
            if let Some(first) = line.next().filter(|first| is_below && is_distribution(first)) {
                found.entry(PathBuf::from(site)).or_default().insert(first.to_vec());
            }
        }
    }
    found
}

fuzz_target!(|list: &[u8]| {
    let sites = SITES.map(PathBuf::from);
    let pipe = Pipe { left: list, most: 1 + list.len() % 61 };
    let found = within(40 * list.len() + (16 << 10), || hints(pipe, &sites)).expect("a pipe never fails");
    let found: BTreeMap<_, BTreeSet<_>> =
        found.into_iter().map(|(site, names)| (site, names.into_iter().collect())).collect();
    assert_eq!(found, plainly(list), "{}", String::from_utf8_lossy(list));
});
