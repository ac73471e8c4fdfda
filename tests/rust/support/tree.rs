//! Distributions, site directories, and the trees of whole systems.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::program::Place;

/// The user `epcache` of a tree.
pub const CACHE_USER: u32 = 43210;

/// Makes `NAME-1.dist-info` with one entry point of that name in the group `g`, and the file that an
/// installer writes last.
pub fn install(site: &Path, name: &str) -> PathBuf {
    let directory = site.join(format!("{name}-1.dist-info"));
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"))
        .expect("room");
    fs::write(directory.join("entry_points.txt"), format!("[g]\n{name} = m:f\n")).expect("room");
    fs::write(directory.join("RECORD"), format!("{name}-1.dist-info/RECORD,,\n")).expect("room");
    fs::write(directory.join("INSTALLER"), "pip\n").expect("room");
    directory
}

/// The tree of a system with a user `epcache`, its cache directory, and one system-wide site directory.
pub struct Tree {
    /// Its root.
    pub root: PathBuf,
    /// The site directory.
    pub site: PathBuf,
    /// The index of the site directory.
    pub index: PathBuf,
}

impl Tree {
    /// Makes one.
    pub fn new(place: &Place) -> Self {
        let root = place.directory("tree");
        place.directory("tree/etc");
        fs::write(
            root.join("etc/passwd"),
            format!("root:x:0:0::/:/bin/sh\nepcache:x:{CACHE_USER}:{CACHE_USER}::/:/usr/sbin/nologin\n"),
        )
        .expect("room");
        let cache = place.directory("tree/var/cache/epcache");
        if crate::support::program::is_root() {
            chown(&cache, Some(CACHE_USER), Some(CACHE_USER)).expect("root may do that");
        }
        let site = place.directory("tree/usr/lib/python3/dist-packages");
        let index = cache.join("usr/lib/python3/dist-packages/index");
        Self { root, site, index }
    }

    /// Writes the administrator's configuration.
    pub fn configure(&self, text: &str) -> PathBuf {
        let directory = self.root.join("etc/epcache");
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("config.toml"), text).expect("room");
        directory.join("config.toml")
    }
}

/// An account of this machine, other than root, that can log in or can not.
pub fn account(can_log_in: bool) -> Option<(String, u32)> {
    let text = fs::read_to_string("/etc/passwd").expect("a user database");
    let found = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let shell = Path::new(fields.get(6)?).file_name().unwrap_or_default();
        let uid = fields[2].parse().ok()?;
        let is_other = !["root", "nobody", "epcache"].contains(&fields[0]) && uid != 0;
        let matches = (shell != "nologin" && shell != "false") == can_log_in;
        (is_other && matches).then(|| (fields[0].to_owned(), uid))
    });
    if found.is_none() {
        eprintln!("skipped: no account on this machine that can log in: {can_log_in}");
    }
    found
}

/// Gives the tree a user `epcache` with these numbers, who owns its cache directory.
pub fn become_user(tree: &Tree, uid: u32, gid: u32) {
    let passwd = format!("root:x:0:0::/:/bin/sh\nepcache:x:{uid}:{gid}::/:/usr/sbin/nologin\n");
    fs::write(tree.root.join("etc/passwd"), passwd).expect("room");
    for path in everything_below(&tree.root.join("var/cache/epcache")).into_keys() {
        chown(path, Some(uid), Some(gid)).expect("root may");
    }
}

/// Everything below `path` with the results of `lstat`, except access times.
pub fn everything_below(path: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        let stamps = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        let description = format!(
            "{:o} {} {} {} {} {stamps:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.ino(),
            meta.size()
        );
        found.insert(path.clone(), description);
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).expect("a listing").map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}

/// The value of `key`, a list of strings, in a line of `--json`.
pub fn names(line: &str, key: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(line.trim()).unwrap_or_else(|error| panic!("{line}: {error}"));
    let list = report[key].as_array().unwrap_or_else(|| panic!("no {key} in {line}"));
    list.iter().map(|name| name.as_str().expect("a text").to_owned()).collect()
}

/// The directory names in an index, which must be intact.
pub fn indexed(index: &Path) -> Vec<String> {
    let bytes = fs::read(index).unwrap_or_else(|error| panic!("{}: {error}", index.display()));
    let index = epcache::index::parse(&bytes).expect("an intact index");
    index.distributions.iter().map(|row| String::from_utf8_lossy(&row.file_name).into_owned()).collect()
}

/// A path for an error message, which must be UTF-8.
pub fn text(path: &Path) -> &str {
    std::str::from_utf8(path.as_os_str().as_bytes()).expect("UTF-8")
}
