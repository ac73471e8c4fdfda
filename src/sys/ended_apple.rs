//! Whether a child has ended, without reaping it: until then, no other process has its number.
//!
//! For macOS, where nix has no `waitid`, and rustix has one from version 1 on.

use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};

/// Waits until it has.
pub fn wait(child: Pid) {
    while matches!(ask(child, WaitIdOptions::empty()), Err(Errno::INTR)) {}
}

pub fn is_alive(child: Pid) -> bool {
    matches!(ask(child, WaitIdOptions::NOHANG), Ok(None) | Err(Errno::INTR))
}

fn ask(child: Pid, more: WaitIdOptions) -> Result<Option<WaitIdStatus>, Errno> {
    let child = rustix::process::Pid::from_raw(child.as_raw()).ok_or(Errno::CHILD)?;
    waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | more)
}
