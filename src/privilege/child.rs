//! Doing a job in a process without privileges.
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Identity, drop, start};
use crate::error::{Error, Result};

/// The longest answer that is read from a child, which is not trusted.
const MAX_ANSWER: u64 = 1 << 30;

/// Does `job` as `identity` and returns what it returns.
///
/// For [`Identity::Caller`] this is a plain call. Otherwise a child is forked, drops its privileges,
/// does the job, and hands over the result as JSON.
///
/// # Errors
/// When there is no answer: privileges could not be dropped, or the child was killed.
pub fn run<T: Serialize + DeserializeOwned>(identity: Identity, job: impl FnOnce() -> T) -> Result<T> {
    let Identity::User(user) = identity else { return Ok(job()) };
    let failed = |error: std::io::Error| Error::Child { why: format!("can't be started: {error}") };
    start::hear_of_children();
    let (mut ours, mut theirs) = UnixStream::pair().map_err(failed)?;
    // SAFETY: this process has a single thread, so the child may go on as if nothing had happened.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Parent { child } => {
            std::mem::drop(theirs);
            let mut answer = Vec::new();
            let received = Read::take(&mut ours, MAX_ANSWER).read_to_end(&mut answer);
            let ended = wait(child)?;
            received.map_err(|error| Error::Child { why: format!("can't be heard: {error}") })?;
            match serde_json::from_slice::<std::result::Result<T, String>>(&answer) {
                Ok(answer) => answer.map_err(|why| Error::Child { why }),
                Err(_) => Err(Error::Child { why: format!("ended without an answer ({ended})") }),
            }
        }
        ForkResult::Child => {
            std::mem::drop(ours);
            start::reset_signals();
            let answer = drop::to(user).map_err(|error| error.to_string()).and_then(|()| {
                catch_unwind(AssertUnwindSafe(job)).map_err(|_| "failed by a mistake in epcache".to_owned())
            });
            let written = serde_json::to_vec(&answer).map(|answer| theirs.write_all(&answer));
            // SAFETY: _exit only ends the process. Nothing that belongs to the parent, such as its
            // buffers, is flushed a second time.
            unsafe { libc::_exit(i32::from(!matches!(written, Ok(Ok(()))))) }
        }
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
