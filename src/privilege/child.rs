//! Does a job in an unprivileged child process.
#![allow(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, fork};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::program::End;
use super::sandbox::{self, Confined, Confinement, Part, Program, State};
use super::{RunAs, drop};
use crate::error::{Error, Failure, Result};
use crate::sys::account::Taken;
use crate::sys::deadline::Deadline;
use crate::sys::{caller, message, signal};

/// The longest answer that is read from a child, which is not trusted.
const MAX_ANSWER: u64 = 64 << 20;
/// The most values in it. Parsed, an empty text takes eight times as much memory as in the answer; with so many,
/// all together take less than the longest answer.
const MAX_VALUES: usize = 2_000_000;
/// The interval at which a child is polled on kernels before 5.3, which do not report its end by a descriptor.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long a killed child may take to end. A file system that does not answer can keep it for ever.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(1);

/// What a child does, with its result as JSON.
type Job<'j> = &'j dyn Fn() -> std::result::Result<Vec<u8>, Failure>;

/// What a child has done.
pub(super) struct Answer {
    /// How the child was confined, if it got that far.
    confined: Option<Confined>,
    /// The result of the job as JSON, or why it was not done.
    outcome: std::result::Result<Vec<u8>, Failure>,
}

/// The first line of what a child sends, as JSON. The result of the job follows.
#[derive(Serialize, Deserialize)]
struct Head {
    confined: Option<Confined>,
    outcome: std::result::Result<(), Failure>,
}

impl Answer {
    /// The result of a job that was not confined, or why it was not done.
    pub fn of(result: Result<impl Serialize>) -> Self {
        Self {
            confined: None,
            outcome: result.map_err(|error| Failure::from(&error)).and_then(|value| json(&value)),
        }
    }

    fn send(self, mut socket: &UnixStream) -> io::Result<()> {
        let Self { confined, outcome } = self;
        let (outcome, result) = outcome.map_or_else(|failure| (Err(failure), Vec::new()), |it| (Ok(()), it));
        let mut head = serde_json::to_vec(&Head { confined, outcome })?;
        head.push(b'\n');
        socket.write_all(&head)?;
        socket.write_all(&result)
    }

    fn received(mut bytes: Vec<u8>) -> Option<Self> {
        let end = memchr::memchr(b'\n', &bytes)?;
        let Head { confined, outcome } = serde_json::from_slice(&bytes[..end]).ok()?;
        let outcome = outcome.map(|()| {
            bytes.drain(..=end);
            bytes
        });
        Some(Self { confined, outcome })
    }
}

/// The result of a job as JSON, in which a child sends it.
pub fn json(value: &impl Serialize) -> std::result::Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|_| internal_error())
}

/// The opposite of [`json`].
pub fn parsed<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|_| Error::child("sent an answer of another kind"))
}

fn internal_error() -> Failure {
    Failure { message: "failed: internal error".to_owned(), hint: None }
}

/// Does `job` as `run_as` and returns its result.
///
/// A child is forked, drops its privileges if it has any, is confined, does the job, and sends the result as
/// JSON. A child that takes longer than [`Confinement::time_limit`] is killed.
///
/// For [`RunAs::Caller`], an interpreter that the caller names is run by this process itself, without confinement.
///
/// No child becomes a user of another system's tree whose uid is that of an account here that can log in. If the
/// uid or gid is another account's, the child must be confined.
///
/// Fails when there is no answer: this process can't become that user, privileges could not be dropped, or the child
/// was killed.
pub fn run<T: Serialize + DeserializeOwned>(
    run_as: RunAs,
    confinement: &Confinement,
    job: impl Fn() -> T,
) -> Result<T> {
    if run_as == RunAs::Caller && confinement.needs.program == Some(Program::Interpreter) {
        return Ok(job());
    }
    parsed(&run_to_json(run_as, confinement, &|| json(&job()))?)
}

/// As [`run`], for a job whose result is JSON. It is compiled once, not for each type of result.
pub fn run_to_json(run_as: RunAs, confinement: &Confinement, job: Job<'_>) -> Result<Vec<u8>> {
    run_as.check()?;
    let system = &confinement.needs.system;
    let shared_with = match run_as {
        RunAs::Caller => None,
        RunAs::User(user) => match system.taken(user) {
            Some(Taken::Person(account)) => {
                return Err(Error::AnothersAccount {
                    uid: user.uid,
                    account,
                    root: system.root().to_owned(),
                });
            }
            Some(Taken::Service(account)) => Some(account),
            None => None,
        },
    };
    let check = |confined: Confined| match (&shared_with, confined.absent()) {
        (Some(account), Some(lacking)) => Err(Error::UnconfinedAsAnother {
            lacking,
            account: account.clone(),
            root: system.root().to_owned(),
        }),
        _ => Ok(confined),
    };
    let answer = fork_and_run(&|| confine(run_as, confinement).and_then(&check), confinement, job)?;
    // A process of the caller has the caller's rights and no more, with and without confinement.
    if let (RunAs::User(_), Some(confined)) = (run_as, &answer.confined) {
        confined.missing().iter().for_each(|missing| warn_once(missing));
    }
    answer.outcome.map_err(Error::Child)
}

/// Reports how a child of `run_as` would be confined, by confining one.
pub fn try_confinement(run_as: RunAs, confinement: &Confinement) -> Result<Confined> {
    let answer = fork_and_run(&|| confine(run_as, confinement), confinement, &|| Ok(Vec::new()))?;
    answer.outcome.map_err(Error::Child)?;
    answer.confined.ok_or_else(|| Error::child("did not report how it was confined"))
}

/// Drops all privileges, if there are any, and confines this process.
fn confine(run_as: RunAs, confinement: &Confinement) -> Result<Confined> {
    match run_as {
        RunAs::User(user) => {
            signal::reset();
            drop::to(user, confinement)
        }
        // Signals stay as the caller has them: with `nohup`, this process is not to end either.
        RunAs::Caller => {
            drop::no_new_privileges()?;
            sandbox::enter(confinement, Part::new(State::Enforced, "those of the caller"))
        }
    }
}

/// Forks a child that does `prepare` and then `job`, and waits for its answer.
fn fork_and_run(
    prepare: &dyn Fn() -> Result<Confined>,
    confinement: &Confinement,
    job: Job<'_>,
) -> Result<Answer> {
    let kept = [confinement.needs.system.descriptor()];
    let work = |_: &UnixStream| match prepare() {
        Ok(confined) => Answer { confined: Some(confined), outcome: job() },
        Err(error) => Answer { confined: None, outcome: Err(Failure::from(&error)) },
    };
    start(&kept, &work)?.answer(confinement.time_limit)
}

/// A child that is running.
pub(super) struct Started {
    child: Pid,
    socket: UnixStream,
}

impl Started {
    /// Waits for the result of the job. A child that does not end in time is killed.
    pub fn result(self, time_limit: Duration) -> Result<Vec<u8>> {
        self.answer(time_limit)?.outcome.map_err(Error::Reported)
    }

    fn answer(self, time_limit: Duration) -> Result<Answer> {
        let (answer, ended) = receive(self.child, self.socket, time_limit)?;
        if has_more_values(&answer, MAX_VALUES) {
            return Err(Error::child(format!("sent an answer of more than {MAX_VALUES} values")));
        }
        Answer::received(answer).ok_or_else(|| Error::child(format!("ended without an answer ({ended})")))
    }
}

/// Forks a child that does `work` and sends its answer. Of the descriptors of this process, it has the standard
/// three and `kept`. The socket that `work` gets is closed at its other end when this process ends.
pub(super) fn start(
    kept: &[Option<BorrowedFd<'_>>],
    work: &dyn Fn(&UnixStream) -> Answer,
) -> Result<Started> {
    let failed = |error: io::Error| Error::child(format!("can't be started: {error}"));
    check_single_thread().map_err(failed)?;
    signal::restore_sigchld();
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    // SAFETY: this process has a single thread, so all its memory is in a consistent state in the child.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Parent { child } => {
            std::mem::drop(theirs);
            Ok(Started { child, socket: ours })
        }
        ForkResult::Child => {
            std::mem::drop(ours);
            let own = [Some(theirs.as_fd()), message::journal_descriptor()];
            signal::close_descriptors_except(&[&own, kept].concat());
            let theirs = Arc::new(theirs);
            let socket = Arc::clone(&theirs);
            // A panic must not unwind into the code of the parent, which this process has copied.
            message::on_panic(move || {
                let _ = Answer { confined: None, outcome: Err(internal_error()) }.send(&socket);
                end(false)
            });
            let sent = work(&theirs).send(&theirs);
            end(sent.is_ok())
        }
    }
}

/// Ends a forked process.
fn end(is_done: bool) -> ! {
    // SAFETY: _exit only ends the process. Buffers that were filled before the fork are not flushed a second time.
    unsafe { libc::_exit(i32::from(!is_done)) }
}

/// Fails if this process has several threads. A fork would then be unsafe, and capabilities and
/// confinement belong to a thread. Nothing here starts one; this guards against a change.
pub(super) fn check_single_thread() -> io::Result<()> {
    match caller::threads() {
        Ok(0 | 1) => Ok(()),
        Ok(threads) => Err(io::Error::other(format!("this process has {threads} threads"))),
        // A chroot without /proc.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
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

/// Reads the answer of a child until the child has ended, and returns it with the end. A
/// child that does not end in time, or that sends too much, is killed.
fn receive(child: Pid, socket: UnixStream, time_limit: Duration) -> Result<(Vec<u8>, End)> {
    let pidfd = end_descriptor(child);
    receive_until(child, pidfd.as_ref(), socket, time_limit)
        .inspect_err(|_| kill_and_reap(child, pidfd.as_ref()))
}

/// A descriptor that is readable from the end of a child on; `None` on kernels before 5.3.
#[cfg(target_os = "linux")]
fn end_descriptor(child: Pid) -> Option<OwnedFd> {
    let child = rustix::process::Pid::from_raw(child.as_raw())?;
    rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).ok()
}

/// `None` on other systems.
#[cfg(not(target_os = "linux"))]
fn end_descriptor(_: Pid) -> Option<OwnedFd> {
    None
}

/// The part of [`receive`] before anything is killed. After an error, the child has not been reaped.
fn receive_until(
    child: Pid,
    pidfd: Option<&OwnedFd>,
    mut socket: UnixStream,
    time_limit: Duration,
) -> Result<(Vec<u8>, End)> {
    let failed = |error: io::Error| Error::child(format!("sent an answer that can't be read: {error}"));
    let deadline = Deadline::after(time_limit);
    let longest = if pidfd.is_some() { time_limit } else { LOOK_INTERVAL };
    socket.set_nonblocking(true).map_err(failed)?;
    // Enough for the answer about one site directory. Without room, it would be read in many small parts.
    let mut answer = Vec::with_capacity(4096);
    let mut open = true;
    loop {
        let socket_fd = open.then(|| socket.as_fd());
        let descriptors: Vec<BorrowedFd<'_>> = socket_fd.into_iter().chain(pidfd.map(AsFd::as_fd)).collect();
        deadline.wait(&descriptors, longest).map_err(failed)?;
        // Before the socket is read: what the child has sent is all there once it has ended. A descendant
        // may keep the socket open.
        let ended = End::of(child);
        open = open && read_what_is_there(&mut socket, &mut answer).map_err(failed)?;
        if let Some(ended) = ended {
            return Ok((answer, ended));
        }
        if deadline.is_over() {
            let seconds = time_limit.as_secs();
            return Err(Error::child(format!("did not end within {seconds} s, and was killed")));
        }
    }
}

/// Reads from a socket what has arrived. Returns whether more may follow.
fn read_what_is_there(socket: &mut UnixStream, answer: &mut Vec<u8>) -> io::Result<bool> {
    let room = (MAX_ANSWER + 1).saturating_sub(answer.len() as u64);
    let more = match Read::take(socket, room).read_to_end(answer) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        Err(error) => return Err(error),
    };
    if answer.len() as u64 > MAX_ANSWER {
        return Err(io::Error::other(format!("it has more than {} MiB", MAX_ANSWER >> 20)));
    }
    Ok(more)
}

/// Whether JSON has more than `most` values: each but the first has one of these characters before it.
fn has_more_values(json: &[u8], most: usize) -> bool {
    let mut values = 0;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            // A text, up to its end.
            b'"' => {
                while bytes.next().is_some_and(|byte| match byte {
                    b'\\' => bytes.next().is_some(),
                    byte => *byte != b'"',
                }) {}
            }
            b',' | b':' | b'[' | b'{' => values += 1,
            _ => {}
        }
    }
    values > most
}

/// Kills a child and reaps it.
fn kill_and_reap(child: Pid, pidfd: Option<&OwnedFd>) {
    let _ = kill(child, Signal::SIGKILL);
    let deadline = Deadline::after(KILL_LIMIT);
    let descriptors: Vec<BorrowedFd<'_>> = pidfd.map(AsFd::as_fd).into_iter().collect();
    while End::of(child).is_none() && !deadline.is_over() {
        let _ = deadline.wait(&descriptors, if pidfd.is_some() { KILL_LIMIT } else { LOOK_INTERVAL });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::sandbox::{Limits, Needs};
    use crate::sys::account::User;

    #[test]
    fn the_values_of_an_answer_are_counted() {
        for (json, values) in [
            (r#""""#, 0),
            (r#"["",""]"#, 2),
            (r#"{"a":[1,"x,y"],"b\\":"\",["}"#, 6),
            (r#""\\\"[[[","#, 1),
            (r#""unfinished [[\"#, 0),
        ] {
            assert!(!has_more_values(json.as_bytes(), values), "{json}");
            assert!(values == 0 || has_more_values(json.as_bytes(), values - 1), "{json}");
        }
    }

    #[test]
    fn a_process_with_several_threads_does_not_fork() {
        let confinement = Confinement {
            needs: Needs::default(),
            required: false,
            limits: Limits::of_job(1),
            time_limit: Duration::from_secs(20),
        };
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        let answer = run(RunAs::User(User::NOBODY), &confinement, || ());
        std::mem::drop(stop);
        let _ = other.join();
        let error = answer.expect_err("there are two threads").to_string();
        assert!(error.contains("can't be started: this process has "), "{error}");
    }
}
