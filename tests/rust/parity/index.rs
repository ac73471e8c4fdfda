//! The index, read by this parser and by the Python reader, which was written independently.
//!
//! An index that this parser accepts, the Python reader reads with the same content. An index that the Python
//! reader refuses, this parser refuses, too. The reverse need not hold, since the Python reader checks only
//! what a query needs. For any bytes it must either answer or refuse.

use std::borrow::Cow;
use std::collections::BTreeMap;

use epcache::freshness::Stamp;
use epcache::index::{Index, Seal, Witness, parse, render};
use epcache::metadata::top_level::Kind;
use epcache::metadata::{Distribution, EntryPoint, Fingerprint};
use serde_json::{Value, json};

use super::corpus::corpus;
use super::oracle::{Answer, VERSIONS_FROM_3_9, ask};
use super::random::Random;
use crate::support::any_index::any_index;
use crate::support::forgery::with_right_checks;
use arbtest::arbitrary::Unstructured;

#[test]
fn both_readers_read_written_indexes_alike() {
    let mut random = Random::new();
    let files: Vec<_> = (0..1_500).map(|_| written(&mut random)).collect();
    let accepted = compare(&files);
    assert_eq!(accepted, files.len());
}

#[test]
fn both_readers_read_forged_indexes_alike() {
    let mut random = Random::new();
    let mut originals = corpus("index");
    originals.extend((0..300).map(|_| written(&mut random)));
    let files: Vec<_> = (0..8_000).map(|_| forged(&mut random, &originals)).collect();
    let accepted = compare(&files);
    assert!(accepted > 80, "{accepted} of {} were accepted, so this shows little", files.len());
}

/// A newer program may write more segments.
#[test]
fn a_segment_that_no_reader_knows_must_be_intact() {
    let original = String::from_utf8(written(&mut Random::new())).expect("text");
    for (place, is_accepted) in [("0\t0\t0", true), ("0\t99999999\t0", false), ("0\t8\t7x", false)] {
        let line = format!("\nsegment\tnew\t{place}\nsegment\torder\t");
        let text = original.replacen("\nsegment\torder\t", &line, 1);
        let file = with_right_checks(text.as_bytes()).expect("an index");
        assert_eq!(compare(&[file]), usize::from(is_accepted), "{place}");
    }
}

#[test]
fn both_readers_read_inputs_found_by_fuzzing_alike() {
    let files = corpus("index");
    assert!(compare(&files) >= 3);
}

fn written(random: &mut Random) -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..random.below(1_500)).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect();
    render(&any_index(&mut Unstructured::new(&bytes)).expect("there is one for any bytes"))
}

/// One of `originals`, changed after its second line.
fn forged(random: &mut Random, originals: &[Vec<u8>]) -> Vec<u8> {
    const MEASURED: usize = 51;
    const PIECES: [&[u8]; 24] = [
        b"\t",
        b"\n",
        b" ",
        b"0",
        b"1",
        b"7",
        b"-",
        b"+",
        b"%",
        b"%00",
        b"%2F",
        b"%zz",
        b"/",
        b"e",
        b"m",
        b"n",
        b"\r",
        b"_",
        b"\0",
        b"\xff",
        b".dist-info",
        b"yes",
        b"- -",
        b"99999999999999999999",
    ];
    let mut bytes = random.pick(&originals.iter().collect::<Vec<_>>()).clone();
    for _ in 0..=random.below(2) {
        let behind = bytes.len().saturating_sub(MEASURED);
        if behind == 0 {
            break;
        }
        let at = MEASURED + random.below(behind);
        let piece = random.pick(&PIECES);
        match random.below(4) {
            0 => drop(bytes.remove(at)),
            1 => drop(bytes.splice(at..at, piece.iter().copied())),
            2 => drop(bytes.splice(at..=at, piece.iter().copied())),
            _ => {
                // A line duplicated or removed.
                let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
                let end =
                    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(at, |length| at + length + 1);
                if start >= MEASURED && start < end {
                    let line = bytes[start..end].to_vec();
                    let twice = random.once_in(2);
                    bytes.splice(start..end, if twice { line.repeat(2) } else { Vec::new() });
                }
            }
        }
    }
    with_right_checks(&bytes).unwrap_or(bytes)
}

/// Compares the answers for each file; returns how many are indexes.
fn compare(files: &[Vec<u8>]) -> usize {
    let ours: Vec<_> = files.iter().map(|bytes| parse(bytes)).collect();
    for (version, answers) in ask::<Value>(&VERSIONS_FROM_3_9, "index", files) {
        for ((bytes, ours), theirs) in files.iter().zip(&ours).zip(answers) {
            let text = || String::from_utf8_lossy(bytes).into_owned();
            match (ours, theirs) {
                (Ok(ours), Answer::Gives(theirs)) => {
                    assert_eq!(content_of(ours), theirs, "{version}: {}", text())
                }
                (Ok(_), Answer::Raises { raises }) => panic!("{version}: only {raises}: {}", text()),
                (Err(_), Answer::Raises { raises }) => {
                    assert_eq!(raises, "Unusable", "{version}: {}", text())
                }
                (Err(_), Answer::Gives(_)) => {}
            }
        }
    }
    ours.iter().filter(|ours| ours.is_ok()).count()
}

/// The content of an index, in the form that the oracle prints.
fn content_of(index: &Index<'_>) -> Value {
    let rows: Vec<_> = index.distributions.iter().map(|it| row(it)).collect();
    let unsettled =
        index.distributions.iter().enumerate().filter(|(_, row)| !row.settled).map(|(row, _)| row);
    let opaque = index
        .distributions
        .iter()
        .enumerate()
        .filter(|(_, row)| row.entry_points.is_none())
        .map(|(row, _)| row);
    let without: BTreeMap<String, Value> =
        index.without.iter().map(|directory| (spelled(&directory.path), stamp(directory.stamp))).collect();
    let witness = |witness: &Witness<'_>| json!([spelled(&witness.path), witness.state]);
    let seal = index.seal.as_ref().map(|seal| match seal {
        Seal::Times { time, names, witnesses } => {
            json!([time, names, witnesses.iter().map(witness).collect::<Vec<_>>()])
        }
        Seal::Contents => json!("contents"),
    });
    json!({
        "site": stamp(index.site),
        "settled": index.settled,
        "unsettled": unsettled.collect::<Vec<_>>(),
        "opaque": opaque.collect::<Vec<_>>(),
        "order": index.distributions.iter().map(|row| format!("{:07}", row.position)).collect::<Vec<_>>(),
        "rows": rows,
        "without": without,
        "sealed": seal,
    })
}

fn row(row: &Distribution<'_>) -> Value {
    let identity = row.identity.clone().unwrap_or_default();
    let all = |names: &Cow<'_, str>| -> Vec<String> {
        let unescaped = |name: &str| String::from_utf8(unescape(name)).expect("parsed, so it is UTF-8");
        names.split(' ').filter(|_| !names.is_empty()).map(unescaped).collect()
    };
    let entry = |entry: &EntryPoint<'_>| json!([entry.group, entry.name, entry.value]);
    let entries: Vec<_> = row.entry_points.iter().flatten().map(entry).collect();
    let of = row.stamps;
    let stamps = [Some(of.itself), of.metadata, of.entry_points, of.top_level, of.files];
    let stamps = stamps.map(|of| of.map(stamp));
    let contents = [row.contents.metadata, row.contents.entry_points]
        .map(|of| of.map(|Fingerprint { length, hash }| json!([length, hash])));
    let kind = match row.top_level.kind {
        Kind::Declared => "declared",
        Kind::Inferred => "inferred",
        Kind::None => "none",
        Kind::Opaque => "opaque",
    };
    json!({
        "file_name": spelled(&row.file_name),
        "key": row.key.as_deref().unwrap_or_default(),
        "name": identity.name,
        "version": identity.version,
        "requirements": row.requirements.as_deref().map(by_header),
        "stamps": stamps,
        "contents": contents,
        "kind": kind,
        "names": all(&row.top_level.names),
        "python_names": all(&row.top_level.python_names),
        "missing": all(&row.top_level.missing),
        "entry_points": entries,
    })
}

/// As in the specification.
fn by_header(requirements: &str) -> Value {
    let values = |letter: &str| -> Vec<String> {
        requirements.split('\t').filter_map(|field| Some(field.strip_prefix(letter)?.to_owned())).collect()
    };
    json!({"requires-dist": values("d"), "provides-extra": values("e"), "requires-python": values("p")})
}

fn stamp(stamp: Stamp) -> Value {
    json!([stamp.mtime, stamp.ctime, stamp.inode, stamp.size])
}

/// Bytes in hexadecimal digits: file names are not always UTF-8.
fn spelled(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As in the specification.
fn unescape(name: &str) -> Vec<u8> {
    let mut parts = name.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("parsed, so it is a number"));
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}
