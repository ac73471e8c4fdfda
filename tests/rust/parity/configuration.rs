//! The configuration, compared with Python's own TOML parser.

use epcache::config::Config;

use super::corpus::corpus;
use super::oracle::{Answer, ask};

/// Only texts that both parsers accept are compared: Python knows TOML 1.0, and a later version allows more.
/// TOML leaves line ends within a string to parsers: Python turns CR LF into LF.
#[test]
fn inputs_found_by_fuzzing_are_parsed_as_python_does() {
    let texts = corpus("configuration");
    let mut compared = 0;
    for (version, answers) in ask::<Option<Vec<String>>>(&["3.12", "3.13"], "configuration", &texts) {
        for (text, theirs) in texts.iter().zip(answers) {
            let Ok(text) = std::str::from_utf8(text) else { continue };
            let mut config = Config::default();
            if let (Ok(()), Answer::Gives(theirs)) = (config.merge(text), theirs) {
                let theirs = theirs.unwrap_or_else(|| Config::default().site_directories);
                assert_eq!(
                    lines_ended(&config.site_directories),
                    lines_ended(&theirs),
                    "{version}: {text:?}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 2 * 4, "{compared}");
}

fn lines_ended(values: &[String]) -> Vec<String> {
    values.iter().map(|value| value.replace("\r\n", "\n")).collect()
}
