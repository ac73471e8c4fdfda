//! Running a command in the foreground as if the caller had run it: it gets what we got, and the
//! signals that are sent to us.
//!
//! # Signals
//! While the command runs, signals are blocked here and read from a descriptor, which tells who sent
//! each. What somebody sends to this process alone is passed on. What the terminal sends (Ctrl-C, a new
//! size of the window) goes to the whole process group, of which the command is a member, so it has
//! that already and would get it twice.
//!
//! # Job control
//! We stop when the command has stopped, not when we are told to: one that ignores or delays Ctrl-Z
//! keeps its terminal. Whoever continues the job continues the whole group.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getsid};

use crate::privilege::inherited;
use crate::sys::signal;

/// Sent by the kernel, such as by a terminal. The oldest C library's crate that will do has no name for it.
const SI_KERNEL: i32 = 0x80;

/// Runs `command` to its end, and returns how it ended.
///
/// # Errors
/// When it can't be started.
pub fn run(mut command: Command) -> io::Result<ExitStatus> {
    let mask = SigSet::thread_get_mask()?;
    let blocked = relayed();
    let signals = SignalFd::with_flags(&blocked, SfdFlags::SFD_CLOEXEC)?;
    inherited::hand_down(&mut command, mask);
    blocked.thread_block()?;
    signal::hear_of_children();
    let ended = command
        .spawn()
        .and_then(|child| Relay { child, stopped: false, asked_to_stop: false }.until_end(&signals));
    discard(&blocked);
    mask.thread_set_mask()?;
    ended
}

/// How a shell would see `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    With(u8),
    /// Killed by this signal.
    By(i32),
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::By(signal),
            None => Self::With(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)),
        }
    }
}

/// All signals but those that can't be blocked and those that tell of a mistake in this process.
fn relayed() -> SigSet {
    use Signal::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP};
    const OTHERS: [Signal; 8] = [SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP];
    Signal::iterator().filter(|signal| !OTHERS.contains(signal)).collect()
}

/// Forgets what came too late to be passed on.
fn discard(blocked: &SigSet) {
    if let Ok(signals) = SignalFd::with_flags(blocked, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK) {
        while let Ok(Some(_)) = signals.read_signal() {}
    }
}

/// A command that runs.
struct Relay {
    child: Child,
    stopped: bool,
    /// The terminal has asked the group to stop, and nobody has continued it since.
    asked_to_stop: bool,
}

impl Relay {
    fn until_end(mut self, signals: &SignalFd) -> io::Result<ExitStatus> {
        loop {
            match signals.read_signal() {
                Ok(Some(info)) => {
                    let signal =
                        i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
                    match signal {
                        Some(Signal::SIGCHLD) => {}
                        Some(signal) => self.pass_on(signal, &info),
                        None => continue,
                    }
                }
                Ok(None) | Err(Errno::EINTR) => {}
                // Without a way to hear of signals, there is only waiting.
                Err(_) => return self.child.wait(),
            }
            // Asked after every signal: SIGCHLD of two changes comes once.
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            self.follow_stops();
        }
    }

    fn pass_on(&mut self, signal: Signal, info: &siginfo) {
        let from_terminal = is_from_terminal(signal, info);
        if signal == Signal::SIGTSTP && from_terminal {
            self.asked_to_stop = true;
        }
        if signal == Signal::SIGCONT {
            self.asked_to_stop = false;
            self.follow_stops();
            if !self.stopped {
                // Whoever continued us has continued the group.
                return;
            }
        }
        // What the command sends to its parent, or to its whole group, is not meant for itself alone.
        if !from_terminal && info.ssi_pid != self.child.id() && info.ssi_pid != std::process::id() {
            // It may have ended, or have become another user.
            let _ = kill(self.pid(), signal);
        }
    }

    /// Stops as the command has stopped.
    fn follow_stops(&mut self) {
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
        loop {
            match waitid(Id::Pid(self.pid()), flags) {
                Ok(WaitStatus::Stopped(_, signal)) => {
                    self.stopped = true;
                    // A SIGSTOP that nobody asked for is between its sender and the command.
                    if signal != Signal::SIGSTOP || self.asked_to_stop {
                        stop_by(signal);
                        self.asked_to_stop = false;
                    }
                }
                Ok(WaitStatus::Continued(_)) => self.stopped = false,
                Err(Errno::EINTR) => {}
                _ => return,
            }
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}

/// Returns when somebody continues this process.
///
/// The terminal may have sent the signal to us as well. Raised while it is blocked, it is delivered once:
/// who continues a process takes away what is left of such signals.
fn stop_by(signal: Signal) {
    let only: SigSet = [signal].into_iter().collect();
    let _ = raise(signal);
    if signal != Signal::SIGSTOP && only.thread_unblock().is_ok() {
        let _ = only.thread_block();
    }
}

/// Whether the terminal has sent `signal`, and so to the whole group.
fn is_from_terminal(signal: Signal, info: &siginfo) -> bool {
    use Signal::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH};
    let sent_to_groups = match signal {
        SIGINT | SIGQUIT | SIGTSTP | SIGTTIN | SIGTTOU | SIGWINCH => true,
        // A terminal that hangs up tells the leader of the session only.
        SIGHUP | SIGCONT => getsid(None) != Ok(getpid()),
        _ => false,
    };
    sent_to_groups && info.ssi_code == SI_KERNEL
}
