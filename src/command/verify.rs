//! `epcache verify`: compare indexes with a full reading of the disk.

use serde::{Deserialize, Serialize};

use super::args::Verify;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::index::Index;
use crate::metadata::Distribution;
use crate::metadata::top_level::Kind;
use crate::refresh::{Depth, Request, examine};
use crate::store::target::{Operation, Target};
use crate::sys::message;
use crate::sys::root::System;

#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    differences: Vec<String>,
    distributions: usize,
}

pub fn run(arguments: &Verify) -> Result<Status> {
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, Operation::Inspect)?;
    let mut status = work.status;
    for (target, verdict) in work.for_each(verdict) {
        let site = target.site.display();
        match verdict {
            Ok(Verdict { differences, distributions }) if differences.is_empty() => {
                let text = format!("{site}: {distributions} distributions, no difference");
                output::line(&text);
            }
            Ok(Verdict { differences, .. }) => {
                for difference in differences {
                    output::line(&format!("{site}: {difference}"));
                }
                status = status.max(Status::Different);
            }
            Err(error) => {
                message::error(&error);
                status = Status::Failed;
            }
        }
    }
    Ok(status)
}

fn verdict(target: &Target, system: &System) -> Result<Verdict> {
    let request = Request { depth: Depth::Everything, ..Request::thorough() };
    let site = target.open(system)?;
    examine(&site, system, &request, |examined, outcome| {
        // In a copy of its tree all stamps differ from those of a sealed index, which is right all the same.
        let proven = examined.as_ref().and_then(|examined| examined.seal(&outcome, system)) == Some(Ok(()));
        let differences = match examined.map(|examined| examined.index) {
            None => vec!["no index that readers trust".to_owned()],
            Some(Err(why)) => vec![format!("the index is {why}")],
            Some(Ok(index)) => differences(index, &outcome.index, proven),
        };
        Verdict { differences, distributions: outcome.index.distributions.len() }
    })
}

/// Describes how `index` differs from `disk`, by distribution.
fn differences(index: &Index<'_>, disk: &Index<'_>, ignore_stamps: bool) -> Vec<String> {
    let mut differences = Vec::new();
    for row in &index.distributions {
        let name = String::from_utf8_lossy(&row.file_name);
        match disk.find(&row.file_name) {
            None => differences.push(format!("{name}: in the index, not on disk")),
            Some(found) => {
                differences.extend(compare(row, found, ignore_stamps).map(|what| format!("{name}: {what}")))
            }
        }
    }
    for row in disk.distributions.iter().filter(|row| index.find(&row.file_name).is_none()) {
        differences.push(format!("{}: on disk, not in the index", String::from_utf8_lossy(&row.file_name)));
    }
    differences
}

fn compare(row: &Distribution<'_>, found: &Distribution<'_>, ignore_stamps: bool) -> Option<&'static str> {
    if row.identity != found.identity || row.key != found.key {
        Some("name or version differs")
    } else if row.requirements != found.requirements {
        Some("requirements differ")
    } else if row.entry_points != found.entry_points {
        Some("entry points differ")
    } else if row.configparser_differs != found.configparser_differs {
        Some("Python 3.9 reads it differently than the index records")
    } else if row.top_level != found.top_level && row.top_level.kind != Kind::Opaque {
        Some("importable names differ")
    } else if row.stamps != found.stamps && !ignore_stamps {
        Some("content unchanged, files replaced")
    } else {
        None
    }
}
