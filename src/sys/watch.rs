//! Watches directories: the kernel reports when a name in them comes or goes (inotify).

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// Directories that are watched, each by a number.
pub struct Watched {
    inotify: Inotify,
    directories: HashMap<WatchDescriptor, usize>,
}

/// What has happened since the last call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// The directories in which names have come or gone.
    pub changed: BTreeSet<usize>,
    /// Those that were removed or renamed. They are not watched any more.
    pub gone: BTreeSet<usize>,
}

impl Happened {
    fn is_nothing(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty()
    }
}

impl Watched {
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        Ok(Self { inotify, directories: HashMap::new() })
    }

    /// Watches an open directory from now on.
    pub fn add(&mut self, directory: impl AsFd, number: usize) -> io::Result<()> {
        // By its descriptor, so that it is that directory and no other one of the same path.
        let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
        let itself = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR;
        let watch = self.inotify.add_watch(Path::new(&path), names | itself)?;
        self.directories.insert(watch, number);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Waits for a change until a time, or for ever. Then waits until nothing has happened for as long as `quiet`,
    /// or until that has taken as long as `most`.
    pub fn wait(&mut self, until: Option<Instant>, quiet: Duration, most: Duration) -> io::Result<Happened> {
        let mut happened = Happened::default();
        let mut deadline = until;
        let mut end = None;
        while self.is_readable(deadline)? {
            self.take(&mut happened)?;
            if !happened.is_nothing() {
                let now = Instant::now();
                let end = *end.get_or_insert(now + most);
                deadline = Some(end.min(now + quiet));
            }
        }
        Ok(happened)
    }

    fn is_readable(&self, until: Option<Instant>) -> io::Result<bool> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                // Rounded up, so that the time is over afterwards.
                let left = left + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)], timeout) {
                Err(Errno::EINTR) => {}
                Ok(0) if until.is_none_or(|until| Instant::now() < until) => {}
                found => return Ok(found? > 0),
            }
        }
    }

    fn take(&mut self, happened: &mut Happened) -> io::Result<()> {
        let events = match self.inotify.read_events() {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            events => events?,
        };
        for InotifyEvent { wd, mask, .. } in events {
            if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                // Events were lost, which may be those of any directory.
                happened.changed.extend(self.directories.values());
                continue;
            }
            let Some(number) = self.directories.get(&wd).copied() else { continue };
            let is_gone = AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_MOVE_SELF
                | AddWatchFlags::IN_UNMOUNT
                | AddWatchFlags::IN_IGNORED;
            if mask.intersects(is_gone) {
                self.directories.remove(&wd);
                let _ = self.inotify.rm_watch(wd);
                happened.changed.remove(&number);
                happened.gone.insert(number);
            } else {
                happened.changed.insert(number);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    const QUIET: Duration = Duration::from_millis(20);
    const MOST: Duration = Duration::from_secs(5);

    fn wait(watched: &mut Watched) -> (Vec<usize>, Vec<usize>) {
        let happened = watched.wait(Some(Instant::now() + QUIET), QUIET, MOST).expect("events");
        (happened.changed.into_iter().collect(), happened.gone.into_iter().collect())
    }

    #[test]
    fn names_that_come_and_go_are_reported_and_nothing_else() {
        let place = tempfile::tempdir().expect("a directory");
        let paths = ["one", "two"].map(|name| place.path().join(name));
        let mut watched = Watched::new().expect("inotify");
        for (number, path) in paths.iter().enumerate() {
            fs::create_dir(path).expect("a directory");
            watched.add(File::open(path).expect("open"), number).expect("watched");
        }
        assert_eq!(wait(&mut watched), (vec![], vec![]));
        fs::create_dir(paths[0].join("a")).expect("a directory");
        assert_eq!(wait(&mut watched), (vec![0], vec![]));
        fs::write(paths[0].join("a/below"), "").expect("room");
        assert_eq!(wait(&mut watched), (vec![], vec![]), "it is below");
        fs::rename(paths[0].join("a"), paths[1].join("b")).expect("renamed");
        assert_eq!(wait(&mut watched), (vec![0, 1], vec![]));
        fs::remove_dir_all(&paths[1]).expect("removed");
        assert_eq!(wait(&mut watched), (vec![], vec![1]));
        fs::rename(&paths[0], &paths[1]).expect("renamed");
        assert_eq!(wait(&mut watched), (vec![], vec![0]));
        assert!(watched.is_empty());
    }

    #[test]
    fn changes_without_an_end_are_reported_all_the_same() {
        let place = tempfile::tempdir().expect("a directory");
        let mut watched = Watched::new().expect("inotify");
        watched.add(File::open(place.path()).expect("open"), 0).expect("watched");
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let path = place.path().join("name");
        let writer = std::thread::spawn(move || {
            while is_done.try_recv().is_err() {
                fs::write(&path, "").and_then(|()| fs::remove_file(&path)).expect("room");
            }
        });
        let happened = watched.wait(None, Duration::from_secs(3600), Duration::from_millis(50));
        done.send(()).expect("a writer");
        writer.join().expect("a writer");
        assert_eq!(happened.expect("events").changed, BTreeSet::from([0]));
    }
}
