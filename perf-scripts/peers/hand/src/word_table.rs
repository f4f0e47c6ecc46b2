//! Words as sixteen bytes, and a table of their counts.
//!
//! ```text
//! slot  | bytes 0..8 | bytes 8..16 | count | unused |     32 bytes, two to a cache line
//! ```
//! A word of up to sixteen bytes is its own key, padded with zeros; longer ones, which are rare, are
//! keyed by where they stand in the text and counted in a map beside.

use allocator_api2::vec::Vec;
use foldhash::fast::FixedState;
use harness::{HugePages, fetch, fnv1a64};
use hashbrown::HashMap;

/// Set in the second half of a key that is a place in the text; ASCII never sets it.
const LONG: u64 = 1 << 63;

/// A word on its way to the table.
#[derive(Clone, Copy, Default)]
pub(crate) struct Word {
    /// How it enters the checksum, and where the table looks for it.
    pub(crate) hash: u64,
    key: [u64; 2],
}

impl Word {
    /// The word `text[start..end]`.
    #[inline(always)]
    pub(crate) fn new(text: &[u8], start: usize, end: usize) -> Self {
        let (word, len) = (&text[start..end], end - start);
        if len > 16 {
            let hash = fnv1a64(word);
            let key = [start as u64, LONG | len as u64];
            return Word { hash, key };
        }
        let padded = match text.get(start..start + 16) {
            Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("sixteen bytes")),
            None => {
                let mut bytes = [0; 16];
                bytes[..len].copy_from_slice(word);
                u128::from_le_bytes(bytes)
            }
        };
        let key = padded & (u128::MAX >> (128 - 8 * len as u32));
        let key = [key as u64, (key >> 64) as u64];
        Word {
            hash: hash_of(key),
            key,
        }
    }
}

/// The hash of the word that is padded to `key`. Words hold no zeros, so that the loop need not know
/// their length: it ends, as words do, at a place that cannot be predicted, but only once.
#[inline(always)]
fn hash_of(key: [u64; 2]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for mut rest in key {
        while rest != 0 {
            hash = (hash ^ (rest & 0xff)).wrapping_mul(0x0000_0100_0000_01b3);
            rest >>= 8;
        }
    }
    hash
}

#[derive(Clone, Copy, Default)]
#[repr(C, align(32))]
struct Slot {
    key: [u64; 2],
    count: u64,
    unused: u64,
}

type Slots = Vec<Slot, HugePages>;

/// Free slots, whose memory is in place.
fn free(count: usize) -> Slots {
    let mut slots = Vec::with_capacity_in(count, HugePages);
    slots.resize(count, Slot::default());
    slots
}

/// Counts per word of one text.
pub(crate) struct WordTable<'a> {
    text: &'a [u8],
    slots: Slots,
    shift: u32,
    len: usize,
    long: HashMap<&'a [u8], u64, FixedState>,
}

impl<'a> WordTable<'a> {
    /// A table with room for `words`, whose memory is in place.
    pub(crate) fn new(text: &'a [u8], words: usize) -> Self {
        let slots = (words * 2).next_power_of_two().max(64);
        let long = HashMap::default();
        WordTable {
            text,
            slots: free(slots),
            shift: 64 - slots.ilog2(),
            len: 0,
            long,
        }
    }

    #[inline(always)]
    fn place(&self, hash: u64) -> usize {
        (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    /// Fetches the slot of `word` into the cache, ahead of its count.
    #[inline(always)]
    pub(crate) fn prefetch(&self, word: &Word) {
        fetch(self.slots.as_ptr().wrapping_add(self.place(word.hash)));
    }

    /// Counts `word` and gives its count.
    #[inline(always)]
    pub(crate) fn count(&mut self, word: &Word) -> u64 {
        let mask = self.slots.len() - 1;
        let mut at = self.place(word.hash);
        loop {
            let slot = &mut self.slots[at & mask];
            if slot.key == word.key && word.key[1] & LONG == 0 {
                slot.count += 1;
                return slot.count;
            }
            if slot.count == 0 {
                return self.insert(word);
            }
            at += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, word: &Word) -> u64 {
        if word.key[1] & LONG != 0 {
            let start = word.key[0] as usize;
            let bytes = &self.text[start..start + (word.key[1] ^ LONG) as usize];
            let count = self.long.entry(bytes).or_insert(0);
            *count += 1;
            return *count;
        }
        if (self.len + 1) * 2 > self.slots.len() {
            let larger = free(self.slots.len() * 2);
            let old = std::mem::replace(&mut self.slots, larger);
            self.shift -= 1;
            for slot in old.iter().filter(|slot| slot.count > 0) {
                self.put(hash_of(slot.key), *slot);
            }
        }
        self.put(
            word.hash,
            Slot {
                key: word.key,
                count: 1,
                unused: 0,
            },
        );
        self.len += 1;
        1
    }

    fn put(&mut self, hash: u64, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = self.place(hash);
        while self.slots[at & mask].count > 0 {
            at += 1;
        }
        self.slots[at & mask] = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_word_has_the_hash_of_its_bytes() {
        for word in [
            "a",
            "eightcha",
            "ninechars",
            "sixteencharacter",
            "morethansixteenofthem",
        ] {
            let found = Word::new(word.as_bytes(), 0, word.len());
            assert_eq!(found.hash, fnv1a64(word.as_bytes()));
        }
    }

    #[test]
    fn counts_are_those_of_a_map() {
        let mut text = Vec::new();
        for i in 0..5000u64 {
            let word = format!("{:x}", harness::mix64(i % 700) >> (4 * (i % 15)));
            let word = if i % 50 == 0 { word.repeat(4) } else { word };
            text.extend_from_slice(format!("{word} ").as_bytes());
        }
        let mut table = WordTable::new(&text, 10);
        let mut map: HashMap<&[u8], u64> = HashMap::new();
        let mut start = 0;
        for end in (0..text.len()).filter(|&at| text[at] == b' ') {
            let count = map.entry(&text[start..end]).or_insert(0);
            *count += 1;
            let word = Word::new(&text, start, end);
            table.prefetch(&word);
            assert_eq!(table.count(&word), *count);
            start = end + 1;
        }
    }
}
