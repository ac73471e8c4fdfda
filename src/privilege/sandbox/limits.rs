//! Bounds on what a job uses up. docs/reference/privileges.md has the reasons for the numbers.

use std::io;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::{Part, State};
use crate::index::MAX_INDEX;

/// What is allowed at most. A lower limit that a caller has set stays.
///
/// Memory is that which the process can write to, not its address space: an interpreter that is asked
/// for its directories may reserve any amount of that.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::RLIMIT_DATA, 4 << 30),
    (Resource::RLIMIT_FSIZE, 4 * MAX_INDEX),
    (Resource::RLIMIT_NOFILE, 1024),
    (Resource::RLIMIT_CPU, 600),
    (Resource::RLIMIT_CORE, 0),
];

/// Sets all limits, and looks whether they are set.
///
/// # Errors
/// When one is not.
pub fn enter() -> io::Result<Part> {
    let mut refused = Vec::new();
    for (resource, most) in LIMITS {
        let wanted = |allowed: rlim_t| allowed.min(rlim_t::try_from(most).unwrap_or(rlim_t::MAX));
        let set = getrlimit(resource).and_then(|(soft, hard)| {
            let (soft, hard) = (wanted(soft), wanted(hard));
            setrlimit(resource, soft, hard).map(|()| (soft, hard))
        });
        match set {
            Ok(expected) => {
                let found = getrlimit(resource)?;
                if found != expected {
                    return Err(io::Error::other(format!("{resource:?} is {found:?}, not {expected:?}")));
                }
            }
            Err(error) => refused.push(format!("{resource:?}: {}", error.desc())),
        }
    }
    Ok(match refused.len() {
        0 => Part::new(State::Enforced, "memory, size of files, descriptors, processor time, no core"),
        count if count < LIMITS.len() => Part::new(State::Partial, refused.join(", ")),
        _ => Part::new(State::Missing, refused.join(", ")),
    })
}
