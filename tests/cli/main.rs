//! The program from outside: exit statuses, messages, bad input, hostile surroundings, privileges.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod attacks;
mod configuration;
mod dry_run;
mod enable;
mod index_place;
mod killed;
mod metadata;
mod names;
mod privileges;
mod program;
mod streams;
mod tree;
mod trigger;
mod usage;
