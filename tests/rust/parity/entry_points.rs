//! `entry_points.txt`.

use std::collections::HashSet;

use epcache::metadata::entry_points::{Diagnostic, is_read_alike_by_configparser, parse};

use super::corpus::corpus;
use super::oracle::{Answer, Triple, VERSIONS, ask};
use super::random::Random;

/// The expected result of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected<'a> {
    /// These entry points.
    Entries(&'a [[&'a str; 3]]),
    /// Opaque: CPython raises for the whole call.
    Raises,
    /// Opaque: CPython answers, but the result does not fit into an index line.
    NotForAnIndex,
}
use Expected::{Entries, NotForAnIndex, Raises};

const A: [&str; 3] = ["g", "a", "m:f"];
const B: [&str; 3] = ["g", "b", "m:h"];

/// Texts on which parsers of this format are known to differ.
const CASES: [(&str, Expected<'_>); 69] = [
    ("", Entries(&[])),
    ("\n\n", Entries(&[])),
    ("[g]", Entries(&[])),
    ("[g]\na = m:f", Entries(&[A])),
    ("[g]\na=m:f\n", Entries(&[A])),
    ("[g]\na\t=\tm:f", Entries(&[A])),
    ("[g]\n# c\na = m:f", Entries(&[A])),
    ("# c\n[g]\n  # c\na = m:f", Entries(&[A])),
    ("[g]\nA = m:f\na = m:f", Entries(&[["g", "A", "m:f"], A])),
    ("[G]\na = m:f\n[g]\na = m:f", Entries(&[["G", "a", "m:f"], A])),
    ("  [g]\n  a = m:f", Entries(&[A])),
    ("[ g ]\na = m:f", Entries(&[[" g ", "a", "m:f"]])),
    ("[g]\na = m:f [x, y]", Entries(&[["g", "a", "m:f [x, y]"]])),
    ("[g]\na = m:f [x]\n[x]\nb = m:h", Entries(&[["g", "a", "m:f [x]"], ["x", "b", "m:h"]])),
    ("[g]\r\na = m:f\r\n", Entries(&[A])),
    ("[g]\ra = m:f\r", Entries(&[A])),
    ("[g]\n\u{a0}a\u{a0}=\u{a0}m:f\u{a0}", Entries(&[A])),
    ("[g]\n\x1fa\x1f=\x1fm:f\x1f", Entries(&[A])),
    ("[g]\na b = m:f", Entries(&[["g", "a b", "m:f"]])),
    ("[g]\n; c\na = m:f", Raises),
    ("[g]\nnoeq", Raises),
    ("[g]\na : m", Raises),
    ("[g]\na = m:f # c", Entries(&[["g", "a", "m:f # c"]])),
    ("[g]\na = m:f=g", Entries(&[["g", "a", "m:f=g"]])),
    ("[g]\na =", Entries(&[["g", "a", ""]])),
    ("[g]\na = in-valid", Entries(&[["g", "a", "in-valid"]])),
    ("[g]\na = m:f\0", NotForAnIndex),
    ("[g]\na = m:f\na = m:h", Entries(&[A, ["g", "a", "m:h"]])),
    ("[g]\na = m:f\n[h]\nc = m\n[g]\nb = m:h", Entries(&[A, ["h", "c", "m"], B])),
    ("x = y:z\n[g]\na = m:f", Entries(&[A])),
    ("[g]\n = m:f", Entries(&[["g", "", "m:f"]])),
    ("[g]\n=", Entries(&[["g", "", ""]])),
    ("[g]\na = m:f\n [x]\nb = m:h", Entries(&[A, ["x", "b", "m:h"]])),
    ("[g]\na =\n m:f", Raises),
    ("[[g]]\na = m:f", Entries(&[A])),
    ("[]g[]\na = m:f", Entries(&[A])),
    ("[g] x\na = m:f", Entries(&[])),
    ("[h]\n[g] x\na = m:f", Raises),
    ("[g] = x]\na = m:f", Entries(&[["g] = x", "a", "m:f"]])),
    ("[]\na = m:f", Entries(&[["", "a", "m:f"]])),
    ("[\na = m:f", Entries(&[])),
    ("[g]\n[\na = m:f", Raises),
    ("\u{feff}[g]\na = m:f\n[h]\nb = m:h", Entries(&[["h", "b", "m:h"]])),
    ("\u{feff}[g]\na m:f", Entries(&[])),
    ("[g]\na = m:f\x0bb = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\x0cb = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\x1cb = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\x1db = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\x1eb = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\u{85}b = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\u{2028}b = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\u{2029}b = m:h", Entries(&[A, B])),
    ("[g]\na = m:f\x1fb = m:h", Entries(&[["g", "a", "m:f\x1fb = m:h"]])),
    ("[g]\na = m:f\u{3000}", Entries(&[A])),
    ("[g]\na = m:f\u{180e}", Entries(&[["g", "a", "m:f\u{180e}"]])),
    ("[g]\na = m:f\u{200b}", Entries(&[["g", "a", "m:f\u{200b}"]])),
    ("[g]\na = m:%(f)s", Entries(&[["g", "a", "m:%(f)s"]])),
    ("[DEFAULT]\nq = m:d\n[g]\na = m:f", Entries(&[["DEFAULT", "q", "m:d"], A])),
    ("[default]\na = m:f", Entries(&[["default", "a", "m:f"]])),
    ("[g]\nfoo = a:b ; hi", Entries(&[["g", "foo", "a:b ; hi"]])),
    ("[g]\na:b = m:f", Entries(&[["g", "a:b", "m:f"]])),
    ("[g]\n\"a:b\" = m:f", Entries(&[["g", "\"a:b\"", "m:f"]])),
    ("[g]\na\\nb:c = m:f", Entries(&[["g", "a\\nb:c", "m:f"]])),
    ("[gé]\né = m:é", Entries(&[["gé", "é", "m:é"]])),
    ("[g]\na\tb = m:f", NotForAnIndex),
    ("[g\th]\na = m:f", NotForAnIndex),
    ("[g\th]\n[g]\na = m:f", Entries(&[A])),
    ("[g\0]\n[h]", Entries(&[])),
    ("[g]\n#a\n#\n[h", Raises),
];

#[test]
fn texts_on_which_parsers_differ() {
    for (text, expected) in CASES {
        match (parse(text), expected) {
            (Ok(entries), Entries(expected)) => {
                let entries: Vec<_> =
                    entries.iter().map(|entry| [&*entry.group, &*entry.name, &*entry.value]).collect();
                assert_eq!(entries, expected, "{text:?}");
            }
            (Err(Diagnostic::NoEqualsSign), Raises) | (Err(Diagnostic::ControlCharacter), NotForAnIndex) => {}
            (answer, _) => panic!("{text:?}: {answer:?}"),
        }
    }
    let texts: Vec<_> = CASES.iter().map(|(text, _)| text.as_bytes().to_vec()).collect();
    assert_eq!(compare("entry-points", &texts), CASES.iter().filter(|(_, case)| !is_entries(*case)).count());
    compare("files", &texts);
}

fn is_entries(expected: Expected<'_>) -> bool {
    matches!(expected, Entries(_))
}

#[test]
fn random_texts() {
    let mut random = Random::new();
    let texts: Vec<_> = (0..60_000)
        .map(|number| {
            // Most begin with a section, since nothing is read without one.
            let start = if number % 4 == 0 { "" } else { "[g]\n" };
            format!("{start}{}", random.text(&NASTY, 40)).into_bytes()
        })
        .collect();
    let opaque = compare("entry-points", &texts);
    assert!(opaque < texts.len(), "every text was opaque");
}

#[test]
fn ordinary_files_with_a_few_characters_changed() {
    let mut random = Random::new();
    let texts: Vec<_> = (0..30_000)
        .map(|_| {
            let file = random.pick(&ORDINARY);
            random.mutate(file, &NASTY).into_bytes()
        })
        .collect();
    compare("entry-points", &texts);
}

#[test]
fn files_of_arbitrary_bytes() {
    let mut random = Random::new();
    let texts: Vec<_> = (0..5_000)
        .map(|_| {
            let mut bytes = random.pick(&ORDINARY).as_bytes().to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = u8::try_from(random.below(256)).expect("a byte");
            }
            bytes
        })
        .collect();
    compare("entry-points", &texts);
}

#[test]
fn inputs_found_by_fuzzing() {
    let texts = corpus("entry_points");
    assert!(compare("entry-points", &texts) < texts.len(), "every text was opaque");
}

#[test]
fn ordinary_files_are_never_opaque() {
    let mut random = Random::new();
    let mut texts: Vec<_> = ORDINARY.iter().map(|text| text.as_bytes().to_vec()).collect();
    texts.extend((0..10_000).map(|_| ordinary(&mut random).into_bytes()));
    assert_eq!(compare("entry-points", &texts), 0);
}

/// CPython 3.9 reads these files with another parser. Files that are not flagged in the index must give the
/// same result there.
#[test]
fn texts_that_3_9_reads_identically() {
    let mut random = Random::new();
    let mut texts: Vec<String> = CASES.iter().map(|(text, _)| (*text).to_owned()).collect();
    texts.extend(ORDINARY.map(str::to_owned));
    texts.extend((0..12_000).map(|_| ordinary(&mut random)));
    texts.extend((0..60_000).map(|_| {
        let file = ordinary(&mut random);
        random.mutate(&file, &NASTY)
    }));
    texts.extend((0..100_000).map(|_| format!("[g]\n{}", random.text(&NEARLY_PLAIN, 12))));
    texts.retain(|text| parse(text).is_ok() && is_read_alike_by_configparser(text));
    let texts: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
    let different: HashSet<_> = texts.iter().collect();
    assert!(different.len() > 20_000, "{} texts show too little", different.len());
    for (version, answers) in ask::<Vec<Triple>>(&["3.9"], "entry-points", &texts) {
        for (text, theirs) in texts.iter().zip(answers) {
            let text = std::str::from_utf8(text).expect("made of text");
            assert_eq!(Answer::Gives(triples(text)), theirs, "{version}: {text:?}");
        }
    }
}

fn triples(text: &str) -> Vec<Triple> {
    let entries = parse(text).expect("not opaque");
    entries.iter().map(|e| (e.group.to_string(), e.name.to_string(), e.value.to_string())).collect()
}

#[test]
fn ordinary_files_are_read_identically_by_3_9() {
    let mut random = Random::new();
    let flagged: Vec<_> = ORDINARY.iter().filter(|text| !is_read_alike_by_configparser(text)).collect();
    assert_eq!(flagged, [&ORDINARY[7]], "the one with a comment of configparser's");
    for _ in 0..10_000 {
        let text = ordinary(&mut random);
        // Only a duplicate group or name makes a difference.
        let entries = parse(&text).expect("not opaque");
        let names: HashSet<_> = entries.iter().map(|entry| (&entry.group, &entry.name)).collect();
        let headers: Vec<_> = text.lines().filter(|line| line.starts_with('[')).collect();
        let unique = headers.iter().collect::<HashSet<_>>().len() == headers.len();
        assert_eq!(is_read_alike_by_configparser(&text), unique && names.len() == entries.len(), "{text:?}");
    }
}

/// A file as build tools write them.
fn ordinary(random: &mut Random) -> String {
    const NAMES: [&str; 8] = ["run", "my-tool", "a.b", "x_y", "Über", "py.test", "json", "v2"];
    let newline = random.pick(&["\n", "\r\n"]);
    let mut text = String::new();
    for _ in 0..random.below(4) {
        let group = random.pick(&["console_scripts", "gui_scripts", "pytest11", "my.plugins", "é.group"]);
        text.push_str(&format!("[{group}]{newline}"));
        for _ in 0..random.below(5) {
            let (equals, extras) = (random.pick(&[" = ", "="]), random.pick(&["", "", " [x]", " [x,y]"]));
            let attribute = random.pick(&["", ":main", ":Class.method"]);
            let (name, module) = (random.pick(&NAMES), random.pick(&["pkg", "pkg.sub._mod"]));
            text.push_str(&format!("{name}{equals}{module}{attribute}{extras}{newline}"));
        }
        text.push_str(newline);
    }
    text
}

/// Compares our answer for each text with that of every version; returns how many were opaque.
fn compare(task: &str, texts: &[Vec<u8>]) -> usize {
    let ours: Vec<_> = texts.iter().map(|bytes| std::str::from_utf8(bytes).map(parse)).collect();
    for (version, answers) in ask::<Vec<Triple>>(&VERSIONS, task, texts) {
        for ((text, ours), theirs) in texts.iter().zip(&ours).zip(answers) {
            let text = String::from_utf8_lossy(text);
            match (ours, theirs) {
                (Ok(Ok(entries)), Answer::Gives(theirs)) => {
                    let ours: Vec<Triple> = entries
                        .iter()
                        .map(|entry| {
                            (entry.group.to_string(), entry.name.to_string(), entry.value.to_string())
                        })
                        .collect();
                    assert_eq!(ours, theirs, "{version}: {text:?}");
                }
                (Ok(Err(Diagnostic::ControlCharacter)), Answer::Gives(theirs)) => {
                    let odd = |field: &String| field.contains(['\t', '\0']);
                    let found =
                        theirs.iter().any(|(group, name, value)| [group, name, value].into_iter().any(odd));
                    assert!(found, "{version}: opaque without need: {text:?}");
                }
                (Ok(Err(_)), Answer::Raises { raises }) => {
                    assert_eq!(raises, "TypeError", "{version}: {text:?}");
                }
                (Err(_), Answer::Raises { raises }) => {
                    assert_eq!(raises, "UnicodeDecodeError", "{version}: {text:?}");
                }
                (ours, theirs) => panic!("{version}: {text:?}: {ours:?} against {theirs:?}"),
            }
        }
    }
    ours.iter().filter(|ours| !matches!(ours, Ok(Ok(_)))).count()
}

/// Characters at which Python and Rust differ about lines and white space, with neighbours.
const NASTY: [&str; 40] = [
    "[", "]", "=", "=", ":", " ", " ", "\t", "\n", "\n", "\n", "\r", "\r\n", "#", ";", "a", "b", "c", "é",
    "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\u{85}", "\u{2028}", "\u{2029}", "\u{a0}", "\u{feff}",
    "\u{180e}", "\u{3000}", "\0", "[g]", "a = b", "a=b:c\n", "\n[h]\n", "\u{200b}", "%", "\\",
];

/// Characters that both parsers treat alike, mostly.
const NEARLY_PLAIN: [&str; 24] = [
    "a = m:f\n",
    "b=m\n",
    "c = m [x]\n",
    "\n[h]\n",
    "[i]\n",
    "\n",
    "\n",
    "# c\n",
    " ",
    "  ",
    "\t",
    " d = m\n",
    "e =\n",
    "[DEFAULT]\n",
    ";x = y\n",
    "\r\n",
    "f",
    "=",
    "g.h:i = x\n",
    "[",
    "]",
    "# ",
    "%(a)s",
    "\u{e9} = x\n",
];

/// Files from real environments.
const ORDINARY: [&str; 8] = [
    "[console_scripts]\npy.test = pytest:console_main\npytest = pytest:console_main\n",
    "[console_scripts]\nflake8 = flake8.main.cli:main\n\n[flake8.extension]\nE = flake8.plugins.pycodestyle:\
     pycodestyle_logical\nF = flake8.plugins.pyflakes:FlakesChecker\nW = flake8.plugins.pycodestyle:\
     pycodestyle_physical\n\n[flake8.report]\ndefault = flake8.formatting.default:Default\n",
    "[pygments.lexers]\nansi-color = pygments_ansi_color:AnsiColorLexer\n\n",
    "[distutils.commands]\nalias = setuptools.command.alias:alias\nbdist_egg = setuptools.command.bdist_egg:\
     bdist_egg\n\n[egg_info.writers]\nPKG-INFO = setuptools.command.egg_info:write_pkg_info\ntop_level.txt = \
     setuptools.command.egg_info:write_toplevel_names\n",
    "[console_scripts]\nuvicorn = uvicorn.main:main [standard]\nhttpx = httpx:main [cli]\n",
    "\n    [paste.app_factory]\n    main = app:main\n\n    [paste.filter_app_factory]\n    f=app.f:make\n    ",
    "[babel.extractors]\njinja2 = jinja2.ext:babel_extract[i18n]\n[babel.checkers]\nnum_plurals = \
     babel.messages.checkers:num_plurals\n",
    "[sqlalchemy.dialects]\r\nmysql.aio = driver.dialect:Dialect\r\n; not a comment = here\r\n",
];
