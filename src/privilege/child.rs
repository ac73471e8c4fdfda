//! Does a job in an unprivileged child process.
#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use rustix::fs::Dir;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::sandbox::{self, Confined, Confinement};
use super::{RunAs, drop};
use crate::error::{Error, Failure, Result};
use crate::sys::{fs, message, signal};

/// The longest answer that is read from a child, which is not trusted.
const MAX_ANSWER: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Answer<T> {
    /// How the child was confined, if it came so far.
    confined: Option<Confined>,
    /// The result of the job, or why it was not done.
    outcome: std::result::Result<T, Failure>,
}

/// Does `job` as `run_as` and returns its result.
///
/// For [`RunAs::Caller`] this is a plain call. Otherwise a child is forked, drops its privileges, is
/// confined, does the job, and sends the result as JSON.
///
/// Fails when there is no answer: privileges could not be dropped, or the child was killed.
pub fn run<T: Serialize + DeserializeOwned>(
    run_as: RunAs,
    confinement: &Confinement,
    job: impl FnOnce() -> T,
) -> Result<T> {
    let RunAs::User(user) = run_as else { return Ok(job()) };
    let answer = fork_and_run(|| drop::to(user, confinement), job)?;
    if let Some(missing) = answer.confined.as_ref().and_then(Confined::missing) {
        warn_once(&missing);
    }
    answer.outcome.map_err(Error::Child)
}

/// Reports how a child of `run_as` would be confined, by confining one. A child of the caller is confined
/// for this only.
pub fn try_confinement(run_as: RunAs, confinement: &Confinement) -> Result<Confined> {
    let prepare = || match run_as {
        RunAs::User(user) => drop::to(user, confinement),
        RunAs::Caller => drop::no_new_privileges().and_then(|()| sandbox::enter(confinement)),
    };
    let answer = fork_and_run(prepare, || ())?;
    answer.outcome.map_err(Error::Child)?;
    answer.confined.ok_or_else(|| Error::child("did not report how it was confined"))
}

/// Forks a child that does `prepare` and then `job`, and waits for its answer.
fn fork_and_run<T: Serialize + DeserializeOwned>(
    prepare: impl FnOnce() -> Result<Confined>,
    job: impl FnOnce() -> T,
) -> Result<Answer<T>> {
    let failed = |error: io::Error| Error::child(format!("can't be started: {error}"));
    check_single_thread().map_err(failed)?;
    signal::restore_sigchld();
    let (mut ours, mut theirs) = UnixStream::pair().map_err(failed)?;
    // SAFETY: this process has a single thread, so all its memory is in a consistent state in the child.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Parent { child } => {
            std::mem::drop(theirs);
            let mut answer = Vec::new();
            let received = Read::take(&mut ours, MAX_ANSWER).read_to_end(&mut answer);
            let ended = wait(child)?;
            received.map_err(|error| Error::child(format!("sent an answer that can't be read: {error}")))?;
            serde_json::from_slice(&answer)
                .map_err(|_| Error::child(format!("ended without an answer ({ended})")))
        }
        ForkResult::Child => {
            std::mem::drop(ours);
            signal::reset();
            let answer = match prepare() {
                Ok(confined) => Answer {
                    confined: Some(confined),
                    outcome: catch_unwind(AssertUnwindSafe(job))
                        .map_err(|_| Failure { message: "failed: internal error".to_owned(), hint: None }),
                },
                Err(error) => Answer { confined: None, outcome: Err(Failure::from(&error)) },
            };
            let written = serde_json::to_vec(&answer).map(|answer| theirs.write_all(&answer));
            // SAFETY: _exit only ends the process. Buffers that were filled before the fork are not
            // flushed a second time.
            unsafe { libc::_exit(i32::from(!matches!(written, Ok(Ok(()))))) }
        }
    }
}

/// Fails if this process has several threads. A fork would then be unsafe, and capabilities and
/// confinement belong to a thread. Nothing here starts one; this guards against a change.
fn check_single_thread() -> io::Result<()> {
    let entries = match fs::open_dir(fs::CWD, "/proc/self/task", fs::Links::Follow) {
        Ok(directory) => Dir::new(directory)?,
        // A chroot without /proc.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut threads = 0;
    for entry in entries {
        threads += usize::from(!entry?.file_name().to_bytes().starts_with(b"."));
    }
    if threads == 1 { Ok(()) } else { Err(io::Error::other(format!("this process has {threads} threads"))) }
}

/// Warns about missing confinement once, however many children there are.
fn warn_once(missing: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        message::warn_admin(&format!(
            "processes that read metadata are not confined by {missing}; hint: epcache status --sandbox"
        ));
    }
}

/// Reaps the child, and describes how it ended.
fn wait(child: Pid) -> Result<String> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(format!("exit status {status}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(format!("killed by {signal}")),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(Error::child(format!("was lost: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::sandbox::Needs;
    use crate::sys::root::User;

    #[test]
    fn a_process_with_several_threads_does_not_fork() {
        let confinement = Confinement { needs: Needs::default(), required: false, largest_file: 1 };
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        let answer = run(RunAs::User(User::NOBODY), &confinement, || ());
        std::mem::drop(stop);
        let _ = other.join();
        let error = answer.expect_err("there are two threads").to_string();
        assert!(error.contains("can't be started: this process has "), "{error}");
    }
}
