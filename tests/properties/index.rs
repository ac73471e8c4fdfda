//! The index file: what is written is read back, and nothing else is ever believed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use epcache::distribution::top_level::Kind;
use epcache::distribution::{Distribution, EntryPoint, Identity, Stamps, TopLevel};
use epcache::freshness::Stamp;
use epcache::freshness::seal::{Seal, Witness};
use epcache::index::{Index, Without, parse, render};

#[test]
fn what_is_rendered_is_parsed_to_the_same() {
    arbtest(|u| {
        let index = any_index(u)?;
        let bytes = render(&index);
        assert_eq!(parse(&bytes).as_ref(), Ok(&index), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(render(&index), bytes);
        Ok(())
    })
    .budget_ms(3_000);
}

#[test]
fn an_index_with_any_byte_changed_or_cut_off_is_refused() {
    let index = small_index();
    let bytes = render(&index);
    assert_eq!(parse(&bytes).as_ref(), Ok(&index));
    for at in 0..bytes.len() {
        assert!(parse(&bytes[..at]).is_err(), "cut off at {at}");
        for change in 1..=255 {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert!(parse(&changed).is_err(), "byte {at} changed by {change}");
        }
    }
    for garbage in [&b""[..], b"{}", b"[]", b"\xff\xfe", b"epcache-index 1\n", b"epcache-index 2\n", b"end\n"]
    {
        assert!(parse(garbage).is_err(), "{garbage:?}");
    }
}

#[test]
fn a_damaged_index_is_never_taken_for_another() {
    arbtest(|u| {
        let index = any_index(u)?;
        let bytes = render(&index);
        let damaged = damage(u, &bytes)?;
        if damaged != bytes {
            assert!(parse(&damaged).is_err(), "{}", String::from_utf8_lossy(&damaged));
        }
        Ok(())
    })
    .budget_ms(3_000);
}

/// Who can write the file can also make its checks right.
#[test]
fn a_forged_index_is_refused_or_read_without_harm() {
    let mut accepted = 0_u32;
    arbtest(|u| {
        let bytes = render(&any_index(u)?);
        let second_line = bytes.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
        let mut forged = bytes[..second_line].to_vec();
        forged.extend(damage(u, &bytes[second_line..])?);
        if let Ok(index) = parse(&seal(&forged).unwrap_or(forged)) {
            accepted += 1;
            let _ = render(&index);
        }
        Ok(())
    })
    .budget_ms(3_000);
    assert!(accepted > 0, "no forgery was accepted, so this shows nothing");
}

/// Makes the measures and the check of the header right, and those of the segments where they are found.
fn seal(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split_inclusive('\n');
    let (magic, measures) = (lines.next()?, lines.next()?);
    let mut header = String::new();
    let mut groups = None;
    for line in lines.by_ref() {
        if groups == Some(0) {
            break;
        }
        header.push_str(line);
        match &mut groups {
            Some(left) => *left -= 1,
            None => groups = line.strip_prefix("groups\t").and_then(|count| count.trim().parse::<u32>().ok()),
        }
        if groups == Some(0) {
            break;
        }
    }
    let body = text.get(magic.len() + measures.len() + header.len()..)?;
    let sealed = |line: &str| -> Option<String> {
        let mut fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let first = fields.iter().position(|field| field.parse::<usize>().is_ok())?;
        let offset: usize = fields.get(first)?.parse().ok()?;
        let length: usize = fields.get(first + 1)?.parse().ok()?;
        let segment = body.as_bytes().get(offset..offset.checked_add(length)?)?;
        let place = fields.get_mut(first + 2)?;
        let end = if place.ends_with('\n') { "\n" } else { "" };
        *place = format!("{}{end}", check(segment));
        Some(fields.join("\t"))
    };
    let is_place =
        |line: &str| line.starts_with("segment\t") || line.starts_with(|c: char| c.is_ascii_digit());
    let header: String = header
        .split_inclusive('\n')
        .map(|line| if is_place(line) { sealed(line).unwrap_or(line.to_owned()) } else { line.to_owned() })
        .collect();
    let header_length = magic.len() + measures.len() + header.len();
    let length = header_length + body.len();
    let measures = format!("{length:012} {header_length:010} {:010}\n", check(header.as_bytes()));
    Some([magic, &measures, &header, body].concat().into_bytes())
}

/// The definition, a byte at a time.
fn check(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| (value * 256 + u64::from(*byte)) % 1_073_741_789)
}

/// One or two of: a byte changed, cut off, put in, taken out, two stretches exchanged.
fn damage(u: &mut Unstructured<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    for _ in 0..u.int_in_range(1..=2)? {
        let at = u.choose_index(bytes.len().max(1))?;
        match u.int_in_range(0..=5)? {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = u.arbitrary()?,
            1 => bytes[at] = *u.choose(b"\t\n 0123456789-%+emnv")?,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, u.arbitrary()?),
            4 => drop(bytes.remove(at)),
            _ => {
                let other = u.choose_index(bytes.len())?;
                let length = u.choose_index(bytes.len() - at.max(other))? + 1;
                let (from, to) = (at.min(other), at.max(other));
                for step in 0..length.min((to - from).max(1)) {
                    bytes.swap(from + step, to + step);
                }
            }
        }
    }
    Ok(bytes)
}

fn any_index(u: &mut Unstructured<'_>) -> Result<Index<'static>> {
    let mut rows = BTreeMap::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let row = any_distribution(u)?;
        rows.insert(row.file_name.to_vec(), row);
    }
    let distributions: Vec<_> = rows.into_values().collect();
    let order = distributions.iter().map(|_| u.int_in_range(0..=9_999_999)).collect::<Result<_>>()?;
    let mut without = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        let path = Cow::Owned(u.arbitrary::<Vec<u8>>()?);
        without.push(Without { path, stamp: any_stamp(u)? });
    }
    let seal = if u.arbitrary()? { Some(any_seal(u)?) } else { None };
    Ok(Index { site: any_stamp(u)?, settled: u.arbitrary()?, distributions, order, without, seal })
}

fn any_seal(u: &mut Unstructured<'_>) -> Result<Seal<'static>> {
    let mut witnesses = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        let state = if u.arbitrary()? { Some((u.int_in_range(0..=i64::MAX)?, u.arbitrary()?)) } else { None };
        witnesses.push(Witness { path: Cow::Owned(u.arbitrary::<Vec<u8>>()?), state });
    }
    Ok(Seal { time: u.int_in_range(0..=i64::MAX)?, names: u.arbitrary()?, witnesses })
}

fn any_distribution(u: &mut Unstructured<'_>) -> Result<Distribution<'static>> {
    let mut file_name: Vec<u8> = match u.int_in_range(0..=2)? {
        0 => u.arbitrary::<Vec<u8>>()?,
        1 => u.arbitrary::<String>()?.into_bytes(),
        _ => text(u)?.into_bytes(),
    };
    file_name.retain(|byte| !matches!(byte, 0 | b'/'));
    file_name.extend_from_slice(u.choose(&[&b"-1.dist-info"[..], b".egg-info", b"", b"%", b"\n"])?);
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
        names: Cow::Owned(text(u)?),
        python_names: Cow::Owned(text(u)?),
        missing: Cow::Owned(text(u)?),
    };
    let entry_points = u.ratio(3, 4)?.then_some(entry_points);
    Ok(Distribution {
        file_name: Cow::Owned(file_name),
        key: optional_text(u)?.filter(|key| !key.is_empty()),
        identity: u.arbitrary::<bool>()?.then_some(identity),
        configparser_differs: entry_points.is_some() && u.arbitrary()?,
        entry_points,
        top_level,
        stamps,
        settled: u.arbitrary()?,
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

fn small_index() -> Index<'static> {
    let stamp = Stamp { mtime: 1_763_812_000_123_456_789, ctime: 2, inode: 3, size: 4096 };
    let distribution = |name: &'static str, entry_points: Option<Vec<EntryPoint<'static>>>| Distribution {
        file_name: Cow::Borrowed(name.as_bytes()),
        key: Some("foo".into()),
        identity: Some(Identity { name: Some("foo".into()), version: None }),
        configparser_differs: entry_points.is_some(),
        entry_points,
        top_level: TopLevel {
            kind: Kind::Inferred,
            names: "a/ b.py".into(),
            python_names: "a".into(),
            missing: "c.py".into(),
        },
        stamps: Stamps {
            itself: stamp,
            metadata: Some(stamp),
            entry_points: None,
            top_level: Some(stamp),
            files: None,
        },
        settled: false,
    };
    let entry =
        |group: &'static str| EntryPoint { group: group.into(), name: "a".into(), value: "m:f".into() };
    let distributions = vec![
        distribution("foo%-1.dist-info", Some(vec![entry("h"), entry("g"), entry("h")])),
        distribution("foo\n-2.dist-info", None),
        distribution("foo-3.dist-info", Some(vec![])),
    ];
    let without = vec![Without { path: (b"/usr/lib/\xff\n").into(), stamp }];
    let witnesses = vec![
        Witness { path: (b"/var/lib/a b").into(), state: Some((5, 7)) },
        Witness { path: (b"/var/lib/\xff\t").into(), state: None },
    ];
    let seal = Some(Seal { time: 9, names: 11, witnesses });
    let order = vec![2, 0, 1];
    let mut index = Index { site: stamp, settled: true, distributions, order, without, seal };
    index.distributions.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    index
}
