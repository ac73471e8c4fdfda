//! Doing a job in a process without privileges.
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::sandbox::{self, Confined, Confinement};
use super::{RunAs, drop};
use crate::error::{Error, Result};
use crate::sys::{message, signal};

/// The longest answer that is read from a child, which is not trusted.
const MAX_ANSWER: u64 = 1 << 30;

/// What a child says.
#[derive(Serialize, Deserialize)]
struct Answer<T> {
    /// How it was confined, if it came so far.
    confined: Option<Confined>,
    /// What the job returned, or why there is nothing.
    outcome: std::result::Result<T, String>,
}

/// Does `job` as `run_as` and returns what it returns.
///
/// For [`RunAs::Caller`] this is a plain call. Otherwise a child is forked, drops its privileges,
/// is confined, does the job, and hands over the result as JSON.
///
/// # Errors
/// When there is no answer: privileges could not be dropped, or the child was killed.
pub fn run<T: Serialize + DeserializeOwned>(
    run_as: RunAs,
    confinement: &Confinement,
    job: impl FnOnce() -> T,
) -> Result<T> {
    let RunAs::User(user) = run_as else { return Ok(job()) };
    let answer = ask(|| drop::to(user, confinement), job)?;
    if let Some(missing) = answer.confined.as_ref().and_then(Confined::missing) {
        tell_once(&missing);
    }
    answer.outcome.map_err(|why| Error::Child { why })
}

/// How a child of `run_as` would be confined here: one tries. The caller's processes are not confined
/// when they work; it is shown what they could be.
///
/// # Errors
/// Those of [`run`].
pub fn try_confinement(run_as: RunAs, confinement: &Confinement) -> Result<Confined> {
    let become_confined = || match run_as {
        RunAs::User(user) => drop::to(user, confinement),
        RunAs::Caller => drop::no_new_privileges().and_then(|()| sandbox::enter(confinement)),
    };
    let answer = ask(become_confined, || ())?;
    let nothing = || Error::Child { why: "did not say how it was confined".to_owned() };
    answer.outcome.map_err(|why| Error::Child { why })?;
    answer.confined.ok_or_else(nothing)
}

/// Has a child become what it should be and do `job`.
fn ask<T: Serialize + DeserializeOwned>(
    become_confined: impl FnOnce() -> Result<Confined>,
    job: impl FnOnce() -> T,
) -> Result<Answer<T>> {
    let failed = |error: std::io::Error| Error::Child { why: format!("can't be started: {error}") };
    signal::hear_of_children();
    let (mut ours, mut theirs) = UnixStream::pair().map_err(failed)?;
    // SAFETY: this process has a single thread, so the child may go on as if nothing had happened.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Parent { child } => {
            std::mem::drop(theirs);
            let mut answer = Vec::new();
            let received = Read::take(&mut ours, MAX_ANSWER).read_to_end(&mut answer);
            let ended = wait(child)?;
            received.map_err(|error| Error::Child { why: format!("can't be heard: {error}") })?;
            serde_json::from_slice(&answer)
                .map_err(|_| Error::Child { why: format!("ended without an answer ({ended})") })
        }
        ForkResult::Child => {
            std::mem::drop(ours);
            signal::reset_signals();
            let answer = match become_confined() {
                Ok(confined) => Answer {
                    confined: Some(confined),
                    outcome: catch_unwind(AssertUnwindSafe(job))
                        .map_err(|_| "failed by a mistake in epcache".to_owned()),
                },
                Err(error) => Answer { confined: None, outcome: Err(error.to_string()) },
            };
            let written = serde_json::to_vec(&answer).map(|answer| theirs.write_all(&answer));
            // SAFETY: _exit only ends the process. Nothing that belongs to the parent, such as its
            // buffers, is flushed a second time.
            unsafe { libc::_exit(i32::from(!matches!(written, Ok(Ok(()))))) }
        }
    }
}

/// Says that something is missing, however many children there are.
fn tell_once(missing: &str) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        message::aside(&format!(
            "what reads metadata is not confined by {missing}; hint: epcache status --sandbox"
        ));
    }
}

fn wait(child: Pid) -> Result<String> {
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(format!("exit status {status}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(format!("killed by {signal}")),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(Error::Child { why: format!("was lost: {error}") }),
        }
    }
}
