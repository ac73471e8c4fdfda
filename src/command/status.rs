//! `epcache status`: whether each index is fresh.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use super::output;
use super::selection::Unnamed;
use super::{Status, Work, args, sandbox};
use crate::encoding::shell_quoted;
use crate::error::{Error, Result};
use crate::freshness::clock::SETTLE_AFTER;
use crate::metadata::Distribution;
use crate::refresh::report::refresh_command;
use crate::refresh::seal::SealError;
use crate::refresh::{Changes, Examined, Outcome, Request, examine};
use crate::site::SiteDir;
use crate::site::distribution::is_behind_link;
use crate::site::install_state::is_named;
use crate::store::target::{Operation, Target};
use crate::sys::root::System;

/// The status of one site directory: an object of `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct SiteStatus {
    site: String,
    state: State,
    reason: String,
    index: Option<String>,
    /// Whether the index is sealed, whatever its state.
    sealed: bool,
    /// In how many seconds a refresh would settle it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settles_in: Option<f64>,
    /// What helps, unless it is fresh.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Proven by the site directory's stamp.
    Fresh,
    /// Right, but readers check some distributions individually.
    Unsettled,
    /// Something changed; readers read the disk.
    Stale,
    /// There is no index that readers trust.
    Missing,
}

pub fn run(arguments: &args::Status) -> Result<Status> {
    if arguments.sandbox {
        return sandbox::run(arguments);
    }
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::All, Operation::Inspect)?;
    let mut status = work.status;
    let mut sites = Vec::new();
    for (target, found) in work.for_each(examined) {
        let error_hint = found.as_ref().err().and_then(Error::hint);
        let mut found = found.unwrap_or_else(|error| SiteStatus {
            site: target.site.to_string_lossy().into_owned(),
            state: State::Missing,
            reason: error.to_string(),
            index: None,
            sealed: false,
            settles_in: None,
            hint: String::new(),
        });
        if found.state != State::Fresh {
            status = status.max(Status::Different);
            if found.hint.is_empty() {
                let refresh = || refresh_command(&work.system, &target.site, false);
                found.hint = error_hint.unwrap_or_else(refresh);
            }
        }
        sites.push(found);
    }
    output::list(&sites, arguments.json, line);
    Ok(status)
}

fn examined(target: &Target, system: &System) -> Result<SiteStatus> {
    let site = target.open(system)?;
    examine(&site, system, &Request::thorough(), |examined, outcome| {
        let index = examined.as_ref().map(|examined| examined.found.path.to_string_lossy().into_owned());
        let seal = examined.as_ref().and_then(|examined| examined.seal(&outcome, system));
        // What follows is not about the image.
        let in_image = examined.as_ref().is_some_and(|examined| examined.found.location.is_in_image());
        let refresh = refresh_command(system, site.path(), seal.is_some() && !in_image);
        let (mut state, mut reason) = judge(examined, &outcome, seal);
        let mut hint = if state == State::Fresh { String::new() } else { refresh.clone() };
        let linked = match state {
            State::Fresh => behind_links(&site, &outcome),
            _ => 0,
        };
        if linked > 0 {
            state = State::Unsettled;
            reason =
                format!("{linked} distributions are behind symbolic links; readers read them from the disk");
            hint = "install without links (UV_LINK_MODE=copy)".to_owned();
        }
        let mut settles_in = None;
        if let (State::Unsettled, None, Some(row)) = (state, outcome.settles_in(), left_over(&outcome)) {
            let name = String::from_utf8_lossy(&row.file_name);
            reason = format!(
                "{name} has no name in its metadata, as an interrupted installer leaves it; readers check it individually"
            );
            let directory = site.path().join(OsStr::from_bytes(&row.file_name));
            hint = format!("rm -r {} && {refresh} --wait", shell_quoted(&directory));
        }
        if let (State::Unsettled, Some(left)) = (state, outcome.settles_in()) {
            let seconds = output::whole_seconds(left);
            settles_in = Some(left.as_secs_f64());
            reason = format!("{reason}; settles in {seconds} s");
            hint = match left <= SETTLE_AFTER {
                true => format!("{refresh} --wait"),
                false => format!("sleep {seconds} && {refresh}"),
            };
        }
        let site = site.path().to_string_lossy().into_owned();
        SiteStatus { site, state, reason, index, sealed: seal.is_some(), settles_in, hint }
    })
}

/// A distribution that no later refresh settles, since it has no name.
fn left_over<'o>(outcome: &'o Outcome<'_>) -> Option<&'o Distribution<'o>> {
    outcome.index.distributions.iter().map(AsRef::as_ref).find(|row| !row.settled && !is_named(row))
}

/// How many distributions the index does not repeat because they are behind links.
fn behind_links(site: &SiteDir, outcome: &Outcome<'_>) -> usize {
    let opaque = outcome.index.distributions.iter().filter(|row| row.is_opaque());
    opaque.filter(|row| is_behind_link(site, &row.file_name)).count()
}

fn judge(
    examined: Option<Examined<'_>>,
    outcome: &Outcome<'_>,
    seal: Option<std::result::Result<(), SealError>>,
) -> (State, String) {
    let (index, in_image) =
        match examined.map(|examined| (examined.index, examined.found.location.is_in_image())) {
            None => return (State::Missing, "no index that readers trust".to_owned()),
            Some((Err(why), _)) => return (State::Stale, why.to_string()),
            Some((Ok(index), in_image)) => (index, in_image),
        };
    if let Some(Err(why)) = seal {
        return (State::Stale, why.to_string());
    }
    // In a copy of the tree, all stamps differ from those recorded.
    let is_copy = index.site != outcome.index.site;
    let changes = if is_copy && seal.is_some() {
        outcome.changes.apart_from_stamps(index, &outcome.index)
    } else {
        outcome.changes.clone()
    };
    if !changes.is_empty() {
        return (State::Stale, describe(&changes));
    }
    if is_copy && seal.is_none() {
        return (State::Stale, "the directory has changed, but no distribution in it".to_owned());
    }
    if !index.is_settled() {
        let young = index.distributions.iter().filter(|distribution| !distribution.settled).count();
        let reason = format!("{young} distributions are unsettled; readers check them individually");
        return (State::Unsettled, reason);
    }
    let sealed = match seal {
        Some(_) if in_image => "; sealed, of the image",
        Some(_) => "; sealed",
        None => "",
    };
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

fn line(site: &SiteStatus) -> String {
    let state = format!("{:?}", site.state).to_lowercase();
    let text = format!("{}: {state}: {}", site.site, site.reason);
    match site.state {
        State::Fresh => text,
        _ => format!("{text}; hint: {}", site.hint),
    }
}
