//! A model of a changing site directory.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// The files of which an index records stamps, below a distribution's directory.
fn recorded(name: &str) -> [&str; 5] {
    let metadata = if name.ends_with(".egg-info") { "PKG-INFO" } else { "METADATA" };
    ["", metadata, "entry_points.txt", "top_level.txt", "RECORD"]
}

/// The two forms of a module in a site directory, as files that are listed in a RECORD.
const MODULES: [&str; 2] = ["mod.py", "pkg/__init__.py"];

/// A temporary site directory.
pub struct Site {
    directory: tempfile::TempDir,
    path: PathBuf,
    contents: u32,
}

/// mtime, ctime, inode and size.
type Stat = (i64, i64, i64, i64, u64, u64);

impl Site {
    /// An empty one.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().canonicalize().expect("a path").join("site-packages");
        fs::create_dir(&path).expect("a site directory");
        Self { directory, path, contents: 0 }
    }

    /// Its canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// New entry points, always of the same length.
    fn content(&mut self) -> String {
        self.contents += 1;
        format!("[g]\na = m:f{:08}\n", self.contents)
    }

    /// A new list of files: the modules, and one that never exists.
    fn list(&mut self) -> String {
        self.contents += 1;
        format!("mod.py,,\npkg/__init__.py,,\nm{:08}.py,,\n", self.contents)
    }

    /// As pip does: the directory first, then its files.
    pub fn install(&mut self, name: &str) {
        self.remove(name);
        fs::create_dir(self.of(name)).expect("a directory");
        for file in ["METADATA", "PKG-INFO"] {
            fs::write(self.of(name).join(file), "Name: foo\nVersion: 1\n").expect("room");
        }
        let content = self.content();
        fs::write(self.of(name).join("entry_points.txt"), content).expect("room");
        if name.ends_with(".egg-info") {
            fs::write(self.of(name).join("top_level.txt"), format!("m{:08}\n", self.contents)).expect("room");
        } else {
            let list = self.list();
            fs::write(self.of(name).join("RECORD"), list).expect("room");
        }
    }

    /// A module appears or disappears.
    pub fn add_or_remove_a_module(&mut self) {
        self.contents += 1;
        let path = self.of(MODULES[self.contents as usize % 2]);
        let parent = path.parent().expect("a parent").to_owned();
        let in_package = parent != self.path;
        if path.exists() {
            fs::remove_file(path).expect("a file");
            if in_package {
                fs::remove_dir(parent).expect("an empty directory");
            }
        } else {
            fs::create_dir_all(parent).expect("a directory");
            fs::write(path, "").expect("room");
        }
    }

    /// As dpkg and rpm do: a new file over the old one, with the packaged mtime.
    pub fn replace_a_file(&mut self, name: &str) {
        let content = self.content();
        let (old, new) =
            (self.of(name).join("entry_points.txt"), self.of(name).join("entry_points.txt.dpkg-new"));
        if !self.is_directory(name) {
            return;
        }
        fs::write(&new, content).expect("room");
        if let Ok(before) = fs::symlink_metadata(&old) {
            set_mtime(&new, &before);
        }
        fs::rename(new, old).expect("a rename");
    }

    /// A new directory in place of the old one.
    pub fn replace_whole(&mut self, name: &str) {
        self.install("new.tmp");
        self.remove(name);
        fs::rename(self.of("new.tmp"), self.of(name)).expect("a rename");
    }

    /// As an editor may do: same inode, same size, and the mtime restored.
    pub fn edit_in_place(&mut self, name: &str) {
        let content = self.content();
        let path = self.of(name).join("entry_points.txt");
        let Ok(mut file) = OpenOptions::new().write(true).open(&path) else { return };
        let before = file.metadata().expect("an open file");
        file.write_all(content.as_bytes()).expect("room");
        set_mtime(&path, &before);
    }

    /// The same with the list of files, or with the names.
    pub fn edit_its_list(&mut self, name: &str) {
        // Files behind a link are not recorded, since the names are opaque then.
        if !self.is_directory(name) {
            return;
        }
        let mut content = self.list();
        let mut path = self.of(name).join("RECORD");
        if name.ends_with(".egg-info") {
            path = self.of(name).join("top_level.txt");
            content = format!("m{:08}\n", self.contents);
        }
        let Ok(mut file) = OpenOptions::new().write(true).open(&path) else { return };
        let before = file.metadata().expect("an open file");
        file.write_all(content.as_bytes()).expect("room");
        set_mtime(&path, &before);
    }

    /// Replaces the directory by a file.
    pub fn make_a_file(&mut self, name: &str) {
        self.remove(name);
        fs::write(self.of(name), format!("Name: foo\nVersion: {}\n", self.contents)).expect("room");
    }

    /// Replaces the directory by a link.
    pub fn make_a_link(&mut self, name: &str) {
        self.remove(name);
        let target = self.directory.path().join("elsewhere");
        if !target.exists() {
            fs::create_dir(&target).expect("a directory");
            for file in &recorded(name)[1..] {
                fs::write(target.join(file), "").expect("room");
            }
        }
        symlink(target, self.of(name)).expect("a link");
    }

    /// Removes a file.
    pub fn remove_a_file(&mut self, name: &str) {
        if self.is_directory(name) {
            let _ = fs::remove_file(self.of(name).join("entry_points.txt"));
        }
    }

    /// Removes the directory.
    pub fn remove(&mut self, name: &str) {
        let _ = fs::remove_file(self.of(name));
        let _ = fs::remove_dir_all(self.of(name));
    }

    /// The mtime of the site directory is set to a time long ago.
    pub fn set_back(&mut self) {
        let times = FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1));
        File::open(&self.path).expect("a directory").set_times(times).expect("our own directory");
    }

    fn is_directory(&self, name: &str) -> bool {
        fs::symlink_metadata(self.of(name)).is_ok_and(|meta| meta.is_dir())
    }

    /// Which of the modules exist, for a distribution that lists them.
    pub fn modules(&self, name: &str) -> [bool; 2] {
        let listed = self.is_directory(name) && self.of(name).join("RECORD").exists();
        MODULES.map(|module| listed && self.of(module).exists())
    }

    /// The names, the missing files and the names for 3.11, as an index spells them.
    pub fn top_level(&self, name: &str) -> [String; 3] {
        let read = |file| fs::read_to_string(self.of(name).join(file)).unwrap_or_default();
        let (declared, list) = (read("top_level.txt"), read("RECORD"));
        if !self.is_directory(name) || list.is_empty() {
            return [declared.trim().to_owned(), String::new(), String::new()];
        }
        let never = list.lines().last().and_then(|line| line.split(',').next()).expect("a path");
        let [module, package] = self.modules(name);
        let (mut found, mut missing) = (Vec::new(), vec![never]);
        if module { &mut found } else { &mut missing }.push("mod.py");
        if package { &mut found } else { &mut missing }.push("pkg/");
        [found.join(" "), missing.join(" "), format!("{} mod pkg", never.trim_end_matches(".py"))]
    }

    /// The results of `lstat` for a distribution's files.
    pub fn stats(&self, name: &str) -> [Option<Stat>; 5] {
        recorded(name).map(|file| {
            let path = if file.is_empty() { self.of(name) } else { self.of(name).join(file) };
            let meta = fs::symlink_metadata(path).ok()?;
            Some((meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec(), meta.ino(), meta.size()))
        })
    }

    /// The text of a distribution's `entry_points.txt`.
    pub fn entry_points(&self, name: &str) -> Option<String> {
        if self.is_directory(name) {
            fs::read_to_string(self.of(name).join("entry_points.txt")).ok()
        } else {
            None
        }
    }
}

fn set_mtime(path: &Path, like: &fs::Metadata) {
    let times = FileTimes::new().set_modified(like.modified().expect("an mtime"));
    OpenOptions::new().write(true).open(path).expect("a file").set_times(times).expect("our own file");
}
