//! `epcache status`: whether each index is what readers can believe.

use serde::{Deserialize, Serialize};

use super::needs::Purpose;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work, args, sandbox};
use crate::error::Result;
use crate::refresh::reconcile::{Changes, Outcome};
use crate::refresh::seal::Why;
use crate::refresh::{Examined, examine, thorough};
use crate::site::SiteDir;
use crate::store::target::{Access, Target};
use crate::sys::root::System;

/// Of one site directory. Serialized, this is an object of `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct SiteStatus {
    site: String,
    state: State,
    reason: String,
    index: Option<String>,
    /// Whether the index is sealed, whatever its state.
    sealed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Proven right by the site directory's stamp.
    Fresh,
    /// Right, but a reader must look at some distributions to know.
    Unsettled,
    /// Readers go to the disk.
    Stale,
    /// There is none.
    Missing,
}

/// Prints a line a site directory.
///
/// # Errors
/// When the root or the configuration is not usable.
pub fn run(arguments: &args::Status) -> Result<Status> {
    if arguments.sandbox {
        return sandbox::run(arguments);
    }
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::All, Access::Read)?;
    let mut status = work.status;
    let mut sites = Vec::new();
    for (target, found) in work.for_each(Purpose::Look, examined) {
        let found = found.unwrap_or_else(|error| SiteStatus {
            site: target.site.to_string_lossy().into_owned(),
            state: State::Missing,
            reason: error.to_string(),
            index: None,
            sealed: false,
        });
        if found.state != State::Fresh {
            status = status.max(Status::No);
        }
        sites.push(found);
    }
    print(&sites, arguments.json);
    Ok(status)
}

fn examined(target: &Target, system: &System) -> Result<SiteStatus> {
    let site = SiteDir::open(target.site.clone())?;
    examine(&site, system, &thorough(), |examined, outcome| {
        let index = examined.as_ref().map(|examined| examined.found.path.to_string_lossy().into_owned());
        let seal = examined.as_ref().and_then(|examined| examined.seal(&outcome, system));
        let (state, reason) = judge(examined, &outcome, seal);
        let site = site.path().to_string_lossy().into_owned();
        SiteStatus { site, state, reason, index, sealed: seal.is_some() }
    })
}

fn judge(
    examined: Option<Examined<'_>>,
    outcome: &Outcome<'_>,
    seal: Option<std::result::Result<(), Why>>,
) -> (State, String) {
    let index = match examined.map(|examined| examined.index) {
        None => return (State::Missing, "no index that readers trust".to_owned()),
        Some(Err(why)) => return (State::Stale, why.to_string()),
        Some(Ok(index)) => index,
    };
    // In a copy of the tree, all stamps are others than those recorded.
    let sealed = if seal.is_some() { "; sealed" } else { "" };
    let elsewhere = index.site != outcome.index.site;
    let changes = if elsewhere && seal == Some(Ok(())) {
        outcome.changes.apart_from_stamps(index, &outcome.index)
    } else {
        outcome.changes.clone()
    };
    if let Some(Err(why)) = seal {
        return (State::Stale, why.to_string());
    }
    if !changes.is_empty() {
        return (State::Stale, describe(&changes));
    }
    if elsewhere && seal.is_none() {
        return (State::Stale, "the directory has changed since, but no distribution in it".to_owned());
    }
    if !index.is_settled() {
        let young = index.distributions.iter().filter(|distribution| !distribution.settled).count();
        return (State::Unsettled, format!("readers must look at {young} distributions themselves"));
    }
    (State::Fresh, format!("{} distributions{sealed}", index.distributions.len()))
}

fn describe(changes: &Changes) -> String {
    let kinds = [("added", &changes.added), ("updated", &changes.updated), ("removed", &changes.removed)];
    let parts = kinds.into_iter().filter_map(|(kind, names)| {
        let first = String::from_utf8_lossy(names.first()?).into_owned();
        Some(match names.len() {
            1 => format!("{kind}: {first}"),
            count => format!("{count} {kind}: {first}, ..."),
        })
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn print(sites: &[SiteStatus], json: bool) {
    if json {
        return output::json_line(&sites);
    }
    for site in sites {
        let state = format!("{:?}", site.state).to_lowercase();
        let mut text = format!("{}: {state}: {}", site.site, site.reason);
        if site.state != State::Fresh {
            text.push_str(&format!("; hint: epcache refresh {}", site.site));
        }
        output::line(&text);
    }
}
