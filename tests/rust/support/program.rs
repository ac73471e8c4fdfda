//! Runs epcache.
#![allow(unsafe_code)]

use std::borrow::BorrowMut;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal};

/// A user without privileges, who owns nothing on this machine.
pub const UNTRUSTED_UID: u32 = 54321;

/// The time limit of a command: a multiple of the longest wait for a lock.
const LIMIT: Duration = Duration::from_secs(30);

/// A temporary directory that every user may enter, with a copy of the program.
pub struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        let path = directory.path().canonicalize().expect("a path");
        Self { _directory: directory, path }
    }

    /// Its canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new directory in it.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    /// A command for the program, with an environment that names nothing outside of this place.
    pub fn epcache<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_epcache"));
        restore_signals(&mut command);
        command.args(arguments).env_clear().env("HOME", self.path.join("home")).current_dir("/");
        command
    }

    /// The same as a user without privileges, which may be the current user.
    pub fn epcache_as_untrusted_user<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let program = self.path.join("epcache");
        if !program.exists() {
            // Copied by another process: a program that a concurrent test starts would inherit the
            // file open for writing, and a program open for writing can't be run.
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_epcache")).arg(&program).status();
            assert!(copied.expect("cp").success(), "room for the program");
        }
        let mut command = Command::new(program);
        restore_signals(&mut command);
        command.args(arguments).env_clear().env("HOME", self.path.join("home")).current_dir("/");
        if is_root() {
            command.uid(UNTRUSTED_UID).gid(UNTRUSTED_UID);
        }
        command
    }
}

/// Starts a command with the default reaction to HUP, INT and QUIT. The tests may run with these ignored, as
/// by `nohup`, and processes inherit that.
pub fn restore_signals(command: &mut Command) {
    let restore = || {
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
            // SAFETY: no handler is installed, so nothing can be interrupted by one.
            unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls alone.
    unsafe { command.pre_exec(restore) };
}

/// Whether everything can be tested.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// For tests that need root: prints the reason for skipping.
pub fn skipped_without_root(why: &str) -> bool {
    if !is_root() {
        eprintln!("skipped: only root can {why}");
    }
    !is_root()
}

/// Gives a file to the untrusted user, unless it is theirs already.
pub fn give_away(path: &Path) {
    if is_root() {
        std::os::unix::fs::lchown(path, Some(UNTRUSTED_UID), Some(UNTRUSTED_UID)).expect("root may do that");
    }
}

/// The exit status and the output of the program.
#[derive(Debug)]
pub struct Ended {
    /// Exit status.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

/// Runs a command to its end, within the time limit.
pub fn run(mut command: impl BorrowMut<Command>) -> Ended {
    let start = Instant::now();
    let command = command.borrow_mut().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("epcache starts");
    wait(child, start)
}

/// Waits for a command that was started with pipes.
pub fn wait(mut child: Child, start: Instant) -> Ended {
    let listen = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_string(&mut text).expect("UTF-8");
            }
            text
        })
    };
    let out = listen(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let err = listen(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().expect("our own child");
            panic!("hung: {}", err.join().expect("no panic"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    Ended {
        status: status.code(),
        out: out.join().expect("no panic"),
        err: err.join().expect("no panic"),
        took,
    }
}
