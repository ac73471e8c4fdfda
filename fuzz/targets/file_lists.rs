//! `top_level.txt` and the three lists of installed files: the names that they give fit into an index. The
//! first byte selects the kind of file.
#![no_main]

use std::io;

use epcache::metadata::Distribution;
use epcache::metadata::file_list::{Entry, FileList, Presence, infer};
use epcache::metadata::top_level::{Kind, declared};
use epcache_fuzz::{must_fit_an_index, text, unknown_distribution, within};
use libfuzzer_sys::fuzz_target;

/// Whether a file exists and is a link depends on its name alone.
struct ByName;

impl ByName {
    fn number(name: &str) -> u32 {
        name.bytes().fold(7_u32, |number, byte| number.wrapping_mul(31).wrapping_add(byte.into())) >> 3
    }
}

impl Presence for ByName {
    fn entry(&self, name: &str) -> Entry {
        assert!(!name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..", "{name:?}");
        [Entry::Absent, Entry::Plain, Entry::Plain, Entry::Unknown][Self::number(name) as usize % 4]
    }

    fn exists(&self, path: &str) -> io::Result<Option<bool>> {
        // The kernel refuses paths that lead outside (RESOLVE_BENEATH).
        let first = path.split('/').next();
        assert!(!matches!(first, None | Some("" | "..")) && !path.contains('\0'), "{path:?}");
        Ok([Some(true), Some(true), Some(true), Some(false), None][Self::number(path) as usize % 5])
    }

    fn has_links(&self, path: &str) -> io::Result<bool> {
        assert!(!path.contains('\0'), "{path:?}");
        Ok(Self::number(path) % 16 == 0)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let text = text(bytes);
    let names = within(200 * text.len() + 4096, || match FileList::ALL.get(usize::from(*which) % 4) {
        Some(list) => infer(*list, text, "foo-1.dist-info", &ByName).expect("ByName never fails"),
        None => declared(text).unwrap_or_default(),
    });
    match names.kind {
        Kind::Declared | Kind::Inferred => {}
        Kind::None | Kind::Opaque => assert_eq!((&*names.names, &*names.python_names), ("", "")),
    }
    let _ = names.agrees_with(|name| name.len() % 2 == 0);
    must_fit_an_index(Distribution { top_level: names, ..unknown_distribution() });
});
