//! The index and its directory in every wrong form, and the location of the index for each user.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use epcache::freshness::clock::SETTLE_AFTER;
use rustix::fs::FlockOperation;

use crate::support::program::{Ended, Place, give_away, is_root, run, skipped_without_root};
use crate::support::tree::{everything_below, indexed, install, names, text};

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
fn what_is_in_the_way_of_the_index_directory_is_named_and_the_hint_mends_it() {
    type Make = fn(&Site);
    let obstacles: [(&str, Make); 4] = [
        ("is a symbolic link", |site| {
            symlink(site.place.directory("elsewhere"), &site.sidecar).expect("a link");
        }),
        ("is a symbolic link", |site| symlink("nowhere", &site.sidecar).expect("a link")),
        ("is not a directory", |site| fs::write(&site.sidecar, "").expect("room")),
        ("belongs to another user", |site| {
            fs::create_dir(&site.sidecar).expect("a directory");
            give_away(&site.sidecar);
        }),
    ];
    for (why, make) in obstacles {
        if why.contains("another user") && skipped_without_root("give a directory away") {
            continue;
        }
        let site = Site::new();
        make(&site);
        let ended = site.refresh();
        let message = format!("epcache: error: {}: {why}", site.sidecar.display());
        assert!(ended.status == Some(3) && ended.err.contains(&message), "{ended:?}");
        assert!(!site.place.path().join("elsewhere/index").exists() && !site.index().exists());
        let hint = ended.err.split_once("; hint: ").expect("a hint").1.lines().next().expect("a line");
        let program = Path::new(env!("CARGO_BIN_EXE_epcache")).parent().expect("a directory");
        let path = format!("{}:/usr/bin:/bin", program.display());
        let fixed = run(Command::new("sh").args(["-c", hint]).env_clear().env("PATH", path));
        assert_eq!(fixed.status, Some(0), "{hint}: {fixed:?}");
        assert_eq!(indexed(&site.index()), ["foo-1.dist-info"]);
    }
}

/// `chmod -R g=u`, the last step of images for OpenShift.
fn let_the_group_write(path: &Path) {
    for path in everything_below(path).into_keys() {
        let mode = fs::metadata(&path).expect("it is there").mode();
        fs::set_permissions(&path, Permissions::from_mode(mode & 0o707 | (mode & 0o700) >> 3)).expect("ours");
    }
}

#[test]
fn an_index_whose_writers_could_write_the_site_directory_is_used() {
    let site = Site::new();
    std::thread::sleep(SETTLE_AFTER);
    assert_eq!(site.refresh().status, Some(0));
    let status = || run(site.place.epcache(["status"]).arg(&site.path));
    let chmod = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    // The change of the site directory's own mode makes the index stale, and not missing.
    for (directory, index, is_used) in [
        (0o755, 0o644, true),
        (0o755, 0o664, false),
        (0o775, 0o664, true),
        (0o765, 0o664, false),
        (0o1775, 0o664, false),
        (0o775, 0o666, false),
        (0o777, 0o666, true),
        (0o757, 0o664, false),
    ] {
        chmod(&site.path, directory);
        chmod(&site.index(), index);
        let ended = status();
        let found = !ended.out.contains("no index that readers trust");
        assert_eq!(found, is_used, "{directory:o} {index:o}: {ended:?}");
    }
    if is_root() {
        // The group of the index is another one than that of the directory.
        chmod(&site.path, 0o775);
        chmod(&site.index(), 0o664);
        std::os::unix::fs::chown(site.index(), None, Some(7)).expect("root may");
        assert!(status().out.contains("no index that readers trust"));
    }
}

#[test]
fn a_refresh_takes_back_what_the_group_may_write_and_believes_none_of_it() {
    let site = Site::new();
    assert_eq!(site.refresh().status, Some(0));
    // An index that says something else about the same stamps, as a member of the group could write it.
    let bytes = fs::read(site.index()).expect("an index");
    let mut forged = epcache::index::parse(&bytes).expect("an index");
    std::rc::Rc::make_mut(&mut forged.distributions[0]).entry_points = Some(Vec::new());
    let forged = epcache::index::render(&forged);
    for only_the_file in [false, true] {
        fs::write(site.index(), &forged).expect("ours");
        if only_the_file {
            fs::set_permissions(site.index(), Permissions::from_mode(0o664)).expect("ours");
        } else {
            let_the_group_write(&site.path);
        }
        let ended = run(site.place.epcache(["refresh", "--json"]).arg(&site.path));
        assert!(ended.status == Some(0) && ended.err.is_empty(), "{ended:?}");
        assert_eq!(names(&ended.out, "read"), ["foo-1.dist-info"], "{ended:?}");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;
        assert_eq!((mode(&site.sidecar), mode(&site.index())), (0o755, 0o644));
        let verified = run(site.place.epcache(["verify"]).arg(&site.path));
        assert_eq!(verified.status, Some(0), "{verified:?}");
    }
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
