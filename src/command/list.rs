//! `epcache list`: the entry points that a Python program would find.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::args::List;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::Result;
use crate::metadata::name::{key_of_any, normalize};
use crate::metadata::{Distribution, EntryPoint};
use crate::refresh::{Request, examine};
use crate::site::SiteDir;
use crate::site::distribution::Reader;
use crate::site::retries::Retries;
use crate::store::target::{Operation, Target};
use crate::sys::caller;
use crate::sys::fs::Links;
use crate::sys::message;
use crate::sys::root::System;

/// One entry point: an object of `--json`.
#[derive(Debug, Clone, Serialize)]
struct Row<'l> {
    site: &'l str,
    distribution: Option<&'l str>,
    version: Option<&'l str>,
    group: &'l str,
    name: &'l str,
    value: &'l str,
}

/// A distribution with those of its entry points that are wanted, as the process that read it sends it.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    key: Option<String>,
    name: Option<String>,
    version: Option<String>,
    /// Group, name and value of each, sorted by group.
    entries: Vec<[String; 3]>,
}

/// Prints the entry points of all site directories that are named. They are sorted by site directory (in
/// the order given), group, name, and then in the order in which Python finds them.
///
/// Of several distributions with one name only the first counts, as in Python.
pub fn run(arguments: &List) -> Result<Status> {
    let work = Work::find(&arguments.site, &arguments.selection, Unnamed::One, Operation::Inspect)?;
    let mut status = work.status;
    let mut sites = Vec::new();
    for (target, listed) in work.for_each(|target, system| listed(target, system, arguments)) {
        match listed {
            Ok(listed) => sites.push((target.site.to_string_lossy(), listed)),
            Err(error) => {
                message::error(&error);
                status = Status::Failed;
            }
        }
    }
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (site, listed) in &sites {
        let start = rows.len();
        rows.extend(first_of_each_name(site, listed, &mut seen));
        rows[start..].sort_by_key(|row: &Row<'_>| (row.group, row.name));
    }
    output::list(&rows, arguments.json, line);
    Ok(status)
}

/// The distributions of one site directory in the order in which Python finds them.
fn listed(target: &Target, system: &System, arguments: &List) -> Result<Vec<Listed>> {
    let site = target.open(system)?;
    examine(&site, system, &Request::thorough(), |_, outcome| {
        let index = outcome.index;
        let mut listed: Vec<_> = index.distributions.iter().collect();
        listed.sort_unstable_by_key(|distribution| distribution.position);
        listed.into_iter().map(|distribution| list(&site, distribution, arguments)).collect()
    })
}

fn list(site: &SiteDir, distribution: &Distribution<'_>, arguments: &List) -> Listed {
    let opaque = distribution.entry_points.is_none() || distribution.identity.is_none();
    // An index does not repeat an opaque distribution, but it can be listed where it can be read.
    let links = if caller::is_root() { Links::Refuse } else { Links::Follow };
    let reader = Reader { site, links, listing: None, retries: &Retries::default(), too_large: usize::MAX };
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
    let name = identity.name.map(Cow::into_owned);
    let mut entries: Vec<[String; 3]> = Vec::new();
    if is_wanted_distribution(name.as_deref(), arguments) {
        let wanted = distribution.entry_points.iter().flatten().filter(|entry| is_wanted(entry, arguments));
        entries.extend(
            wanted.map(|EntryPoint { group, name, value }| [group, name, value].map(|text| text.to_string())),
        );
    }
    entries.sort_by(|[one, ..], [other, ..]| one.cmp(other));
    // For names that are not ASCII an index has no key, since Python versions differ. Rust's tables do here.
    let key = distribution
        .key
        .as_deref()
        .map(str::to_owned)
        .or_else(|| key_of_any(&distribution.file_name, name.as_deref()));
    Listed { key, name, version: identity.version.map(Cow::into_owned), entries }
}

/// The rows of the distributions whose name has not been `seen`.
fn first_of_each_name<'l>(
    site: &'l str,
    listed: &'l [Listed],
    seen: &mut HashSet<&'l str>,
) -> impl Iterator<Item = Row<'l>> {
    let first = listed.iter().filter(|one| one.key.as_deref().is_none_or(|key| seen.insert(key)));
    first.flat_map(move |Listed { name: distribution, version, entries, .. }| {
        let (distribution, version) = (distribution.as_deref(), version.as_deref());
        entries.iter().map(move |[group, name, value]| Row {
            site,
            distribution,
            version,
            group,
            name,
            value,
        })
    })
}

fn is_wanted_distribution(name: Option<&str>, arguments: &List) -> bool {
    let is = |wanted: &String| name.is_some_and(|name| normalize(name) == normalize(wanted));
    arguments.dist.as_ref().is_none_or(is)
}

fn is_wanted(entry: &EntryPoint<'_>, arguments: &List) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    is(&arguments.group, &entry.group) && is(&arguments.name, &entry.name)
}

fn line(row: &Row<'_>) -> String {
    let distribution = row.distribution.unwrap_or("?");
    let version = row.version.unwrap_or("?");
    format!("{}: {} = {} ({distribution} {version})", row.group, row.name, row.value)
}
