//! Indexes with random distributions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use epcache::freshness::Stamp;
use epcache::index::{EmptyDirectory, Index};
use epcache::index::{Seal, Witness};
use epcache::metadata::top_level::Kind;
use epcache::metadata::{Contents, Distribution, EntryPoint, Fingerprint, Identity, Stamps, TopLevel};

use crate::arbitrary::{Result, Unstructured};

/// An index of up to six distributions, of all kinds.
///
/// # Errors
/// Never: missing random bytes count as zero.
pub fn any_index(u: &mut Unstructured<'_>) -> Result<Index<'static>> {
    let mut rows = BTreeMap::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let row = any_distribution(u)?;
        rows.insert(row.file_name.to_vec(), row);
    }
    let mut distributions: Vec<_> = rows.into_values().map(Rc::new).collect();
    for row in &mut distributions {
        Rc::make_mut(row).position = u.int_in_range(0..=9_999_999)?;
    }
    let mut without = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        without.push(EmptyDirectory { path: any_path(u)?, stamp: any_stamp(u)? });
    }
    let seal = if u.arbitrary()? { Some(any_seal(u)?) } else { None };
    Ok(Index { site: any_stamp(u)?, settled: u.arbitrary()?, distributions, without, seal })
}

fn any_seal(u: &mut Unstructured<'_>) -> Result<Seal<'static>> {
    let mut witnesses = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        let state = if u.arbitrary()? { Some((u.int_in_range(0..=i64::MAX)?, u.arbitrary()?)) } else { None };
        witnesses.push(Witness { path: any_path(u)?, state });
    }
    if u.ratio(1, 4)? {
        return Ok(Seal::Contents);
    }
    Ok(Seal::Times { time: u.int_in_range(0..=i64::MAX)?, names: u.arbitrary()?, witnesses })
}

fn any_path(u: &mut Unstructured<'_>) -> Result<Cow<'static, [u8]>> {
    let mut path: Vec<u8> = u.arbitrary()?;
    path.retain(|byte| *byte != 0);
    Ok(path.into())
}

fn any_distribution(u: &mut Unstructured<'_>) -> Result<Distribution<'static>> {
    let mut file_name: Vec<u8> = match u.int_in_range(0..=2)? {
        0 => u.arbitrary::<Vec<u8>>()?,
        1 => u.arbitrary::<String>()?.into_bytes(),
        _ => text(u)?.into_bytes(),
    };
    file_name.retain(|byte| !matches!(byte, 0 | b'/'));
    file_name.extend_from_slice(u.choose(&[
        &b"-1.dist-info"[..],
        b".egg-info",
        b"%.DIST-INFO",
        b"\n.Egg-info",
    ])?);
    let identity = Identity { name: optional_text(u)?, version: optional_text(u)? };
    let entry = |u: &mut Unstructured<'_>| -> Result<EntryPoint<'static>> {
        let group = if u.arbitrary()? { "g".to_owned() } else { text(u)? };
        Ok(EntryPoint { group: group.into(), name: text(u)?.into(), value: text(u)?.into() })
    };
    let count = u.int_in_range(0..=4)?;
    let entry_points: Vec<_> = (0..count).map(|_| entry(u)).collect::<Result<_>>()?;
    let stamps = Stamps {
        itself: any_stamp(u)?,
        metadata: optional_stamp(u)?,
        entry_points: optional_stamp(u)?,
        top_level: optional_stamp(u)?,
        files: optional_stamp(u)?,
    };
    let top_level = TopLevel {
        kind: *u.choose(&[Kind::Declared, Kind::Inferred, Kind::None, Kind::Opaque])?,
        names: Cow::Owned(text(u)?.replace('%', "%25")),
        python_names: Cow::Owned(text(u)?.replace('%', "%25")),
        missing: Cow::Owned(text(u)?.replace('%', "%25")),
    };
    let entry_points = u.ratio(3, 4)?.then_some(entry_points);
    let requirements = match u.int_in_range(0..=2)? {
        0 => None,
        1 => Some(Cow::Borrowed("")),
        _ => Some(Cow::Owned(format!("d{}\te{}\tp{}", text(u)?, text(u)?, text(u)?))),
    };
    Ok(Distribution {
        file_name: Cow::Owned(file_name),
        position: 0,
        key: optional_text(u)?.filter(|key| !key.is_empty()),
        identity: u.arbitrary::<bool>()?.then_some(identity),
        requirements,
        configparser_differs: entry_points.is_some() && u.arbitrary()?,
        entry_points,
        top_level,
        stamps,
        contents: Contents { metadata: optional_fingerprint(u)?, entry_points: optional_fingerprint(u)? },
        settled: u.arbitrary()?,
    })
}

fn optional_fingerprint(u: &mut Unstructured<'_>) -> Result<Option<Fingerprint>> {
    Ok(match u.arbitrary()? {
        true => Some(Fingerprint { length: u.arbitrary()?, hash: u.arbitrary()? }),
        false => None,
    })
}

/// What can stand in a field: anything without a tab, NUL or `\n`.
fn text(u: &mut Unstructured<'_>) -> Result<String> {
    let pieces = [
        "a", "é", "\r", "\x0b", "\u{85}", "\u{2028}", "\u{feff}", "%0A", "%", " ", "end", "\x1b", "=", "[x]",
    ];
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=4)? {
        if u.arbitrary()? {
            text.push_str(u.choose(&pieces)?);
        } else {
            text.extend(Some(u.arbitrary::<char>()?).filter(|c| !matches!(c, '\t' | '\n' | '\0')));
        }
    }
    Ok(text)
}

fn optional_text(u: &mut Unstructured<'_>) -> Result<Option<Cow<'static, str>>> {
    Ok(if u.arbitrary()? { Some(Cow::Owned(text(u)?)) } else { None })
}

fn any_stamp(u: &mut Unstructured<'_>) -> Result<Stamp> {
    Ok(Stamp { mtime: u.arbitrary()?, ctime: u.arbitrary()?, inode: u.arbitrary()?, size: u.arbitrary()? })
}

fn optional_stamp(u: &mut Unstructured<'_>) -> Result<Option<Stamp>> {
    Ok(if u.arbitrary()? { Some(any_stamp(u)?) } else { None })
}
