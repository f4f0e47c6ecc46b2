//! The stable hash of keys: what key groups, table positions and checkpoints rest on.
//!
//! The hash is part of the checkpoint format (version [`KEY_HASH_VERSION`]): it never depends on the
//! process, the platform's word size or a random seed. Integers up to 64 bits are mixed by one folded
//! multiplication; everything longer goes through XXH3-64 with seed 0. The *top* bits choose the key
//! group and the position in a state table, the *low* bits tell entries of one group apart.

use xxhash_rust::xxh3::xxh3_64;

use super::short_bytes::ShortBytes;

/// Version of the functions in this file; a checkpoint written under another version is refused.
pub const KEY_HASH_VERSION: u32 = 1;

/// Found by search: with it the keys 0, 1, 2 … spread evenly over 2, 3, 4 and 8 subtasks, because the
/// first thing that many a job is keyed by is a handful of small numbers.
const MIX_ADD: u64 = 0xBB33_CF72_48F5_47C7;
const MIX_MUL: u64 = 0xD6E8_FEB8_6659_FD93;
const MIX_END: u64 = 0xA076_1D64_78BD_642F;

/// A stable 64-bit hash of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The hash of an integer: a folded multiplication and a final one that spreads the low half.
    #[inline(always)]
    #[must_use]
    pub const fn of_u64(value: u64) -> Self {
        let product = (value ^ MIX_ADD) as u128 * MIX_MUL as u128;
        KeyHash(((product as u64) ^ (product >> 64) as u64).wrapping_mul(MIX_END))
    }

    /// The hash of a byte string.
    #[inline(always)]
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match ShortBytes::of(bytes) {
            Some(short) => KeyHash(short.xxh3()),
            None => KeyHash::of_other_bytes(bytes),
        }
    }

    /// The hash of a byte string of any length. Large, and so not written out where it is called.
    #[inline(never)]
    fn of_other_bytes(bytes: &[u8]) -> Self {
        KeyHash(xxh3_64(bytes))
    }

    /// Folds a second component in: the hash of a tuple.
    #[inline(always)]
    #[must_use]
    pub const fn then(self, next: KeyHash) -> Self {
        KeyHash::of_u64(self.0.rotate_left(23) ^ next.0)
    }
}
