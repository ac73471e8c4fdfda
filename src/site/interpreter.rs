//! Asking an interpreter for its site directories.
//!
//! It runs isolated, with an empty environment, and in a process group of its own. What it does is not trusted:
//! it has a deadline, and its output a limit.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::config::Config;
use crate::error::Result;
use crate::index::MAX_INDEX;
use crate::privilege::sandbox::{Confinement, Needs};
use crate::privilege::{RunAs, child};
use crate::sys::deadline::ReadUntil;
use crate::sys::signal;

/// How long an interpreter may take. Most need 20 ms.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// How much longer the process that started it may take, which then kills it.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is looked at whether it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// The most output that is read. An interpreter has about three site directories.
const MAX_OUTPUT: u64 = 64 << 10;

const SCRIPT: &str = "import os, site, sys
paths = dict.fromkeys(site.getsitepackages())
paths.update(dict.fromkeys(p for p in sys.path if os.path.basename(p) in ('site-packages', 'dist-packages')))
sys.stdout.write('\\0'.join(p for p in paths if os.path.isdir(p)))";

/// Runs `program` as `run_as`, and returns the paths that it prints, or why it did not.
pub fn ask(program: &Path, run_as: RunAs, config: &Config) -> Result<Answer<Vec<PathBuf>>> {
    let confinement = Confinement {
        needs: Needs { program: true, ..Needs::default() },
        required: config.require_sandbox,
        largest_file: MAX_INDEX,
        time_limit: TIME_LIMIT + GRACE,
    };
    child::run(run_as, &confinement, || run(program, TIME_LIMIT))
}

type Answer<T> = std::result::Result<T, String>;

fn run(program: &Path, limit: Duration) -> Answer<Vec<PathBuf>> {
    signal::restore_sigchld();
    let mut child = Command::new(program)
        .args(["-I", "-c", SCRIPT])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let group = Pid::from_raw(child.id() as libc::pid_t);
    let output = read(&mut child, group, limit);
    // Before it is reaped: after that, its number may belong to another group.
    let _ = killpg(group, Signal::SIGKILL);
    let status = child.wait().map_err(|error| error.to_string())?;
    let (answer, message) = output?;
    if !status.success() {
        let message = String::from_utf8_lossy(&message);
        return Err(format!("{status}: {}", message.lines().last().unwrap_or("no message")));
    }
    let text = String::from_utf8(answer).map_err(|_| "its answer is not UTF-8".to_owned())?;
    Ok(text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

/// What a process prints, on standard output and standard error. It ends in time, and is not reaped.
fn read(child: &mut Child, process: Pid, limit: Duration) -> Answer<(Vec<u8>, Vec<u8>)> {
    let start = Instant::now();
    let left = || limit.saturating_sub(start.elapsed());
    let answer = read_pipe(child.stdout.take(), left())?;
    let message = read_pipe(child.stderr.take(), left())?;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // An error can mean that it ended by a real-time signal, for which nix has no name.
    while matches!(waitid(Id::Pid(process), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)) {
        if left().is_zero() {
            return Err(format!("it did not end within {} s", limit.as_secs_f64()));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok((answer, message))
}

fn read_pipe(pipe: Option<impl AsFd>, limit: Duration) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else { return Ok(bytes) };
    let mut limited = ReadUntil::new(pipe, limit).take(MAX_OUTPUT + 1);
    limited.read_to_end(&mut bytes).map_err(|error| format!("its output has {error}"))?;
    if bytes.len() as u64 > MAX_OUTPUT {
        return Err(format!("it printed more than {} KiB", MAX_OUTPUT >> 10));
    }
    Ok(bytes)
}
