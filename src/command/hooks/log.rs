//! `epcache hooks log`: what hooks printed, and the changes that are still pending for them.

use serde::{Deserialize, Serialize};

use crate::command::args::{HooksLog, Selection};
use crate::command::selection::Unnamed;
use crate::command::{Status, Work, output};
use crate::error::{Error, Failure, Result};
use crate::hook::journal::Journal;
use crate::store::target::{Operation, Target};
use crate::sys::message;
use crate::sys::root::System;

/// About one hook of one site directory: an object of `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    hook: String,
    site: String,
    /// How many changes are pending for it; `None`: more than the journal holds.
    pending: Option<usize>,
    /// When it ran last, in seconds since 1970.
    time: Option<u64>,
    succeeded: Option<bool>,
    result: Option<String>,
    output: String,
    /// Whether it printed more.
    truncated: bool,
}

pub fn run(arguments: &HooksLog) -> Result<Status> {
    let HooksLog { name, of, json } = arguments;
    let selection = Selection { venv: of.venv.clone(), system: of.system, ..Selection::default() };
    let work = Work::find(&of.site, &selection, Unnamed::One, Operation::Inspect)?;
    let mut status = work.status;
    let mut rows = Vec::new();
    for (_, found) in work.for_each(rows_of) {
        match found {
            Ok(mut found) => rows.append(&mut found),
            Err(error) => {
                message::error(&error);
                status = Status::Failed;
            }
        }
    }
    rows.retain(|row| name.as_ref().is_none_or(|name| *name == row.hook));
    if rows.is_empty() && status == Status::Success {
        let message = "no such hook has run there, and no changes are pending for one".to_owned();
        return Err(Error::Reported(Failure { message, hint: Some("epcache hooks list".to_owned()) }));
    }
    if *json {
        output::json_line(&rows);
    } else {
        rows.iter().for_each(print);
    }
    Ok(status)
}

fn rows_of(target: &Target, system: &System) -> Result<Vec<Row>> {
    let journal = Journal::find(target, system)?.unwrap_or_default();
    let row = |(hook, pending): (&String, &crate::hook::journal::Pending)| {
        let last = pending.last.as_ref();
        Row {
            hook: hook.clone(),
            site: target.site.to_string_lossy().into_owned(),
            pending: (!pending.everything).then_some(pending.changes.len()),
            time: last.map(|run| run.time),
            succeeded: last.map(|run| run.succeeded),
            result: last.map(|run| run.what.clone()),
            output: last.map_or_else(String::new, |run| run.output.clone()),
            truncated: last.is_some_and(|run| run.is_cut),
        }
    };
    Ok(journal.hooks().iter().map(row).collect())
}

fn print(row: &Row) {
    let result = match (&row.time, &row.result) {
        (Some(time), Some(result)) => format!("{}: {result}", output::moment(*time)),
        _ => "has not run".to_owned(),
    };
    let pending = match row.pending {
        Some(0) => String::new(),
        Some(count) => format!("; pending changes: {count}"),
        None => "; pending changes: all distributions".to_owned(),
    };
    output::line(&format!("{}: {}: {result}{pending}", row.hook, row.site));
    row.output.lines().for_each(|line| output::line(&format!("    {line}")));
    if row.truncated {
        output::line("    ...");
    }
}
