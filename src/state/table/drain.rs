//! Draining in slices: what a freeze set aside, and all entries of a table that is fired and done
//! with.

use super::change::{Changes, Drained, Frozen};
use super::directory::Directory;
use super::keyed::Table;
use crate::record::KeyHash;

/// One group here and there takes as long as so many entries in a row.
const NOTED_GROUP_COST: usize = 4;

/// Where a draining stands; [`Table::drain_some`] moves it.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// The segment that comes now begins at this hash.
    position: u64,
    /// Groups before this one are drained.
    group: usize,
    /// The shape of the table when `group` was written.
    shape: u64,
}

impl<K, V> Table<K, V> {
    /// Removes about `budget` entries and gives them to `take`, in the order of their segments'
    /// hash ranges. Returns whether all are gone: then the cursor is at the start again.
    ///
    /// The table may change between slices. An entry inserted behind the cursor stays. The budget
    /// counts entries and, so that empty memory does not come for nothing, groups without any.
    pub fn drain_some(
        &mut self,
        cursor: &mut Cursor,
        budget: usize,
        mut take: impl FnMut(K, V),
    ) -> bool {
        let mut spent = 0;
        if cursor.shape != self.directory.shape() {
            *cursor = Cursor {
                position: cursor.position,
                group: 0,
                shape: self.directory.shape(),
            };
        }
        loop {
            let mut segment = self.directory.segment_mut(KeyHash(cursor.position));
            while cursor.group < segment.group_count() && segment.len() > 0 {
                if spent >= budget {
                    return false;
                }
                let before = self.len;
                segment.remove_group(cursor.group, &mut self.changes, |entry| {
                    self.len -= 1;
                    take(entry.key, entry.value);
                });
                spent += (before - self.len).max(1);
                cursor.group += 1;
            }
            if segment.len() == 0 {
                segment.reset_overflow();
            }
            cursor.group = 0;
            match self.directory.after(cursor.position) {
                Some(next) => cursor.position = next,
                None => {
                    cursor.position = 0;
                    return true;
                }
            }
        }
    }

    /// Appends about `budget` changes of the frozen generation to `out`: first keys removed, then entries as
    /// they were at the freeze. Returns whether that was all of it, or nothing is frozen. Entries stay in the
    /// table until they fill a chunk, or are the last.
    ///
    /// The budget counts changes and the groups that had to be looked at. Without any, nothing is drained but
    /// what the table had to copy.
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

/// Goes on in the segment where the draining stands, until about `budget` are spent; what that came to.
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
