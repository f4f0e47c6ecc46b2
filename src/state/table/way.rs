//! The mapping from a hash to its group, for repeated use while a table keeps its shape.

#![expect(unsafe_code, reason = "reads the directory's slots by hashes")]

use super::handle::{Handle, share_of};
use super::layout::Group;
use crate::record::KeyHash;

/// The values that the mapping needs, as a copy: they can stay in registers while the table is changed. `ONE`: there is
/// only one segment, which covers all hashes, so it need not be looked up.
pub(super) struct Way<K, V, const ONE: bool> {
    /// The first group of the first segment.
    pub(super) first: Group<K, V>,
    /// The directory's slots.
    pub(super) slots: *const Handle<K, V>,
    pub(super) shift: u32,
    /// The groups of every segment.
    pub(super) groups: u64,
}

impl<K, V, const ONE: bool> Way<K, V, ONE> {
    /// The group where an entry with this hash belongs.
    ///
    /// # Safety
    /// The directory's shape must not have changed since it returned this value.
    #[inline(always)]
    pub(super) unsafe fn home(&self, hash: KeyHash) -> Group<K, V> {
        // SAFETY: there are `2^(64 - shift)` slots, and all segments have this many groups.
        unsafe {
            if ONE {
                return self.first.later(share_of(self.groups, hash.0));
            }
            let handle = *self.slots.add((hash.0 >> self.shift) as usize);
            handle.home_group(hash, self.groups)
        }
    }
}
