//! METADATA and PKG-INFO: the values fit into an index, and are found again in a file of these headers
//! alone.
#![no_main]

use epcache::metadata::headers::{Header, Headers, parse};
use epcache::metadata::{Distribution, Identity};
use epcache_fuzz::{must_fit_an_index, text, unknown_distribution, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = text(bytes);
    let headers = within(4 * text.len() + 1024, || parse(text));
    let Headers { name, version, requirements } = &headers;

    let line = |key: &str, header: &Header| match header {
        Header::Absent => String::new(),
        Header::Value(value) => format!("{key}: {value}\n"),
        Header::Opaque => format!("{key}: a\n b\n"),
    };
    let mut again = line("Name", name) + &line("Version", version);
    match requirements {
        Some(listed) => {
            for field in listed.split('\t').filter(|field| !field.is_empty()) {
                let (letter, value) = field.split_at(1);
                let key = match letter {
                    "d" => "Requires-Dist",
                    "e" => "Provides-Extra",
                    "p" => "Requires-Python",
                    _ => panic!("{field:?}"),
                };
                again += &format!("{key}: {value}\n");
            }
        }
        None => again.push_str("Requires-Dist: a\n b\n"),
    }
    assert_eq!(parse(&again), headers, "{text:?}");
    assert_eq!(parse(&again.replace('\n', "\r\n")), headers, "{text:?}");

    let value = |header: &Header| match header {
        Header::Absent => Some(None),
        Header::Value(value) => Some(Some(value.clone().into())),
        Header::Opaque => None,
    };
    let identity = value(name).zip(value(version)).map(|(name, version)| Identity { name, version });
    let requirements = headers.requirements.map(Into::into);
    must_fit_an_index(Distribution { identity, requirements, ..unknown_distribution() });
});
