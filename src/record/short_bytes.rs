//! Byte strings of 4 to 16 bytes, such as most words: read without a branch on their length.
//!
//! Keys that are text differ in length at random, so every branch on it is taken back as often as not, and
//! one that is costs as much as ten or twenty instructions. Four words of four bytes, which overlap as far
//! as they must, cover each such string, whatever its length:
//!
//! ```text
//! 6 bytes   a b c d e f          words   abcd cdef abcd cdef
//! 13        a b c d … j k l m            abcd efgh fghi jklm
//! ```

#![expect(unsafe_code, reason = "reads words at places that were just computed")]

use std::hint::select_unpredictable;

/// A string of 4 to 16 bytes.
#[derive(Clone, Copy)]
pub(crate) struct ShortBytes<'a>(&'a [u8]);

impl<'a> ShortBytes<'a> {
    /// What a place for any of them holds.
    pub(crate) const LENGTH_MAX: usize = 16;

    /// `None` where the string is shorter or longer.
    #[inline(always)]
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        let short = (4..=Self::LENGTH_MAX).contains(&bytes.len());
        short.then_some(ShortBytes(bytes))
    }

    /// Where the words start.
    #[inline(always)]
    fn starts(self) -> [usize; 4] {
        let length = self.0.len();
        [0, (length - 4).min(4), length.max(8) - 8, length - 4]
    }

    /// The words, least significant byte first.
    #[inline(always)]
    fn words(self) -> [u32; 4] {
        self.starts().map(|start| {
            debug_assert!(start + 4 <= self.0.len());
            // SAFETY: of a string of `n` bytes, 4 at least and 16 at most, no word starts behind `n - 4`.
            let word = unsafe { self.0.as_ptr().add(start).cast::<[u8; 4]>().read() };
            u32::from_le_bytes(word)
        })
    }

    /// Writes the string to the start of `place`.
    #[inline(always)]
    pub(crate) fn write(self, place: &mut [u8; 16]) {
        for (start, word) in self.starts().into_iter().zip(self.words()) {
            place[start..start + 4].copy_from_slice(&word.to_le_bytes());
        }
    }

    /// What XXH3-64 makes of the string: it has one rule for up to 8 bytes and one for more, and here both
    /// are followed, side by side.
    #[inline(always)]
    pub(super) fn xxh3(self) -> u64 {
        let length = self.0.len() as u64;
        let [a, b, c, d] = self.words().map(u64::from);
        let short = {
            let keyed = (d | a << 32) ^ SECRET_SHORT;
            let mixed = keyed ^ keyed.rotate_left(49) ^ keyed.rotate_left(24);
            let mixed = mixed.wrapping_mul(PRIME_MX2);
            let mixed = (mixed ^ ((mixed >> 35) + length)).wrapping_mul(PRIME_MX2);
            mixed ^ mixed >> 28
        };
        let long = {
            let (low, high) = ((a | b << 32) ^ SECRET_LOW, (c | d << 32) ^ SECRET_HIGH);
            let product = u128::from(low) * u128::from(high);
            let sum = length
                .wrapping_add(low.swap_bytes())
                .wrapping_add(high)
                .wrapping_add(product as u64 ^ (product >> 64) as u64);
            let mixed = (sum ^ sum >> 37).wrapping_mul(PRIME_MX1);
            mixed ^ mixed >> 32
        };
        select_unpredictable(length > 8, long, short)
    }
}

/// Whether two byte strings are equal.
#[inline(always)]
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (ShortBytes::of(a), ShortBytes::of(b)) {
        (Some(a), Some(b)) => {
            let (a, b) = (a.words(), b.words());
            (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) == 0
        }
        _ => a == b,
    }
}

// Of XXH3's specification: two primes, and its default secret, folded for a seed of 0.
const PRIME_MX1: u64 = 0x1656_6791_9E37_79F9;
const PRIME_MX2: u64 = 0x9FB2_1C65_1E98_DF25;
const SECRET_SHORT: u64 = 0x1CAD_21F7_2C81_017C ^ 0xDB97_9083_E96D_D4DE;
const SECRET_LOW: u64 = 0x1F67_B3B7_A4A4_4072 ^ 0x78E5_C0CC_4EE6_79CB;
const SECRET_HIGH: u64 = 0x2172_FFCC_7DD0_5A82 ^ 0x8E24_43F7_7446_08B8;

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    /// A string of every length up to 20.
    fn strings() -> impl Iterator<Item = Vec<u8>> {
        (0..20u8).map(|length| (0..length).map(|at| at.wrapping_mul(29) ^ length).collect())
    }

    #[test]
    fn the_hash_is_that_of_xxh3() {
        for string in strings() {
            let short = ShortBytes::of(&string);
            assert_eq!(short.is_some(), (4..=16).contains(&string.len()));
            assert!(short.is_none_or(|short| short.xxh3() == xxh3_64(&string)));
        }
    }

    #[test]
    fn what_is_written_is_the_string() {
        for string in strings() {
            let Some(short) = ShortBytes::of(&string) else {
                continue;
            };
            let mut place = [0xEE; ShortBytes::LENGTH_MAX];
            short.write(&mut place);
            assert_eq!(place[..string.len()], string);
        }
    }

    #[test]
    fn strings_are_equal_if_all_their_bytes_are() {
        for string in strings() {
            assert!(equal(&string, &string.clone()));
            for at in 0..string.len() {
                let mut other = string.clone();
                other[at] ^= 1;
                assert!(!equal(&string, &other));
                assert!(!equal(&string, &string[..at]));
            }
        }
        // Of all lengths, the same words.
        let zeros = [0; 20];
        for (a, b) in (0..20).flat_map(|a| (0..20).map(move |b| (a, b))) {
            assert_eq!(equal(&zeros[..a], &zeros[..b]), a == b);
        }
    }
}
