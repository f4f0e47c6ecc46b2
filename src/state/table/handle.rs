//! The handle of a segment, and searching by it.
//!
//! ```text
//! block    128 bytes header │ group 0 │ group 1 │ … │ group n − 1
//!
//! hash     63 … → │ → … → │ … 6 … 0
//!        directory  group     tag
//! ```
//!
//! The bits of the hash that the segment's keys do not share, read as a fraction, choose the group: an even hash fills
//! all groups evenly, and one that is more even than chance ([`crate::record::KeyHash`]) fills them more evenly still.
//! The number of bits that the keys share is in the low bits of the segment's handle, so finding the group of a hash
//! needs no memory of the segment.
//!
//! An entry is stored in its home group or, if that was full, in the first one with room: in the other half of its
//! pair, then in the pairs that follow. Every full group that it moved past counts it: a search ends at the first group
//! that no entry moved past. A removal takes its passage back, so there are no tombstones. All segments of a table have
//! the same number of groups, which is even.

#![expect(
    unsafe_code,
    reason = "entries live in uninitialised memory, found by tags"
)]

use std::{hint::select_unpredictable, marker::PhantomData, ptr::NonNull};

use super::group::Tag;
use super::layout::{Group, Place};
use crate::record::KeyHash;
use crate::state::prefetch;

/// Alignment of blocks: a group of 128 bytes then never straddles a pair of cache lines.
pub(super) const BLOCK_ALIGN: usize = 128;
pub(super) const HEADER_SIZE: usize = 128;
/// The part of a handle that holds the depth.
const DEPTH_MASK: usize = BLOCK_ALIGN - 1;

/// The result of a search.
pub(super) enum Search<K, V> {
    Found(Place<K, V>),
    /// There is no such entry; this group would be its home.
    Absent(Group<K, V>),
}

/// A pointer to the groups of a segment. It may be copied; whoever changes a segment holds its table exclusively.
pub(super) struct Handle<K, V> {
    /// The start of the first group, plus as many bytes as the number of top hash bits that all keys of the segment
    /// share.
    start: NonNull<u8>,
    entries: PhantomData<(K, V)>,
}

impl<K, V> Clone for Handle<K, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Handle<K, V> {}

impl<K, V> Handle<K, V> {
    /// # Safety
    /// A segment's block must begin there, and be larger than its header and the depth, which must be below 64.
    pub(super) unsafe fn new(block: NonNull<u8>, depth: u32) -> Self {
        debug_assert!(depth < 64 && block.addr().get().is_multiple_of(BLOCK_ALIGN));
        // SAFETY: as the caller promises.
        let start = unsafe { block.add(HEADER_SIZE + depth as usize) };
        Handle {
            start,
            entries: PhantomData,
        }
    }

    /// How many top bits of their hashes all keys of the segment share.
    pub(super) fn depth(self) -> u32 {
        (self.start.addr().get() & DEPTH_MASK) as u32
    }

    /// The block of the segment.
    pub(super) fn block(self) -> NonNull<u8> {
        // SAFETY: the header lies in front of the first group.
        unsafe { self.first().sub(HEADER_SIZE) }
    }

    /// The start of the first group.
    #[inline(always)]
    pub(super) fn first(self) -> NonNull<u8> {
        let depth = self.start.addr().get() & DEPTH_MASK;
        // SAFETY: `start` is this many bytes after the start of the first group, which is aligned.
        unsafe { self.start.sub(depth) }
    }

    /// The home of an entry with this hash, among this many groups.
    #[inline(always)]
    pub(super) fn home_among(self, hash: KeyHash, groups: u64) -> usize {
        // A shift only looks at the low bits of the handle.
        let own = hash.0.wrapping_shl(self.start.addr().get() as u32);
        share_of(groups, own)
    }

    /// # Safety
    /// The segment must have a group with this index.
    #[inline(always)]
    pub(super) unsafe fn group(self, index: usize) -> Group<K, V> {
        // SAFETY: as the caller promises, so the offset stays in the block.
        unsafe { Group::new(self.first()).later(index) }
    }

    /// The home group, given the number of groups, which saves reading the header: that is another cache line.
    ///
    /// # Safety
    /// The segment must have this many groups.
    #[inline(always)]
    pub(super) unsafe fn home_group(self, hash: KeyHash, groups: u64) -> Group<K, V> {
        // SAFETY: a part of `groups` is less than all.
        unsafe { self.group(self.home_among(hash, groups)) }
    }

    /// Prefetches the lines to which a search will continue, once the first one has arrived: that of the first
    /// candidate; without one, those of the next group, if the entry may be there, or else what an insertion changes:
    /// the header, in which it may be noted, and the last slots, some of which are free.
    ///
    /// # Safety
    /// The segment must have this many groups.
    #[inline(always)]
    pub(super) unsafe fn prefetch_entry(self, hash: KeyHash, groups: u64) {
        let index = self.home_among(hash, groups);
        // SAFETY: as the caller promises; groups come in pairs.
        let (group, next) = unsafe { (self.group(index), self.group(index ^ 1)) };
        let tags = group.tags();
        let found = tags.matching(Tag::of(hash)).first();
        let entry = group.entry(found.unwrap_or(0)).cast();
        // None of this is predictable. Entries that had to move past are in one of the last slots of the next group.
        let further = [next.start(), next.last_line()];
        let inserted = [self.block(), group.last_line()];
        for (further, inserted) in further.into_iter().zip(inserted) {
            let other = select_unpredictable(tags.overflows(), further, inserted);
            prefetch(select_unpredictable(found.is_some(), entry, other).as_ptr());
        }
    }

    /// Searches for the entry with this hash that `equal` accepts.
    ///
    /// Only the common case is inlined: the first candidate in the home group matches, or there is none and no entry
    /// moved past. That keeps the caller's loop short enough to overlap the cache misses of many records.
    ///
    /// # Safety
    /// The segment must have this many groups.
    #[inline(always)]
    pub(super) unsafe fn search(
        self,
        hash: KeyHash,
        groups: u64,
        mut equal: impl FnMut(&K) -> bool,
    ) -> Search<K, V> {
        // SAFETY: as the caller promises.
        let group = unsafe { self.home_group(hash, groups) };
        let tags = group.tags();
        if let Some(slot) = tags.matching(Tag::of(hash)).first() {
            let place = Place { group, slot };
            // SAFETY: `matching` yields occupied slots only, and those hold an entry.
            if equal(unsafe { &place.entry().as_ref().key }) {
                return Search::Found(place);
            }
        } else if !tags.overflows() {
            return Search::Absent(group);
        }
        // SAFETY: as the caller promises.
        match unsafe { self.find_further(hash, groups, equal) } {
            Some(place) => Search::Found(place),
            None => Search::Absent(group),
        }
    }

    /// # Safety
    /// As for `search`.
    #[cold]
    #[inline(never)]
    unsafe fn find_further(
        self,
        hash: KeyHash,
        groups: u64,
        mut equal: impl FnMut(&K) -> bool,
    ) -> Option<Place<K, V>> {
        let home = self.home_among(hash, groups);
        for step in 0..groups as usize {
            // SAFETY: as the caller promises; the path stays among the groups.
            let group = unsafe { self.group(way(home, step, groups as usize)) };
            let tags = group.tags();
            for slot in tags.matching(Tag::of(hash)) {
                let place = Place { group, slot };
                // SAFETY: `matching` yields occupied slots only, and those hold an entry.
                if equal(unsafe { &place.entry().as_ref().key }) {
                    return Some(place);
                }
            }
            if !tags.overflows() {
                return None;
            }
        }
        None
    }
}

/// The part of `groups` that `fraction` is of all hashes.
#[inline(always)]
pub(super) fn share_of(groups: u64, fraction: u64) -> usize {
    ((u128::from(fraction) * u128::from(groups)) >> 64) as usize
}

/// The group that a search from `home` reaches after `step` steps, which must be fewer than there are groups.
pub(super) fn way(home: usize, step: usize, groups: usize) -> usize {
    let (pairs, pair) = (groups / 2, home / 2 + step / 2);
    let pair = if pair < pairs { pair } else { pair - pairs };
    (2 * pair) | ((home ^ step) & 1)
}

/// How many steps a search from `home` takes to reach `found`.
pub(super) fn steps(home: usize, found: usize, groups: usize) -> usize {
    let (pairs, from, to) = (groups / 2, home / 2, found / 2);
    let pair = if from <= to {
        to - from
    } else {
        to + pairs - from
    };
    (2 * pair) | ((home ^ found) & 1)
}
