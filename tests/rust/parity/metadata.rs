//! The headers of METADATA and PKG-INFO that an index repeats.

use epcache::metadata::headers::{Header, parse};

use super::corpus::corpus;
use super::oracle::{Answer, VERSIONS_FROM_3_9, ask};
use super::random::Random;

/// Name, version and the values of each header of the requirements, as CPython returns them.
type Identity = (Option<String>, Option<String>, [Vec<String>; 3]);

/// A header's value, `None` where it is absent, `Err` where it is opaque.
type Expected = Result<Option<&'static str>, ()>;

const FOO: Expected = Ok(Some("foo"));
const ONE: Expected = Ok(Some("1"));
const ABSENT: Expected = Ok(None);
const OPAQUE: Expected = Err(());

/// Texts with Name and Version as expected of them.
const CASES: [(&str, Expected, Expected); 44] = [
    ("", ABSENT, ABSENT),
    ("\n", ABSENT, ABSENT),
    ("Name: foo\nVersion: 1\n\nbody\n", FOO, ONE),
    ("Name: foo\nVersion: 1", FOO, ONE),
    ("Name: foo\r\nVersion: 1\r\n\r\nbody", FOO, ONE),
    ("Name: foo\rVersion: 1\r\rbody", FOO, ONE),
    ("Metadata-Version: 2.1\nName: foo\n", FOO, ABSENT),
    ("Version: 1\n", ABSENT, ONE),
    ("Name:foo\nVersion:1\n", FOO, ONE),
    ("name: foo\nVERSION: 1\n", FOO, ONE),
    ("Name: \t foo\nVersion:\t1\n", FOO, ONE),
    ("Name: foo  \nVersion: 1 \n", Ok(Some("foo  ")), Ok(Some("1 "))),
    ("Name:\nVersion: \n", Ok(Some("")), Ok(Some(""))),
    ("Name: foo\nName: bar\nVersion: 1\nVersion: 2\n", FOO, ONE),
    ("Name: =?utf-8?q?foo?=\nVersion: 1\n", Ok(Some("=?utf-8?q?foo?=")), ONE),
    ("Name: fö\nVersion: 1\n", Ok(Some("fö")), ONE),
    ("Name: UNKNOWN\nVersion: 1\n", Ok(Some("UNKNOWN")), ONE),
    ("Name: foo\u{85}\nVersion: 1\x0b\n", Ok(Some("foo\u{85}")), Ok(Some("1\x0b"))),
    ("Name: a\u{2028}b\nVersion: 1\x1c\n", Ok(Some("a\u{2028}b")), Ok(Some("1\x1c"))),
    ("Name: a\tb\nVersion: 1\n", OPAQUE, ONE),
    ("Name: foo\nVersion: 1\0\n", FOO, OPAQUE),
    ("Name: foo\n bar\nVersion: 1\n", OPAQUE, ONE),
    ("Name: foo\nVersion:\n 1\n", FOO, OPAQUE),
    ("Name: foo\nVersion: 1\n        2\n", FOO, OPAQUE),
    ("Summary: a\n  b\n\tc\nName: foo\nVersion: 1\n", FOO, ONE),
    ("Name: foo\n \nVersion: 1\n", OPAQUE, ONE),
    ("From me\nName: foo\nVersion: 1\n", FOO, ONE),
    ("From: me\nName: foo\nVersion: 1\n", FOO, ONE),
    ("Name: foo\nFrom me\nVersion: 1\n", FOO, ONE),
    ("Name: foo\nFrom me\n bar\nVersion: 1\n", FOO, ONE),
    (" indented\nName: foo\nVersion: 1\n", FOO, ONE),
    ("\nName: foo\nVersion: 1\n", ABSENT, ABSENT),
    ("\u{feff}Name: foo\nVersion: 1\n", ABSENT, ABSENT),
    ("Name : foo\nVersion: 1\n", ABSENT, ABSENT),
    ("Summary: a\nName : foo\nVersion: 1\n", ABSENT, ABSENT),
    ("Name: foo\nmalformed\nVersion: 1\n", FOO, ABSENT),
    ("Name: foo\n\nVersion: 1\n", FOO, ABSENT),
    ("Name: foo\n:\nVersion: 1\n", FOO, ONE),
    (": foo\nName: foo\nVersion: 1\n", FOO, ONE),
    ("Näme: foo\nVersion: 1\n", ABSENT, ABSENT),
    ("Name: foo: bar\nVersion: 1: 2\n", Ok(Some("foo: bar")), Ok(Some("1: 2"))),
    (
        "Content-Type: multipart/mixed; boundary=x\nName: foo\nVersion: 1\n\n--x\nName: bar\n\n--x--\n",
        FOO,
        ONE,
    ),
    ("Names: foo\nVersion-1: 1\n", ABSENT, ABSENT),
    ("Name: foo\x0c\nVersion: \x0c1\n", Ok(Some("foo\x0c")), Ok(Some("\x0c1"))),
];

#[test]
fn texts_on_which_parsers_differ() {
    for (text, name, version) in CASES {
        let headers = parse(text);
        assert_eq!((expected(&headers.name), expected(&headers.version)), (name, version), "{text:?}");
    }
    compare(&CASES.map(|(text, _, _)| text.as_bytes().to_vec()));
}

fn expected(header: &Header) -> Result<Option<&str>, ()> {
    match header {
        Header::Absent => Ok(None),
        Header::Value(value) => Ok(Some(value)),
        Header::Opaque => Err(()),
    }
}

#[test]
fn random_texts() {
    let mut random = Random::new();
    let texts: Vec<_> = (0..10_000).map(|_| random.text(&NASTY, 16).into_bytes()).collect();
    assert!(compare(&texts) < texts.len(), "every text was opaque");
}

#[test]
fn inputs_found_by_fuzzing() {
    let mut texts = corpus("metadata");
    texts.retain(|text| std::str::from_utf8(text).is_ok());
    assert!(compare(&texts) < texts.len(), "every text was opaque");
}

#[test]
fn ordinary_files_with_a_few_characters_changed() {
    let mut random = Random::new();
    let texts: Vec<_> = (0..10_000)
        .map(|_| {
            let file = ordinary(&mut random);
            random.mutate(&file, &NASTY).into_bytes()
        })
        .collect();
    compare(&texts);
}

#[test]
fn ordinary_files_are_never_opaque() {
    let mut random = Random::new();
    let texts: Vec<_> = (0..3_000).map(|_| ordinary(&mut random).into_bytes()).collect();
    assert_eq!(compare(&texts), 0);
}

/// A file as build tools write them.
fn ordinary(random: &mut Random) -> String {
    let version = random.pick(&["1.0", "2024.1.1", "0.1.dev3+g1234567", "1!2.0rc1", ""]);
    let name = random.pick(&["foo", "Foo_Bar", "zope.interface", "fö", "ruamel.yaml.clib"]);
    let lines = [
        "Metadata-Version: 2.1".to_owned(),
        format!("Name: {name}"),
        format!("Version: {version}"),
        random.pick(&["Summary: One line", "Summary: Two\n        lines", "Summary: UNKNOWN"]).to_owned(),
        "Home-page: https://example.org/a:b".to_owned(),
        random
            .pick(&["Author-email: A <a@example.org>", "Author: Ünal", "License: MIT\n\t\n  text"])
            .to_owned(),
        "Requires-Dist: bar >=1 ; extra == 'x'".to_owned(),
    ];
    let newline = random.pick(&["\n", "\r\n"]);
    let body = random.pick(&["", "\n", "\n# Foo\n\nName: bar\nVersion: 9\n", "\nFrom here\n"]);
    let mut text = String::new();
    // Name and Version may be at any place.
    let skip = random.below(lines.len());
    for line in lines.iter().cycle().skip(skip).take(lines.len()) {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(body);
    text.replace('\n', newline)
}

/// The values of each header in a row's requirements.
fn by_name(requirements: &str) -> [Vec<String>; 3] {
    ["d", "e", "p"].map(|letter| {
        let values = requirements.split('\t').filter_map(|field| field.strip_prefix(letter));
        values.map(str::to_owned).collect()
    })
}

/// Compares our answer for each text with that of every version; returns how many were opaque.
fn compare(texts: &[Vec<u8>]) -> usize {
    let ours: Vec<_> =
        texts.iter().map(|text| parse(std::str::from_utf8(text).expect("made of texts"))).collect();
    for (version, answers) in ask::<Identity>(&VERSIONS_FROM_3_9, "metadata", texts) {
        for ((text, ours), theirs) in texts.iter().zip(&ours).zip(answers) {
            let text = String::from_utf8_lossy(text);
            let Answer::Gives((name, version_, requirements)) = theirs else {
                panic!("{version}: {text:?}: {theirs:?}")
            };
            match &ours.requirements {
                Some(ours) => assert_eq!(by_name(ours), requirements, "{version}: {text:?}"),
                None => assert!(
                    requirements.iter().flatten().any(|value| value.contains(['\n', '\t', '\0'])),
                    "{version}: opaque without need: {text:?}: {requirements:?}"
                ),
            }
            for (ours, theirs) in [(&ours.name, name), (&ours.version, version_)] {
                match expected(ours) {
                    Ok(ours) => assert_eq!(ours, theirs.as_deref(), "{version}: {text:?}"),
                    // A folded value, or one that does not fit into an index line.
                    Err(()) => assert!(
                        theirs.as_ref().is_some_and(|value| value.contains(['\n', '\t', '\0'])),
                        "{version}: opaque without need: {text:?}: {theirs:?}"
                    ),
                }
            }
        }
    }
    ours.iter()
        .filter(|ours| [&ours.name, &ours.version].into_iter().any(|header| *header == Header::Opaque))
        .count()
}

const NASTY: [&str; 37] = [
    "Requires-Dist: bar\n",
    "provides-extra:",
    "Requires-Python: >=3\n",
    "Name",
    "name",
    "Version",
    "VERSION",
    "Summary",
    ":",
    ":",
    ": ",
    " ",
    "\t",
    "\n",
    "\n",
    "\n",
    "\r",
    "\r\n",
    "From ",
    "Name: foo\n",
    "Version: 1\n",
    "\nName: ",
    "\nVersion:",
    "x",
    "é",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\x0b",
    "\x0c",
    "\x1c",
    "\0",
    "=?utf-8?q?x?=",
    "\u{a0}",
    "Content-Type: message/rfc822\n",
    "\n\n",
    "-",
];
