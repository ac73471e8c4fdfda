# Changes Cargo.toml for a build with the crates of a distribution: Debian has no crate landlock, and tests need more
# crates than the program.
/^landlock = {/d
s/"dep:landlock"//
s/^default = .*/default = ["seccomp"]/
/^# The tests/,/^$/d
/^\[dev-dependencies\]/,$d
