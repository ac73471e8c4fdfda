//! Any set of distributions survives writing and reading an index.
#![no_main]

#[path = "../../tests/rust/support/any_index.rs"]
mod any_index;

use epcache::index::{parse, render};
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(index) = any_index::any_index(&mut Unstructured::new(bytes)) else { return };
    let written = render(&index);
    assert_eq!(parse(&written).as_ref(), Ok(&index));
    assert_eq!(render(&index), written);
});
