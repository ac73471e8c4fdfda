//! Names, lists of files from package managers, and configuration files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use arbtest::arbtest;
use epcache::config::Config;
use epcache::freshness::Stamp;
use epcache::metadata::{entry_points, headers, name};
use epcache::package_manager::list;
use epcache::sys::root::System;

#[test]
fn normalized_names_are_as_defined() {
    arbtest(|u| {
        let pieces = ["a", "B", "-", "_", ".", "9", "~", " ", "Z"];
        let name: String =
            (0..u.int_in_range(0..=8)?).map(|_| u.choose(&pieces).copied()).collect::<Result<_, _>>()?;
        let mut expected = name.to_lowercase().replace(['-', '.'], "_");
        while expected.contains("__") {
            expected = expected.replace("__", "_");
        }
        assert_eq!(name::normalize(&name), expected, "{name}");
        assert_eq!(name::normalize(&expected), expected, "normal already");
        Ok(())
    });
}

#[test]
fn no_text_makes_a_parser_panic() {
    arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let text = String::from_utf8_lossy(&bytes);
        let _ = entry_points::parse(&text);
        let _ = headers::parse(&text);
        let _ = Stamp::parse(&text, ' ');
        let _ = name::key(&bytes, Some(&text));
        let _ = name::key_of_any(&bytes, None);
        Ok(())
    })
    .budget_ms(2_000);
}

#[test]
fn hints_are_the_distributions_directly_below_a_site_directory() {
    let sites = [
        PathBuf::from("/usr/lib/python3/dist-packages"),
        PathBuf::from("/usr/lib64/python3.13/site-packages"),
    ];
    arbtest(|u| {
        let starts: [&[u8]; 6] = [
            b"/usr/lib/python3/dist-packages",
            b"/usr/lib64/python3.13/site-packages",
            // As pacman names them.
            b"usr/lib/python3/dist-packages",
            b"usr/lib64/python3.13/site-packages",
            b"/usr/lib/python3",
            b"",
        ];
        let parts: [&[u8]; 9] = [
            b"foo-1.dist-info",
            b"foo",
            b"b ar.egg-info",
            b"\xff.dist-info",
            b"x.DIST-INFO",
            b"METADATA",
            b"_vendor",
            b"a\rb.dist-info",
            b".dist-info",
        ];
        let (mut list, mut expected) = (Vec::new(), BTreeSet::new());
        for _ in 0..u.int_in_range(0..=6)? {
            let start = *u.choose(&starts)?;
            list.extend(start);
            for depth in 0..u.int_in_range(0..=3)? {
                let part = *u.choose(&parts)?;
                list.push(b'/');
                list.extend(part);
                let path = Path::new("/").join(OsStr::from_bytes(start));
                let site = sites.iter().find(|site| **site == path);
                if let Some(site) = site.filter(|_| depth == 0 && name::is_distribution(part)) {
                    expected.insert((site.clone(), part.to_vec()));
                }
            }
            list.push(b'\n');
        }
        if u.arbitrary()? {
            list.pop();
        }
        let hints = list::hints(&*list, &sites).expect("a list in memory can be read");
        let found: BTreeSet<_> = hints
            .into_iter()
            .flat_map(|(site, names)| names.into_iter().map(move |name| (site.clone(), name)))
            .collect();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(&list));
        Ok(())
    });
}

#[test]
fn no_list_makes_the_hints_panic() {
    arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        let _ = list::hints(&*bytes, &[PathBuf::from("/")]);
        Ok(())
    });
}

#[test]
fn a_configuration_is_accepted_or_refused_with_its_path() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let directory = root.path().join("etc/epcache");
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("config.toml");
    arbtest(|u| {
        let pieces = [
            "site-directories",
            "site-directory",
            " = ",
            "[",
            "]",
            "'/usr/lib/*'",
            "'lib'",
            "\"/a/[\"",
            ",",
            "\n",
            "#",
            "\\",
            "é",
            "3",
            "\0",
            "'/a/../b'",
            "[[",
            "}",
        ];
        let mut text: String =
            (0..u.int_in_range(0..=12)?).map(|_| u.choose(&pieces).copied()).collect::<Result<_, _>>()?;
        if u.ratio(1, 4)? {
            text = format!("site-directories = [{}]\n", "'/usr/lib/*', ".repeat(u.int_in_range(0..=3)?));
        }
        fs::write(&path, &text).expect("room");
        let system = System::new(Some(root.path())).expect("a directory");
        match Config::load(&system) {
            Ok(config) => {
                let of_default = config == Config::default();
                let taken_over = config.site_directories.iter().all(|pattern| pattern == "/usr/lib/*");
                assert!(of_default || taken_over, "{text:?}: {config:?}");
            }
            Err(error) => {
                let message = error.to_string();
                assert!(message.starts_with(path.to_str().expect("UTF-8")), "{message}");
            }
        }
        Ok(())
    });
}
