//! Properties that hold for any input, and a model of a site directory under change.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod any_index;
mod forgery;
mod history;
mod importable;
mod index;
mod inputs;
mod race;
mod site;
mod without;
mod writers;

use arbtest::arbitrary;
