//! Directories of an interpreter that contain no distributions.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use epcache::index::{EmptyDirectory, parse};
use epcache::site::empty_directories::find_empty_directories;

use crate::support::program::{UNTRUSTED_UID, skipped_without_root};

/// A tree for interpreters.
struct Tree {
    directory: tempfile::TempDir,
}

impl Tree {
    fn new(directories: &[&str]) -> Self {
        let tree = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        directories.iter().for_each(|directory| tree.make(directory));
        tree
    }

    fn make(&self, directory: &str) {
        fs::create_dir_all(self.path(directory)).expect("a directory");
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().canonicalize().expect("a path").join(below)
    }

    /// An environment with the given `pyvenv.cfg`; returns its site directory.
    fn environment(&self, pyvenv_cfg: &[u8]) -> PathBuf {
        self.make("env/lib/python3.12/site-packages");
        fs::write(self.path("env/pyvenv.cfg"), pyvenv_cfg).expect("room");
        self.path("env/lib/python3.12/site-packages")
    }

    /// The directories found for a site directory, as paths in the tree.
    fn found(&self, site: &Path) -> Vec<String> {
        let base = self.path("");
        let below = |path: &[u8]| {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            path.strip_prefix(&base).expect("in the tree").to_str().expect("text").to_owned()
        };
        find_empty_directories(site, &[]).iter().map(|found| below(&found.path)).collect()
    }
}

const LIBRARY: [&str; 2] = ["usr/lib/python3.12", "usr/lib/python3.12/lib-dynload"];

#[test]
fn an_installation_has_its_standard_library() {
    let tree = Tree::new(&[LIBRARY[1], "usr/lib64/python3.12/site-packages", "usr/lib/python3.11"]);
    tree.make("usr/lib/python3.12/site-packages");
    for lib in ["lib", "lib64"] {
        let site = tree.path(&format!("usr/{lib}/python3.12/site-packages"));
        assert_eq!(tree.found(&site), [LIBRARY[0], LIBRARY[1], "usr/lib64/python3.12"]);
    }
}

#[test]
fn an_environment_has_the_standard_library_of_its_base_interpreter() {
    let tree = Tree::new(&[LIBRARY[1], "usr/bin"]);
    symlink(tree.path("usr"), tree.path("link")).expect("a link");
    let home = |name: &str| tree.path(name).to_str().expect("text").to_owned();
    for (text, prefix) in [
        (format!("home = {}\n", home("usr/bin")), "usr"),
        (format!("home={}/\r\nversion = 3.12.1", home("usr/bin")), "usr"),
        (format!("prompt = home = /x\n HOME  =  {}  \n", home("usr/bin")), "usr"),
        (format!("home = {}\nhome = /etc\n", home("usr/bin")), "usr"),
        // sys.path contains the link as well.
        (format!("home = {}\n", home("link/bin")), "link"),
    ] {
        let site = tree.environment(text.as_bytes());
        let expected = LIBRARY.map(|path| path.replacen("usr", prefix, 1));
        assert_eq!(tree.found(&site), expected, "{text}");
    }
}

#[test]
fn a_pyvenv_cfg_is_believed_if_it_is_root_s_or_the_owner_s() {
    if skipped_without_root("give files away") {
        return;
    }
    let tree = Tree::new(&[LIBRARY[1]]);
    let site = tree.environment(format!("home = {}\n", tree.path("usr/bin").display()).as_bytes());
    let cfg = tree.path("env/pyvenv.cfg");
    for (owner, of_site, mode, is_believed) in [
        (0, 0, 0o644, true),
        (0, UNTRUSTED_UID, 0o644, true),
        (UNTRUSTED_UID, UNTRUSTED_UID, 0o664, true),
        (UNTRUSTED_UID, 0, 0o644, false),
        (UNTRUSTED_UID, 7, 0o644, false),
        (0, 0, 0o646, false),
    ] {
        lchown(&cfg, Some(owner), None).expect("root may");
        lchown(&site, Some(of_site), None).expect("root may");
        fs::set_permissions(&cfg, fs::Permissions::from_mode(mode)).expect("root may");
        let expected: &[&str] = if is_believed { &LIBRARY } else { &[] };
        assert_eq!(tree.found(&site), expected, "{owner} {of_site} {mode:o}");
    }
}

#[test]
fn a_hostile_pyvenv_cfg_is_ignored() {
    let tree = Tree::new(&[LIBRARY[1], "usr/bin", "env/lib/python3.12/lib-dynload"]);
    let home = tree.path("usr/bin").to_str().expect("text").to_owned();
    let padding = "#".repeat(70_000);
    for text in [
        String::new(),
        "home\n".to_owned(),
        "home =\n".to_owned(),
        "home = usr/bin\n".to_owned(),
        format!("home = {home}/../bin\n"),
        format!("home = {home}\0\n"),
        format!("{padding}\nhome = {home}\n"),
    ] {
        let site = tree.environment(text.as_bytes());
        assert_eq!(tree.found(&site), [""; 0], "{:.80}", text);
    }
    let site = tree.environment(format!("home = {home}\n\u{e9}").as_bytes());
    assert_eq!(tree.found(&site), LIBRARY);
    let cfg = tree.path("env/pyvenv.cfg");
    fs::write(&cfg, [b"home = ", home.as_bytes(), b"\n\xff"].concat()).expect("room");
    assert_eq!(tree.found(&site), [""; 0], "not UTF-8");
    // A link could lead to a secret, and a FIFO would block for ever.
    fs::rename(&cfg, tree.path("elsewhere.cfg")).expect("a rename");
    fs::write(tree.path("elsewhere.cfg"), format!("home = {home}\n")).expect("room");
    symlink(tree.path("elsewhere.cfg"), &cfg).expect("a link");
    assert_eq!(tree.found(&site), [""; 0], "a link");
    fs::remove_file(&cfg).expect("a link");
    let name = CString::new(cfg.as_os_str().as_bytes()).expect("a path");
    nix::unistd::mkfifo(name.as_c_str(), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    assert_eq!(tree.found(&site), [""; 0], "a FIFO");
    fs::remove_file(&cfg).expect("a FIFO");
    fs::create_dir(&cfg).expect("a directory");
    assert_eq!(tree.found(&site), [""; 0], "a directory");
}

#[test]
fn debian_has_the_standard_libraries_of_all_its_interpreters() {
    let local = ["usr/local/lib/python3.12", "usr/local/lib/python3.12/dist-packages"];
    let tree = Tree::new(&[LIBRARY[1], "usr/lib/python3.13", "usr/lib/python3/dist-packages", local[1]]);
    tree.make("usr/lib/python2.7");
    let site = tree.path("usr/lib/python3/dist-packages");
    assert_eq!(tree.found(&site), [LIBRARY[0], LIBRARY[1], "usr/lib/python3.13", local[1]]);
    assert_eq!(tree.found(&tree.path(local[1])), [LIBRARY[0], LIBRARY[1], local[0]]);
}

#[test]
fn only_directories_without_distributions_are_found() {
    let tree = Tree::new(&["usr/lib/python3.12/site-packages"]);
    let site = tree.path("usr/lib/python3.12/site-packages");
    let extensions = tree.path(LIBRARY[1]);
    assert_eq!(tree.found(&site), [LIBRARY[0]], "one that does not exist");
    fs::write(&extensions, "").expect("room");
    assert_eq!(tree.found(&site), [LIBRARY[0]], "a file");
    fs::remove_file(&extensions).expect("a file");
    symlink(&site, &extensions).expect("a link");
    assert_eq!(tree.found(&site), [LIBRARY[0]], "the site directory itself");
    for distribution in ["foo-1.dist-info", "FOO.EGG-INFO"] {
        fs::write(tree.path(LIBRARY[0]).join(distribution), "").expect("room");
        assert_eq!(tree.found(&site), [""; 0], "{distribution}");
        fs::remove_file(tree.path(LIBRARY[0]).join(distribution)).expect("a file");
    }
    for place in ["elsewhere", "site-packages", "usr/lib/perl5/site-packages"] {
        tree.make(place);
        assert_eq!(tree.found(&tree.path(place)), [""; 0], "{place}");
    }
}

#[test]
fn a_recorded_stamp_is_reused_only_if_unchanged() {
    let tree = Tree::new(&["usr/lib/python3.12/site-packages"]);
    let site = tree.path("usr/lib/python3.12/site-packages");
    let first = find_empty_directories(&site, &[]);
    assert_eq!(find_empty_directories(&site, &first), first);
    // A stamp from a forged index for a directory of no interpreter is dropped.
    let forged = EmptyDirectory { path: b"/etc".as_slice().into(), stamp: first[0].stamp };
    assert_eq!(find_empty_directories(&site, &[first[0].clone(), forged]), first);
    tree.make("usr/lib/python3.12/json");
    let second = find_empty_directories(&site, &first);
    assert_eq!(second[0].path, first[0].path);
    assert_ne!(second[0].stamp, first[0].stamp);
    tree.make("usr/lib/python3.12/foo-1.dist-info");
    assert_eq!(find_empty_directories(&site, &second), []);
}

#[test]
fn empty_directories_are_written_when_they_changed_and_never_for_another_system() {
    let tree = Tree::new(&["usr/lib/python3.12/site-packages", "usr/local/lib/python3.12/site-packages"]);
    let site = tree.path("usr/local/lib/python3.12/site-packages");
    let refresh = |root: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epcache"));
        command.args(["refresh", "--json"]);
        if root {
            command.arg("--root").arg(tree.path("")).arg("/usr/local/lib/python3.12/site-packages");
        } else {
            command.arg(&site);
        }
        let output = command.output().expect("epcache runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let bytes = fs::read(site.join(".epcache/index")).expect("an index");
        let index = parse(&bytes).expect("an intact index");
        index.without.iter().map(|found| found.stamp).collect::<Vec<_>>()
    };
    refresh(false);
    let first = refresh(false);
    assert_eq!(first.len(), 1);
    tree.make("usr/local/lib/python3.12/json");
    let second = refresh(false);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    assert_eq!(refresh(true), []);
}
