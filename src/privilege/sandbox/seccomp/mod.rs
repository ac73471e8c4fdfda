//! System calls that no job makes, refused by a filter (seccomp).
//!
//! A list of what is denied, not of what is allowed: the C library may begin to use another call at any
//! time, and a job that fails for that leaves no index. What is denied answers as to somebody without
//! the right to it (`EPERM`).

#[cfg(all(
    feature = "seccomp",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    target_pointer_width = "64",
    target_endian = "little"
))]
#[path = "enforced/mod.rs"]
mod filtering;
#[cfg(not(all(
    feature = "seccomp",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    target_pointer_width = "64",
    target_endian = "little"
)))]
#[path = "omitted.rs"]
mod filtering;

pub use filtering::enter;
