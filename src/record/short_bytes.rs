//! Byte strings of 1 to 16 bytes, such as most words, as one zero-padded number each.
//!
//! Text keys vary in length at random, so every branch on the length is often mispredicted, and a misprediction costs
//! as much as ten or twenty instructions. As a number a string is hashed, compared and copied without such a branch.
//!
//! On x86-64 sixteen bytes are read, of which only the string's are kept. That others may follow it, or nothing at all,
//! does no harm as long as they are in the same page. Where they are not, and elsewhere, four words of four bytes,
//! which overlap as far as necessary, cover every string that is at least as long as one of them:
//!
//! ```text
//! 6 bytes   a b c d e f          words   abcd cdef abcd cdef
//! 13        a b c d … j k l m            abcd efgh fghi jklm
//! ```

#![expect(
    unsafe_code,
    reason = "reads words at places that were just computed, or more than is used"
)]

/// A string of 1 to 16 bytes.
#[derive(Clone, Copy, PartialEq)]
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
unsafe fn padded(bytes: &[u8]) -> u128 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if sixteen::can_be_read(bytes) {
        // SAFETY: it has 1 to 16 bytes, and sixteen can be read.
        return unsafe { sixteen::read(bytes) & sixteen::own(bytes.len()) };
    }
    // SAFETY: it has 1 to 16 bytes.
    unsafe { padded_by_words(bytes) }
}

/// Reading sixteen bytes, of which only the first ones may be the string.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod sixteen {
    /// The size of the smallest page.
    const PAGE: usize = 4096;

    /// As many ones as the longest string has bytes, then as many zeros.
    static ONES_AND_ZEROS: [u8; 32] = {
        let mut bytes = [0; 32];
        let (ones, _) = bytes.split_at_mut(16);
        ones.copy_from_slice(&[0xFF; 16]);
        bytes
    };

    /// Whether sixteen bytes from the start of the string are in one page, so that all are there if the first one is.
    #[inline(always)]
    pub(super) fn can_be_read(bytes: &[u8]) -> bool {
        bytes.as_ptr().addr() % PAGE <= PAGE - 16
    }

    /// The string, then arbitrary bytes.
    ///
    /// # Safety
    /// It must have at least one byte, and [`can_be_read`].
    #[inline(always)]
    pub(super) unsafe fn read(bytes: &[u8]) -> u128 {
        let (low, high): (u64, u64);
        // SAFETY: the memory is there, as the caller promises, so that nothing traps. As far as Rust is concerned, the
        // string is read and other bytes are made up; whoever may write where they come from is not disturbed.
        unsafe {
            std::arch::asm!(
                "mov {low}, qword ptr [{string}]",
                "mov {high}, qword ptr [{string} + 8]",
                string = in(reg) bytes.as_ptr(),
                low = out(reg) low,
                high = lateout(reg) high,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        u128::from(low) | u128::from(high) << 64
    }

    /// Ones where a string of this length has its bytes.
    ///
    /// # Safety
    /// The length must be at most 16.
    #[inline(always)]
    pub(super) unsafe fn own(length: usize) -> u128 {
        debug_assert!(length <= 16);
        // SAFETY: sixteen bytes from any of the first seventeen places are in the array.
        let ones = unsafe {
            ONES_AND_ZEROS
                .as_ptr()
                .add(16 - length)
                .cast::<[u8; 16]>()
                .read()
        };
        u128::from_le_bytes(ones)
    }
}

/// The string as a number, by words that it has.
///
/// # Safety
/// It must have 1 to 16 bytes.
#[cfg_attr(all(target_arch = "x86_64", not(miri)), cold, inline(never))]
#[cfg_attr(not(all(target_arch = "x86_64", not(miri))), inline(always))]
unsafe fn padded_by_words(bytes: &[u8]) -> u128 {
    let length = bytes.len();
    if length < 4 {
        let byte = |at: usize| u128::from(bytes[at]) << (8 * at);
        return byte(0) | byte(length / 2) | byte(length - 1);
    }
    // In a string of `n` bytes, from 4 to 16, no word starts after `n - 4`. Where words overlap they agree.
    let words = [0, (length - 4).min(4), length.max(8) - 8, length - 4].map(|start| {
        debug_assert!(start + 4 <= length);
        // SAFETY: see above.
        let word = unsafe { bytes.as_ptr().add(start).cast::<[u8; 4]>().read() };
        u64::from(u32::from_le_bytes(word))
    });
    let [first, second, third, fourth] = words;
    let low = first | second << (8 * (length - 4).min(4));
    let last = third | fourth << 32;
    let high = std::hint::select_unpredictable(length > 8, last >> ((128 - 8 * length) & 63), 0);
    u128::from(low) | u128::from(high) << 64
}

/// Whether two byte strings are equal.
#[inline(always)]
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    match ShortBytes::of(a) {
        Some(short) => ShortBytes::of(b) == Some(short),
        None => a == b,
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

    #[test]
    fn a_string_is_the_same_wherever_in_a_page_it_ends() {
        let place = |string: &[u8], at: usize| {
            let mut pages = vec![0xEE; 3 * 4096];
            let start = pages.as_ptr().align_offset(4096) + at;
            pages[start..start + string.len()].copy_from_slice(string);
            (pages, start..start + string.len())
        };
        for string in strings().filter(|string| ShortBytes::of(string).is_some()) {
            let parts = |bytes: &[u8]| ShortBytes::of(bytes).map(ShortBytes::parts);
            let expected = parts(&string);
            for end in 4096 - 18..4096 + 18 {
                let (pages, range) = place(&string, end - string.len());
                assert_eq!(parts(&pages[range.clone()]), expected);
                assert!(equal(&pages[range], &string));
            }
        }
    }

    #[test]
    #[cfg(all(unix, not(miri)))]
    fn a_string_at_the_end_of_memory_is_read_without_what_would_follow() {
        use std::io::Write;

        for string in strings().filter(|string| ShortBytes::of(string).is_some()) {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![0xEE; 4096 - string.len()]).unwrap();
            file.write_all(&string).unwrap();
            // A page more than the file has: reading there kills the process.
            // SAFETY: nobody else has the file; only bytes of it are used.
            let mapping = unsafe { memmap2::MmapOptions::new().len(2 * 4096).map(&file) }.unwrap();
            let at_the_end = &mapping[4096 - string.len()..4096];
            assert!(equal(at_the_end, &string) && equal(&string, at_the_end));
            let parts = |bytes: &[u8]| ShortBytes::of(bytes).map(ShortBytes::parts);
            assert_eq!(parts(at_the_end), parts(&string));
        }
    }
}
