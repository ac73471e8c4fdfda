//! Registrations of hooks.

use arbtest::arbtest;
use epcache::hook::Registration;
use serde_json::Value;

use crate::arbitrary::{Result, Unstructured};

/// Values for each key, of which the last is wrong.
const LINES: &[(&str, &[&str])] = &[
    ("description", &["'x'", "\"a \\u00e9 'b'\"", "''"]),
    ("command", &["['/x']", "['/usr/bin/x', '-a', \"b\\n\\\"\"]", "['bin/x']", "['../x']"]),
    ("python", &["'a:b'", "'a.b_1:c'", "'a'"]),
    ("order", &["-1000", "0", "7", "1001"]),
    ("timeout", &["1", "3600", "1.5"]),
    ("when", &["'later'", "'transaction'", "'soon'"]),
    ("on.distributions", &["['*']", "['Zope.-_x', '[a-c]?']", "['[']"]),
    ("on.groups", &["['g', 'h*']", "[\"\\u001b\"]", "[]"]),
    ("on.events", &["['removed', 'added']", "['updated']", "['gone']"]),
    ("sandbox.read", &["[]", "['/a', 'b']", "['/a/..']"]),
    ("sandbox.write", &["['cache', '{site}', '{site}/a', '/v', './cache']", "[]", "['/']"]),
    ("sandbox.network", &["true", "false", "1"]),
    ("sandbox.memory", &["1", "65536", "0"]),
    ("sandbox.processes", &["4096", "1", "'1'"]),
    ("comand", &["1"]),
];

fn any_text(u: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    for (key, values) in LINES {
        // Mistakes are rare, and so are two actions.
        let is_there = match *key {
            "description" | "command" => u.ratio(19, 20)?,
            "python" | "comand" => u.ratio(1, 20)?,
            _ => u.arbitrary()?,
        };
        if is_there {
            let last = if u.ratio(1, 30)? { values.len() } else { values.len().max(2) - 1 };
            text += &format!("{key} = {}\n", u.choose(&values[..last])?);
        }
    }
    Ok(text)
}

/// The text of a registration with these values.
fn rendered(registration: &Registration) -> String {
    let Value::Object(mut keys) = serde_json::to_value(registration).expect("paths are UTF-8") else {
        panic!("not an object");
    };
    keys.remove("name");
    let mut text = String::new();
    for (key, value) in keys {
        match value {
            Value::Object(table) => {
                // An empty list is the default, and only some keys may say so.
                let set = table.into_iter().filter(|(_, value)| !value.as_array().is_some_and(Vec::is_empty));
                set.for_each(|(below, value)| text += &format!("{key}.{below} = {value}\n"));
            }
            value => text += &format!("{key} = {value}\n"),
        }
    }
    text
}

#[test]
fn a_registration_is_the_same_when_it_is_written_and_read_again() {
    let (mut valid, mut refused) = (0, 0);
    arbtest(|u| {
        let text = any_text(u)?;
        match Registration::parse("name", &text) {
            Ok(registration) => {
                valid += 1;
                let again = rendered(&registration);
                assert_eq!(
                    Registration::parse("name", &again).as_ref(),
                    Ok(&registration),
                    "{text}\n{again}"
                );
            }
            Err(mistake) => {
                refused += 1;
                let lines = text.lines().count();
                assert!(mistake.line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake}\n{text}");
                assert!(!mistake.why.is_empty() && !mistake.why.contains('\x1b'), "{mistake}");
            }
        }
        Ok(())
    })
    .size_min(512)
    .budget_ms(1_000);
    assert!(valid > 10 && refused > 10, "{valid} {refused}");
}

#[test]
fn no_bytes_make_the_parser_panic() {
    arbtest(|u| {
        let mut text = any_text(u)?;
        for _ in 0..u.int_in_range(1..=4)? {
            let at = u.int_in_range(0..=text.len())?;
            if text.is_char_boundary(at) {
                let new: char = u.arbitrary()?;
                text.insert(
                    at,
                    if u.arbitrary()? { new } else { *u.choose(&['[', ']', '{', '"', '\n', '=', '.'])? },
                );
            }
        }
        if let Err(mistake) = Registration::parse("name", &text) {
            let lines = text.split('\n').count();
            assert!(mistake.line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake}\n{text}");
        }
        let bytes: Vec<u8> = u.arbitrary()?;
        let _ = Registration::parse("name", &String::from_utf8_lossy(&bytes));
        Ok(())
    })
    .budget_ms(1_000);
}
