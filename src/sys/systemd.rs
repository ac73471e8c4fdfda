//! Starting something that goes on after this process has ended: a transient unit of systemd.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::deadline::Deadline;
use super::walk::identity;
use super::{caller, signal};

/// Called by its path: the caller of a trigger chooses `PATH`.
const RUN: &str = "/usr/bin/systemd-run";
/// How long it may take to queue a unit. Nothing waits for the unit itself.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The interval at which `systemd-run` is polled.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Whether systemd runs this system, and this process sees the same one: not from a chroot, to which the outer `/run`
/// may have been mounted. Only root can find that out.
pub fn is_running() -> bool {
    // As sd_booted(3) has it.
    let has_booted = Path::new("/run/systemd/system").symlink_metadata().is_ok_and(|it| it.is_dir());
    let root_of = |path: &str| rustix::fs::stat(path).map(|stat| identity(&stat));
    let is_outside = || root_of("/proc/1/root").is_ok_and(|first| root_of("/") == Ok(first));
    has_booted && caller::is_root() && is_outside()
}

/// Starts `command` as root in a unit of its own, in the background: at low priority, and with an environment that has
/// nothing of this one.
pub fn start(unit: &str, description: &str, command: &[&OsStr]) -> io::Result<()> {
    signal::restore_sigchld();
    let mut child = Command::new(RUN)
        .args([
            "--no-block",
            "--collect",
            "--quiet",
            "--property=Nice=10",
            "--property=IOSchedulingClass=idle",
        ])
        .args([format!("--unit={unit}"), format!("--description={description}")])
        .arg("--")
        .args(command)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Deadline::after(TIME_LIMIT);
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("{RUN}: {status}"))),
            None if deadline.is_over() => break,
            None => std::thread::sleep(LOOK_INTERVAL),
        }
    }
    child.kill()?;
    let seconds = TIME_LIMIT.as_secs();
    Err(io::Error::new(ErrorKind::TimedOut, format!("{RUN}: did not end within {seconds} s")))
}
