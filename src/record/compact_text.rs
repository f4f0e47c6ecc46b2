//! Comparing text with a stored one, three words at once.
//!
//! A [`CompactString`] of fewer than 24 bytes is those bytes, zeros up to the last byte, and its length there:
//!
//! ```text
//! byte   0 1 2 3 4 … 22 23
//!        w o r d 0 …  0  0xC0 | 4
//! ```
//! What a short text looks like is thus known, and a stored one that looks the same is the same: its length and
//! whether it has memory elsewhere need not be found out. One that looks different may be the same nevertheless, if it
//! was once longer. That strings look like this is checked by the compiler; otherwise they are compared as always.

#![expect(unsafe_code, reason = "looks at the bytes of a string's own form")]

use compact_str::CompactString;

use super::short_bytes::{ShortBytes, equal};

/// The words of a string's own form, in the order of their bytes.
type Form = [u64; 3];

/// The last byte of a string without memory elsewhere is at least this, which is added to its length.
const INLINE: u64 = 0xC0;

/// Whether strings have that form: not on a platform of narrower words, for example.
const HAS_FORM: bool = size_of::<CompactString>() == size_of::<Form>()
    && align_of::<CompactString>() == align_of::<Form>()
    && has_form("w")
    && has_form("word")
    && has_form("words of sixteen");

/// Whether this text, stored, has that form.
const fn has_form(text: &'static str) -> bool {
    let stored = CompactString::const_new(text);
    let mut expected = [0; 24];
    let (bytes, _) = expected.split_at_mut(text.len());
    bytes.copy_from_slice(text.as_bytes());
    expected[23] = INLINE as u8 | text.len() as u8;
    // SAFETY: `HAS_FORM` asks this of strings of that size only.
    let words = unsafe { form(&stored) };
    std::mem::forget(stored);
    let (expected, _) = expected.as_chunks();
    u64::from_le_bytes(expected[0]) == words[0]
        && u64::from_le_bytes(expected[1]) == words[1]
        && u64::from_le_bytes(expected[2]) == words[2]
}

/// The form of a stored string.
///
/// # Safety
/// It must have the size and alignment of a form.
#[inline(always)]
const unsafe fn form(stored: &CompactString) -> Form {
    // SAFETY: as the caller promises. All its bytes are initialized: they are the text's or those of three words.
    let [first, second, last] = unsafe { std::ptr::from_ref(stored).cast::<Form>().read() };
    [
        u64::from_le(first),
        u64::from_le(second),
        u64::from_le(last),
    ]
}

/// The form of a short text, stored.
#[inline(always)]
fn form_of(short: ShortBytes) -> Form {
    let (first, second, length) = short.parts();
    [first, second, (INLINE | length) << 56]
}

/// Whether `stored` is `text`.
#[inline(always)]
pub(super) fn is_same(stored: &CompactString, text: &str) -> bool {
    if HAS_FORM && let Some(short) = ShortBytes::of(text.as_bytes()) {
        // SAFETY: strings have the form, so they have its size and alignment.
        let (words, wanted) = (unsafe { form(stored) }, form_of(short));
        // Not as arrays, which would be copied to be compared by vector instructions.
        if (words[0] ^ wanted[0]) | (words[1] ^ wanted[1]) | (words[2] ^ wanted[2]) == 0 {
            return true;
        }
    }
    is_same_text(stored, text)
}

/// Whether `stored` is `text`, which is not short or looks different.
#[cold]
#[inline(never)]
fn is_same_text(stored: &CompactString, text: &str) -> bool {
    equal(stored.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_looks_as_computed() {
        const { assert!(HAS_FORM) };
        for length in 1..=16 {
            let text = &"Words, and words"[..length];
            let Some(short) = ShortBytes::of(text.as_bytes()) else {
                panic!("{text} is not short");
            };
            // SAFETY: it has the form.
            let words = unsafe { form(&CompactString::from(text)) };
            assert_eq!(words, form_of(short));
        }
    }

    #[test]
    fn texts_are_the_same_if_all_their_bytes_are() {
        let texts: Vec<String> = (0..40)
            .flat_map(|length| ["a".repeat(length), "\0".repeat(length)])
            .collect();
        for (a, b) in texts.iter().flat_map(|a| texts.iter().map(move |b| (a, b))) {
            assert_eq!(is_same(&CompactString::from(a), b), a == b);
        }
        // Once longer, in place or elsewhere, it looks different.
        let mut shortened = [CompactString::from("word, word"), "word ".repeat(9).into()];
        shortened.iter_mut().for_each(|text| text.truncate(4));
        assert!(shortened.iter().all(|text| is_same(text, "word")));
    }
}
