//! The way from a hash to its group, to be gone many times while a table keeps its shape.

#![expect(unsafe_code, reason = "reads the directory's slots by hashes")]

use super::handle::Handle;
use super::layout::Group;
use crate::record::KeyHash;

/// What the way takes, by value: it can stay in registers while the table is changed. `ONE`: there is one segment only,
/// which need not be looked for.
pub(super) struct Way<K, V, const ONE: bool> {
    pub(super) first: Handle<K, V>,
    /// The directory's.
    pub(super) slots: *const Handle<K, V>,
    pub(super) shift: u32,
    /// The groups of every segment.
    pub(super) groups: u64,
}

impl<K, V, const ONE: bool> Way<K, V, ONE> {
    /// The group where an entry with this hash lives when there is room.
    ///
    /// # Safety
    /// The directory's shape has not changed since it gave the way.
    #[inline(always)]
    pub(super) unsafe fn home(&self, hash: KeyHash) -> Group<K, V> {
        // SAFETY: there are `2^(64 - shift)` slots, and all segments have so many groups.
        unsafe {
            let handle = if ONE {
                self.first
            } else {
                *self.slots.add((hash.0 >> self.shift) as usize)
            };
            handle.home_group(hash, self.groups)
        }
    }
}
