//! The stable hash of keys, on which key groups, table positions and checkpoints are based.
//!
//! The hash is part of the checkpoint format (version [`KEY_HASH_VERSION`]): it never depends on the process, the
//! platform's word size or a random seed. The *top* bits choose the key group, and the segment and group of a state
//! table; the *low* bits distinguish entries of one group.
//!
//! Integers are hashed by one multiplication with the golden ratio's fraction (Knuth, The Art of Computer Programming,
//! vol. 3, section 6.4): consecutively assigned numbers, which most keys are, are then equally spaced, more evenly than
//! by chance, so that hardly any group of a table overflows. Random keys stay randomly distributed. The product's upper
//! word, which is small for small keys, is folded in so that keys whose low bits are all alike differ in theirs. Byte
//! strings of up to 16 bytes, such as most words, are treated as two numbers, which are multiplied with each other; a
//! second multiplication spreads the low half: no branch depends on their length. Longer ones go through XXH3-64 with
//! seed 0.

use xxhash_rust::xxh3::xxh3_64;

use super::short_bytes::ShortBytes;

/// The version of the functions in this file; a checkpoint with another version is rejected.
pub const KEY_HASH_VERSION: u32 = 3;

/// The golden ratio's fraction of 2^64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Found by search: with this offset the keys 0, 1, 2 … spread evenly over 2, 3, 4 and 8 subtasks, because many a job
/// is first keyed by a handful of small numbers.
const FIRST: u64 = 183;

const MIX_ADD: u64 = 0xBB33_CF72_48F5_47C7;
const MIX_MUL: u64 = 0xD6E8_FEB8_6659_FD93;
const MIX_END: u64 = 0xA076_1D64_78BD_642F;

/// A stable 64-bit hash of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The hash of an integer, see the module's documentation.
    #[inline(always)]
    #[must_use]
    pub const fn of_u64(value: u64) -> Self {
        let product = value.wrapping_add(FIRST) as u128 * GOLDEN as u128;
        KeyHash(product as u64 ^ (product >> 64) as u64)
    }

    /// The hash of a byte string.
    #[inline(always)]
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match ShortBytes::of(bytes) {
            Some(short) => KeyHash::of_short_bytes(short),
            None => KeyHash::of_other_bytes(bytes),
        }
    }

    /// The hash of a byte string of 1 to 16 bytes.
    #[inline(always)]
    fn of_short_bytes(short: ShortBytes) -> Self {
        let (low, high, length) = short.parts();
        // The length distinguishes strings that end with zeros.
        let high = (high ^ MIX_MUL).wrapping_add(length);
        KeyHash::mixed(low ^ MIX_ADD, high)
    }

    /// A folded multiplication, and a final one that spreads the low half: neither of the two factors may be visible in
    /// the bits that choose a group.
    #[inline(always)]
    const fn mixed(a: u64, b: u64) -> Self {
        let product = a as u128 * b as u128;
        KeyHash((product as u64 ^ (product >> 64) as u64).wrapping_mul(MIX_END))
    }

    /// The hash of a byte string of any length. Large, and so not inlined.
    #[inline(never)]
    fn of_other_bytes(bytes: &[u8]) -> Self {
        KeyHash(xxh3_64(bytes))
    }

    /// Folds a second component in: the hash of a tuple.
    #[inline(always)]
    #[must_use]
    pub const fn then(self, next: KeyHash) -> Self {
        let both = self.0.rotate_left(23) ^ next.0;
        KeyHash::mixed(both ^ MIX_ADD, MIX_MUL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether values below `count` are distributed at least as evenly as by chance.
    fn are_even(values: impl ExactSizeIterator<Item = u64>, count: usize) -> bool {
        let expected = values.len() as f64 / count as f64;
        let mut found = vec![0.0; count];
        values.for_each(|value| found[value as usize] += 1.0);
        let squares: f64 = found.iter().map(|found| (found - expected).powi(2)).sum();
        // Pearson's test: the mean is that of chance, and six times its deviation never occurs.
        let mean = (count - 1) as f64;
        squares / expected < mean + 6.0 * (2.0 * mean).sqrt()
    }

    #[test]
    fn texts_spread_over_groups_and_tags_as_by_chance() {
        let kinds: [fn(u64) -> String; 6] = [
            |n| n.to_string(),
            |n| format!("{n:08}"),
            |n| format!("user-{n:06}"),
            |n| format!("{:016x}", n.wrapping_mul(GOLDEN)),
            |n| format!("{n:016}"),
            |n| {
                char::from(b'a' + (n % 26) as u8)
                    .to_string()
                    .repeat(n as usize % 9)
                    + &n.to_string()
            },
        ];
        let bits = if cfg!(miri) { 6 } else { 12 };
        for kind in kinds {
            let hashes: Vec<u64> = (0..8 << bits)
                .map(|n| KeyHash::of_bytes(kind(n).as_bytes()).0)
                .collect();
            let hashes = hashes.iter();
            let text = kind(1);
            assert!(
                are_even(hashes.clone().map(|hash| hash >> (64 - bits)), 1 << bits),
                "{text}"
            );
            assert!(
                are_even(hashes.clone().map(|hash| hash & 0x7F), 1 << 7),
                "{text}"
            );
            let (group, tag) = (bits / 2, (1 << (bits / 2)) - 1);
            let both = hashes.map(|hash| hash >> (64 - group) << group | hash & tag);
            assert!(are_even(both, 1 << (2 * group)), "{text}");
        }
    }
}
