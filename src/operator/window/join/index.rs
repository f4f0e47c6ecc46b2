//! `Index`: places of records, chained by the hash of their key.
//!
//! ```text
//! heads   by low bits of the hash: the place added last, counted from 1; 0 is none
//! links   by place: the place in the same chain that was added before it
//! ```
//! The places are those of one log, or of all logs of one side of a window, one after the other.

use crate::record::KeyHash;

/// The most places: they are kept in 32 bits, so that the heads of a few thousand stay in the nearest cache.
pub(super) const PLACES_MAX: usize = u32::MAX as usize - 1;

/// Heads that are cleared in one step, at the cost of [`CLEARED_COST`] places.
const CLEARED: usize = 1 << 14;
const CLEARED_COST: usize = 1 << 10;

/// Chains of places.
#[derive(Default)]
pub(super) struct Index {
    heads: Vec<u32>,
    links: Vec<u32>,
    /// How many heads there are going to be, a power of two.
    size: usize,
}

impl Index {
    /// Forgets everything and makes room for about `places`, of which [`PLACES_MAX`] is the most.
    pub(super) fn begin(&mut self, places: usize) {
        debug_assert!(places <= PLACES_MAX);
        self.heads.clear();
        self.links.clear();
        self.links.reserve(places);
        // A chain is followed to its end, for keys need not be unique, and where it ends cannot be
        // predicted: with a head to every two to four places most have one link.
        self.size = (places * 2).max(1).next_power_of_two();
        self.heads.reserve(self.size);
    }

    /// Whether it was never begun.
    pub(super) fn is_new(&self) -> bool {
        self.size == 0
    }

    /// Clears some of the heads; `None` if all are clear, else what that cost, in places added.
    pub(super) fn clear_some(&mut self) -> Option<usize> {
        let cleared = self.heads.len();
        if cleared == self.size {
            return None;
        }
        self.heads.resize(self.size.min(cleared + CLEARED), 0);
        Some(CLEARED_COST)
    }

    /// How many places there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether chains have become longer than they should be.
    pub(super) fn is_crowded(&self) -> bool {
        self.links.len() > self.size
    }

    /// Adds the next place.
    #[inline(always)]
    pub(super) fn add(&mut self, hash: KeyHash) {
        let head = self.head_of(hash);
        self.links.push(self.heads[head]);
        self.heads[head] = self.links.len() as u32;
    }

    #[inline(always)]
    fn head_of(&self, hash: KeyHash) -> usize {
        hash.0 as usize & (self.heads.len() - 1)
    }

    /// The first link of the chain for `hash`: a place counted from 1, or 0.
    #[inline(always)]
    pub(super) fn first(&self, hash: KeyHash) -> u32 {
        self.heads[self.head_of(hash)]
    }

    /// The link after one that is not 0.
    #[inline(always)]
    pub(super) fn after(&self, link: u32) -> u32 {
        self.links[link as usize - 1]
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.heads.capacity() + self.links.capacity()) * size_of::<u32>()
    }
}
