//! The descendants of this process: it adopts those whose parent ends, and kills them all.
//!
//! Linux has no call that kills a process with all that it has started: a descendant leaves its group and its
//! session (`setsid`), and its parent may be gone. So this process is the one that orphans are given to (a
//! *subreaper*), and knows that there is none left when it has no child.
//!
//! Since Linux 6.12, Landlock keeps the signals of a process to its own descendants. A signal to all processes
//! (`kill(-1)`) then reaches those alone, and all of them at once: none can start another one meanwhile.
//!
//! On older kernels, the children are killed one after the other, and not reaped before all of them have ended: until
//! then, each still counts against the limit of processes, so a process that starts others without end runs out of
//! them.

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};

use super::child::{KILL_LIMIT, LOOK_INTERVAL};
use super::sandbox;
use crate::sys::deadline::Deadline;
use crate::sys::ended;
use crate::sys::fs::read_of_kernel;

/// The descendants of this process.
#[derive(Debug)]
pub struct Descendants {
    /// Whether a signal of this process reaches nobody else. Checked, because a signal to all processes depends
    /// on it.
    scoped: bool,
}

impl Descendants {
    /// Makes this process adopt the orphans among its descendants. Where the kernel can do that, its signals reach
    /// nobody else.
    ///
    /// For a process with the rights of its parent, to which it would otherwise be allowed to send a signal.
    pub fn adopt_alone() -> nix::Result<Self> {
        let parent = getppid();
        prctl::set_child_subreaper(true)?;
        // With the same rights, only the scope can refuse a signal to the parent.
        let is_refused = || kill(parent, None) == Err(Errno::EPERM);
        let scoped = sandbox::scope_signals() && is_refused() && getppid() == parent;
        Ok(Self { scoped })
    }

    /// Makes this process adopt the orphans among its descendants. Signals to others stay possible.
    pub fn adopt() -> nix::Result<Self> {
        prctl::set_child_subreaper(true)?;
        Ok(Self { scoped: false })
    }

    /// Kills and reaps all of them. `group` is the group of the first one, for systems without `/proc`. Returns whether
    /// there were any.
    ///
    /// A process that a file system keeps from ending is left behind after [`KILL_LIMIT`].
    pub fn end(&self, group: Option<Pid>) -> bool {
        let deadline = Deadline::after(KILL_LIMIT);
        let is_any = !reap_ended();
        let mut is_left = is_any;
        while is_left && !deadline.is_over() {
            if self.scoped {
                // The process with the number 1 and this one are excepted.
                let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
            } else {
                kill_children(group, deadline);
            }
            let _ = deadline.wait(&[], LOOK_INTERVAL / 5);
            is_left = !reap_ended();
        }
        is_any
    }
}

/// Reaps all children that have ended. Returns whether there are no others.
fn reap_ended() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Err(Errno::ECHILD) => return true,
            // Another error can mean that one ended by a real-time signal, for which nix has no name.
            _ => {}
        }
    }
}

/// Kills all children, and all that become children meanwhile, without reaping one.
fn kill_children(group: Option<Pid>, deadline: Deadline) {
    while !deadline.is_over() {
        let Some(children) = children() else {
            group.map(|group| killpg(group, Signal::SIGKILL));
            return;
        };
        let alive: Vec<Pid> = children.into_iter().filter(|child| ended::is_alive(*child)).collect();
        if alive.is_empty() {
            return;
        }
        for child in alive {
            let _ = kill(child, Signal::SIGKILL);
        }
        let _ = deadline.wait(&[], LOOK_INTERVAL / 5);
    }
}

/// The children of this process, which has one thread. `None` where the kernel does not list them.
fn children() -> Option<Vec<Pid>> {
    let this = getpid();
    let text = read_of_kernel(&format!("/proc/{this}/task/{this}/children")).ok()?;
    Some(text.split_whitespace().filter_map(|number| number.parse().ok()).map(Pid::from_raw).collect())
}
