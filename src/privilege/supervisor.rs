//! Runs a registered hook to its end, with all that it starts.
//!
//! Two processes are forked for it. The first, the supervisor, keeps the rights of this one. It gives the program its
//! input, keeps what it prints, waits for it, and kills what it has left; it opens nothing. It also ends when this
//! process ends. The second changes its user, confines itself, and executes the program. So the program has no right
//! over the process that watches it.
//!
//! The program is executed by its descriptor, which was opened before it was judged. A script is opened by
//! its interpreter as `/dev/fd/N`, so it needs `/proc`.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::fs::Permissions;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid};
use rustix::fs::{MemfdFlags, SealFlags};
use serde::{Deserialize, Serialize};

use super::child::{self, Answer, LOOK_INTERVAL, Started, check_single_thread};
use super::descendants::Descendants;
use super::program::{End, Ended, MAX_OUTPUT, Program};
use super::sandbox::{self, Confined, Confinement, Limits, Needs, Part, Reach, State};
use super::{RunAs, drop as privileges};
use crate::error::{Error, Failure, Result};
use crate::sys::deadline::{Deadline, ReadUntil};
use crate::sys::{message, signal};

/// Bytes of one read, and how many reads follow each other before the deadline is checked.
const PIECE: usize = 64 << 10;
const PIECES: usize = 16;
/// How much longer than the program its supervisor may take, to kill and to remove what is left.
const GRACE: Duration = Duration::from_secs(10);
/// How long it may take to remove the private directory.
const REMOVAL: Duration = Duration::from_secs(5);
/// Where private directories are made.
const TEMPORARY: &str = "/tmp";
const PREFIX: &str = "epcache-hook.";

/// A program that runs, and its time limit.
pub struct Running(Started, Duration);

/// What the second process reports before it becomes the program.
#[derive(Serialize, Deserialize)]
enum Report {
    Directory(PathBuf),
    Confined(Option<String>),
    Failed(Failure),
}

/// Starts `program` as `run_as`, confined, for as long as [`Confinement::time_limit`].
pub fn start(run_as: RunAs, confinement: &Confinement, program: &Program<'_>) -> Result<Running> {
    run_as.check()?;
    let kept = [Some(program.file)];
    let supervised = |parent: &UnixStream| Answer::of(supervise(run_as, confinement, program, parent));
    Ok(Running(child::start(&kept, &supervised)?, confinement.time_limit))
}

impl Running {
    /// Waits for the end.
    pub fn ended(self) -> Result<Ended> {
        let Self(started, limit) = self;
        child::parsed(&started.result(limit + GRACE)?)
    }
}

/// Makes this process adopt what is left of programs whose supervisor was killed. On kernels that do not confine
/// signals, a program of the same user can kill it.
pub fn adopt_orphans() {
    let _ = Descendants::adopt();
}

/// Kills what such programs have left. For a process that has no other children.
pub fn end_orphans() {
    if let Ok(descendants) = Descendants::adopt() {
        descendants.end(None);
    }
}

/// What the supervisor does. Returns how the program ended.
fn supervise(
    run_as: RunAs,
    confinement: &Confinement,
    program: &Program<'_>,
    parent: &UnixStream,
) -> Result<Ended> {
    let failed = |error: io::Error| Error::child(format!("can't be started: {error}"));
    let start = Instant::now();
    // A terminal sends its signals to this process as well. It ends when its parent has ended.
    signal::block_termination();
    let descendants = Descendants::adopt_alone().map_err(|error| failed(error.into()))?;
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|error| failed(error.into()));
    let (output, its_output) = pipe()?;
    let (report, its_report) = pipe()?;
    let input = sealed(program.input).map_err(failed)?;
    check_single_thread().map_err(failed)?;
    // SAFETY: this process has a single thread, so all its memory is in a consistent state in the child.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Child => {
            let mut its_report = std::fs::File::from(its_report);
            let error = match begin(run_as, confinement, program, &input, &its_output, &mut its_report) {
                Ok(never) => match never {},
                Err(error) => error,
            };
            let _ = write_report(&mut its_report, &Report::Failed(Failure::from(&error)));
            // SAFETY: _exit only ends the process.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            drop((its_output, its_report, input));
            let deadline = Deadline::after(confinement.time_limit);
            let mut printed = Printed::new(output).map_err(failed)?;
            let begun = Begun::read(report, confinement.time_limit);
            let end = watch(child, &mut printed, parent, deadline);
            let has_left = descendants.end(Some(child)) && end.is_some();
            printed.read();
            if let Some(directory) = &begun.directory {
                remove(directory, run_as);
            }
            match begun.failure {
                Some(failure) => Err(Error::Reported(failure)),
                None => Ok(Ended {
                    end: end.unwrap_or(End::Limit),
                    output: String::from_utf8_lossy(&printed.kept).into_owned(),
                    is_cut: printed.is_cut,
                    has_left,
                    seconds: start.elapsed().as_secs_f64(),
                    lacking: begun.lacking,
                }),
            }
        }
    }
}

/// A file in memory with these bytes, which nobody can change. Unlike with a pipe, no writer waits for the reader.
fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(rustix::fs::memfd_create("epcache-changes", flags)?);
    file.write_all(bytes)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

/// What the second process reported before it became the program.
#[derive(Default)]
struct Begun {
    directory: Option<PathBuf>,
    lacking: Option<String>,
    failure: Option<Failure>,
}

impl Begun {
    fn read(report: OwnedFd, limit: Duration) -> Self {
        let mut text = Vec::new();
        // The pipe is closed when the process executes the program, or ends.
        let _ = ReadUntil::new(report, limit).take(PIECE as u64).read_to_end(&mut text);
        let mut begun = Self::default();
        for report in
            serde_json::Deserializer::from_slice(&text).into_iter().map_while(std::result::Result::ok)
        {
            match report {
                Report::Directory(directory) => begun.directory = Some(directory),
                Report::Confined(lacking) => begun.lacking = lacking,
                Report::Failed(failure) => begun.failure = Some(failure),
            }
        }
        begun
    }
}

fn write_report(to: &mut impl Write, report: &Report) -> io::Result<()> {
    to.write_all(&serde_json::to_vec(report)?)
}

/// Waits until the program ends, and reads what it prints. `None` if it has to be killed: the time is over, or the
/// parent has ended.
fn watch(child: Pid, printed: &mut Printed, parent: &UnixStream, deadline: Deadline) -> Option<End> {
    let pidfd = rustix::process::Pid::from_raw(child.as_raw())
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
    let longest = if pidfd.is_some() { Duration::MAX } else { LOOK_INTERVAL };
    let _ = parent.set_nonblocking(true);
    let end = loop {
        let pipe = printed.pipe.as_ref().map(AsFd::as_fd);
        let waited: Vec<_> =
            pipe.into_iter().chain(pidfd.as_ref().map(AsFd::as_fd)).chain([parent.as_fd()]).collect();
        let _ = deadline.wait(&waited, longest);
        printed.read();
        if let Some(end) = End::of(child) {
            break Some(end);
        }
        if deadline.is_over() || has_ended(parent) {
            break None;
        }
    };
    let _ = parent.set_nonblocking(false);
    end
}

/// Whether the other end of a socket is closed. Nothing is ever sent on it.
fn has_ended(mut parent: &UnixStream) -> bool {
    let waits = |error: &io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
    !parent.read(&mut [0]).is_err_and(|error| waits(&error))
}

/// What a program prints.
struct Printed {
    /// `None` after its end.
    pipe: Option<OwnedFd>,
    kept: Vec<u8>,
    is_cut: bool,
}

impl Printed {
    fn new(pipe: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe), kept: Vec::new(), is_cut: false })
    }

    /// Reads what is there, up to some MiB. What is beyond the limit is dropped, so that the program does not wait.
    fn read(&mut self) {
        let mut piece = vec![0; PIECE];
        for _ in 0..PIECES {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut piece[..]) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let kept = count.min(MAX_OUTPUT - self.kept.len());
                    self.is_cut |= kept < count;
                    self.kept.extend_from_slice(&piece[..kept]);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// Removes the private directory. What is in it is removed by a process of its owner, who may exchange names in it. An
/// empty one needs no such process.
fn remove(directory: &Path, run_as: RunAs) {
    let is_named_so = |name: &OsStr| name.as_bytes().starts_with(PREFIX.as_bytes());
    let is_private =
        directory.parent() == Some(Path::new(TEMPORARY)) && directory.file_name().is_some_and(is_named_so);
    if !is_private || std::fs::remove_dir(directory).is_ok() {
        return;
    }
    let mut needs = Needs::default();
    needs.add(TEMPORARY.into(), Reach::Write);
    let confinement = Confinement { needs, required: false, limits: Limits::of_job(1), time_limit: REMOVAL };
    let removed = child::run(run_as, &confinement, || {
        std::fs::remove_dir_all(directory).map_err(|error| error.to_string())
    });
    if let Err(error) | Ok(Err(error)) = removed.map_err(|error| error.to_string()) {
        log::warn!("{}: can't be removed: {error}", directory.display());
    }
}

/// Prepares this process and executes the program. Returns only if that fails.
fn begin(
    run_as: RunAs,
    confinement: &Confinement,
    program: &Program<'_>,
    input: &OwnedFd,
    output: &OwnedFd,
    report: &mut std::fs::File,
) -> Result<std::convert::Infallible> {
    let failed = |error: io::Error| Error::child(format!("can't be prepared: {error}"));
    setsid().map_err(|error| failed(error.into()))?;
    rustix::stdio::dup2_stdin(input).map_err(|error| failed(error.into()))?;
    rustix::stdio::dup2_stdout(output).map_err(|error| failed(error.into()))?;
    rustix::stdio::dup2_stderr(output).map_err(|error| failed(error.into()))?;
    let kept = [Some(program.file), Some(report.as_fd()), message::journal_descriptor()];
    signal::close_descriptors_except(&kept);
    signal::reset();
    signal::restore_sigpipe();
    signal::set_umask();
    let groups = match run_as {
        RunAs::User(user) => privileges::become_user(user)?,
        RunAs::Caller => {
            privileges::no_new_privileges()?;
            Part::new(State::Enforced, "those of the caller")
        }
    };
    let mut confinement = confinement.clone();
    let owner_alone = Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix(PREFIX).permissions(owner_alone).tempdir_in(TEMPORARY);
    let directory = directory
        .map_err(|error| Error::io("can't make a private directory", Path::new(TEMPORARY), error))?;
    let path = directory.path().to_owned();
    write_report(report, &Report::Directory(path.clone())).map_err(failed)?;
    // The supervisor removes it.
    std::mem::forget(directory);
    confinement.needs.add(path.clone(), Reach::Write);
    let confined = sandbox::enter(&confinement, groups)?;
    let missing = |confined: &Confined| confined.missing().filter(|_| run_as != RunAs::Caller);
    write_report(report, &Report::Confined(missing(&confined))).map_err(failed)?;
    std::env::set_current_dir(&path).map_err(failed)?;
    Err(failed(execute(program, &path)))
}

fn execute(program: &Program<'_>, directory: &Path) -> io::Error {
    let text = |text: OsString| CString::new(text.into_vec());
    let own = ["HOME", "TMPDIR"].map(|name| (name, directory.as_os_str().to_owned()));
    let variable = |(name, value): (&str, OsString)| {
        let mut variable = OsString::from(format!("{name}="));
        variable.push(value);
        text(variable)
    };
    let arguments: std::result::Result<Vec<_>, _> = program.arguments.iter().cloned().map(text).collect();
    let environment: std::result::Result<Vec<_>, _> =
        program.environment.iter().cloned().chain(own).map(variable).collect();
    let (Ok(arguments), Ok(environment)) = (arguments, environment) else {
        return io::Error::other("a NUL character in an argument");
    };
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(&arguments), pointers(&environment));
    // An interpreter opens a script by this descriptor.
    if let Err(error) = rustix::io::fcntl_setfd(program.file, rustix::io::FdFlags::empty()) {
        return error.into();
    }
    let (file, flags) = (program.file.as_raw_fd(), libc::AT_EMPTY_PATH);
    // SAFETY: both lists end with a null pointer, and all that they point to lives until here.
    unsafe {
        libc::syscall(libc::SYS_execveat, file, c"".as_ptr(), arguments.as_ptr(), environment.as_ptr(), flags)
    };
    io::Error::last_os_error()
}
