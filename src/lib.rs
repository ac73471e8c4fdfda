//! An index of the metadata of installed Python distributions.
//!
//! What `ldconfig` is to shared libraries, this is to entry points: package managers run it after they
//! have changed a site directory, it reads what is new, and Python programs find their plugins in one
//! small file that is provably right.
//!
//! The way of the data: [`cli`] and [`command`] say what is wanted, [`site`] finds the directories and
//! the rule for each, [`privilege`] becomes who may write there, [`refresh`] holds the old [`index`]
//! against the disk by means of [`reconcile`], which reads each [`distribution`] that has changed by
//! the stamps of [`freshness`], and [`report`] tells what was done.

pub mod cli;
pub mod command;
pub mod config;
pub mod distribution;
pub mod error;
pub mod freshness;
pub mod index;
pub mod privilege;
pub mod reconcile;
pub mod refresh;
pub mod relay;
pub mod report;
pub mod site;
pub mod startup;
pub mod system;
pub mod trigger;
