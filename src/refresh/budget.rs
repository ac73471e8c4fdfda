//! How much the index of one site directory holds, and which distributions it leaves to the readers.
//!
//! The authors of distributions decide how much there is to index. So the index holds the distributions that
//! take the least, as many as fit, and the others are opaque. Content and file names alone decide.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::limits::{ALL_ENTRY_POINTS, ALL_GROUPS, ALL_NAMES, DISTRIBUTIONS, GROUP_COST};
use crate::metadata::cost::Cost;
use crate::metadata::{Contents, Distribution, TopLevel, name};

/// The most that the index of one site directory holds. [`crate::limits`] has the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub distributions: usize,
    pub entry_points: usize,
    pub groups: usize,
    pub names: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            distributions: DISTRIBUTIONS,
            entry_points: ALL_ENTRY_POINTS,
            groups: ALL_GROUPS,
            names: ALL_NAMES,
        }
    }
}

impl Budget {
    fn has_room_for(&self, used: Cost) -> bool {
        used.entry_points <= self.entry_points && used.groups <= self.groups && used.names <= self.names
    }
}

/// The distributions that the index holds, chosen while they are found.
#[derive(Debug)]
pub(super) struct Selection {
    budget: Budget,
    /// Of all distributions that were admitted and not left out since.
    used: Cost,
    /// The first that does not fit: what it takes, and its file name. Those after it are left out, too.
    end: Option<(usize, Vec<u8>)>,
    /// The file names of those that were left out.
    out: BTreeSet<Vec<u8>>,
}

impl Selection {
    pub fn new(budget: Budget) -> Self {
        Self { budget, used: Cost::default(), end: None, out: BTreeSet::new() }
    }

    /// The least cost with which a distribution certainly does not fit.
    pub fn too_large(&self, file_name: &[u8]) -> usize {
        self.end.as_ref().map_or(usize::MAX, |(end, name)| end + usize::from(file_name < name.as_slice()))
    }

    /// Makes a distribution opaque that does not fit.
    pub fn leave_out(&mut self, row: &mut Distribution<'_>) {
        hide(row);
        self.out.insert(row.file_name.to_vec());
    }

    /// Counts a distribution, or makes it opaque.
    pub fn admit(&mut self, row: &mut Rc<Distribution<'_>>) {
        let cost = Cost::of(row);
        if self.is_behind_end(cost, row) {
            self.leave_out(Rc::make_mut(row));
        } else {
            self.used.add(cost);
        }
    }

    fn is_behind_end(&self, cost: Cost, row: &Distribution<'_>) -> bool {
        let behind = |(end, name): &(usize, Vec<u8>)| (*end, &**name) <= (cost.total(), &*row.file_name);
        self.end.as_ref().is_some_and(behind)
    }

    /// Makes distributions opaque if much more was admitted than fits. So the memory is bounded, and the
    /// choice is not made anew for each distribution.
    pub fn bound(&mut self, rows: &mut [Rc<Distribution<'_>>]) {
        let Budget { distributions, entry_points, groups: _, names } = self.budget;
        let most = Budget {
            distributions,
            entry_points: entry_points * 3 / 2,
            groups: usize::MAX,
            names: names * 3 / 2,
        };
        if !most.has_room_for(self.used) {
            self.choose(rows);
        }
    }

    /// Makes all distributions opaque that do not fit, after the last one was admitted.
    pub fn finish(&mut self, rows: &mut [Rc<Distribution<'_>>]) {
        if !self.budget.has_room_for(self.used) {
            self.choose(rows);
        }
    }

    /// The file names of the distributions that do not fit, as far as that is known.
    pub fn left_out(&self) -> &BTreeSet<Vec<u8>> {
        &self.out
    }

    fn choose(&mut self, rows: &mut [Rc<Distribution<'_>>]) {
        let mut order: Vec<(usize, usize)> =
            rows.iter().enumerate().map(|(number, row)| (Cost::of(row).total(), number)).collect();
        order.sort_unstable();
        let mut used = Cost::default();
        let mut groups = BTreeSet::new();
        let mut fits = |(_, number): &(usize, usize)| {
            let row = &rows[*number];
            let Cost { entry_points, groups: _, names } = Cost::of(row);
            let new = row.entry_points.iter().flatten().filter(|entry| groups.insert(&*entry.group));
            let groups = new.map(|entry| GROUP_COST + entry.group.len()).sum();
            used.add(Cost { entry_points, groups, names });
            self.budget.has_room_for(used)
        };
        let fitting = order.iter().take_while(|row| fits(row)).count();
        let Some((cost, first)) = order.get(fitting) else { return };
        self.end = Some((*cost, rows[*first].file_name.to_vec()));
        for (_, number) in &order[fitting..] {
            self.leave_out(Rc::make_mut(&mut rows[*number]));
        }
        self.used = Cost::default();
        rows.iter().for_each(|row| self.used.add(Cost::of(row)));
    }
}

/// Makes everything of a distribution opaque but its stamps.
fn hide(row: &mut Distribution<'_>) {
    row.key = name::key(&row.file_name, None).map(Into::into);
    row.identity = None;
    row.requirements = None;
    row.entry_points = None;
    row.configparser_differs = false;
    row.top_level = TopLevel::OPAQUE;
    row.contents = Contents::default();
}
