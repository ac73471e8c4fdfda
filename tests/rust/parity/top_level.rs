//! `packages_distributions()`: the importable names.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use epcache::index::render;
use epcache::metadata::top_level::Kind;
use epcache::refresh::{Depth, Request, reconcile};
use epcache::site::SiteDir;
use epcache::site::retries::Retries;
use serde::Deserialize;

use super::oracle::{Answer, VERSIONS, ask};
use super::random::Random;

#[derive(Debug, Deserialize)]
struct Site {
    rows: Vec<Row>,
    everything: Answer<BTreeMap<String, Vec<String>>>,
    /// The result composed from the index and, for its opaque rows, CPython's answers.
    combined: Answer<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Deserialize)]
struct Row {
    directory: String,
    kind: String,
    cpython: Answer<Vec<String>>,
    index: Option<Vec<String>>,
}

/// The counts for all site directories and versions.
#[derive(Default)]
struct Tally {
    kinds: BTreeMap<String, u32>,
    /// Site directories for which `packages_distributions()` as a whole was compared.
    whole: u32,
}

#[test]
fn ordinary_site_directories_match_cpython() {
    let mut random = Random::new();
    let below = tempfile::tempdir().expect("a temporary directory");
    let sites: Vec<_> =
        (0..500).map(|number| ordinary(&mut random, &below.path().join(number.to_string()))).collect();
    let tally = compare(&sites);
    assert!(!tally.kinds.contains_key("opaque"), "{:?}", tally.kinds);
    assert!(
        ["declared", "inferred", "none"].iter().all(|kind| tally.kinds[*kind] > 500),
        "{:?}",
        tally.kinds
    );
    assert_eq!(tally.whole, 500 * 4);
}

#[test]
fn random_site_directories() {
    const SITES: usize = 2000;
    let mut random = Random::new();
    let below = tempfile::tempdir().expect("a temporary directory");
    let sites: Vec<_> =
        (0..SITES).map(|number| odd(&mut random, &below.path().join(number.to_string()))).collect();
    let tally = compare(&sites);
    for kind in ["declared", "inferred", "none", "opaque"] {
        assert!(tally.kinds[kind] > 1000, "{:?}", tally.kinds);
    }
    assert!(tally.whole > 1000, "{}", tally.whole);
}

/// A site directory with a package, a module, and a distribution whose list contains `line`.
fn listing(below: &Path, number: usize, list: &str, text: &str) -> PathBuf {
    let site = below.join(number.to_string());
    let kind = if list == "RECORD" { "dist-info" } else { "egg-info" };
    let own = site.join(format!("foo-1.{kind}"));
    for directory in [&site.join("pkg/sub"), &site.join("ns"), &own] {
        fs::create_dir_all(directory).expect("a directory");
    }
    for file in ["mod.py", "pkg/a.py", "pkg/sub/b.py", "data", "x.cpython-312-x86_64-linux-gnu.so"] {
        fs::write(site.join(file), "").expect("room");
    }
    symlink("mod.py", site.join("link.py")).expect("a link");
    symlink("nowhere", site.join("dangling.py")).expect("a link");
    symlink("pkg", site.join("linked")).expect("a link");
    symlink("/", site.join("outside")).expect("a link");
    symlink("../mod.py", own.join("link")).expect("a link");
    let metadata = if kind == "dist-info" { "METADATA" } else { "PKG-INFO" };
    fs::write(own.join(metadata), "Name: foo\nVersion: 1\n").expect("room");
    fs::write(own.join(list), text).expect("room");
    site
}

/// Lists that are easily read differently from CPython, and what the index records for each: the names, the
/// missing files, and the names for 3.11.
#[test]
fn unusual_file_lists() {
    const OPAQUE: Option<[&str; 3]> = None;
    let cases: [(&str, &str, Option<[&str; 3]>); 48] = [
        ("RECORD", "", Some(["", "", ""])),
        ("RECORD", "mod.py,,\n", Some(["mod.py", "", "mod"])),
        ("RECORD", "mod.py", Some(["mod.py", "", "mod"])),
        ("RECORD", "mod.py,sha256=a,12\r\npkg/a.py,,\r\n", Some(["mod.py pkg/", "", "mod pkg"])),
        ("RECORD", "\"mod.py\",sha256=a,12\n", Some(["mod.py", "", "mod"])),
        ("RECORD", "\"mod.py\"\n", Some(["mod.py", "", "mod"])),
        ("RECORD", "\"a,b.py\",,\n", Some(["", "a,b.py", "a,b"])),
        ("RECORD", "\"mod.py\" ,,\n", OPAQUE),
        ("RECORD", "\"mo\"\"d.py\",,\n", OPAQUE),
        ("RECORD", "mo\"d.py,,\n", OPAQUE),
        ("RECORD", "mod.py,\"a\",\n", OPAQUE),
        ("RECORD", "mod.py,,,\n", OPAQUE),
        ("RECORD", "mod.py,,1_0\n", OPAQUE),
        ("RECORD", "mod.py,, 1\n", OPAQUE),
        ("RECORD", "mod.py,,x\n", OPAQUE),
        ("RECORD", "mod.py,,\n\n", OPAQUE),
        ("RECORD", "\n", OPAQUE),
        ("RECORD", ",,\n", OPAQUE),
        ("RECORD", ".,,\n", OPAQUE),
        ("RECORD", "/mod.py,,\n", OPAQUE),
        ("RECORD", "mod.py\0,,\n", OPAQUE),
        ("RECORD", "./mod.py,,\npkg//./a.py,,\n", Some(["mod.py pkg/", "", "mod pkg"])),
        ("RECORD", "mod.py/,,\n", Some(["mod.py", "", "mod"])),
        ("RECORD", "pkg,,\npkg/,,\n", Some(["pkg", "", ""])),
        ("RECORD", "../bin/x,,\n../x.py,,\n", Some(["", "", ".."])),
        ("RECORD", "pkg/../mod.py,,\n", Some(["pkg/", "", "pkg"])),
        ("RECORD", "pkg/../../x.py,,\n", OPAQUE),
        ("RECORD", "gone/a.py,,\ngone.py,,\n", Some(["", "gone/ gone.py", "gone"])),
        ("RECORD", "pkg/gone.py,,\npkg/a.py,,\n", Some(["pkg/", "", "pkg"])),
        // The file may appear without a change of the site directory.
        ("RECORD", "pkg/gone.py,,\n", OPAQUE),
        ("RECORD", "pkg/sub/b.so,,\npkg/sub/b.py,,\n", Some(["pkg/", "", "pkg"])),
        ("RECORD", "link.py,,\nlinked/a.py,,\n", Some(["link.py linked/", "", "link linked"])),
        ("RECORD", "dangling.py,,\n", OPAQUE),
        ("RECORD", "outside/etc/passwd,,\n", OPAQUE),
        ("RECORD", "data,,\nx.y.py,,\ndata.txt,,\n", Some(["data", "", "x.y"])),
        (
            "RECORD",
            "x.cpython-312-x86_64-linux-gnu.so,,\n",
            Some(["x.cpython-312-x86_64-linux-gnu.so", "", ""]),
        ),
        ("RECORD", "foo-1.dist-info/RECORD,,\nfoo-1.dist-info/x.py,,\n", Some(["", "", "foo-1.dist-info"])),
        ("RECORD", "pkg/a.py,,\x0bmod.py,,\u{2028}data,,", Some(["data mod.py pkg/", "", "mod pkg"])),
        ("RECORD", "a b.py,,\na\u{a0}b%.py,,\n", Some(["", "a%20b.py a%C2%A0b%25.py", "a%20b a%C2%A0b%25"])),
        ("SOURCES.txt", "setup.py\npkg/a.py\n", Some(["pkg/", "setup.py", "pkg setup"])),
        ("SOURCES.txt", "mod.py,,\n", Some(["", "", ""])),
        ("SOURCES.txt", "a\"b.py\n", OPAQUE),
        ("SOURCES.txt", "\n", OPAQUE),
        ("installed-files.txt", "../mod.py\n../pkg/a.py\nPKG-INFO\n", Some(["mod.py pkg/", "", ""])),
        ("installed-files.txt", "../../bin/x\n", OPAQUE),
        ("installed-files.txt", "../linked/a.py\n", OPAQUE),
        ("installed-files.txt", "link\n", OPAQUE),
        ("installed-files.txt", "../pkg/../mod.py\n", OPAQUE),
    ];
    let below = tempfile::tempdir().expect("a temporary directory");
    let sites: Vec<_> = (0..)
        .zip(&cases)
        .map(|(number, (list, text, _))| listing(below.path(), number, list, text))
        .collect();
    compare(&sites);
    for (site, (list, text, expected)) in sites.iter().zip(cases) {
        let site = SiteDir::open(site.clone()).expect("a directory");
        let outcome = reconcile(&site, None, &everything(), &Retries::default()).expect("a listing");
        let found = &outcome.index.distributions[0].top_level;
        let fields =
            (found.kind != Kind::Opaque).then_some([&*found.names, &*found.missing, &*found.python_names]);
        assert_eq!(fields, expected, "{list}: {text:?}");
    }
}

fn everything() -> Request {
    Request { depth: Depth::Everything, finished: true, ..Request::thorough() }
}

/// Compares every distribution, and each site directory as a whole, with every version.
fn compare(sites: &[PathBuf]) -> Tally {
    for path in sites {
        let site = SiteDir::open(path.clone()).expect("a directory");
        let outcome = reconcile(&site, None, &everything(), &Retries::default()).expect("a listing");
        fs::write(path.with_extension("index"), render(&outcome.index)).expect("room");
    }
    let paths: Vec<_> = sites.iter().map(|site| site.as_os_str().as_bytes().to_vec()).collect();
    let mut tally = Tally::default();
    for (version, answers) in ask::<Site>(&VERSIONS, "top-level", &paths) {
        for answer in answers {
            let Answer::Gives(site) = answer else { panic!("{version}: {answer:?}") };
            for row in &site.rows {
                *tally.kinds.entry(row.kind.clone()).or_default() += 1;
                match (&row.cpython, &row.index) {
                    (_, None) => {}
                    (Answer::Gives(cpython), Some(index)) => {
                        assert_eq!(index, cpython, "{version}: {}", row.directory);
                    }
                    (Answer::Raises { .. }, Some(_)) => panic!("{version}: {row:?}"),
                }
            }
            if let Answer::Gives(combined) = site.combined {
                assert_eq!(Answer::Gives(combined), site.everything, "{version}: {:?}", site.rows);
                tally.whole += 1;
            }
        }
    }
    tally
}

/// A site directory as pip and setuptools make it.
fn ordinary(random: &mut Random, site: &Path) -> PathBuf {
    fs::create_dir(site).expect("a directory");
    for number in 0..=random.below(8) {
        let name = format!("dist{number}");
        let kind = random.pick(&["dist-info", "dist-info", "egg-info"]);
        let own = format!("{name}-1.{kind}");
        let mut files: Vec<String> = match random.below(5) {
            0 => vec![format!("{name}.py"), format!("__pycache__/{name}.cpython-312.pyc")],
            1 => vec![format!("{name}/__init__.py"), format!("{name}/data.txt")],
            2 => vec![format!("{name}.cpython-312-x86_64-linux-gnu.so"), format!("_{name}.abi3.so")],
            3 => vec![format!("ns/{name}/mod.py"), format!("{name}-nspkg.pth")],
            _ => vec![],
        };
        for file in files.iter().chain([&format!("{own}/METADATA"), &format!("{own}/PKG-INFO")]) {
            let path = site.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, format!("Name: {name}\nVersion: 1\n")).expect("room");
        }
        let own = site.join(own);
        files.push("../../../bin/tool".to_owned());
        if kind == "dist-info" {
            files.push(format!("{name}-1.dist-info/RECORD"));
        }
        if random.once_in(3) {
            fs::write(own.join("top_level.txt"), format!("{name}\n_{name}\n")).expect("room");
        }
        match (kind, random.below(4)) {
            (_, 0) => {}
            ("dist-info", _) => {
                let lines: String = files.iter().map(|file| format!("{file},sha256=x,120\n")).collect();
                fs::write(own.join("RECORD"), lines).expect("room");
            }
            (_, _) => {
                files.retain(|file| !file.starts_with(".."));
                files.extend(["setup.py".to_owned(), "README".to_owned()]);
                let lines: String = files.iter().map(|file| format!("{file}\n")).collect();
                fs::write(own.join("SOURCES.txt"), lines).expect("room");
            }
        }
    }
    site.to_owned()
}

/// A site directory with any content.
fn odd(random: &mut Random, site: &Path) -> PathBuf {
    fs::create_dir(site).expect("a directory");
    for file in FILES {
        if !random.once_in(4) {
            let path = site.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, "").expect("room");
        }
    }
    for (link, target) in LINKS {
        if random.once_in(3) {
            symlink(target, site.join(link)).expect("a link");
        }
    }
    for number in 0..random.below(4) {
        let own = format!("dist{number}-1.{}", random.pick(&["dist-info", "dist-info", "egg-info"]));
        let path = site.join(&own);
        fs::create_dir(&path).expect("a directory");
        for metadata in ["METADATA", "PKG-INFO"] {
            // Some share a name.
            let name = if random.once_in(3) { "same".to_owned() } else { format!("dist{number}") };
            fs::write(path.join(metadata), format!("Name: {name}\nVersion: 1\n")).expect("room");
        }
        let odd_list = random.once_in(3);
        for (name, often) in
            [("top_level.txt", 4), ("RECORD", 2), ("installed-files.txt", 6), ("SOURCES.txt", 4)]
        {
            if !random.once_in(often) {
                continue;
            }
            let path = path.join(name);
            match random.below(40) {
                0 => symlink("METADATA", path).expect("a link"),
                1 => fs::create_dir(path).expect("a directory"),
                2 => fs::write(path, b"mod\xff").expect("room"),
                3 => fs::write(path, "").expect("room"),
                _ if name == "top_level.txt" => fs::write(path, random.text(&DECLARED, 8)).expect("room"),
                _ => fs::write(path, list(random, name, &own, odd_list)).expect("room"),
            }
        }
    }
    site.to_owned()
}

fn list(random: &mut Random, name: &str, own: &str, odd: bool) -> String {
    let mut text = String::new();
    for _ in 0..random.below(8) {
        let mut file = match random.below(if odd { 12 } else { 10 }) {
            0 => format!("{own}/METADATA"),
            10 | 11 => random.text(&PIECES, 8),
            _ => random.pick(&FILES).to_owned(),
        };
        if odd && random.once_in(4) {
            file = format!("{}{file}", random.pick(&["./", "../", "/", ".//", "pkg/../", "pkg/", ""]));
        }
        let quoted = format!("\"{file}\"");
        let line = match name {
            "RECORD" if odd && random.once_in(8) => random.mutate(&format!("{file},sha256=x,12"), &PIECES),
            "RECORD" if file.contains(',') => format!("{quoted},sha256=x,12"),
            "RECORD" => format!("{file}{}", random.pick(&[",sha256=x,12", ",,", ",sha256=x,", ""])),
            "installed-files.txt" if odd && random.once_in(6) => file,
            "installed-files.txt" => format!("../{file}"),
            _ => file,
        };
        text.push_str(&line);
        let breaks = ["\n", "\n", "\n", "\r\n", "\r", "\x0b", "\u{2029}"];
        text.push_str(if odd { random.pick(&breaks) } else { "\n" });
    }
    text
}

const FILES: [&str; 27] = [
    "mod.py",
    "pkg/__init__.py",
    "pkg/sub/deep.py",
    "ns/one/two.py",
    "ns/data.txt",
    "__pycache__/mod.cpython-312.pyc",
    "ext.cpython-310-x86_64-linux-gnu.so",
    "ext.cpython-311-x86_64-linux-gnu.so",
    "ext.cpython-312-x86_64-linux-gnu.so",
    "ext.cpython-313-x86_64-linux-gnu.so",
    "ext.abi3.so",
    "plain.so",
    "old.pyc",
    "dotted.name.py",
    "dotted.dir/x.py",
    "README",
    "README.rst",
    "startup.pth",
    ".py",
    ".so",
    ".hidden.py",
    "..py",
    "a b.py",
    "a,b.py",
    "\u{e9}\u{a0}\u{2003}.py",
    "%41/x.py",
    "no-identifier/x",
];

const LINKS: [(&str, &str); 5] = [
    ("link.py", "mod.py"),
    ("linked", "pkg"),
    ("nowhere.py", "gone"),
    ("outside.py", "/etc/passwd"),
    ("loop", "loop"),
];

const DECLARED: [&str; 12] =
    ["mod", "pkg", "mod", "\n", "\n", " ", "\t", "\u{a0}", "\x1f", "a/b", "%20", "\u{e9}.x"];

const PIECES: [&str; 24] = [
    "mod.py",
    "pkg",
    "pkg/",
    "/",
    ".",
    "..",
    "../",
    "linked/",
    "link.py",
    "nowhere.py",
    "outside.py",
    "loop",
    "\"",
    ",",
    ",",
    " ",
    "\n",
    "\r",
    "\0",
    "_",
    "\u{85}",
    "%",
    ".py",
    "ns/",
];
