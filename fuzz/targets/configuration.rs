//! The configuration: any text gives a configuration, or an error that names a line and can be printed.
//! Accepted paths are safe, and survive writing and reading.
#![no_main]

use epcache::config::Config;
use epcache::settings::Mistake;
use epcache_fuzz::{text, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = text(bytes);
    let mut config = Config::default();
    match within(4000 * text.len() + (64 << 10), || config.merge(text)) {
        Ok(()) => {
            for pattern in &config.site_directories {
                assert!(pattern.starts_with('/'), "{pattern:?}");
                assert!(pattern.split('/').all(|part| part != ".."), "{pattern:?}");
            }
            let mut again = config.clone();
            again.site_directories.clear();
            again
                .merge(&format!("site-directories = {}", list(&config.site_directories)))
                .expect("written right");
            assert_eq!(again.site_directories, config.site_directories, "{text:?}");
        }
        Err(Mistake { line, why }) => {
            assert!(
                line.is_none_or(|line| line > 0 && line <= text.split('\n').count()),
                "{line:?}: {text:?}"
            );
            assert!(!why.is_empty() && !why.contains(|c: char| c.is_control()), "{why:?}");
        }
    }
});

/// The values as a TOML array.
fn list(values: &[String]) -> String {
    let spelled =
        |value: &String| -> String { value.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect() };
    let values: Vec<String> = values.iter().map(|value| format!("\"{}\"", spelled(value))).collect();
    format!("[{}]", values.join(", "))
}
