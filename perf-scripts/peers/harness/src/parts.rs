//! Text cut at separators. 64 bytes are looked at together, so that the processor need not predict how
//! long the next part is.

use std::ops::Range;

/// The places of the parts of a text between its separators, but for the empty ones.
#[derive(Clone, Debug)]
pub struct Parts<'a, const N: usize> {
    text: &'a [u8],
    separators: [u8; N],
    /// Where the next part starts.
    start: usize,
    /// Where the current 64 bytes start.
    block: usize,
    /// A bit for every part still to come that ends among them.
    ends: u64,
}

impl<'a, const N: usize> Parts<'a, N> {
    /// Those of `text` between bytes that are one of `separators`.
    #[inline(always)]
    pub fn new(text: &'a [u8], separators: [u8; N]) -> Self {
        Parts {
            text,
            separators,
            start: 0,
            block: 0,
            ends: ends(text, 0, separators),
        }
    }
}

impl<const N: usize> Iterator for Parts<'_, N> {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            while self.ends == 0 {
                if self.text.len() - self.block < 64 {
                    return None;
                }
                self.block += 64;
                self.ends = ends(self.text, self.block, self.separators);
            }
            let end = self.block + self.ends.trailing_zeros() as usize;
            self.ends &= self.ends - 1;
            let start = std::mem::replace(&mut self.start, end + 1);
            if start < end {
                return Some(start..end);
            }
        }
    }
}

/// A bit for every part that ends in the 64 bytes from `at` on: before a separator, or with the text.
#[inline(always)]
fn ends<const N: usize>(text: &[u8], at: usize, separators: [u8; N]) -> u64 {
    if let Some(block) = text[at..].first_chunk() {
        return among(block, separators);
    }
    let rest = text.len() - at;
    let last = match text.last_chunk() {
        // Some of the last 64 bytes have been looked at already.
        Some(last) => among(last, separators).unbounded_shr(64 - rest as u32),
        None => {
            let mut padded = [0; 64];
            padded[..rest].copy_from_slice(text);
            among(&padded, separators) & ((1 << rest) - 1)
        }
    };
    last | 1 << rest
}

/// A bit for every separator.
#[inline(always)]
fn among<const N: usize>(block: &[u8; 64], separators: [u8; N]) -> u64 {
    #[cfg(target_feature = "avx2")]
    {
        use std::arch::x86_64::{
            _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256,
            _mm256_set1_epi8, _mm256_setzero_si256,
        };
        let half = |at: usize| {
            // SAFETY: half of the block is 32 readable bytes, and the instructions are there.
            unsafe {
                let bytes = _mm256_loadu_si256(block.as_ptr().add(at).cast());
                let equal = separators
                    .map(|separator| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(separator as i8)));
                let either = |one, other| _mm256_or_si256(one, other);
                let any = equal.into_iter().fold(_mm256_setzero_si256(), either);
                _mm256_movemask_epi8(any) as u32
            }
        };
        u64::from(half(0)) | u64::from(half(32)) << 32
    }
    #[cfg(not(target_feature = "avx2"))]
    {
        let bit = |(at, byte)| u64::from(separators.contains(byte)) << at;
        let bits = block.iter().enumerate().map(bit);
        bits.fold(0, |found, bit| found | bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_standard_library() {
        let mut text = Vec::new();
        for length in 0..300u64 {
            let is_separator = |byte: &u8| matches!(byte, b' ' | b'\n');
            let expected: Vec<&[u8]> = text.split(is_separator).filter(|p| !p.is_empty()).collect();
            let found: Vec<_> = Parts::new(&text, [b' ', b'\n'])
                .map(|part| &text[part])
                .collect();
            assert_eq!(found, expected, "{length} bytes");
            text.push(b"  \nabcdefghijklm"[crate::mix64(length) as usize % 16]);
        }
    }

    #[test]
    fn a_part_may_be_longer_than_a_block() {
        for length in 1..200 {
            let text = [&b"x".repeat(length)[..], b" y"].concat();
            let found: Vec<_> = Parts::new(&text, [b' ']).collect();
            assert_eq!(found, [0..length, length + 1..length + 2]);
        }
    }
}
