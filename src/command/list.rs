//! `epcache list`: the entry points that a Python program would find.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::args::List;
use super::output;
use super::selection::Unnamed;
use super::{Status, Work};
use crate::error::{Error, Result};
use crate::metadata::name::{key_of_any, normalize};
use crate::metadata::{Distribution, EntryPoint};
use crate::refresh::{Request, examine};
use crate::site::SiteDir;
use crate::site::distribution::{Reader, is_behind_link};
use crate::site::retries::Retries;
use crate::store::target::{Operation, Target};
use crate::sys::caller;
use crate::sys::fs::Links;
use crate::sys::message;
use crate::sys::root::System;

/// One entry point: an object of `--json`. Or a distribution that can't be listed in full, with the error
/// and without a group, a name and a value.
#[derive(Debug, Clone, Default, Serialize)]
struct Row<'l> {
    site: &'l str,
    distribution: Option<&'l str>,
    version: Option<&'l str>,
    group: Option<&'l str>,
    name: Option<&'l str>,
    value: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// Why a distribution is not listed in full.
const BEHIND_LINKS: &str = "behind a symbolic link, which is not followed for root";

/// A distribution with those of its entry points that are wanted, as the process that read it sends it.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    key: Option<String>,
    name: Option<String>,
    version: Option<String>,
    /// It has files that are not read, because links lead to them.
    is_behind_links: bool,
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
        let unknown = rows[start..].iter().filter(|row| row.error.is_some()).count();
        if unknown > 0 {
            message::error(&behind_links(site, unknown));
            status = Status::Failed;
        }
    }
    if !arguments.json {
        rows.retain(|row| row.error.is_none());
    }
    output::list(&rows, arguments.json, line);
    Ok(status)
}

fn behind_links(site: &str, count: usize) -> Error {
    Error::Unusable {
        path: site.into(),
        why: format!("{count} distributions are not listed in full: {BEHIND_LINKS}"),
        hint: Some(
            "list it as a user who is not root, or install without links (UV_LINK_MODE=copy)".to_owned(),
        ),
    }
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
    let opaque = distribution.is_opaque();
    // An index does not repeat an opaque distribution, but it can be listed where it can be read.
    let links = if caller::is_root() { Links::Refuse } else { Links::Follow };
    let reader = Reader {
        site,
        links,
        listing: None,
        retries: &Retries::default(),
        too_large: usize::MAX,
        proves: false,
        seals: false,
    };
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
    let is_unread = opaque && links == Links::Refuse && is_behind_link(site, &distribution.file_name);
    // For names that are not ASCII an index has no key, since Python versions differ. For a list, Rust's are close
    // enough.
    let key = distribution
        .key
        .as_deref()
        .map(str::to_owned)
        .or_else(|| key_of_any(&distribution.file_name, name.as_deref()));
    let is_wanted = arguments.dist.as_ref().is_none_or(|wanted| key.as_ref() == Some(&normalize(wanted)));
    let is_behind_links = is_unread && is_wanted;
    Listed { key, name, version: identity.version.map(Cow::into_owned), is_behind_links, entries }
}

/// The rows of the distributions whose name has not been `seen`.
fn first_of_each_name<'l>(
    site: &'l str,
    listed: &'l [Listed],
    seen: &mut HashSet<&'l str>,
) -> impl Iterator<Item = Row<'l>> {
    let first = listed.iter().filter(|one| one.key.as_deref().is_none_or(|key| seen.insert(key)));
    first.flat_map(move |listed| {
        let row = Row {
            site,
            distribution: listed.name.as_deref(),
            version: listed.version.as_deref(),
            ..Row::default()
        };
        let unknown = listed.is_behind_links.then(|| Row {
            distribution: row.distribution.or(listed.key.as_deref()),
            error: Some(BEHIND_LINKS),
            ..row.clone()
        });
        let known = listed.entries.iter().map(move |[group, name, value]| Row {
            group: Some(group),
            name: Some(name),
            value: Some(value),
            ..row.clone()
        });
        unknown.into_iter().chain(known)
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
    let [group, name, value, distribution, version] =
        [row.group, row.name, row.value, row.distribution, row.version].map(|text| text.unwrap_or("?"));
    format!("{group}: {name} = {value} ({distribution} {version})")
}
