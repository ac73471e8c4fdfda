//! Running the hooks that are due after a refresh. Nothing that happens here changes what an index says, or the exit
//! status.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Work, needs};
use crate::change::Change;
use crate::error::{Failure, Result};
use crate::hook::journal::{Due, Journal, Run};
use crate::hook::run::{self, Task};
use crate::hook::surroundings::Setting;
use crate::hook::{Environment, Registration, registry};
use crate::privilege::sandbox::{Needs, Reach};
use crate::privilege::{RunAs, child};
use crate::refresh::Request;
use crate::refresh::report::SiteReport;
use crate::store::index_dir::IndexDir;
use crate::store::target::{Operation, Target};
use crate::sys::root::System;
use crate::sys::{caller, message};

/// The hooks that are registered for system-wide site directories. Registrations that are refused are reported.
pub(super) fn of_system(system: &System) -> Arc<[Registration]> {
    if system.is_foreign() {
        return Arc::new([]);
    }
    let registry = registry(system, None);
    registry.report();
    registry.into_active().into()
}

/// A run of one hook.
struct Planned<'w> {
    hook: Registration,
    environment: Option<Environment>,
    run_as: RunAs,
    sites: Vec<PathBuf>,
    changes: Vec<Change>,
    everything: bool,
    failures: u32,
    /// The site directories whose journals these changes come from, with the serial numbers there.
    of: Vec<(&'w Target, u64)>,
}

impl<'w> Planned<'w> {
    fn new(hook: &Registration, environment: Option<Environment>, run_as: RunAs) -> Self {
        let (sites, changes, of) = (Vec::new(), Vec::new(), Vec::new());
        Self { hook: hook.clone(), environment, run_as, sites, changes, everything: false, failures: 0, of }
    }

    fn add(&mut self, target: &'w Target, due: Due) {
        self.sites.push(target.site.clone());
        self.changes.extend(due.changes);
        self.everything |= due.everything;
        self.failures = self.failures.max(due.failures);
        self.of.push((target, due.serial));
    }
}

impl Work {
    /// The system's hooks, if one of the site directories is system-wide.
    pub(super) fn system_hooks(&self) -> Arc<[Registration]> {
        match self.targets.iter().any(|target| target.location.managed) {
            true => of_system(&self.system),
            false => Arc::new([]),
        }
    }

    /// Refreshes every index. With `delivers`, then runs the hooks that are due; otherwise they run after the next
    /// refresh. `request` needs the system's hooks.
    pub(super) fn refresh_and_deliver(&self, request: &Request, delivers: bool) -> Vec<SiteReport> {
        let mut reports = self.refresh(request);
        match delivers {
            true => self.deliver(&mut reports, &request.hooks),
            false => reports.iter_mut().for_each(|report| report.due.clear()),
        }
        reports
    }

    /// Runs the hooks that are due according to `reports`, those of [`Work::refresh`]. Hooks that may run later are
    /// handed to systemd where it runs. The others take at most `hooks_timeout` together, since a transaction waits.
    pub(super) fn deliver(&self, reports: &mut [SiteReport], system_hooks: &[Registration]) {
        self.hand_over(reports, system_hooks);
        self.run_hooks(reports, system_hooks, Some(self.hooks_timeout));
    }

    /// Runs the hooks that are due according to `reports`, for at most `limit` together, and records how they ended.
    /// Returns the name of each and how it ended.
    pub(super) fn run_hooks(
        &self,
        reports: &mut [SiteReport],
        system_hooks: &[Registration],
        limit: Option<Duration>,
    ) -> Vec<(String, Run)> {
        let due: Vec<(&Target, Vec<Due>)> = self
            .targets
            .iter()
            .zip(reports.iter_mut())
            .map(|(target, report)| (target, std::mem::take(&mut report.due)))
            .filter(|(_, due)| !due.is_empty())
            .collect();
        if due.is_empty() {
            return Vec::new();
        }
        let (system_wide, others): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|(target, _)| target.location.managed);
        let mut planned = self.plan_system(system_wide, system_hooks);
        for (target, due) in others {
            match self.plan_environment(target, due) {
                Ok(mut of_environment) => planned.append(&mut of_environment),
                Err(error) => message::error(&error),
            }
        }
        planned.sort_by(|one, other| one.hook.rank().cmp(&other.hook.rank()));
        let runs = self.run_planned(&planned, limit);
        self.record_ends(&planned, &runs);
        self.refresh_written(&planned, system_hooks);
        planned.into_iter().map(|planned| planned.hook.name).zip(runs).collect()
    }

    /// Refreshes the indexes of site directories that hooks could write to: a new name there, such as `__pycache__`,
    /// makes an index stale.
    fn refresh_written(&self, planned: &[Planned<'_>], system_hooks: &[Registration]) {
        let writing = planned.iter().filter(|planned| planned.hook.writes_to_site());
        let mut written: Vec<Target> = Vec::new();
        for (target, _) in writing.flat_map(|planned| &planned.of) {
            if !written.contains(target) {
                written.push((*target).clone());
            }
        }
        if !written.is_empty() {
            let request = Request { hooks: system_hooks.into(), ..Request::thorough() };
            self.about(written, Operation::Refresh).refresh(&request);
        }
    }

    fn run_planned(&self, planned: &[Planned<'_>], limit: Option<Duration>) -> Vec<Run> {
        let tasks: Vec<Task<'_>> = planned
            .iter()
            .map(|planned| Task {
                hook: &planned.hook,
                setting: Setting {
                    environment: planned.environment.as_ref(),
                    sites: &planned.sites,
                    run_as: planned.run_as,
                    system: &self.system,
                    require_sandbox: self.require_sandbox,
                },
                changes: &planned.changes,
                everything: planned.everything,
                failures: planned.failures,
            })
            .collect();
        run::all(&tasks, limit)
    }

    /// Plans the system's hooks: one run of a hook for all site directories, unless it needs to know which one changed.
    fn plan_system<'w>(&self, due: Vec<(&'w Target, Vec<Due>)>, hooks: &[Registration]) -> Vec<Planned<'w>> {
        if due.is_empty() {
            return Vec::new();
        }
        if !caller::is_root() {
            log::info!("not root, so the system's hooks run later");
            return Vec::new();
        }
        let run_as = match self.system.hook_user() {
            Ok(user) => RunAs::User(user),
            Err(error) => {
                message::error(&error);
                return Vec::new();
            }
        };
        let mut planned: Vec<Planned<'w>> = Vec::new();
        for (target, due) in due {
            for due in due {
                let Some(hook) = hooks.iter().find(|hook| hook.name == due.hook) else { continue };
                let same = planned.iter().position(|other| other.hook.name == hook.name);
                match same.filter(|_| !hook.is_of_one_site()) {
                    Some(position) => planned[position].add(target, due),
                    None => {
                        let mut new = Planned::new(hook, None, run_as);
                        new.add(target, due);
                        planned.push(new);
                    }
                }
            }
        }
        planned
    }

    /// Plans the hooks of an environment. For root, a process of its owner reads the registrations, and no metadata.
    fn plan_environment<'w>(&self, target: &'w Target, due: Vec<Due>) -> Result<Vec<Planned<'w>>> {
        let owner = target.place.as_ref().map(|place| place.owner);
        let Some(environment) = owner.and_then(|owner| Environment::of(&target.site, owner)) else {
            return Ok(Vec::new());
        };
        let active = || -> Vec<Registration> { registry(&self.system, Some(&environment)).into_active() };
        let hooks = if environment.owner == caller::uid() {
            active()
        } else {
            let mut needs = Needs::default();
            needs.add(environment.directory(), Reach::Read);
            needs.add(environment.site.clone(), Reach::Read);
            child::run(target.run_as, &needs::confinement(needs, self.require_sandbox), active)?
        };
        let mut planned = Vec::new();
        for due in due {
            let Some(hook) = hooks.iter().find(|hook| hook.name == due.hook) else { continue };
            let mut new = Planned::new(hook, Some(environment.clone()), target.run_as);
            new.add(target, due);
            planned.push(new);
        }
        Ok(planned)
    }

    /// Records in the journals how the hooks ended.
    fn record_ends(&self, planned: &[Planned<'_>], runs: &[Run]) {
        let mut of_sites: HashMap<&PathBuf, Vec<(&str, u64, Run)>> = HashMap::new();
        let mut targets: Vec<Target> = Vec::new();
        for (planned, run) in planned.iter().zip(runs) {
            for (target, serial) in &planned.of {
                of_sites.entry(&target.site).or_default().push((&planned.hook.name, *serial, run.clone()));
                if !targets.contains(target) {
                    targets.push((*target).clone());
                }
            }
        }
        let record = |target: &Target, system: &System| {
            let site = target.open(system)?;
            let mut directory = IndexDir::open(target.location, &site, system)?;
            directory.lock();
            let mut journal = Journal::read(&directory, &[])?;
            for (name, serial, run) in of_sites.get(&target.site).into_iter().flatten() {
                journal.record_end(name, *serial, run.clone());
            }
            journal.write_soon(&directory)
        };
        for (target, recorded) in self.about(targets, Operation::Refresh).for_each(record) {
            if let Err(error) = recorded {
                let failure = Failure::from(&error);
                log::error!("{}: hooks may be run again: {}", target.site.display(), failure.message);
            }
        }
    }
}
