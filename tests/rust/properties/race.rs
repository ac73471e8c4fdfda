//! Refreshes during concurrent changes: the result may be incomplete, never wrong.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use epcache::index::{Index, parse, render};
use epcache::metadata::Stamps;
use epcache::refresh::{Depth, Request, reconcile};
use epcache::site::SiteDir;
use epcache::site::retries::Retries;

use super::site::Site;

const NAMES: [&str; 3] = ["foo-1.dist-info", "bar-1.dist-info", "baz-1.dist-info"];

#[test]
fn distributions_with_unchanged_stamps_match_the_index() {
    let mut site = Site::new();
    NAMES.iter().for_each(|name| site.install(name));
    let path = site.path().to_owned();
    let (site, stop) = (Mutex::new(site), AtomicBool::new(false));
    let mut compared = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let mut site = site.lock().expect("no panic");
                let name = NAMES[number % 3];
                match number % 7 {
                    0 => site.replace_whole(name),
                    1..=2 => site.replace_a_file(name),
                    // Twice within a few milliseconds, alternating.
                    3 | 6 if number / 28 % 2 == 0 => site.edit_its_list(name),
                    _ => site.edit_in_place(name),
                }
                drop(site);
                // Long enough for a refresh to run between two changes sometimes.
                std::thread::sleep(Duration::from_millis([0, 1, 3, 9][number % 4]));
            }
        });
        let start = Instant::now();
        let mut bytes: Option<Vec<u8>> = None;
        while start.elapsed() < Duration::from_secs(8) {
            let directory = SiteDir::open(path.clone()).expect("a directory");
            let old = bytes.as_ref().map(|bytes| parse(bytes).expect("our own index"));
            let request = Request { depth: Depth::Files, finished: true, ..Request::thorough() };
            let outcome =
                reconcile(&directory, old.as_ref(), &request, &Retries::default()).expect("a listing");
            compared += compare(&site.lock().expect("no panic"), &outcome.index);
            bytes = Some(render(&outcome.index));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(compared > 20, "too few unchanged distributions to show anything: {compared}");
}

#[test]
fn a_file_edited_right_after_it_was_read_has_another_stamp() {
    let mut site = Site::new();
    NAMES.iter().for_each(|name| site.install(name));
    let directory = SiteDir::open(site.path().to_owned()).expect("a directory");
    let mut old: Option<Vec<u8>> = None;
    for number in 0..300 {
        let edit = [Site::edit_in_place, Site::edit_its_list][number % 2];
        let name = NAMES[number % 3];
        edit(&mut site, name);
        let request = Request { depth: Depth::Files, finished: true, ..Request::thorough() };
        let known = old.as_ref().map(|bytes| parse(bytes).expect("our own index"));
        let outcome =
            reconcile(&directory, known.as_ref(), &request, &Retries::default()).expect("a listing");
        edit(&mut site, name);
        assert_eq!(compare(&site, &outcome.index), NAMES.len() - 1, "{name} shows what it did before");
        old = Some(render(&outcome.index));
    }
}

#[test]
fn a_directory_that_changes_in_every_pass_is_recorded_as_unsettled() {
    let mut site = Site::new();
    site.install(NAMES[0]);
    let directory = SiteDir::open(site.path().to_owned()).expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    // From now on the path never leads to the opened directory.
    std::fs::rename(site.path(), elsewhere.path().join("site")).expect("the same file system");
    let retries = Retries::default();
    let request = Request { finished: true, ..Request::thorough() };
    let outcome = reconcile(&directory, None, &request, &retries).expect("a listing");
    assert!(retries.are_used_up() && !outcome.index.settled);
    assert_eq!(outcome.changes.read, [NAMES[0].as_bytes()]);
}

/// Since Linux 6.13, files on ext4, xfs, btrfs and tmpfs get a stamp of their own after each query of it. On
/// ramfs, as on all file systems of older kernels, a tick of 4 or 10 ms has one stamp.
#[test]
fn distributions_match_the_index_where_many_changes_share_a_stamp() {
    let below = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            "mount -t ramfs ramfs \"$1\" || exit 77; TMPDIR=$1 exec \"$2\" --exact \"$3\" \"$4\"",
            "sh",
        ])
        .arg(below.path())
        .arg(std::env::current_exe().expect("this program"))
        .arg("properties::race::distributions_with_unchanged_stamps_match_the_index")
        .arg("properties::race::a_file_edited_right_after_it_was_read_has_another_stamp")
        .output();
    match output {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("2 passed"), "{output:?}");
        }
        Ok(output) if nix::unistd::geteuid().is_root() && output.status.code() != Some(77) => {
            panic!("{}", String::from_utf8_lossy(&output.stdout));
        }
        _ => eprintln!("skipped: mounting a ramfs needs root"),
    }
}

/// Compares each distribution whose stamps match the index with its file; returns the number of compared
/// distributions.
fn compare(site: &Site, index: &Index<'_>) -> usize {
    let mut compared = 0;
    for row in index.distributions.iter().filter(|row| row.settled || index.settled) {
        let name = String::from_utf8_lossy(&row.file_name);
        let ns = |seconds: i64, ns: i64| seconds * 1_000_000_000 + ns;
        let now = site.stats(&name).map(|stat| {
            stat.map(|(mtime, mtime_ns, ctime, ctime_ns, inode, size)| {
                (ns(mtime, mtime_ns), ns(ctime, ctime_ns), inode, size)
            })
        });
        let Stamps { itself, metadata, entry_points, top_level, files } = row.stamps;
        let stamps = [Some(itself), metadata, entry_points, top_level, files];
        let recorded =
            stamps.map(|stamp| stamp.map(|stamp| (stamp.mtime, stamp.ctime, stamp.inode, stamp.size)));
        if now == recorded {
            let entries = row.entry_points.as_ref().expect("ordinary");
            let text: String =
                entries.iter().map(|entry| format!("[g]\n{} = {}\n", entry.name, entry.value)).collect();
            assert_eq!(Some(text), site.entry_points(&name), "{name} is not as recorded");
            let names = [&row.top_level.names, &row.top_level.missing, &row.top_level.python_names];
            assert_eq!(names.map(|names| names.to_string()), site.top_level(&name), "{name}");
            compared += 1;
        }
    }
    compared
}
