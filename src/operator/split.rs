//! Splitting text: finding the parts of a line.

#![expect(
    unsafe_code,
    reason = "vector instructions; and the bounds of a part need no check, for each of which there are two"
)]

use super::FlatMapFunction;

/// Splits text at every occurrence of an ASCII character, as `str::split` does: between two of them,
/// before the first and after the last one, there may be an empty part. No part is copied.
///
/// Much faster than `str::split` for short parts: it looks at 64 bytes at a time, so that the processor need not
/// predict how long the next part is.
///
/// ```
/// use thalweg::operator::Split;
/// use thalweg::prelude::*;
///
/// let env = Environment::new();
/// env.source("lines", LineBlocks::file("lines.txt"))
///     .flat_map_with(Split::at(' '))
///     .key_by_ref(|word| word)
///     .aggregate_with(Count, |word: &str, count| format!("{word}: {count}"))
///     .sink("counts", Print::stdout());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Split {
    separator: u8,
}

impl Split {
    /// Creates a splitter at every `separator`.
    ///
    /// # Panics
    /// If `separator` is not ASCII.
    #[must_use]
    pub fn at(separator: char) -> Self {
        assert!(separator.is_ascii(), "a separator is an ASCII character");
        Split {
            separator: separator as u8,
        }
    }

    /// Returns the parts of a text.
    #[inline(always)]
    pub(crate) fn parts(self, text: &str) -> Parts<'_> {
        Parts {
            split: self,
            text,
            start: 0,
            block: 0,
            ends: self.ends(text.as_bytes()),
        }
    }

    /// Returns a bit for each part that ends among the first 64 bytes: before a separator, or at the end of the text.
    /// Not inlined: in the loop over the parts, its constants would be loaded again for every part.
    #[inline(never)]
    fn ends(self, bytes: &[u8]) -> u64 {
        if let Some(block) = bytes.first_chunk::<64>() {
            let (quarters, _) = block.as_chunks();
            return (0..4).fold(0, |found, at| {
                found | self.among(&quarters[at]) << (16 * at)
            });
        }
        let (quarters, rest) = bytes.as_chunks();
        let mut found = 1 << bytes.len();
        for (at, quarter) in quarters.iter().enumerate() {
            found |= self.among(quarter) << (16 * at);
        }
        // The last sixteen bytes, some of which have been looked at already.
        if let Some(last) = bytes.last_chunk() {
            return found | self.among(last) << (bytes.len() - 16);
        }
        if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
            return found | self.among_eight(*first) | self.among_eight(*last) << (rest.len() - 8);
        }
        let bit = |(at, byte): (usize, &u8)| u64::from(*byte == self.separator) << at;
        rest.iter()
            .enumerate()
            .map(bit)
            .fold(found, |found, bit| found | bit)
    }

    /// Returns a bit for each separator among these bytes.
    #[inline(always)]
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn among(self, bytes: &[u8; 16]) -> u64 {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        // SAFETY: every x86-64 has SSE2, and exactly those sixteen bytes are read.
        let equal = unsafe {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            let separator = _mm_set1_epi8(self.separator as i8);
            _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, separator))
        };
        u64::from(equal as u32)
    }

    /// Returns a bit for each separator among these bytes.
    #[inline(always)]
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    fn among(self, bytes: &[u8; 16]) -> u64 {
        let (eights, _) = bytes.as_chunks();
        self.among_eight(eights[0]) | self.among_eight(eights[1]) << 8
    }

    /// Returns a bit for each separator among these bytes.
    #[inline(always)]
    fn among_eight(self, bytes: [u8; 8]) -> u64 {
        const LOW_BITS: u64 = 0x7F7F_7F7F_7F7F_7F7F;
        const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;
        // Zero where the byte is the separator; then the top bit of such a byte; then one bit each.
        let differences = u64::from_le_bytes(bytes) ^ (EVERY_BYTE * u64::from(self.separator));
        let equal = !(((differences & LOW_BITS) + LOW_BITS) | differences | LOW_BITS);
        (equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
}

impl FlatMapFunction<str> for Split {
    type Out = str;

    #[inline(always)]
    fn flat_map(&mut self, text: &str, mut emit: impl FnMut(&str)) {
        // A single call for all parts: everything downstream is then inlined here, once.
        for part in self.parts(text) {
            emit(part);
        }
    }
}

/// The parts of a text, from the first to the last.
pub(crate) struct Parts<'a> {
    split: Split,
    text: &'a str,
    /// Where the next part starts: at the start of the text, or after a separator.
    start: usize,
    /// Where the current block of 64 bytes starts.
    block: usize,
    /// Where parts that are still to come end in it.
    ends: u64,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        while self.ends == 0 {
            if bytes.len() - self.block < 64 {
                return None;
            }
            self.block += 64;
            self.ends = self.split.ends(&bytes[self.block..]);
        }
        let end = self.block + self.ends.trailing_zeros() as usize;
        // SAFETY: `start` is the start of the text or comes after a separator, `end` is the next separator at
        // or after it, or the end of the text. A separator is ASCII, so both are character boundaries.
        let part = unsafe { self.text.get_unchecked(self.start..end) };
        self.ends &= self.ends - 1;
        self.start = end + 1;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str, separator: char) -> Vec<String> {
        let mut parts = Vec::new();
        Split::at(separator).flat_map(text, |part| parts.push(part.to_owned()));
        parts
    }

    #[test]
    #[should_panic(expected = "ASCII")]
    fn a_separator_of_several_bytes_is_refused() {
        let _ = Split::at('→');
    }

    proptest! {
        #[test]
        fn parts_are_those_of_the_standard_library(
            text in proptest::collection::vec("[a!¡é ]{0,9}| {60,70}|[a-z]{0,130}", 0..20),
        ) {
            let text = text.concat();
            for separator in [' ', '!', 'a', '\0'] {
                let expected: Vec<_> = text.split(separator).map(str::to_owned).collect();
                prop_assert_eq!(parts(&text, separator), expected);
            }
        }
    }
}
