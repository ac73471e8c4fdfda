//! Properties that hold for any input, and a model of a site directory under change.

mod budget;
mod change;
mod history;
mod importable;
mod index;
mod inputs;
mod race;
mod registration;
mod site;
mod without;
mod writers;
