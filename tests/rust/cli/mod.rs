//! The program from outside: exit statuses, messages, invalid input, hostile environments, privileges.

mod attacks;
mod configuration;
mod dry_run;
mod enable;
mod found;
mod hints;
mod hooks;
mod image;
mod index_place;
mod links;
mod manual;
mod many;
mod metadata;
mod names;
mod nearby;
mod not_a_site;
pub mod privileges;
mod run;
mod run_signals;
mod streams;
mod terminal;
mod trees;
mod trigger;
mod usage;
