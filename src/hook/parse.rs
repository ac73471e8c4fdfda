//! Parsing a registration. Nothing here opens a file.
//!
//! `docs/reference/hooks.md` specifies the keys, their defaults and their bounds.

use std::ops::RangeInclusive;
use std::path::{Component, PathBuf};
use std::time::Duration;

use glob::Pattern;

use super::registration::{Action, CACHE, MEBIBYTE, On, Registration, SITE, Sandbox, When, Write};
use crate::change::Event;
use crate::encoding::printable;
use crate::metadata::name::standard;
use crate::settings::{Mistake, Result, Section, Setting};

/// Bytes of the largest file that is read.
pub const MAX_SIZE: u64 = 64 << 10;
/// Bytes of the longest name.
const MAX_NAME: usize = 64;
/// Bytes of the longest description.
const MAX_DESCRIPTION: usize = 200;
/// The longest timeout, in seconds.
const MAX_TIMEOUT: i64 = 3600;
const ORDERS: RangeInclusive<i64> = -1000..=1000;
/// The most memory, in MiB.
const MAX_MEMORY: i64 = 64 << 10;
const MAX_PROCESSES: i64 = 4096;

const KEYS: [&str; 8] = ["description", "on", "command", "python", "order", "timeout", "when", "sandbox"];
const ON: [&str; 3] = ["distributions", "groups", "events"];
const SANDBOX: [&str; 5] = ["read", "write", "network", "memory", "processes"];

impl Registration {
    /// Parses the text of the file `NAME.toml`.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut section = Section::parse(text, &KEYS)?;
        let description = section.take("description").ok_or_else(|| missing("description"))?;
        let command = section.take("command").map(|setting| command(&setting)).transpose()?;
        let python = section.take("python").map(|setting| Ok((python(&setting)?, setting))).transpose()?;
        let action = match (command, python) {
            (Some(_), Some((_, setting))) => {
                return Err(setting.mistake("there is a command already: give one of command and python"));
            }
            (Some(action), None) | (None, Some((action, _))) => action,
            (None, None) => return Err(missing("command or python")),
        };
        Ok(Self {
            name: name.to_owned(),
            description: describe(&description)?,
            on: section.take("on").map_or(Ok(On::default()), On::parse)?,
            action,
            order: section.take("order").map_or(Ok(0), |setting| order(&setting))?,
            timeout: section
                .take("timeout")
                .map_or(Ok(Duration::from_secs(30)), |setting| setting.seconds(MAX_TIMEOUT))?,
            when: section.take("when").map_or(Ok(When::Transaction), |setting| when(&setting))?,
            sandbox: section.take("sandbox").map_or(Ok(Sandbox::default()), Sandbox::parse)?,
            changed: 0,
        })
    }
}

/// Whether a hook may have this name.
pub fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || b"._-".contains(&byte))
}

fn missing(what: &str) -> Mistake {
    Mistake { line: None, why: format!("{what} is missing") }
}

fn describe(setting: &Setting<'_>) -> Result<String> {
    let text = setting.text()?;
    let is_line =
        !text.trim().is_empty() && text.len() <= MAX_DESCRIPTION && !text.contains(char::is_control);
    match is_line {
        true => Ok(text.to_owned()),
        false => Err(setting.wrong(format_args!("one line of 1 to {MAX_DESCRIPTION} bytes"))),
    }
}

fn command(setting: &Setting<'_>) -> Result<Action> {
    let command = setting.texts(|text| match text.contains('\0') {
        true => Err("must not have a NUL character".to_owned()),
        false => Ok(text.to_owned()),
    })?;
    let program = command.first().ok_or_else(|| setting.wrong("a list of a program and its arguments"))?;
    path(program).map_err(|why| setting.mistake(format!("{}: {why}", printable(program))))?;
    Ok(Action::Command(command))
}

fn python(setting: &Setting<'_>) -> Result<Action> {
    let is_identifier = |text: &str| {
        !text.starts_with(|c: char| c.is_ascii_digit())
            && !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match setting.text()?.split_once(':') {
        Some((module, function)) if module.split('.').all(is_identifier) && is_identifier(function) => {
            Ok(Action::Python { module: module.to_owned(), function: function.to_owned() })
        }
        _ => Err(setting.wrong("module:function, each in ASCII letters, digits and _")),
    }
}

fn order(setting: &Setting<'_>) -> Result<i32> {
    i32::try_from(setting.number("a number", ORDERS)?).map_err(|_| setting.wrong("a number"))
}

fn when(setting: &Setting<'_>) -> Result<When> {
    match setting.text()? {
        "transaction" => Ok(When::Transaction),
        "later" => Ok(When::Later),
        _ => Err(setting.wrong("\"transaction\" or \"later\"")),
    }
}

/// A path without `..`, which would lead to different places depending on links.
fn path(text: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_plain = path.components().all(|part| part != Component::ParentDir);
    let has_name = path.components().any(|part| matches!(part, Component::Normal(_)));
    match is_plain && has_name && !text.contains('\0') {
        true => Ok(path),
        false => Err("must be a path without .., absolute or below an environment".to_owned()),
    }
}

fn patterns<T>(
    setting: &Setting<'_>,
    convert: impl Fn(&str) -> std::result::Result<T, String>,
) -> Result<Vec<T>> {
    let list = setting.texts(convert)?;
    if list.is_empty() { Err(setting.wrong("a list of at least one string")) } else { Ok(list) }
}

/// A pattern of names, in any spelling of the name. One with a set of characters (`[a-z]`) must be spelled as
/// normalized, since `-` has a meaning in a set.
fn name_pattern(text: &str) -> std::result::Result<Pattern, String> {
    let text = if text.contains('[') { text.to_owned() } else { standard(text) };
    pattern(&text)
}

fn pattern(text: &str) -> std::result::Result<Pattern, String> {
    Pattern::new(text).map_err(|error| error.to_string())
}

fn event(text: &str) -> std::result::Result<Event, String> {
    match text {
        "added" => Ok(Event::Added),
        "updated" => Ok(Event::Updated),
        "removed" => Ok(Event::Removed),
        _ => Err("must be added, updated or removed".to_owned()),
    }
}

impl On {
    fn parse(setting: Setting<'_>) -> Result<Self> {
        let mut section: Section<'_> = setting.section(&ON)?;
        let mut on = Self::default();
        if let Some(setting) = section.take("distributions") {
            on.distributions = patterns(&setting, name_pattern)?;
        }
        if let Some(setting) = section.take("groups") {
            on.groups = patterns(&setting, pattern)?;
        }
        if let Some(setting) = section.take("events") {
            on.events = patterns(&setting, event)?.into_iter().collect();
        }
        Ok(on)
    }
}

impl Sandbox {
    fn parse(setting: Setting<'_>) -> Result<Self> {
        let mut section = setting.section(&SANDBOX)?;
        let mut sandbox = Self::default();
        if let Some(setting) = section.take("read") {
            sandbox.read = setting.texts(path)?;
        }
        if let Some(setting) = section.take("write") {
            sandbox.write = setting.texts(Write::parse)?;
        }
        if let Some(setting) = section.take("network") {
            sandbox.network = setting.flag()?;
        }
        if let Some(setting) = section.take("memory") {
            let mebibytes = setting.number("a number of MiB", 1..=MAX_MEMORY)?;
            sandbox.memory = mebibytes.unsigned_abs() * MEBIBYTE;
        }
        if let Some(setting) = section.take("processes") {
            let processes = setting.number("a number", 1..=MAX_PROCESSES)?;
            sandbox.processes = u32::try_from(processes).map_err(|_| setting.wrong("a number"))?;
        }
        Ok(sandbox)
    }
}

impl Write {
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        match text.strip_prefix(SITE) {
            _ if text == CACHE => Ok(Self::Cache),
            Some("" | "/") => Ok(Self::Site(PathBuf::new())),
            Some(below) if below.starts_with('/') => Ok(Self::Site(path(below.trim_start_matches('/'))?)),
            _ => Ok(Self::Directory(path(text)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "description = 'x'\ncommand = ['/bin/x']\n";

    #[test]
    fn the_least_registration_has_the_documented_defaults() {
        let found = Registration::parse("name", LEAST).expect("valid");
        let expected = Registration {
            name: "name".to_owned(),
            description: "x".to_owned(),
            on: On {
                distributions: Vec::new(),
                groups: Vec::new(),
                events: [Event::Added, Event::Updated, Event::Removed].into(),
            },
            action: Action::Command(vec!["/bin/x".to_owned()]),
            order: 0,
            timeout: Duration::from_secs(30),
            when: When::Transaction,
            sandbox: Sandbox {
                read: Vec::new(),
                write: Vec::new(),
                network: false,
                memory: 512 << 20,
                processes: 64,
            },
            changed: 0,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn every_key_is_read() {
        let text = "description = 'A cache'
            python = 'a.b_c:main'
            order = -1000
            timeout = 3600
            when = 'later'
            [on]
            distributions = ['Zope.*', 'a-_b', '[a-c]-d']
            groups = ['console_scripts', 'pytest*']
            events = ['removed', 'added', 'added']
            [sandbox]
            read = ['/a/./b', 'share/x']
            write = ['cache', './cache', '{site}', '{site}/', '{site}/a/b', '/var/lib/x', '{site}x']
            network = true
            memory = 65536
            processes = 4096";
        let found = Registration::parse("name", text).expect("valid");
        let pattern = |text: &str| Pattern::new(text).expect("a pattern");
        assert_eq!(found.on.distributions, ["zope-*", "a-b", "[a-c]-d"].map(pattern));
        assert_eq!(found.on.groups, ["console_scripts", "pytest*"].map(pattern));
        assert_eq!(found.on.events, [Event::Added, Event::Removed].into());
        assert_eq!(found.action, Action::Python { module: "a.b_c".to_owned(), function: "main".to_owned() });
        assert_eq!((found.order, found.timeout.as_secs(), found.when), (-1000, 3600, When::Later));
        let directory = |path: &str| Write::Directory(path.into());
        let site = |path: &str| Write::Site(path.into());
        assert_eq!(
            found.sandbox.write,
            [
                Write::Cache,
                directory("./cache"),
                site(""),
                site(""),
                site("a/b"),
                directory("/var/lib/x"),
                directory("{site}x")
            ]
        );
        assert_eq!(found.sandbox.read, ["/a/./b", "share/x"].map(PathBuf::from));
        let Sandbox { network, memory, processes, .. } = found.sandbox;
        assert_eq!((network, memory, processes), (true, 64 << 30, 4096));
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line() {
        let bad_path = "must be a path without .., absolute or below an environment";
        for (text, line, why) in [
            ("command = ['/x']", None, "description is missing".to_owned()),
            ("description = 'x'", None, "command or python is missing".to_owned()),
            (
                "description = ''\ncommand = ['/x']",
                Some(1),
                "description must be one line of 1 to 200 bytes".to_owned(),
            ),
            (
                "description = \"a\\nb\"\ncommand = ['/x']",
                Some(1),
                "description must be one line of 1 to 200 bytes".to_owned(),
            ),
            (
                "description = 'x'\ncommand = []",
                Some(2),
                "command must be a list of a program and its arguments".to_owned(),
            ),
            ("description = 'x'\ncommand = '/x'", Some(2), "command must be a list of strings".to_owned()),
            ("description = 'x'\ncommand = ['/a/../x']", Some(2), format!("/a/../x: {bad_path}")),
            ("description = 'x'\ncommand = ['']", Some(2), format!(": {bad_path}")),
            ("description = 'x'\ncommand = ['/']", Some(2), format!("/: {bad_path}")),
            (
                "description = 'x'\ncommand = ['/x',\n\"a\\u0000\"]",
                Some(3),
                "a\\u{0}: must not have a NUL character".to_owned(),
            ),
            (
                "description = 'x'\npython = 'a:b'\ncommand = ['/x']",
                Some(2),
                "there is a command already: give one of command and python".to_owned(),
            ),
        ] {
            let mistake = Mistake { line, why };
            assert_eq!(Registration::parse("name", text), Err(mistake), "{text}");
        }
        for text in ["a", "a:", ":b", "a.:b", "a:b.c", "a b:c", "1a:b", "a:b:c", "\u{e9}:b", "os;x:b"] {
            let error = Registration::parse("name", &format!("description = 'x'\npython = '{text}'"));
            let why = "python must be module:function, each in ASCII letters, digits and _".to_owned();
            assert_eq!(error, Err(Mistake { line: Some(2), why }), "{text}");
        }
        for (text, why) in [
            ("order = 1001", "order must be a number from -1000 to 1000"),
            ("order = '1'", "order must be a number from -1000 to 1000"),
            ("timeout = 0", "timeout must be a number of seconds from 1 to 3600"),
            ("timeout = 3601", "timeout must be a number of seconds from 1 to 3600"),
            ("when = 'now'", "when must be \"transaction\" or \"later\""),
            ("on = 'a'", "on must be a table"),
            ("on.events = []", "on.events must be a list of at least one string"),
            ("on.groups = []", "on.groups must be a list of at least one string"),
            ("on.distributions = []", "on.distributions must be a list of at least one string"),
            ("on.events = ['gone']", "gone: must be added, updated or removed"),
            ("on.event = ['added']", "unknown key on.event; did you mean on.events?"),
            ("sandbox.memory = 0", "sandbox.memory must be a number of MiB from 1 to 65536"),
            ("sandbox.memory = 65537", "sandbox.memory must be a number of MiB from 1 to 65536"),
            ("sandbox.processes = 4097", "sandbox.processes must be a number from 1 to 4096"),
            ("sandbox.network = 1", "sandbox.network must be true or false"),
            ("sandbox.read = ['../x']", "../x: must be a path without .., absolute or below an environment"),
            (
                "sandbox.write = ['{site}/../x']",
                "{site}/../x: must be a path without .., absolute or below an environment",
            ),
            (
                "sandbox.write = ['{site}/.']",
                "{site}/.: must be a path without .., absolute or below an environment",
            ),
            ("sandbx.read = []", "unknown key sandbx; did you mean sandbox?"),
        ] {
            let error = Registration::parse("name", &format!("{LEAST}{text}\n"));
            assert_eq!(error, Err(Mistake { line: Some(3), why: why.to_owned() }), "{text}");
        }
        let error =
            Registration::parse("name", &format!("{LEAST}on.groups = ['a[']\n")).expect_err("no pattern");
        assert!(error.line == Some(3) && error.why.starts_with("a[: "), "{error}");
    }

    #[test]
    fn a_hook_has_a_name_that_is_safe_everywhere() {
        for (name, expected) in [
            ("a", true),
            ("0-twisted.plugins_x", true),
            ("", false),
            ("-a", false),
            (".a", false),
            ("A", false),
            ("a b", false),
            ("a/b", false),
            ("\u{e9}", false),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
