//! Handing hooks that may run later to systemd, so that no transaction waits for them.
//!
//! The unit is `epcache hooks run --system --due NAME...`. What its hooks are to be given is in the journals. So where it
//! is killed or never starts, nothing is lost: the next refresh finds the same, and hands it over again.
//!
//! Units run one after the other. Each gives its hooks what the journals have when its turn comes.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::Work;
use crate::error::{Error, Result};
use crate::hook::Registration;
use crate::hook::journal::{Due, now};
use crate::hook::registration::When;
use crate::refresh::report::SiteReport;
use crate::sys::deadline::Deadline;
use crate::sys::resolve::Trust;
use crate::sys::{caller, fs, message, systemd};

/// Held by the unit whose turn it is. Root alone can write to the directory.
const LOCK: &str = "/run/epcache-hooks.lock";
/// How long a unit waits for its turn: as long as a hook may take at most.
const TURN: Duration = Duration::from_secs(3600);
const TURN_POLL: Duration = Duration::from_millis(100);

impl Work {
    /// Hands over the hooks that are due according to `reports` and may run later, and removes them from the reports.
    /// If that fails, they stay there and run at once.
    pub(super) fn hand_over(&self, reports: &mut [SiteReport], system_hooks: &[Registration]) {
        let may_wait = |due: &Due| {
            let is_later = |hook: &&Registration| hook.name == due.hook && hook.when == When::Later;
            due.is_recorded && system_hooks.iter().any(|hook| is_later(&hook))
        };
        let system_wide = self.targets.iter().zip(reports).filter(|(target, _)| target.location.managed);
        let mut reports: Vec<&mut SiteReport> = system_wide.map(|(_, report)| report).collect();
        let due = reports.iter().flat_map(|report| &report.due);
        let names: BTreeSet<String> = due.filter(|due| may_wait(due)).map(|due| due.hook.clone()).collect();
        if names.is_empty() || !systemd::is_running() {
            return;
        }
        match self.start_unit(&names) {
            Ok(()) => reports.iter_mut().for_each(|report| report.due.retain(|due| !may_wait(due))),
            Err(error) => message::warn_admin(&format!("{error}; so the hooks run at once")),
        }
    }

    fn start_unit(&self, names: &BTreeSet<String>) -> Result<()> {
        let failed = |error| Error::child(format!("can't start a unit for hooks: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        // Root runs this program, so nobody else may be able to change it.
        let program = self.system.resolve(&program, Trust::Only(0))?.path;
        let names = names.iter().map(AsRef::as_ref);
        let words = ["hooks", "run", "--system", "--due", "--"].map(AsRef::as_ref);
        let command: Vec<_> = [program.as_os_str()].into_iter().chain(words).chain(names).collect();
        // No two at the same time have the same number.
        let unit = format!("epcache-hooks-{}-{}", now(), std::process::id());
        systemd::start(&unit, "Hooks of epcache", &command).map_err(failed)
    }
}

/// Waits until no unit runs hooks of the system. The turn of this process ends when it closes the descriptor.
///
/// After [`TURN`], it stops waiting and returns without the lock.
pub(super) fn take_turn() -> Option<OwnedFd> {
    if !caller::is_root() {
        return None;
    }
    let lock =
        fs::open_lock(fs::CWD, LOCK).inspect_err(|error| log::debug!("{LOCK}: no lock: {error}")).ok()?;
    let deadline = Deadline::after(TURN);
    let take = || rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !take() {
        log::info!("waiting for hooks that another process runs");
        while !take() && !deadline.is_over() {
            std::thread::sleep(TURN_POLL);
        }
    }
    Some(lock)
}
