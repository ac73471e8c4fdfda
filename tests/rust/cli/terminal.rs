//! A terminal at which the program runs, and a command that records the signals it receives.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;

use crate::support::program::{Place, restore_signals};

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` returns something.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A Python program that writes the number of every signal that it receives. It ends with 7 on request, or
/// when nobody reads its output. Signals given as arguments keep their default handling.
const LISTENER: &str = "
import os, signal, sys, time
received = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
kept = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, *map(int, sys.argv[2:])}
for number in set(range(1, 32)) - kept:
    signal.signal(number, lambda number, frame: os.write(received, b'%d\\n' % number))
os.write(received, b'%d %d\\n' % (os.getpid(), os.getpgrp()))
while os.path.exists(sys.argv[1]) and not os.path.exists(sys.argv[1] + '.end'):
    time.sleep(0.01)
sys.exit(7)
";

/// The listener, observed by its output.
pub struct Listener {
    received: PathBuf,
}

impl Listener {
    /// A new listener, and the words of its command line.
    pub fn new(place: &Place, name: &str, kept: &[i32]) -> (Self, Vec<String>) {
        let (received, script) = (place.path().join(name), place.path().join("listener.py"));
        fs::write(&script, LISTENER).expect("room");
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let mut words = vec!["python3".to_owned(), "-IS".to_owned(), text(&script), text(&received)];
        words.extend(kept.iter().map(i32::to_string));
        (Self { received }, words)
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.received).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits until it listens; returns its process and its group.
    pub fn ready(&self) -> (i32, i32) {
        let first = until("a listener", || self.lines().into_iter().next());
        let (process, group) = first.split_once(' ').expect("two numbers");
        (process.parse().expect("a number"), group.parse().expect("a number"))
    }

    /// The signals that it has received.
    pub fn received(&self) -> Vec<i32> {
        self.lines().iter().skip(1).map(|line| line.parse().expect("a number")).collect()
    }

    /// Waits until it has received another signal, then a little longer, for signals that must not come.
    pub fn waits_for(&self, expected: &[i32]) {
        until(&format!("signals {expected:?}, not {:?}", self.received()), || {
            (self.received().len() >= expected.len()).then_some(())
        });
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(self.received(), expected);
    }

    /// Makes it end.
    pub fn end(&self) {
        fs::write(self.received.with_extension("end"), "").expect("room");
    }
}

/// The state of a process, as `/proc` has it: `S`, `T`...
fn state(process: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until a process is stopped, or is not.
pub fn until_stopped(process: i32, stopped: bool) {
    until(&format!("process {process} stopped: {stopped}"), || {
        (state(process).is_some_and(|state| state == 'T') == stopped).then_some(())
    });
}

/// The one child of a process.
pub fn child_of(process: u32) -> i32 {
    until("a child", || {
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })
}

/// A terminal, and the process that leads its session.
pub struct Terminal {
    plug: Arc<Mutex<Option<File>>>,
    screen: Arc<Mutex<String>>,
    /// Kept open: a terminal hangs up when its last descriptor is closed.
    _slave: OwnedFd,
    leader: Child,
}

impl Terminal {
    /// Runs `words` at a new terminal.
    pub fn run(place: &Place, words: &[String]) -> Self {
        // No other test may inherit these: a terminal hangs up when its last descriptor is closed.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("a terminal");
        rustix::pty::grantpt(&master).expect("a terminal");
        rustix::pty::unlockpt(&master).expect("a terminal");
        let name = rustix::pty::ptsname(&master, Vec::new()).expect("a terminal");
        let slave = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&*name, slave, Mode::empty()).expect("a terminal");
        let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
        // It makes this the controlling terminal and executes the command.
        let mut leader = Command::new("setsid");
        leader
            .arg("--ctty")
            .args(words)
            .env_clear()
            .envs([("PATH", path().as_str()), ("TERM", "dumb"), ("PS1", "prompt> ")])
            .env("HOME", place.path())
            .current_dir(place.path())
            .stdin(stream())
            .stdout(stream())
            .stderr(stream());
        restore_signals(&mut leader);
        let leader = leader.spawn().expect("setsid of util-linux");
        rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK).expect("a descriptor");
        let plug = Arc::new(Mutex::new(Some(File::from(master))));
        let screen = Arc::new(Mutex::new(String::new()));
        let (read, shown) = (Arc::clone(&plug), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = match lock(&read).as_mut().map(|master| master.read(&mut bytes)) {
                    Some(Ok(count @ 1..)) => count,
                    Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => 0,
                    _ => break,
                };
                lock(&shown).push_str(&String::from_utf8_lossy(&bytes[..count]));
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { plug, screen, _slave: slave, leader }
    }

    /// The session leader.
    pub fn leader(&self) -> u32 {
        self.leader.id()
    }

    /// Types keys at the terminal.
    pub fn types(&self, keys: &str) {
        lock(&self.plug).as_mut().expect("not unplugged").write_all(keys.as_bytes()).expect("it listens");
    }

    /// Hangs up, as when a window is closed.
    pub fn hangs_up(&self) {
        *lock(&self.plug) = None;
    }

    /// Waits until the terminal shows a text in its new output.
    pub fn shows(&self, text: &str) {
        let seen = || lock(&self.screen).clone();
        let start = Instant::now();
        while !seen().contains(text) {
            assert!(start.elapsed() < PATIENCE, "no {text:?} in {:?}", seen());
            std::thread::sleep(Duration::from_millis(3));
        }
        let mut screen = lock(&self.screen);
        let end = screen.find(text).map_or(0, |start| start + text.len());
        screen.drain(..end);
    }

    /// Waits for the session leader to end.
    pub fn ends(mut self) -> ExitStatus {
        until("the end", || self.leader.try_wait().expect("our own child"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A search path on which the system's own Python comes first.
pub fn path() -> String {
    format!("/usr/bin:/bin:{}", std::env::var("PATH").unwrap_or_default())
}
