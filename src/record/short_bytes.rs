//! Byte strings of 1 to 16 bytes, such as most words, as one zero-padded number each.
//!
//! Text keys vary in length at random, so every branch on the length is often mispredicted, and a misprediction costs
//! as much as ten or twenty instructions. As a number a string is hashed, compared and copied without such a branch.
//! With AVX-512 a single load reads it, whatever its length. Elsewhere four words of four bytes, which overlap as far
//! as necessary, cover every string that is at least as long as one of them:
//!
//! ```text
//! 6 bytes   a b c d e f          words   abcd cdef abcd cdef
//! 13        a b c d … j k l m            abcd efgh fghi jklm
//! ```

#![expect(unsafe_code, reason = "reads words at places that were just computed")]

/// A string of 1 to 16 bytes.
#[derive(Clone, Copy)]
pub(crate) struct ShortBytes {
    /// The string, its first byte the least significant, padded with zeros.
    padded: u128,
    length: usize,
}

impl ShortBytes {
    /// The size of a buffer that fits any of them.
    pub(crate) const LENGTH_MAX: usize = 16;

    /// `None` if the string is empty or longer.
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let length = bytes.len();
        if !(1..=Self::LENGTH_MAX).contains(&length) {
            return None;
        }
        // SAFETY: it has 1 to 16 bytes.
        let padded = unsafe { padded(bytes) };
        Some(ShortBytes { padded, length })
    }

    /// How many bytes it has.
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// Writes the string to the start of `place`, followed by zeros.
    #[inline(always)]
    pub(crate) fn write(self, place: &mut [u8; 16]) {
        *place = self.padded.to_le_bytes();
    }

    /// The first eight bytes and those after them, as numbers, and the length.
    #[inline(always)]
    pub(super) fn parts(self) -> (u64, u64, u64) {
        (
            self.padded as u64,
            (self.padded >> 64) as u64,
            self.length as u64,
        )
    }
}

/// The string as a number.
///
/// # Safety
/// It must have 1 to 16 bytes.
#[inline(always)]
#[cfg(all(target_feature = "avx512bw", target_feature = "avx512vl", not(miri)))]
unsafe fn padded(bytes: &[u8]) -> u128 {
    use std::arch::x86_64::{__m128i, _mm_maskz_loadu_epi8};
    let own = ((1u32 << bytes.len()) - 1) as u16;
    // SAFETY: masked-out bytes are not read; both types are 16 bytes, of which all values are allowed.
    unsafe {
        let padded = _mm_maskz_loadu_epi8(own, bytes.as_ptr().cast());
        std::mem::transmute::<__m128i, u128>(padded)
    }
}

/// The string as a number.
///
/// # Safety
/// It must have 1 to 16 bytes.
#[inline(always)]
#[cfg(not(all(target_feature = "avx512bw", target_feature = "avx512vl", not(miri))))]
unsafe fn padded(bytes: &[u8]) -> u128 {
    let length = bytes.len();
    if length < 4 {
        let byte = |at: usize| u128::from(bytes[at]) << (8 * at);
        return byte(0) | byte(length / 2) | byte(length - 1);
    }
    // SAFETY: it has 4 to 16 bytes. Where words overlap they agree.
    let [first, second, third, fourth] = unsafe { words(bytes) }.map(u64::from);
    let low = first | second << (8 * (length - 4).min(4));
    let last = third | fourth << 32;
    let high = std::hint::select_unpredictable(length > 8, last >> ((128 - 8 * length) & 63), 0);
    u128::from(low) | u128::from(high) << 64
}

/// Four words that cover the string.
///
/// # Safety
/// It must have 4 to 16 bytes.
#[inline(always)]
#[cfg(not(all(target_feature = "avx512bw", target_feature = "avx512vl", not(miri))))]
unsafe fn words(bytes: &[u8]) -> [u32; 4] {
    let length = bytes.len();
    [0, (length - 4).min(4), length.max(8) - 8, length - 4].map(|start| {
        debug_assert!(start + 4 <= length);
        // SAFETY: in a string of `n` bytes, from 4 to 16, no word starts after `n - 4`.
        let word = unsafe { bytes.as_ptr().add(start).cast::<[u8; 4]>().read() };
        u32::from_le_bytes(word)
    })
}

/// Whether two strings are equal.
///
/// # Safety
/// They must have the same length, from 1 to 16 bytes.
#[inline(always)]
unsafe fn are_equal(a: &[u8], b: &[u8]) -> bool {
    #[cfg(not(all(target_feature = "avx512bw", target_feature = "avx512vl", not(miri))))]
    if a.len() >= 4 {
        // SAFETY: they have 4 to 16 bytes.
        let (a, b) = unsafe { (words(a), words(b)) };
        return (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) == 0;
    }
    // SAFETY: as the caller promises.
    unsafe { padded(a) == padded(b) }
}

/// Whether two byte strings are equal.
#[inline(always)]
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if (1..=ShortBytes::LENGTH_MAX).contains(&a.len()) {
        // SAFETY: both conditions were just checked.
        unsafe { are_equal(a, b) }
    } else {
        a == b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A string of every length up to 20.
    fn strings() -> impl Iterator<Item = Vec<u8>> {
        (0..20u8).map(|length| (0..length).map(|at| at.wrapping_mul(29) ^ length).collect())
    }

    #[test]
    fn what_is_written_is_the_string() {
        for string in strings() {
            let short = ShortBytes::of(&string);
            assert_eq!(short.is_some(), (1..=16).contains(&string.len()));
            let Some(short) = short else {
                continue;
            };
            let mut place = [0xEE; ShortBytes::LENGTH_MAX];
            short.write(&mut place);
            let (written, rest) = place.split_at(string.len());
            assert_eq!(written, string);
            assert!(rest.iter().all(|byte| *byte == 0));
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
        // Zeros of all lengths: the same words.
        let zeros = [0; 20];
        for (a, b) in (0..20).flat_map(|a| (0..20).map(move |b| (a, b))) {
            assert_eq!(equal(&zeros[..a], &zeros[..b]), a == b);
        }
    }
}
