//! The program from outside: exit statuses, messages, bad input, hostile surroundings, privileges.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod attacks;
mod configuration;
mod dry_run;
mod enable;
mod index_place;
mod manual;
mod metadata;
mod names;
mod privileges;
mod program;
mod run;
mod run_signals;
mod streams;
mod terminal;
mod tree;
mod trigger;
mod usage;
