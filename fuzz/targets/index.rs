//! The index parser: any bytes give an index or an error, in memory proportional to their number. An index
//! that was parsed is the same when it is written and parsed again.
//!
//! Random changes would fail the first checksum. So the checksums are corrected after most changes, as an
//! attacker would do.
#![no_main]

#[path = "../../tests/rust/support/forgery.rs"]
mod forgery;

use epcache::index::{parse, render};
use epcache_fuzz::within;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| {
    let Ok(index) = within(200 * bytes.len() + 16384, || parse(bytes)) else { return };
    let written = render(&index);
    assert_eq!(parse(&written).as_ref(), Ok(&index));
    assert_eq!(render(&index), written);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    if seed % 8 != 0 {
        if let Some(forged) = forgery::with_right_checks(&data[..size]) {
            if forged.len() <= max_size {
                data[..forged.len()].copy_from_slice(&forged);
                return forged.len();
            }
        }
    }
    size
});
