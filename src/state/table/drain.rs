//! Draining a frozen generation in slices.

use super::change::{Changes, Drained, Frozen};
use super::directory::Directory;
use super::keyed::Table;
use crate::record::KeyHash;

/// Looking at a single group here and there costs as much as this many consecutive entries.
const NOTED_GROUP_COST: usize = 4;

impl<K, V> Table<K, V> {
    /// Appends about `budget` changes of the frozen generation to `out`: first removed keys, then entries as they were
    /// at the freeze. Returns whether that was all, or nothing is frozen. Entries stay in the table until they fill a
    /// chunk or are the last.
    ///
    /// The budget counts changes and the groups that had to be examined. With a budget of 0, only copies that the table
    /// already had to make are drained.
    pub fn drain_frozen(&mut self, budget: usize, out: &mut Drained) -> bool {
        let (directory, changes) = (&mut self.directory, &mut self.changes);
        let mut left = budget.saturating_sub(changes.fetch_removals(budget, out));
        while left > 0 && changes.frozen.is_some() {
            left = left.saturating_sub(drain_segment(directory, changes, left));
        }
        changes.fetch_ready(out);
        changes.frozen.is_none()
    }
}

/// Continues draining the current segment until about `budget` is spent; returns what was spent.
fn drain_segment<K, V>(
    directory: &mut Directory<K, V>,
    changes: &mut Changes<K, V>,
    budget: usize,
) -> usize {
    let Some(mut frozen) = changes.frozen else {
        return 0;
    };
    let generation = changes.frozen_generation();
    let every_group = frozen.every_group;
    let mut segment = directory.segment_mut(KeyHash(frozen.position));
    let mut spent = 0;
    if every_group || segment.any_may_hold(generation) {
        if every_group {
            (frozen.group, spent) = segment.hand_out_run(frozen.group, budget, changes);
        } else if frozen.group == 0 {
            segment.prefetch_holding(generation);
        }
        while frozen.group < segment.group_count() {
            if spent >= budget {
                changes.frozen = Some(frozen);
                return spent;
            }
            if segment.may_hold(frozen.group, generation) {
                spent += NOTED_GROUP_COST + segment.hand_out(frozen.group, changes);
            }
            frozen.group += 1;
        }
        segment.forget_summary(generation);
    }
    changes.frozen = directory.after(frozen.position).map(|position| Frozen {
        position,
        group: 0,
        ..frozen
    });
    spent + 1
}
