//! `entry_points.txt`: the entry points of any text fit into an index, and survive writing and reading.
#![no_main]

use epcache::metadata::Distribution;
use epcache::metadata::entry_points::{is_plainly_a_reference, is_read_alike_by_configparser, parse};
use epcache_fuzz::{must_fit_an_index, text, unknown_distribution, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = text(bytes);
    let bound = 100 * text.len() + 4096;
    within(bound, || is_read_alike_by_configparser(text));
    let Ok(entries) = within(bound, || parse(text)) else { return };

    let mut again = String::new();
    for entry in &entries {
        let _ = is_plainly_a_reference(&entry.value);
        again += &format!("[{}]\n{} = {}\n", entry.group, entry.name, entry.value);
    }
    assert_eq!(parse(&again).as_ref(), Ok(&entries), "{text:?}");

    must_fit_an_index(Distribution { entry_points: Some(entries), ..unknown_distribution() });
});
