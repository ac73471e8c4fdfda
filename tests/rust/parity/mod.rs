//! The parsers and the discovery of distributions, compared with the CPythons on this machine.
//!
//! The rule: where epcache gives an answer, it is that of `importlib.metadata` in every version. Where it
//! gives none (opaque), there must be a reason. Ordinary files are never opaque.

mod configuration;
mod corpus;
mod discovery;
mod entry_points;
mod index;
mod metadata;
mod oracle;
mod random;
mod sites;
mod top_level;
