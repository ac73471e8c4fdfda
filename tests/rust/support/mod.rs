//! Shared by several modules of tests: the program, trees of files, and indexes of any content.

pub mod any_index;
pub mod forgery;
pub mod program;
pub mod tree;
