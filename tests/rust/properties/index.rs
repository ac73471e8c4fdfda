//! The index file: it survives writing and reading, and damaged files are refused.

use std::borrow::Cow;
use std::rc::Rc;

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use epcache::freshness::Stamp;
use epcache::index::{
    EmptyDirectory, Index, Invalid, is_readable, parse, parse_with_lines, render, render_over,
};
use epcache::index::{Seal, Witness};
use epcache::limits;
use epcache::metadata::top_level::Kind;
use epcache::metadata::{Contents, Distribution, EntryPoint, Identity, Stamps, TopLevel};

use crate::support::any_index::any_index;
use crate::support::forgery::with_right_checks;

#[test]
fn a_rendered_index_parses_to_the_same_index() {
    arbtest(|u| {
        let index = any_index(u)?;
        let bytes = render(&index);
        assert_eq!(parse(&bytes).as_ref(), Ok(&index), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(render(&index), bytes);
        Ok(())
    })
    .budget_ms(3_000);
}

/// Rows that both have, that the new one has changed, that are gone and that have come.
#[test]
fn an_index_rendered_over_an_old_one_has_the_same_bytes() {
    let mut copied = 0;
    arbtest(|u| {
        let old = render(&any_index(u)?);
        let old = parse_with_lines(&old).expect("our own index");
        let mut index = any_index(u)?;
        for row in &old.index.distributions {
            match u.int_in_range(0..=3)? {
                0 => {}
                1 => index.distributions.push(Rc::new(Distribution { key: None, ..(**row).clone() })),
                _ => index.distributions.push(row.clone()),
            }
        }
        index.distributions.sort_by(|one, other| one.file_name.cmp(&other.file_name));
        index.distributions.dedup_by(|one, other| one.file_name == other.file_name);
        let is_shared = |row: &&Rc<Distribution<'_>>| Rc::strong_count(row) > 1;
        copied += index.distributions.iter().filter(is_shared).count();
        assert_eq!(render_over(&index, Some(&old)), render(&index));
        Ok(())
    })
    .budget_ms(3_000);
    assert!(copied > 100, "too few to show anything: {copied}");
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
fn a_damaged_index_is_never_read_as_a_different_one() {
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

/// An attacker who can write the file can also correct its checksums.
#[test]
fn a_forged_index_is_refused_or_read_safely() {
    let mut accepted = 0_u32;
    arbtest(|u| {
        let bytes = render(&any_index(u)?);
        let second_line = bytes.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
        let mut forged = bytes[..second_line].to_vec();
        forged.extend(damage(u, &bytes[second_line..])?);
        if let Ok(index) = parse(&with_right_checks(&forged).unwrap_or(forged)) {
            accepted += 1;
            let _ = render(&index);
        }
        Ok(())
    })
    .budget_ms(3_000);
    assert!(accepted > 0, "no forgery was accepted, so this shows nothing");
}

/// Readers refuse a larger one. What does not grow with the number of distributions has a limit of its own.
#[test]
fn an_index_of_the_largest_content_is_within_the_limits() {
    const ROWS: usize = 1000;
    let last = limits::DISTRIBUTIONS - 1;
    let stamp = Stamp { mtime: i64::MAX, ctime: i64::MAX, inode: u64::MAX, size: u64::MAX };
    let top_level = TopLevel { kind: Kind::Inferred, missing: "a".into(), ..TopLevel::NONE };
    let all = Some(stamp);
    let stamps = Stamps { itself: stamp, metadata: all, entry_points: all, top_level: all, files: all };
    let row = |number: usize| Distribution {
        // Each byte is escaped, but those of the suffix.
        file_name: [vec![1; number / 200], vec![2; number % 200], b".dist-info".to_vec()].concat().into(),
        position: 9_999_999,
        key: None,
        identity: None,
        requirements: None,
        entry_points: None,
        configparser_differs: false,
        top_level: top_level.clone(),
        stamps,
        contents: Contents::default(),
        settled: false,
    };
    let mut distributions: Vec<_> = (0..ROWS).map(|number| Rc::new(row(number))).collect();
    distributions.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    let names: usize = distributions.iter().map(|row| row.file_name.len()).sum();
    let path = vec![1; 4095];
    let without = vec![EmptyDirectory { path: path.into(), stamp }; limits::WITHOUT_LINES];
    let index = Index { site: stamp, settled: true, distributions, without, seal: None };
    let bytes = render(&index);
    assert!(parse(&bytes).is_ok());
    let empty = render(&Index { distributions: Vec::new(), ..index }).len();
    // Three rows of six digits are in the header, instead of at most three digits here.
    let of_rows = (bytes.len() - empty - 3 * names) / ROWS + 3 * 3;
    let lists = 3 * (last.to_string().len() + 1) * limits::DISTRIBUTIONS;
    assert!(empty + lists + limits::ALL_GROUPS <= limits::HEADER_SIZE);
    // Of an entry point, the row, the position and the separators take less than it counts.
    let bounded =
        limits::ALL_ENTRY_POINTS + limits::ALL_NAMES + limits::ALL_GROUPS + 3 * limits::DIRECTORY_NAMES;
    let most = empty + of_rows * limits::DISTRIBUTIONS + bounded;
    assert!(u64::try_from(most).is_ok_and(|most| most <= limits::INDEX_SIZE), "{most}");
}

#[test]
fn a_header_that_is_too_large_is_refused() {
    let mut index = small_index();
    let line = index.without[0].clone();
    index.without = vec![line; limits::WITHOUT_LINES];
    assert!(parse(&render(&index)).is_ok());
    index.without.push(index.without[0].clone());
    assert_eq!(parse(&render(&index)), Err(Invalid::Corrupt("without")));
    index.without.truncate(1);
    index.without[0].path = vec![b'x'; limits::HEADER_SIZE].into();
    assert!(!is_readable(&render(&index)));
    assert_eq!(parse(&render(&index)), Err(Invalid::Corrupt("size of the header")));
}

/// Such a file would need more memory than there is.
#[test]
fn groups_that_share_their_lines_are_refused() {
    let mut index = small_index();
    let entries = |group: &str| {
        (0..100)
            .map(|number| EntryPoint {
                group: group.to_owned().into(),
                name: format!("n{number}").into(),
                value: "m".into(),
            })
            .collect::<Vec<_>>()
    };
    index.distributions.truncate(1);
    Rc::make_mut(&mut index.distributions[0]).entry_points =
        Some((0..50).flat_map(|group| entries(&format!("g{group:02}"))).collect());
    let text = String::from_utf8(render(&index)).expect("an index is text");
    assert!(parse(text.as_bytes()).is_ok());
    let place = |group: &str| {
        let line = text.lines().find(|line| line.ends_with(&format!("\t{group}"))).expect("a line a group");
        line[..line.len() - group.len()].to_owned()
    };
    let last = place("g49");
    let shared = (0..49).map(|group| format!("g{group:02}")).fold(text.clone(), |text, group| {
        text.replace(&format!("{}{group}", place(&group)), &format!("{last}{group}"))
    });
    let forged = with_right_checks(shared.as_bytes()).expect("text");
    assert_eq!(parse(&forged), Err(Invalid::Corrupt("place of a segment")));
}

/// A reader of such a path would read files that the index must not refer to.
#[test]
fn names_that_lead_out_of_the_site_directory_are_refused() {
    let names: [&[u8]; 5] =
        [b"../x.dist-info", b"a/b.dist-info", b"/etc/x.egg-info", b"a\0.dist-info", b"shadow"];
    for name in names {
        let mut index = small_index();
        index.distributions.truncate(1);
        Rc::make_mut(&mut index.distributions[0]).file_name = Cow::Borrowed(name);
        assert_eq!(parse(&render(&index)), Err(Invalid::Corrupt("table of distributions")), "{name:?}");
    }
}

/// One or two of: a byte changed, cut off, inserted, removed, two ranges exchanged.
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

fn small_index() -> Index<'static> {
    let stamp = Stamp { mtime: 1_763_812_000_123_456_789, ctime: 2, inode: 3, size: 4096 };
    let distribution =
        |position, name: &'static str, entry_points: Option<Vec<EntryPoint<'static>>>| Distribution {
            file_name: Cow::Borrowed(name.as_bytes()),
            position,
            key: Some("foo".into()),
            identity: Some(Identity { name: Some("foo".into()), version: None }),
            requirements: Some("dbar >=1\tex".into()),
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
            contents: Contents::default(),
            settled: false,
        };
    let entry =
        |group: &'static str| EntryPoint { group: group.into(), name: "a".into(), value: "m:f".into() };
    let distributions = vec![
        distribution(2, "foo%-1.dist-info", Some(vec![entry("h"), entry("g"), entry("h")])).into(),
        distribution(0, "foo\n-2.dist-info", None).into(),
        distribution(1, "foo-3.dist-info", Some(vec![])).into(),
    ];
    let without = vec![EmptyDirectory { path: (b"/usr/lib/\xff\n").into(), stamp }];
    let witnesses = vec![
        Witness { path: (b"/var/lib/a b").into(), state: Some((5, 7)) },
        Witness { path: (b"/var/lib/\xff\t").into(), state: None },
    ];
    let seal = Some(Seal::Times { time: 9, names: 11, witnesses });
    let mut index = Index { site: stamp, settled: true, distributions, without, seal };
    index.distributions.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    index
}
