//! The result of confining a process.

use serde::{Deserialize, Serialize};

/// How far a means of confinement is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Enforced,
    /// As far as this kernel can.
    Partial,
    /// Not at all: the kernel refuses.
    Missing,
    /// This program was built without it.
    Omitted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub state: State,
    /// What is enforced, or why it is not.
    pub detail: String,
}

impl Part {
    pub(in crate::privilege) fn new(state: State, detail: impl Into<String>) -> Self {
        Self { state, detail: detail.into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// Files, TCP, signals.
    pub landlock: Part,
    /// System calls.
    pub seccomp: Part,
    /// Memory, size of files, descriptors, processor time.
    pub limits: Part,
    /// The groups that it should have left.
    pub groups: Part,
}

impl Confined {
    pub fn parts(&self) -> [(&'static str, &Part); 4] {
        let Self { groups, landlock, seccomp, limits } = self;
        [("landlock", landlock), ("seccomp", seccomp), ("limits", limits), ("groups", groups)]
    }

    /// Describes what is not completely enforced; `None` if everything is.
    pub fn lacking(&self) -> Option<String> {
        self.described(|state| state != State::Enforced)
    }

    /// Describes what the kernel refused altogether.
    pub fn missing(&self) -> Option<String> {
        self.described(|state| state == State::Missing)
    }

    /// Describes what is not in force at all, whatever the reason.
    pub(crate) fn absent(&self) -> Option<String> {
        self.described(|state| matches!(state, State::Missing | State::Omitted))
    }

    fn described(&self, which: impl Fn(State) -> bool) -> Option<String> {
        let found = self.parts().into_iter().filter(|(_, part)| which(part.state));
        let found: Vec<_> = found.map(|(name, part)| format!("{name}: {}", part.detail)).collect();
        (!found.is_empty()).then(|| found.join("; "))
    }
}
