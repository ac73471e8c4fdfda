//! Several concurrent refreshes without the lock, while a package is rebuilt in place.

use std::fs;
use std::time::Duration;

use epcache::index::parse;
use epcache::privilege::RunAs;
use epcache::refresh::{Depth, Request, refresh};
use epcache::site::SiteDir;
use epcache::store::index_dir::IndexDir;
use epcache::store::location;
use epcache::store::target::{Operation, Target};
use epcache::sys::root::System;

use super::site::Site;

#[test]
fn a_writer_that_began_before_a_change_does_not_hide_it() {
    let mut site = Site::new();
    // Enough to keep a refresh busy for a while.
    (0..100).for_each(|number| site.install(&format!("other{number}-1.dist-info")));
    site.install("foo-1.dist-info");
    let sidecar = site.path().join(".epcache");
    // Only a file can be locked.
    fs::create_dir_all(sidecar.join("lock")).expect("a directory");
    let target = Target {
        site: site.path().to_owned(),
        location: &location::SITE,
        run_as: RunAs::Caller,
        place: None,
        is_known: true,
    };
    let system = System::new(None).expect("this system");
    for number in 0..150 {
        let early = {
            let (target, system) = (target.clone(), system.clone());
            std::thread::spawn(move || {
                let request = Request { depth: Depth::Everything, finished: true, ..Request::thorough() };
                refresh(&target, &system, &request, Operation::Refresh)
            })
        };
        std::thread::sleep(Duration::from_micros(number % 20 * 100));
        site.replace_a_file("foo-1.dist-info");
        let request = Request { depth: Depth::Directories, finished: true, ..Request::thorough() };
        let late = refresh(&target, &system, &request, Operation::Refresh);
        let early = early.join().expect("no panic");
        assert_eq!((&late.error, &early.error), (&None, &None));

        let bytes = fs::read(sidecar.join("index")).expect("an index");
        let index = parse(&bytes).expect("an intact index");
        let found = index.distributions.iter().find(|row| *row.file_name == *b"foo-1.dist-info");
        let entries = found.and_then(|row| row.entry_points.as_ref()).expect("ordinary");
        let text = format!("[g]\na = {}\n", entries[0].value);
        assert_eq!(Some(text), site.entry_points("foo-1.dist-info"), "time {number}");
    }
}

#[test]
fn a_slow_lock_holder_notices_that_another_writer_continued() {
    let mut site = Site::new();
    site.install("foo-1.dist-info");
    let target = Target {
        site: site.path().to_owned(),
        location: &location::SITE,
        run_as: RunAs::Caller,
        place: None,
        is_known: true,
    };
    let system = System::new(None).expect("this system");
    let directory = SiteDir::open(site.path().to_owned()).expect("a directory");
    let mut slow = IndexDir::open(&location::SITE, &directory, &system).expect("our own directory");
    assert!(!slow.is_alone(), "without the lock nobody knows");
    slow.lock();
    assert!(slow.is_alone());
    let request = Request { names: true, ..Request::thorough() };
    let report = refresh(&target, &system, &request, Operation::Refresh);
    assert_eq!((report.error, report.added.len()), (None, 1));
    assert!(!slow.is_alone());
    drop(slow);
    let mut next = IndexDir::open(&location::SITE, &directory, &system).expect("our own directory");
    next.lock();
    assert!(next.is_alone());
}
