//! `epcache hooks run`: run hooks as if everything had just been added, or with their pending changes.

use std::collections::BTreeMap;

use glob::Pattern;

use crate::command::args::{HooksRun, Selection};
use crate::command::selection::Unnamed;
use crate::command::{Status, Work, handover, output};
use crate::error::{Error, Failure, Result};
use crate::hook::journal::Wanted;
use crate::metadata::name::normalize;
use crate::refresh::Request;
use crate::refresh::report::SiteReport;
use crate::store::target::Operation;

pub fn run(arguments: &HooksRun) -> Result<Status> {
    let HooksRun { names, of, dist, due: only_due, dry_run } = arguments;
    let selection = Selection { venv: of.venv.clone(), system: of.system, ..Selection::default() };
    let operation = if *dry_run { Operation::DryRun } else { Operation::Refresh };
    let pattern = dist.as_deref().map(pattern).transpose()?;
    let work = Work::find(&of.site, &selection, Unnamed::One, operation)?;
    let is_of_system = work.targets.iter().any(|target| target.location.managed);
    let _turn = (*only_due && !dry_run && is_of_system).then(handover::take_turn);
    let wanted = if *only_due { Wanted::Pending } else { Wanted::Everything };
    let request = Request { hooks: work.system_hooks(), wanted, ..Request::thorough() };
    let mut reports = work.refresh(&request);
    let mut status = work.status;
    if reports.iter().any(|report| report.error.is_some()) {
        status = Status::Failed;
    }
    for report in &mut reports {
        select(report, names, pattern.as_ref());
        report.due.retain(|due| *only_due || !due.changes.is_empty());
    }
    if reports.iter().all(|report| report.due.is_empty()) {
        return match status {
            // Another process has just done it.
            Status::Success if *only_due => {
                let of = if names.is_empty() { String::new() } else { format!("{}: ", names.join(", ")) };
                output::line(&format!("{of}nothing is due"));
                Ok(status)
            }
            Status::Success => Err(nothing(names)),
            _ => Ok(status),
        };
    }
    if *dry_run {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for due in reports.iter().flat_map(|report| &report.due) {
            *counts.entry(&due.hook).or_default() += due.changes.len();
        }
        for (hook, count) in counts {
            output::line(&format!("{hook}: would be given {count} distributions"));
        }
        return Ok(status);
    }
    let runs = work.run_hooks(&mut reports, &request.hooks, None);
    for (hook, run) in &runs {
        output::line(&format!("{hook}: {}", run.what));
    }
    let all_succeeded = !runs.is_empty() && runs.iter().all(|(_, run)| run.succeeded);
    Ok(if all_succeeded { status } else { Status::Failed })
}

fn pattern(text: &str) -> Result<Pattern> {
    let text = if text.contains('[') { text.to_owned() } else { normalize(text) };
    Pattern::new(&text).map_err(|error| {
        let message = format!("--dist {text}: {error}");
        Error::Reported(Failure { message, hint: None })
    })
}

/// Keeps the hooks and the distributions that were asked for. A hook that gets only a part of the changes keeps all of
/// them pending: no journal has pending changes under the serial number 0.
fn select(report: &mut SiteReport, names: &[String], pattern: Option<&Pattern>) {
    report.due.retain(|due| names.is_empty() || names.contains(&due.hook));
    if let Some(pattern) = pattern {
        for due in &mut report.due {
            due.changes.retain(|change| pattern.matches(&change.distribution));
            (due.everything, due.serial) = (false, 0);
        }
    }
}

fn nothing(names: &[String]) -> Error {
    let message = match names {
        [] => "no hook is for a distribution there".to_owned(),
        names => format!("no hook named {} is for a distribution there", names.join(" or ")),
    };
    Error::Reported(Failure { message, hint: Some("epcache hooks list".to_owned()) })
}
