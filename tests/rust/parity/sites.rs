//! Site directories to compare: named cases, and random ones.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::random::Random;

/// An item of a site directory.
#[derive(Debug, Clone)]
pub enum Item {
    /// A directory with these files.
    Directory(Vec<(&'static str, Node)>),
    /// A file with this text.
    File(&'static str),
    /// A link to a directory elsewhere that has a METADATA and an entry point.
    Link,
    /// A dangling link.
    Dangling,
    /// A directory with METADATA that nobody may search.
    Locked,
}

/// An item of a distribution's directory.
#[derive(Debug, Clone)]
pub enum Node {
    /// A file with these bytes.
    Bytes(&'static [u8]),
    /// A directory where a file belongs.
    Directory,
    /// A link to a file elsewhere that names "linked 9" and an entry point.
    Link,
    /// A file that nobody may read.
    Locked,
}
use Node::Bytes;

const FOO: &[u8] = b"Metadata-Version: 2.1\nName: foo\nVersion: 1\n";
const BAR: &[u8] = b"Metadata-Version: 2.1\nName: Bar.baz\nVersion: 7\n";
const ENTRY: &[u8] = b"[g]\na = m:f\n";

/// The text of [`FOO`], for a distribution that is a single file.
const FOO_FILE: &str = "Metadata-Version: 2.1\nName: foo\nVersion: 9\n";

fn with(metadata: &'static [u8]) -> Item {
    Item::Directory(vec![("METADATA", Bytes(metadata)), ("entry_points.txt", Bytes(ENTRY))])
}

/// The content of a site directory.
type Items = Vec<(&'static [u8], Item)>;

/// Site directories on which implementations are known to differ.
pub fn named() -> Vec<(&'static str, Items)> {
    let egg = || Item::Directory(vec![("PKG-INFO", Bytes(FOO)), ("entry_points.txt", Bytes(ENTRY))]);
    let only = |file| Item::Directory(vec![file]);
    vec![
        ("nothing", vec![]),
        ("underscore", vec![(b"foo_bar-1.dist-info", with(FOO))]),
        ("dot", vec![(b"foo.bar-1.dist-info", with(FOO))]),
        ("dash", vec![(b"foo-bar-1.dist-info", with(FOO))]),
        ("suffix_in_capitals", vec![(b"Foo-1.DIST-INFO", with(FOO)), (b"bar.EGG-INFO", egg())]),
        (
            "suffix_in_capitals_and_another_name",
            vec![(b"Foo-1.DIST-INFO", with(BAR)), (b"bar_baz-1.dist-info", with(FOO))],
        ),
        ("leftover_of_pip", vec![(b"~oo-1.dist-info", with(FOO))]),
        ("egg_info_file", vec![(b"foo-1.egg-info", Item::File(FOO_FILE))]),
        ("egg_info_directory", vec![(b"foo-1.egg-info", egg())]),
        ("egg_info_without_version", vec![(b"foo.egg-info", egg())]),
        ("egg_link", vec![(b"foo.egg-link", Item::File("/x\n"))]),
        ("egg_in_a_plain_directory", vec![(b"EGG-INFO", egg()), (b"foo-1-py3.egg", egg())]),
        ("dist_info_file", vec![(b"foo-1.dist-info", Item::File(FOO_FILE))]),
        ("empty_dist_info_file", vec![(b"foo-1.dist-info", Item::File(""))]),
        ("empty", vec![(b"foo-1.dist-info", Item::Directory(vec![]))]),
        ("no_stem", vec![(b".dist-info", with(FOO)), (b"-1.dist-info", with(BAR))]),
        (
            "no_stem_nor_name",
            vec![(b"-1.dist-info", Item::Directory(vec![("entry_points.txt", Bytes(ENTRY))]))],
        ),
        ("dots_alone", vec![(b"..dist-info", with(FOO)), (b"...egg-info", egg())]),
        (
            "two_versions",
            vec![
                (b"foo-1.dist-info", with(FOO)),
                (b"foo-2.dist-info", with(BAR)),
                (b"x-1.dist-info", with(FOO)),
            ],
        ),
        (
            "empty_and_valid",
            vec![(b"foo-1.dist-info", Item::Directory(vec![])), (b"foo-2.dist-info", with(FOO))],
        ),
        ("name_of_another", vec![(b"foo-1.dist-info", with(BAR))]),
        ("no_version", vec![(b"foo-1.dist-info", with(b"Name: foo\n"))]),
        (
            "one_bad_one_good",
            vec![
                (b"bad-1.dist-info", only(("entry_points.txt", Bytes(b"[g]\nnoeq\n")))),
                (b"foo-1.dist-info", with(FOO)),
            ],
        ),
        (
            "entry_points_is_a_directory",
            vec![(
                b"foo-1.dist-info",
                Item::Directory(vec![("METADATA", Bytes(FOO)), ("entry_points.txt", Node::Directory)]),
            )],
        ),
        (
            "metadata_is_a_directory",
            vec![(
                b"foo-1.dist-info",
                Item::Directory(vec![("METADATA", Node::Directory), ("PKG-INFO", Bytes(BAR))]),
            )],
        ),
        ("pkg_info_in_dist_info", vec![(b"foo-1.dist-info", only(("PKG-INFO", Bytes(FOO))))]),
        (
            "metadata_in_egg_info",
            vec![(
                b"foo-1.egg-info",
                Item::Directory(vec![("METADATA", Bytes(BAR)), ("PKG-INFO", Bytes(FOO))]),
            )],
        ),
        (
            "empty_metadata_and_pkg_info",
            vec![(
                b"foo-1.dist-info",
                Item::Directory(vec![("METADATA", Bytes(b"")), ("PKG-INFO", Bytes(FOO))]),
            )],
        ),
        (
            "blank_metadata_and_pkg_info",
            vec![(
                b"foo-1.dist-info",
                Item::Directory(vec![("METADATA", Bytes(b"\n")), ("PKG-INFO", Bytes(FOO))]),
            )],
        ),
        (
            "not_utf_8",
            vec![(
                b"foo-1.dist-info",
                Item::Directory(vec![
                    ("METADATA", Bytes(b"Name: \xff\n")),
                    ("entry_points.txt", Bytes(b"[g]\n\xe9 = m\n")),
                ]),
            )],
        ),
        (
            "names_not_ascii",
            vec![
                ("fö-1.dist-info".as_bytes(), with(FOO)),
                ("FÖ-2.dist-info".as_bytes(), with(BAR)),
                ("ſ-1.egg-info".as_bytes(), egg()),
            ],
        ),
        (
            "names_not_utf_8",
            vec![
                (b"f\xff-1.dist-info", with(FOO)),
                (b"F\xff-2.dist-info", with(BAR)),
                (b"f\xfe-1.dist-info", with(BAR)),
            ],
        ),
        (
            "names_with_control_characters",
            vec![
                (b"f\no-1.dist-info", with(FOO)),
                (b"f\to-1.dist-info", with(BAR)),
                (b"\x1b[31m-1.egg-info", egg()),
                (b"%41%-1.dist-info", with(FOO)),
            ],
        ),
        (
            "links",
            vec![
                (b"foo-1.dist-info", Item::Link),
                (b"bar-1.dist-info", Item::Dangling),
                (
                    b"baz-1.dist-info",
                    Item::Directory(vec![("METADATA", Node::Link), ("entry_points.txt", Node::Link)]),
                ),
            ],
        ),
        (
            "locked",
            vec![
                (b"foo-1.dist-info", Item::Locked),
                (
                    b"bar-1.dist-info",
                    Item::Directory(vec![
                        ("METADATA", Node::Locked),
                        ("PKG-INFO", Bytes(BAR)),
                        ("entry_points.txt", Node::Locked),
                    ]),
                ),
            ],
        ),
    ]
}

/// A site directory of up to 12 items.
pub fn random(random: &mut Random) -> Vec<(Vec<u8>, Item)> {
    (0..random.below(13)).map(|_| (name(random), item(random))).collect()
}

fn name(random: &mut Random) -> Vec<u8> {
    const BASES: [&[u8]; 26] = [
        b"foo",
        b"foo",
        b"Foo",
        b"foo_bar",
        b"foo.bar",
        b"Foo--Bar",
        b"bar",
        b"Bar_baz",
        b"a",
        b"~oo",
        b"",
        b"-",
        b"_",
        b".",
        b"..x",
        "fö".as_bytes(),
        "FÖ".as_bytes(),
        "İx".as_bytes(),
        b"b\nc",
        b"\x1b[31m",
        b"\xffx",
        b"\xffX",
        b"%41",
        b"a b",
        "\u{202e}x".as_bytes(),
        b"foo.dist-info",
    ];
    const VERSIONS: [&[u8]; 6] = [b"", b"-1", b"-1.0", b"-2", b"-1-py3.12", b"-"];
    const SUFFIXES: [&[u8]; 12] = [
        b".dist-info",
        b".dist-info",
        b".dist-info",
        b".dist-info",
        b".egg-info",
        b".egg-info",
        b".DIST-INFO",
        b".Egg-Info",
        b".egg-link",
        b".dist-info.tmp",
        b"dist-info",
        b".egg",
    ];
    [random.pick(&BASES), random.pick(&VERSIONS), random.pick(&SUFFIXES)].concat()
}

fn item(random: &mut Random) -> Item {
    match random.below(24) {
        0 => Item::Link,
        1 => Item::Dangling,
        2 => Item::Locked,
        3 => Item::File(""),
        4..=6 => Item::File(FOO_FILE),
        _ => {
            let mut nodes = Vec::new();
            for name in ["METADATA", "PKG-INFO", "entry_points.txt"] {
                if !random.once_in(3) {
                    nodes.push((name, node(random, name == "entry_points.txt")));
                }
            }
            Item::Directory(nodes)
        }
    }
}

fn node(random: &mut Random, entry_points: bool) -> Node {
    const METADATA: [&[u8]; 8] = [
        FOO,
        FOO,
        BAR,
        b"",
        b"\n",
        b"Name: foo\n",
        b"Name: a\n b\nVersion: 1\n",
        b"Name: \xff\nVersion: 1\n",
    ];
    const ENTRY_POINTS: [&[u8]; 8] = [
        ENTRY,
        b"[g]\na = m:two\n[h]\nb = m:f\n",
        b"[z]\nz = z\n[g]\nb = m:b\na = m:a\na = m:c\n",
        b"",
        b"[g]\nnoeq\n",
        b"[g]\na\tb = m:f\n",
        b"[g]\n\xe9 = m\n",
        b"# nothing\n",
    ];
    match random.below(24) {
        0 => Node::Directory,
        1 => Node::Link,
        2 => Node::Locked,
        _ if entry_points => Bytes(random.pick(&ENTRY_POINTS)),
        _ => Bytes(random.pick(&METADATA)),
    }
}

/// Makes `items` in a new site directory in `name` of `below`; later items of the same name are omitted. Its own
/// name makes it one, also without a distribution.
pub fn make(below: &Path, name: &str, items: impl IntoIterator<Item = (Vec<u8>, Item)>) -> PathBuf {
    let site = below.join(name).join("site-packages");
    fs::create_dir_all(&site).expect("a site directory");
    for (file_name, item) in items {
        let path = site.join(OsStr::from_bytes(&file_name));
        if path.symlink_metadata().is_err() {
            make_item(below, &path, &item).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    site
}

fn make_item(below: &Path, path: &Path, item: &Item) -> std::io::Result<()> {
    match item {
        Item::File(text) => fs::write(path, text),
        Item::Dangling => symlink("nowhere", path),
        Item::Link => symlink(target(below)?, path),
        Item::Locked => {
            fs::create_dir(path)?;
            fs::write(path.join("METADATA"), FOO)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o000))
        }
        Item::Directory(nodes) => {
            fs::create_dir(path)?;
            for (name, node) in nodes {
                let path = path.join(name);
                match node {
                    Bytes(bytes) => fs::write(path, bytes)?,
                    Node::Directory => fs::create_dir(path)?,
                    Node::Link => symlink(target(below)?.join(name), path)?,
                    Node::Locked => {
                        fs::write(&path, ENTRY)?;
                        fs::set_permissions(path, fs::Permissions::from_mode(0o000))?;
                    }
                }
            }
            Ok(())
        }
    }
}

/// The target of links.
fn target(below: &Path) -> std::io::Result<PathBuf> {
    let target = below.join("elsewhere");
    fs::create_dir_all(&target)?;
    for name in ["METADATA", "PKG-INFO"] {
        fs::write(target.join(name), "Name: linked\nVersion: 9\n")?;
    }
    fs::write(target.join("entry_points.txt"), "[g]\nlinked = m:f\n")?;
    Ok(target)
}

impl Item {
    /// Whether the result depends on the reader's permissions or location.
    pub fn depends_on_the_reader(&self) -> bool {
        match self {
            Self::Link | Self::Dangling | Self::Locked => true,
            Self::File(_) => false,
            Self::Directory(nodes) => nodes.iter().any(|(_, node)| matches!(node, Node::Link | Node::Locked)),
        }
    }
}
