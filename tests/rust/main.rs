//! The tests of the Rust code, in one program: `cargo test --test rust cli::enable` runs a part.
//!
//! Each module says what belongs into it. Code that several of them need is in `support`.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod cli;
mod confinement;
mod hooks;
mod parity;
mod properties;
mod sources;
mod support;

use arbtest::arbitrary; // as the fuzzing targets call it, which share support::any_index
