//! What somebody gets who has taken over a process that reads metadata: after the drop of privileges,
//! in the place of the job.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod actions;
mod demanded;
mod escapes;
mod kernel;
mod mask;
mod places;
#[path = "../cli/program.rs"]
#[allow(dead_code)]
mod program;
mod taken_over;
#[path = "../cli/tree.rs"]
#[allow(dead_code)]
mod tree;
