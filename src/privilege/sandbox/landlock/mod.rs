//! Which files a job reaches, by Landlock (Linux 5.13 and newer).

#[cfg(feature = "landlock")]
#[path = "enforced.rs"]
mod rules;
#[cfg(not(feature = "landlock"))]
#[path = "omitted.rs"]
mod rules;

pub use rules::enter;
