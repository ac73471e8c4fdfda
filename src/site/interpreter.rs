//! Asking an interpreter for its site directories.
//!
//! It runs isolated, with an empty environment, and in a process group of its own. It is not trusted: it has a
//! deadline, and its output has a limit.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::config::Config;
use crate::error::Result;
use crate::limits::INDEX_SIZE;
use crate::privilege::sandbox::{Confinement, Limits, Needs, Program};
use crate::privilege::{RunAs, child};
use crate::sys::deadline::ReadUntil;
use crate::sys::{ended, signal};

/// How long an interpreter may take. Most need 20 ms.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// How much longer the process may take that starts the interpreter, and kills it at its limit.
const GRACE: Duration = Duration::from_secs(10);
/// The interval at which the interpreter is polled.
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
        needs: Needs { program: Some(Program::Interpreter), ..Needs::default() },
        required: config.require_sandbox,
        limits: Limits::of_job(INDEX_SIZE),
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

/// What a process prints on standard output and standard error. Fails if it does not end in time. It is not reaped.
fn read(child: &mut Child, process: Pid, limit: Duration) -> Answer<(Vec<u8>, Vec<u8>)> {
    let start = Instant::now();
    let left = || limit.saturating_sub(start.elapsed());
    let too_long = || format!("it did not end within {} s", limit.as_secs_f64());
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut => too_long(),
        _ => error.to_string(),
    };
    let answer = read_pipe(child.stdout.take(), left()).map_err(failed)?;
    let message = read_pipe(child.stderr.take(), left()).map_err(failed)?;
    while ended::is_alive(process) {
        if left().is_zero() {
            return Err(too_long());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok((answer, message))
}

fn read_pipe(pipe: Option<impl AsFd>, limit: Duration) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else { return Ok(bytes) };
    ReadUntil::new(pipe, limit).take(MAX_OUTPUT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_OUTPUT {
        true => Err(io::Error::other(format!("it printed more than {} KiB", MAX_OUTPUT >> 10))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell script as an interpreter.
    fn answer_of(script: &str, limit: Duration) -> Answer<Vec<PathBuf>> {
        let place = tempfile::tempdir().expect("a directory");
        let program = place.path().join("python");
        // Written by another process: a program that is open for writing can't be run.
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" >\"$0\"; chmod 755 \"$0\"";
        let written = Command::new("sh").args(["-c", write]).arg(&program).arg(script).status();
        assert!(written.expect("a shell").success());
        run(&program, limit)
    }

    #[test]
    fn an_interpreter_that_does_not_end_is_killed() {
        let limit = Duration::from_millis(200);
        for script in ["sleep 300", "exec >&- 2>&-; sleep 300", "printf /a; sleep 300 &", "kill -STOP $$"] {
            assert_eq!(answer_of(script, limit), Err("it did not end within 0.2 s".to_owned()), "{script}");
        }
    }

    #[test]
    fn the_end_of_an_interpreter_decides_whether_its_answer_counts() {
        let limit = Duration::from_secs(20);
        let paths = ["/a", "/b"].map(PathBuf::from).to_vec();
        assert_eq!(answer_of("printf '/a\\0/b'", limit), Ok(paths));
        let failed = answer_of("printf /a; echo first >&2; echo last >&2; exit 3", limit);
        assert_eq!(failed, Err("exit status: 3: last".to_owned()));
        assert_eq!(answer_of("printf /a; kill -40 $$", limit), Err("signal: 40: no message".to_owned()));
    }
}
