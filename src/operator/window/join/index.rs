//! `Index`: places of records by key.
//!
//! An open-addressing table of heads: each is the first place with a key, so that a look-up reads a head and then
//! the record itself, which it has to read anyway to compare the keys. Records with the same key are chained in a list
//! from the first of them, in the order in which they were added: a key with very many records does not slow down
//! others, and the lists are not read as long as no key repeats.
//!
//! ```text
//! heads   from the hash's position on: the first link of a key, or 0 after the last one
//! links   by place: last    of the first record of a list: the last one
//!                   same    the next record with the same key, or 0
//! ```
//! A link is a place counted from 1. Places are those of one log, or of all logs of one side of a window,
//! concatenated. The hash is the key's own: an index never leaves its window.

use crate::record::KeyHash;

/// The maximum number of places: they are stored in 32 bits, so that some thousand heads stay in the L1 cache.
pub(super) const PLACES_MAX: usize = u32::MAX as usize - 1;

/// How many heads are cleared in one step, at the cost of [`CLEARED_COST`] places.
const CLEARED: usize = 1 << 14;
const CLEARED_COST: usize = 1 << 10;

/// Up to this many places there are at least eight heads for each, beyond that four.
const SPREAD_MAX: usize = 1 << 13;

/// The multiplier that maps a hash to its head.
///
/// Keys of one subtask share the top bits of their hash, up to fifteen of them, so a head is chosen by the bits
/// below: the factor is larger than 2^15. The hashes of consecutively assigned keys are evenly spaced, and must remain
/// so, in order that hardly any two of them map to the same head: multiplied by this factor, the hash's own multiplier,
/// the golden ratio's fraction, becomes another number whose continued fraction begins with only ones
/// and twos (found by search).
const FACTOR: u64 = 39_125;

#[derive(Clone, Copy, Default)]
struct Link {
    last: u32,
    same: u32,
}

/// Places by key.
#[derive(Default)]
pub(super) struct Index {
    heads: Vec<u32>,
    links: Vec<Link>,
    /// How many heads there will be, a power of two.
    size: usize,
    /// Whether any key repeats.
    repeats: bool,
}

impl Index {
    /// Clears the index and makes room for about `places`, at most [`PLACES_MAX`].
    pub(super) fn begin(&mut self, places: usize) {
        debug_assert!(places <= PLACES_MAX);
        self.heads.clear();
        self.links.clear();
        self.links.reserve(places);
        self.repeats = false;
        // Whether the first head is the right one is an unpredictable branch, so there are more heads than
        // places: as many more as the caches hold.
        let spread = if places <= SPREAD_MAX { 8 } else { 4 };
        self.size = (places * spread).max(2).next_power_of_two();
        self.heads.reserve(self.size);
    }

    /// Returns whether there is room for `places` in all: as many heads must remain free.
    pub(super) fn has_room_for(&self, places: usize) -> bool {
        2 * places.max(1) <= self.size
    }

    /// Clears some of the heads; returns `None` if all are clear, else what that cost, in places added.
    pub(super) fn clear_some(&mut self) -> Option<usize> {
        let cleared = self.heads.len();
        if cleared == self.size {
            return None;
        }
        self.heads.resize(self.size.min(cleared + CLEARED), 0);
        Some(CLEARED_COST)
    }

    /// Returns how many places there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Adds the next place, of a record whose key has this hash; `equal` tells whether the record at a place has
    /// the same key.
    #[inline(always)]
    pub(super) fn add(&mut self, hash: KeyHash, equal: impl Fn(usize) -> bool) {
        let mask = self.heads.len() - 1;
        let mut head = start(hash, self.heads.len());
        loop {
            let link = self.heads[head & mask];
            if link == 0 {
                break;
            }
            if equal(link as usize - 1) {
                return self.append(link);
            }
            head += 1;
        }
        self.links.push(Link::default());
        self.heads[head & mask] = self.links.len() as u32;
    }

    /// Appends the next place to the list of records that starts at `first`.
    fn append(&mut self, first: u32) {
        self.repeats = true;
        self.links.push(Link::default());
        let added = self.links.len() as u32;
        let last = std::mem::replace(&mut self.links[first as usize - 1].last, added);
        let last = if last == 0 { first } else { last };
        self.links[last as usize - 1].same = added;
    }

    /// Returns its places for look-ups.
    #[inline(always)]
    pub(super) fn places(&self) -> Places<'_> {
        debug_assert!(self.heads.len() == self.size, "an index that is begun");
        Places {
            heads: &self.heads,
            lists: if self.repeats { &self.links } else { &[] },
            len: self.links.len(),
        }
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u32>() + self.links.capacity() * size_of::<Link>()
    }
}

/// Returns which of `heads` heads to look at first.
#[inline(always)]
fn start(hash: KeyHash, heads: usize) -> usize {
    let bits = heads.trailing_zeros();
    (hash.0.wrapping_mul(FACTOR) >> (u64::BITS - bits)) as usize
}

/// The places of an index.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    heads: &'a [u32],
    /// Empty if no key repeats.
    lists: &'a [Link],
    len: usize,
}

impl Places<'_> {
    /// Returns how many places there are.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// Returns the first link to look at for `hash`, or 0.
    #[inline(always)]
    pub(super) fn first(self, hash: KeyHash) -> u32 {
        self.heads[start(hash, self.heads.len()) & (self.heads.len() - 1)]
    }

    /// Returns the first link of the key with this hash at whose place `get` finds something `wanted`, and what it
    /// found.
    #[inline(always)]
    pub(super) fn find<T>(
        self,
        hash: KeyHash,
        get: impl Fn(usize) -> T,
        wanted: impl Fn(&T) -> bool,
    ) -> Option<(u32, T)> {
        let mut head = start(hash, self.heads.len());
        loop {
            let link = self.heads[head & (self.heads.len() - 1)];
            if link == 0 {
                return None;
            }
            let found = get(link as usize - 1);
            if wanted(&found) {
                return Some((link, found));
            }
            head += 1;
        }
    }

    /// Returns the link of the next record with the same key, or 0.
    #[inline(always)]
    pub(super) fn same(self, link: u32) -> u32 {
        self.lists
            .get(link as usize - 1)
            .map_or(0, |link| link.same)
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
            keys in proptest::collection::vec(0..9_u64, 0..50), more in 0..50_usize, mask in 0..8_u64,
        ) {
            // With a mask of 0 all keys collide.
            let hash = |key: u64| KeyHash(key & mask);
            let index = indexed(&keys, keys.len() + more, hash);
            for key in 0..10 {
                let places = index.places();
                let found = places.find(hash(key), |place| keys[place], |&k| k == key);
                let mut link = found.map_or(0, |(link, _)| link);
                let mut found = Vec::new();
                while link != 0 {
                    found.push(link as usize - 1);
                    link = places.same(link);
                }
                let expected = (0..keys.len()).filter(|&place| keys[place] == key);
                prop_assert!(expected.eq(found), "key {key}");
            }
        }
    }

    #[test]
    fn an_index_begins_anew() {
        let mut index = indexed(&[1, 2, 3, 1], 4, KeyHash);
        assert_eq!(index.places().same(1), 4);
        index.begin(4);
        while index.clear_some().is_some() {}
        assert_eq!((index.len(), index.places().first(KeyHash(1))), (0, 0));
        (0..4).for_each(|key| index.add(KeyHash(key), |_| false));
        assert!((1..=4).all(|link| index.places().same(link) == 0));
    }

    #[test]
    fn there_is_room_until_half_of_the_heads_are_taken() {
        let mut index = Index::default();
        assert!(!index.has_room_for(1));
        for places in [1, 100, SPREAD_MAX + 1] {
            index.begin(places);
            assert!(index.has_room_for(2 * places) && !index.has_room_for(8 * places));
        }
    }

    /// Hashes as in a job with many subtasks: of consecutively assigned keys, those in one range.
    #[test]
    fn keys_of_one_of_many_subtasks_hardly_meet() {
        for groups_log2 in [0, 7, 15] {
            let mut own = (0..u64::MAX)
                .map(KeyHash::of_u64)
                .filter(|hash| hash.0.checked_shr(64 - groups_log2).unwrap_or(0) == 0);
            let hashes: Vec<_> = own.by_ref().take(1000).collect();
            let mut starts: Vec<_> = hashes.iter().map(|&hash| start(hash, 1 << 13)).collect();
            starts.sort_unstable();
            starts.dedup();
            assert!(starts.len() > 850, "{groups_log2}: {} heads", starts.len());
        }
    }
}
