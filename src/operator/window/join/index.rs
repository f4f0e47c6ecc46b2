//! `Index`: places of records by their key.
//!
//! Keys whose hashes end alike are chained, one link for each; records with the same key hang in a list of
//! their own from the first of them, in the order in which they were added. So a key that is in very many
//! records is in nobody's way.
//!
//! ```text
//! heads   by low bits of the hash: the first link of the chain, or 0
//! links   by place: next    of a first record: the next key of the chain;
//!                           of a second one: the last record of the list
//!                   same    the next record with the same key, or 0
//! ```
//! A link is a place counted from 1. Places are those of one log, or of all logs of one side of a window, one
//! after the other. The hash is the key's own: an index never leaves its window, so key groups mean nothing to
//! it.

use crate::record::KeyHash;

/// The most places: they are kept in 32 bits, so that some thousand of them stay in the nearest cache.
pub(super) const PLACES_MAX: usize = u32::MAX as usize - 1;

/// Heads that are cleared in one step, at the cost of [`CLEARED_COST`] places.
const CLEARED: usize = 1 << 14;
const CLEARED_COST: usize = 1 << 10;

/// Up to so many places there are eight heads and more for each.
const SPREAD_MAX: usize = 1 << 13;

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    same: u32,
}

/// Places by key.
#[derive(Default)]
pub(super) struct Index {
    heads: Vec<u32>,
    links: Vec<Link>,
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
        // Whether a chain goes on is a branch that cannot be predicted, so there are more heads than places: as
        // many more as the caches hold.
        let spread = if places <= SPREAD_MAX { 8 } else { 2 };
        self.size = (places * spread).max(1).next_power_of_two();
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

    /// Whether chains may have become longer than they should be.
    pub(super) fn is_crowded(&self) -> bool {
        self.links.len() > self.size
    }

    /// Adds the next place, of a record whose key has this hash; `equal` says whether the record at a place has
    /// the same key.
    #[inline(always)]
    pub(super) fn add(&mut self, hash: KeyHash, equal: impl Fn(usize) -> bool) {
        let head = hash.0 as usize & (self.heads.len() - 1);
        let next = self.heads[head];
        let mut link = next;
        while link != 0 {
            if equal(link as usize - 1) {
                return self.append(link);
            }
            link = self.links[link as usize - 1].next;
        }
        self.links.push(Link { next, same: 0 });
        self.heads[head] = self.links.len() as u32;
    }

    /// Adds the next place to the list of records that hangs from `first`.
    fn append(&mut self, first: u32) {
        let added = self.links.len() as u32 + 1;
        let second = self.links[first as usize - 1].same;
        let (last, next) = if second == 0 {
            (first, added)
        } else {
            let last = std::mem::replace(&mut self.links[second as usize - 1].next, added);
            (last, 0)
        };
        self.links[last as usize - 1].same = added;
        self.links.push(Link { next, same: 0 });
    }

    /// Its chains, to be followed.
    #[inline(always)]
    pub(super) fn chains(&self) -> Chains<'_> {
        Chains {
            heads: &self.heads,
            links: &self.links,
        }
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u32>() + self.links.capacity() * size_of::<Link>()
    }
}

/// The chains of an index.
#[derive(Clone, Copy)]
pub(super) struct Chains<'a> {
    heads: &'a [u32],
    links: &'a [Link],
}

impl Chains<'_> {
    /// How many places there are.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.links.len()
    }

    /// The first link of the chain for `hash`, or 0.
    #[inline(always)]
    pub(super) fn first(self, hash: KeyHash) -> u32 {
        self.heads[hash.0 as usize & (self.heads.len() - 1)]
    }

    /// The first link, from `link` on, to a place at which `get` finds something `wanted`, and what it found.
    #[inline(always)]
    pub(super) fn find<T>(
        self,
        mut link: u32,
        get: impl Fn(usize) -> T,
        wanted: impl Fn(&T) -> bool,
    ) -> Option<(u32, T)> {
        while link != 0 {
            let found = get(link as usize - 1);
            if wanted(&found) {
                return Some((link, found));
            }
            link = self.links[link as usize - 1].next;
        }
        None
    }

    /// The link of the next record with the same key, or 0.
    #[inline(always)]
    pub(super) fn same(self, link: u32) -> u32 {
        self.links[link as usize - 1].same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn indexed(keys: &[u64], places: usize, hash: impl Fn(u64) -> KeyHash) -> Index {
        let mut index = Index::default();
        index.begin(places);
        while index.clear_some().is_some() {}
        for &key in keys {
            index.add(hash(key), |place| keys[place] == key);
        }
        index
    }

    proptest! {
        #[test]
        fn places_of_a_key_come_in_order(
            keys in proptest::collection::vec(0..9_u64, 0..50), places in 0..50_usize, mask in 0..8_u64,
        ) {
            // With a mask of 0 all keys collide.
            let hash = |key: u64| KeyHash(key & mask);
            let index = indexed(&keys, places, hash);
            for key in 0..10 {
                let chains = index.chains();
                let found = chains.find(chains.first(hash(key)), |place| keys[place], |&k| k == key);
                let mut link = found.map_or(0, |(link, _)| link);
                let mut found = Vec::new();
                while link != 0 {
                    found.push(link as usize - 1);
                    link = chains.same(link);
                }
                let expected = (0..keys.len()).filter(|&place| keys[place] == key);
                prop_assert!(expected.eq(found), "key {key}");
            }
        }
    }

    #[test]
    fn an_index_begins_anew() {
        let mut index = indexed(&[1, 2, 3], 3, KeyHash);
        index.begin(1);
        while index.clear_some().is_some() {}
        assert_eq!((index.len(), index.chains().first(KeyHash(1))), (0, 0));
    }
}
