//! `epcache list`: the entry points that a Python program would find.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::args::List;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::metadata::Distribution;
use crate::metadata::name::{key_of_any, normalize};
use crate::refresh::{Request, examine};
use crate::site::SiteDir;
use crate::site::distribution::Reader;
use crate::site::retries::Retries;
use crate::store::target::{Operation, Target};
use crate::sys::fs::Links;
use crate::sys::message;
use crate::sys::root::System;

/// One entry point: an object of `--json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    site: String,
    distribution: Option<String>,
    version: Option<String>,
    group: String,
    name: String,
    value: String,
}

/// A distribution with its entry points, as the process that read it sends it.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    key: Option<String>,
    rows: Vec<Row>,
}

/// Prints the entry points of all site directories that are named. They are sorted by site directory (in
/// the order given), group, name, and then in the order in which Python finds them.
///
/// Of several distributions with one name only the first counts, as in Python.
pub fn run(arguments: &List) -> Result<Status> {
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, Operation::Inspect)?;
    let mut status = work.status;
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (_, listed) in work.for_each(listed) {
        match listed {
            Ok(listed) => rows.extend(first_of_each_name(listed, &mut seen)),
            Err(error) => {
                message::error(&error);
                status = Status::Failed;
            }
        }
    }
    rows.retain(|row| wanted(row, arguments));
    output::list(&rows, arguments.json, line);
    Ok(status)
}

/// The distributions of one site directory in the order in which Python finds them.
fn listed(target: &Target, system: &System) -> Result<Vec<Listed>> {
    let site = target.open()?;
    examine(&site, system, &Request::thorough(), |_, outcome| {
        let index = outcome.index;
        let mut listed: Vec<_> = index.distributions.iter().collect();
        listed.sort_unstable_by_key(|distribution| distribution.position);
        listed.into_iter().map(|distribution| list(&site, distribution)).collect()
    })
}

fn list(site: &SiteDir, distribution: &Distribution<'_>) -> Listed {
    let opaque = distribution.entry_points.is_none() || distribution.identity.is_none();
    // An index does not repeat an opaque distribution, but it can be listed where it can be read.
    let links = if nix::unistd::geteuid().is_root() { Links::Refuse } else { Links::Follow };
    let reader = Reader { site, links, listing: None, retries: &Retries::default() };
    let reading = opaque.then(|| reader.read(&distribution.file_name, None).ok()).flatten().flatten();
    let distribution = reading.as_ref().map_or(distribution, |reading| {
        for diagnostic in &reading.diagnostics {
            log::warn!(
                "{}/{}: {diagnostic}",
                site.path().display(),
                String::from_utf8_lossy(&distribution.file_name)
            );
        }
        &reading.distribution
    });
    let identity = distribution.identity.clone().unwrap_or_default();
    let site = site.path().to_string_lossy();
    let mut rows: Vec<Row> = distribution
        .entry_points
        .iter()
        .flatten()
        .map(|entry| Row {
            site: site.clone().into_owned(),
            distribution: identity.name.as_deref().map(str::to_owned),
            version: identity.version.as_deref().map(str::to_owned),
            group: entry.group.clone().into_owned(),
            name: entry.name.clone().into_owned(),
            value: entry.value.clone().into_owned(),
        })
        .collect();
    rows.sort_by(|one, other| one.group.cmp(&other.group));
    // For names that are not ASCII an index has no key, since Python versions differ. Rust's tables do here.
    let key = distribution
        .key
        .as_deref()
        .map(str::to_owned)
        .or_else(|| key_of_any(&distribution.file_name, identity.name.as_deref()));
    Listed { key, rows }
}

/// The rows of the distributions whose name has not been `seen`, sorted for printing.
fn first_of_each_name(listed: Vec<Listed>, seen: &mut HashSet<String>) -> impl Iterator<Item = Row> + use<> {
    let mut rows = Vec::new();
    for one in listed {
        if one.key.is_none_or(|key| seen.insert(key)) {
            rows.extend(one.rows);
        }
    }
    rows.sort_by(|one, other| (&one.group, &one.name).cmp(&(&other.group, &other.name)));
    rows.into_iter()
}

fn wanted(row: &Row, arguments: &List) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    let of = |wanted: &String| {
        row.distribution.as_deref().is_some_and(|name| normalize(name) == normalize(wanted))
    };
    is(&arguments.group, &row.group)
        && is(&arguments.name, &row.name)
        && arguments.dist.as_ref().is_none_or(of)
}

fn line(row: &Row) -> String {
    let distribution = row.distribution.as_deref().unwrap_or("?");
    let version = row.version.as_deref().unwrap_or("?");
    format!("{}: {} = {} ({distribution} {version})", row.group, row.name, row.value)
}
