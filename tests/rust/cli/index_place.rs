//! The index and its directory in every wrong form, and the location of the index for each user.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::support::program::{Ended, Place, give_away, run, skipped_without_root};
use crate::support::tree::{indexed, install, text};

struct Site {
    place: Place,
    path: PathBuf,
    sidecar: PathBuf,
}

impl Site {
    fn new() -> Self {
        let place = Place::new();
        let path = place.directory("site");
        install(&path, "foo");
        let sidecar = path.join(".epcache");
        Self { place, path, sidecar }
    }

    fn index(&self) -> PathBuf {
        self.sidecar.join("index")
    }

    fn refresh(&self) -> Ended {
        run(self.place.epcache(["refresh"]).arg(&self.path))
    }
}

#[test]
fn a_refresh_replaces_anything_in_place_of_the_index() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 8] = [
        ("nothing", |_| {}),
        ("an empty file", |path| fs::write(path, "").expect("room")),
        ("garbage", |path| fs::write(path, b"\xff\0garbage\n").expect("room")),
        ("a newer version", |path| fs::write(path, "epcache-index 2\nwhatever\nend\n").expect("room")),
        ("a sparse file of 1 GiB", |path| {
            File::create(path).and_then(|file| file.set_len(1 << 30)).expect("room")
        }),
        ("a FIFO", |path| {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a FIFO");
        }),
        ("a dangling link", |path| symlink("nowhere", path).expect("a link")),
        ("a file that nobody may read", |path| {
            fs::write(path, "x").expect("room");
            fs::set_permissions(path, Permissions::from_mode(0o000)).expect("ours");
        }),
    ];
    for (kind, make) in kinds {
        let site = Site::new();
        fs::create_dir(&site.sidecar).expect("a directory");
        make(&site.index());
        let status = run(site.place.epcache(["status"]).arg(&site.path));
        assert_eq!(status.status, Some(1), "{kind}: {status:?}");
        let mut ended = site.refresh();
        if ended.status == Some(3) {
            // An unreadable index is removed, so that the next refresh succeeds.
            assert!(ended.err.contains(text(&site.index())), "{kind}: {ended:?}");
            ended = site.refresh();
        }
        assert_eq!(ended.status, Some(0), "{kind}: {ended:?}");
        assert_eq!(indexed(&site.index()), ["foo-1.dist-info"], "{kind}");
        let meta = fs::symlink_metadata(site.index()).expect("an index");
        assert_eq!((meta.is_file(), meta.mode() & 0o7777), (true, 0o644), "{kind}");
        assert!(!site.sidecar.join("nowhere").exists());
    }
}

#[test]
fn a_directory_in_place_of_the_index_is_reported() {
    let site = Site::new();
    fs::create_dir_all(site.index()).expect("a directory");
    let ended = site.refresh();
    assert!(ended.status == Some(3) && ended.err.contains(text(&site.index())), "{ended:?}");
    assert!(leftovers(&site.sidecar).is_empty());
}

#[test]
fn the_index_directory_must_belong_to_the_owner_and_not_be_a_link() {
    let site = Site::new();
    let elsewhere = site.place.directory("elsewhere");
    symlink(&elsewhere, &site.sidecar).expect("a link");
    let ended = site.refresh();
    assert!(ended.status == Some(3) && ended.err.contains(text(&site.sidecar)), "{ended:?}");
    assert!(ended.err.contains("hint: "), "{ended:?}");
    assert_eq!(fs::read_dir(&elsewhere).expect("a listing").count(), 0);

    let site = Site::new();
    fs::create_dir(&site.sidecar).expect("a directory");
    fs::set_permissions(&site.sidecar, Permissions::from_mode(0o775)).expect("ours");
    let ended = site.refresh();
    assert!(ended.status == Some(3) && ended.err.contains("can be written to by others"), "{ended:?}");
    assert!(!site.index().exists());

    let site = Site::new();
    fs::write(&site.sidecar, "").expect("room");
    assert_eq!(site.refresh().status, Some(3));
}

#[test]
fn an_index_directory_of_another_user_is_refused() {
    if skipped_without_root("give a directory away") {
        return;
    }
    let site = Site::new();
    fs::create_dir(&site.sidecar).expect("a directory");
    give_away(&site.sidecar);
    let ended = site.refresh();
    assert!(ended.status == Some(3) && ended.err.contains("belongs to another user"), "{ended:?}");
    assert!(!site.index().exists());
}

#[test]
fn no_index_is_written_that_readers_refuse() {
    let site = Site::new();
    assert_eq!(site.refresh().status, Some(0));
    // Distributions of 1 MiB, which together have more groups than a header can name.
    for number in 0..6 {
        let name = format!("many{number}");
        install(&site.path, &name);
        let groups: String = (0..70_000).map(|group| format!("[{number}{group:05}]\nx=y\n")).collect();
        fs::write(site.path.join(format!("{name}-1.dist-info/entry_points.txt")), groups).expect("room");
    }
    assert_eq!(site.refresh().status, Some(0));
    let index = fs::read(site.index()).expect("an index");
    assert_eq!(epcache::index::parse(&index).map(|index| index.distributions.len()), Ok(7));
}

#[test]
fn an_index_of_an_untrusted_user_is_not_used() {
    if skipped_without_root("give a file away") {
        return;
    }
    let site = Site::new();
    assert_eq!(site.refresh().status, Some(0));
    give_away(&site.index());
    let ended = run(site.place.epcache(["status"]).arg(&site.path));
    assert!(ended.status == Some(1) && ended.err.contains("owned by untrusted uid"), "{ended:?}");
    let listed = run(site.place.epcache(["list", "--site"]).arg(&site.path));
    assert!(listed.out.contains("foo = m:f"), "{listed:?}");
    assert_eq!(site.refresh().status, Some(0));
    assert_eq!(fs::metadata(site.index()).expect("an index").uid(), 0);
}

#[test]
fn a_refresh_continues_without_a_lock_that_is_held_for_long() {
    let site = Site::new();
    fs::create_dir(&site.sidecar).expect("a directory");
    let lock = File::create(site.sidecar.join("lock")).expect("a file");
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    let ended = site.refresh();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.err.contains("lock held by another process for more than 2 s"), "{ended:?}");
    assert!(ended.took > Duration::from_secs(2) && ended.took < Duration::from_secs(6), "{ended:?}");
    assert_eq!(indexed(&site.index()), ["foo-1.dist-info"]);
    drop(lock);
    let ended = site.refresh();
    assert!(ended.took < Duration::from_secs(2) && ended.err.is_empty(), "{ended:?}");
}

fn leftovers(sidecar: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sidecar).expect("a listing").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| !["index", "lock"].contains(&text(path).rsplit('/').next().expect("a name")))
        .collect()
}

#[test]
fn temporary_files_of_a_killed_writer_are_removed() {
    let site = Site::new();
    assert_eq!(site.refresh().status, Some(0));
    for number in [1, 77, std::process::id()] {
        fs::write(site.sidecar.join(format!(".index.{number}")), "half an ind").expect("room");
    }
    assert_eq!(site.refresh().status, Some(0));
    assert_eq!(leftovers(&site.sidecar), Vec::<PathBuf>::new());
}

#[test]
fn an_owner_without_write_permission_gets_an_error() {
    let site = Site::new();
    give_away(&site.path);
    fs::set_permissions(&site.path, Permissions::from_mode(0o555)).expect("ours");
    let ended = run(site.place.epcache_as_untrusted_user(["refresh"]).arg(&site.path));
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.err.contains(&format!("{}: Permission denied", site.sidecar.display())), "{ended:?}");
    assert!(ended.err.contains("hint: "), "{ended:?}");
    assert!(!site.sidecar.exists());
}

#[test]
fn a_user_without_write_permission_gets_an_index_in_the_user_cache() {
    if skipped_without_root("have a directory that another user can only read") {
        return;
    }
    let site = Site::new();
    let home = site.place.directory("home");
    let cache = site.place.directory("cache");
    [&home, &cache].into_iter().for_each(|path| give_away(path));
    let below =
        |base: &Path| base.join("epcache").join(site.path.strip_prefix("/").expect("absolute")).join("index");
    let refresh = || {
        let mut command = site.place.epcache_as_untrusted_user(["refresh"]);
        command.arg(&site.path);
        command
    };
    let ended = run(refresh().env("XDG_CACHE_HOME", &cache));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(indexed(&below(&cache)), ["foo-1.dist-info"]);
    // A relative path is invalid and ignored.
    let ended = run(refresh().env("XDG_CACHE_HOME", "cache").current_dir(site.place.path()));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(indexed(&below(&home.join(".cache"))), ["foo-1.dist-info"]);
    for home in [None, Some("relative"), Some("")] {
        let mut command = refresh();
        command.env_remove("HOME").envs(home.map(|home| ("HOME", home)));
        let ended = run(command);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(ended.err.contains("neither XDG_CACHE_HOME nor HOME is set"), "{ended:?}");
    }
    assert!(!site.sidecar.exists());
}

#[test]
fn indexes_are_readable_by_all_whatever_the_umask() {
    let site = Site::new();
    let program = site.place.epcache(["refresh"]).get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$0\" refresh \"$1\""]).arg(program).arg(&site.path);
    let ended = run(shell);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!((mode(&site.sidecar), mode(&site.index())), (0o755, 0o644));
}

#[test]
fn a_private_cache_is_readable_by_its_owner_alone() {
    if skipped_without_root("have a directory that another user can only read") {
        return;
    }
    let site = Site::new();
    let home = site.place.directory("home");
    give_away(&home);
    let ended = run(site.place.epcache_as_untrusted_user(["refresh"]).arg(&site.path));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let index =
        home.join(".cache/epcache").join(site.path.strip_prefix("/").expect("absolute")).join("index");
    assert_eq!(mode(&index), 0o600);
    for directory in index.ancestors().skip(1).take_while(|directory| *directory != home) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    let ended = run(site.place.epcache_as_untrusted_user(["status"]).arg(&site.path));
    assert!(ended.err.is_empty() && !ended.out.contains("no index"), "{ended:?}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}
