//! How much of the budget of its site directory a distribution takes, in bytes.

use super::{Distribution, EntryPoint, TopLevel};
use crate::limits::{ENTRY_POINT_COST, GROUP_COST};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub entry_points: usize,
    /// As if no other distribution had the same groups.
    pub groups: usize,
    /// Importable names, name, version and requirements.
    pub names: usize,
}

impl Cost {
    pub fn of(row: &Distribution<'_>) -> Self {
        let mut cost = row.entry_points.as_deref().map(Self::of_entry_points).unwrap_or_default();
        for text in row.identity.iter().flat_map(|identity| [&identity.name, &identity.version]).flatten() {
            cost.names += text.len();
        }
        cost.names += row.requirements.as_deref().map_or(0, str::len);
        let TopLevel { names, python_names, missing, .. } = &row.top_level;
        cost.names += names.len() + python_names.len() + missing.len();
        cost
    }

    pub fn of_entry_points(entries: &[EntryPoint<'_>]) -> Self {
        let mut cost = Self::default();
        let mut previous = None;
        for EntryPoint { group, name, value } in entries {
            cost.entry_points += ENTRY_POINT_COST + group.len() + name.len() + value.len();
            if previous != Some(group) {
                cost.groups += GROUP_COST + group.len();
                previous = Some(group);
            }
        }
        cost
    }

    pub fn add(&mut self, other: Self) {
        self.entry_points += other.entry_points;
        self.groups += other.groups;
        self.names += other.names;
    }

    pub fn total(self) -> usize {
        self.entry_points + self.groups + self.names
    }
}
