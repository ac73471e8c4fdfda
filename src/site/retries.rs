//! The bound on repeated work.

use std::cell::Cell;

/// How often a refresh may repeat something because the disk changed meanwhile.
///
/// Three levels repeat: a distribution is read again if it changed while it was read, a directory is listed
/// again if it changed during the pass, and an index is compared again if another process may have replaced
/// it. All take from one budget, so that the costs add up and never multiply. What still changes when the
/// budget is used up is recorded as unsettled, and readers check it themselves.
#[derive(Debug)]
pub struct Retries {
    left: Cell<u32>,
}

impl Retries {
    /// The budget of one refresh. Installers change a directory once for each distribution, with pauses in
    /// which a pass of some milliseconds succeeds. A process that needs more changes things all the time.
    pub const MAX: u32 = 8;

    /// Takes one from the budget; false if there is none left.
    #[must_use]
    pub fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    pub fn are_used_up(&self) -> bool {
        self.left.get() == 0
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { left: Cell::new(Self::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_used_up_after_its_last_retry() {
        let retries = Retries::default();
        for number in 0..Retries::MAX {
            assert!(!retries.are_used_up() && retries.take(), "{number}");
        }
        assert!(retries.are_used_up() && !retries.take());
        assert!(!retries.take());
    }
}
