//! `epcache verify`: compare what indexes say with everything on disk, read anew.

use serde::{Deserialize, Serialize};

use super::args::Verify;
use super::needs::Purpose;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::index::Index;
use crate::metadata::Distribution;
use crate::metadata::top_level::Kind;
use crate::refresh::reconcile::{Depth, Request};
use crate::refresh::{examine, thorough};
use crate::site::SiteDir;
use crate::store::target::{Access, Target};
use crate::sys::message;
use crate::sys::root::System;

/// What came of one site directory.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    differences: Vec<String>,
    distributions: usize,
}

/// Prints every difference.
///
/// # Errors
/// When the root or the configuration is not usable.
pub fn run(arguments: &Verify) -> Result<Status> {
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, Access::Read)?;
    let mut status = work.status;
    for (target, verdict) in work.for_each(Purpose::Look, verdict) {
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
                status = status.max(Status::No);
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
    let request = Request { depth: Depth::Everything, ..thorough() };
    let site = SiteDir::open(target.site.clone())?;
    examine(&site, system, &request, |examined, outcome| {
        // In a copy of its tree a sealed index is right although all stamps are others.
        let proven = examined.as_ref().and_then(|examined| examined.seal(&outcome, system)) == Some(Ok(()));
        let differences = match examined.map(|examined| examined.index) {
            None => vec!["no index that readers trust".to_owned()],
            Some(Err(why)) => vec![format!("the index is {why}")],
            Some(Ok(index)) => differences(index, &outcome.index, proven),
        };
        Verdict { differences, distributions: outcome.index.distributions.len() }
    })
}

/// What `index` says other than `disk`, distribution by distribution.
fn differences(index: &Index<'_>, disk: &Index<'_>, other_stamps: bool) -> Vec<String> {
    let find = |rows: &'_ Index<'_>, name: &[u8]| {
        rows.distributions.binary_search_by(|row| (*row.file_name).cmp(name)).ok()
    };
    let mut differences = Vec::new();
    for row in &index.distributions {
        let name = String::from_utf8_lossy(&row.file_name);
        match find(disk, &row.file_name).map(|found| &disk.distributions[found]) {
            None => differences.push(format!("{name}: in the index, not on disk")),
            Some(found) => {
                differences.extend(compare(row, found, other_stamps).map(|what| format!("{name}: {what}")))
            }
        }
    }
    for row in disk.distributions.iter().filter(|row| find(index, &row.file_name).is_none()) {
        differences.push(format!("{}: on disk, not in the index", String::from_utf8_lossy(&row.file_name)));
    }
    differences
}

fn compare(row: &Distribution<'_>, found: &Distribution<'_>, other_stamps: bool) -> Option<&'static str> {
    if row.identity != found.identity || row.key != found.key {
        Some("another name or version")
    } else if row.entry_points != found.entry_points {
        Some("other entry points")
    } else if row.configparser_differs != found.configparser_differs {
        Some("read otherwise by Python 3.9 than the index says")
    } else if row.top_level != found.top_level && row.top_level.kind != Kind::Opaque {
        Some("other importable names")
    } else if row.stamps != found.stamps && !other_stamps {
        Some("the same content in other files (changed since)")
    } else {
        None
    }
}
