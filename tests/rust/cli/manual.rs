//! The manual page describes every command and option, and no others.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;
use epcache::command::args::Cli;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/man/epcache.8");
    fs::read_to_string(path).expect("the manual page")
}

/// The part from one heading to the next.
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let start = page.split_once(&format!("\n.Sh {name}\n")).expect("a section").1;
    start.split("\n.Sh ").next().expect("the first part")
}

/// The long options in a part of the page: mdoc writes `--full` as `Fl -full`.
fn options(text: &str) -> BTreeSet<String> {
    let mut words = text.split_whitespace().peekable();
    let mut found = BTreeSet::new();
    while let Some(word) = words.next() {
        if word == "Fl" || word == ".Fl" {
            let name = words.peek().copied().unwrap_or_default();
            found.extend(name.strip_prefix('-').filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    found
}

/// The commands that do something, with their names: those below a command are named after it.
fn commands() -> Vec<(String, clap::Command)> {
    let named = |command: &clap::Command| (command.get_name().to_owned(), command.clone());
    let of_one = |(name, command): (String, clap::Command)| -> Vec<_> {
        let below: Vec<_> = command
            .get_subcommands()
            .map(|below| (format!("{name} {}", below.get_name()), below.clone()))
            .collect();
        if below.is_empty() { vec![(name, command)] } else { below }
    };
    Cli::command().get_subcommands().map(named).flat_map(of_one).collect()
}

/// The names of a command's options, without those that every command has.
fn options_of(command: &clap::Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned).collect()
}

#[test]
fn the_synopsis_has_every_option_of_every_command() {
    let page = page();
    let synopsis = format!("\n{}", section(&page, "SYNOPSIS"));
    // Each line begins with the name of the program or of its link.
    let lines: Vec<&str> = synopsis.split("\n.Nm\n").collect();
    let wherever = ["venv", "python", "user", "system", "all", "root"].map(str::to_owned);
    for (name, command) in commands() {
        let mut known = options_of(&command);
        let synopsis_lines: Vec<_> =
            lines.iter().filter(|line| line.starts_with(&format!(".Cm {name}"))).collect();
        assert!(!synopsis_lines.is_empty(), "{name} is not in the synopsis");
        let mut named: BTreeSet<String> = BTreeSet::new();
        for line in synopsis_lines {
            if line.contains(".Op Ar where") {
                named.extend(wherever.clone());
            }
            // The line of the link follows in the same part.
            named.append(&mut options(line.split("\n.Nm ").next().expect("the first part")));
        }
        known.remove("help");
        assert_eq!(named, known, "{name}");
    }
}

#[test]
fn the_description_explains_every_command_and_option() {
    let page = page();
    let description = section(&page, "DESCRIPTION");
    let explained: BTreeSet<String> =
        description.lines().filter(|line| line.starts_with(".It Fl ")).flat_map(options).collect();
    let mut known = BTreeSet::new();
    for (name, command) in commands() {
        known.append(&mut options_of(&command));
        let heading = format!(".It Cm {name}");
        assert!(description.lines().any(|line| line.starts_with(&heading)), "{heading}");
    }
    known.remove("help");
    assert_eq!(explained, known);
}
