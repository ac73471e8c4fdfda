//! Running hooks: those of lower order first, those of the same order side by side, unless they write to the same
//! place.

use std::time::{Duration, Instant};

use super::Registration;
use super::journal::{Run, kept, now};
use super::surroundings::{Setting, Surroundings};
use crate::change::{Change, write_lines};
use crate::encoding::printable;
use crate::error::{Error, Result};
use crate::privilege::program::{End, Ended, Program};
use crate::privilege::sandbox::Confinement;
use crate::privilege::supervisor::{self, Running};
use crate::sys::message;

/// A hook that is due.
#[derive(Debug, Clone)]
pub struct Task<'t> {
    pub hook: &'t Registration,
    pub setting: Setting<'t>,
    pub changes: &'t [Change],
    /// All distributions that are there count as added, since not all changes are known.
    pub everything: bool,
    /// How often it has failed since its last success.
    pub failures: u32,
}

/// The most hooks that run at the same time.
const SIDE_BY_SIDE: usize = 4;

/// Runs `tasks`, sorted by the order of their hooks, and reports what failed. Together they take at most `limit`;
/// without one, at most the sum of their own timeouts. Returns their outcomes in the same order.
pub fn all(tasks: &[Task<'_>], limit: Option<Duration>) -> Vec<Run> {
    if tasks.is_empty() {
        return Vec::new();
    }
    let limit = limit.unwrap_or_else(|| tasks.iter().map(|task| task.hook.timeout).sum());
    let start = Instant::now();
    let left = || limit.saturating_sub(start.elapsed());
    supervisor::adopt_orphans();
    let mut runs = Vec::new();
    let mut waiting = tasks.iter().peekable();
    while let Some(first) = waiting.next() {
        let mut group = vec![(first, Surroundings::of(first.hook, first.setting))];
        while let Some(next) =
            waiting.next_if(|next| next.hook.order == first.hook.order && group.len() < SIDE_BY_SIDE)
        {
            group.push((next, Surroundings::of(next.hook, next.setting)));
        }
        while !group.is_empty() {
            let (now, later) = apart(group);
            let started: Vec<_> = now
                .into_iter()
                .map(|(task, found)| (task, found.and_then(|found| begin(task, &found, left()))))
                .collect();
            for (task, running) in started {
                let ended = running.and_then(|running| running.map(Running::ended).transpose());
                runs.push((task, record(task, ended, limit)));
            }
            group = later;
        }
    }
    supervisor::end_orphans();
    // Back into the order of `tasks`: some had to wait for others of their group.
    let position = |task: &Task<'_>| tasks.iter().position(|other| std::ptr::eq(other, task));
    runs.sort_by_key(|(task, _)| position(task));
    runs.into_iter().map(|(_, run)| run).collect()
}

type Prepared<'t> = (&'t Task<'t>, Result<Surroundings>);

/// Those that can run side by side, and the others.
fn apart(group: Vec<Prepared<'_>>) -> (Vec<Prepared<'_>>, Vec<Prepared<'_>>) {
    let (mut now, mut later): (Vec<Prepared<'_>>, Vec<Prepared<'_>>) = (Vec::new(), Vec::new());
    for (task, found) in group {
        let is_with = |(_, other): &Prepared<'_>| match (other, &found) {
            (Ok(other), Ok(found)) => shares(other, found),
            _ => false,
        };
        let list = if now.iter().any(is_with) { &mut later } else { &mut now };
        list.push((task, found));
    }
    (now, later)
}

/// Whether two hooks may write to one place.
fn shares(one: &Surroundings, other: &Surroundings) -> bool {
    let touches = |path: &std::path::PathBuf| {
        other.written.iter().any(|written| path.starts_with(written) || written.starts_with(path))
    };
    one.written.iter().any(touches)
}

/// Starts a hook, or returns `None` where no time is left for it.
fn begin(task: &Task<'_>, found: &Surroundings, left: Duration) -> Result<Option<Running>> {
    if left.is_zero() {
        return Ok(None);
    }
    let mut input = Vec::new();
    write_lines(task.changes, &mut input)
        .map_err(|error| Error::child(format!("can't be given the changes: {error}")))?;
    let mut environment = found.environment.clone();
    if task.everything {
        environment.push(("EPCACHE_EVERYTHING", "1".into()));
    }
    let program = Program {
        file: std::os::fd::AsFd::as_fd(&found.file),
        arguments: found.arguments.clone(),
        environment,
        input: &input,
    };
    let time_limit = found.confinement.time_limit.min(left);
    let confinement = Confinement { time_limit, ..found.confinement.clone() };
    supervisor::start(task.setting.run_as, &confinement, &program).map(Some)
}

/// Reports a hook that did not succeed, and returns what the journal records. `None`: it was not started.
fn record(task: &Task<'_>, ended: Result<Option<Ended>>, limit: Duration) -> Run {
    let (time, name) = (now(), &task.hook.name);
    let one_more = task.failures.saturating_add(1);
    let (failures, what, output, is_cut) = match &ended {
        Ok(Some(ended)) => {
            if let Some(lacking) = &ended.lacking {
                message::warn_admin(&format!("hook {name}: is not confined by {lacking}"));
            }
            let failures = if ended.end == End::Status(0) { 0 } else { one_more };
            (failures, describe(ended, task.hook.timeout.min(limit)), &*ended.output, ended.is_cut)
        }
        // Others have used up the time.
        Ok(None) => (task.failures, "was not started: the time for all hooks is over".to_owned(), "", false),
        Err(error) => (one_more, error.to_string(), "", false),
    };
    let succeeded = matches!(&ended, Ok(Some(ended)) if ended.end == End::Status(0));
    let (kept, is_longer) = kept(&printable_lines(output));
    let run = Run { time, succeeded, failures, what, output: kept, is_cut: is_cut || is_longer };
    if succeeded {
        log::debug!("hook {name}: {}", run.what);
    } else {
        let last = output.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map_or(String::new(), |line| format!(": {}", shortened(line)));
        let again = match run.waits_until() {
            None => "it runs again with the next refresh".to_owned(),
            Some(until) => format!(
                "it failed {failures} times in a row, so it waits for {} h, unless epcache hooks run is called",
                until.saturating_sub(time) / 3600
            ),
        };
        let hint = ended.err().and_then(|error| error.hint());
        let hint = hint.unwrap_or_else(|| format!("epcache hooks log {name}"));
        log::warn!("hook {name}: {}{last}; {again}; hint: {hint}", run.what);
    }
    run
}

fn describe(ended: &Ended, limit: Duration) -> String {
    let how = match &ended.end {
        End::Status(0) => format!("succeeded in {:.1} s", ended.seconds),
        End::Limit => format!("did not end within {} s, and was killed", limit.as_secs_f64()),
        end => end.to_string(),
    };
    if ended.has_left { format!("{how}; what it left running was killed") } else { how }
}

/// The beginning of a line, for a message.
fn shortened(line: &str) -> String {
    line.chars().take(200).collect()
}

/// A text of lines, each escaped.
fn printable_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", printable(line))).collect()
}
