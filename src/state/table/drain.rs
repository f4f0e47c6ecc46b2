//! Draining in slices: what a freeze set aside, and all entries of a table that is fired and done
//! with.

use super::change::{Extent, Frozen};
use super::keyed::Table;
use crate::record::KeyHash;

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
            let segment = self.directory.segment_mut(KeyHash(cursor.position));
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

    /// Appends about `budget` entries of the frozen generation to `out`, each as it was at the
    /// freeze. Returns whether that was all of it, or nothing is frozen. Removals come first.
    ///
    /// The budget counts entries and the groups that had to be looked at.
    pub fn drain_frozen(&mut self, budget: usize, out: &mut Vec<u8>) -> bool {
        self.changes.fetch(out);
        let mut spent = 0;
        while let Some(frozen) = &self.changes.frozen
            && spent < budget
        {
            let (extent, position, mut group) = (frozen.extent, frozen.position, frozen.group);
            let generation = self.changes.frozen_generation();
            let segment = self.directory.segment_mut(KeyHash(position));
            if extent == Extent::Whole || segment.any_may_hold(generation) {
                while group < segment.group_count() && spent < budget {
                    if extent == Extent::Whole || segment.may_hold(group, generation) {
                        spent += 1 + segment.hand_out(group, &mut self.changes);
                    }
                    group += 1;
                }
            } else {
                group = segment.group_count();
            }
            self.changes.frozen = if group < segment.group_count() {
                Some(Frozen {
                    extent,
                    position,
                    group,
                })
            } else {
                spent += 1;
                segment.forget_summary(generation);
                let next = self.directory.after(position);
                next.map(|position| Frozen {
                    extent,
                    position,
                    group: 0,
                })
            };
        }
        self.changes.fetch(out);
        self.changes.frozen.is_none()
    }
}
