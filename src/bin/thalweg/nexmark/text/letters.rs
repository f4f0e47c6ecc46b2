//! Random letters.

use crate::nexmark::Random;

/// The number of letters that one random number suffices for: 26^12 is below 2^57.
const LETTERS_OF_NUMBER: u64 = 12;

/// Appends `length` random letters, a to z.
pub(super) fn push_letters(text: &mut String, length: u64, random: &mut Random) {
    let mut left = length;
    while left > 0 {
        let mut bits = random.bits();
        for _ in 0..left.min(LETTERS_OF_NUMBER) {
            text.push(char::from(b'a' + (bits % 26) as u8));
            bits /= 26;
        }
        left = left.saturating_sub(LETTERS_OF_NUMBER);
    }
}

/// Appends random letters, 80 to 119 percent of `average`.
pub(super) fn push_extra(text: &mut String, average: u64, random: &mut Random) {
    let spread = average / 5;
    let length = average - spread + random.below((2 * spread).max(1));
    push_letters(text, length, random);
}

/// Replaces the contents of `text` with the parts, reusing its memory.
pub(super) fn set(text: &mut String, parts: &[&str]) {
    text.clear();
    text.extend(parts.iter().copied());
}

/// Picks one of a few strings.
pub(super) fn pick<'a>(of: &[&'a str], random: &mut Random) -> &'a str {
    of[random.below(of.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_as_many_as_asked_for_and_all_alike_in_frequency() {
        let mut random = Random::new(5);
        for length in [0, 1, 11, 12, 13, 100] {
            let mut text = String::from("before ");
            push_letters(&mut text, length, &mut random);
            assert_eq!(text.len() as u64, 7 + length);
        }
        let mut text = String::new();
        push_letters(&mut text, 26_000, &mut random);
        for letter in 'a'..='z' {
            let count = text.matches(letter).count();
            assert!((850..1150).contains(&count), "{letter}: {count}");
        }
    }

    #[test]
    fn extra_is_as_long_as_asked_for_on_average() {
        let mut random = Random::new(5);
        let mut lengths = Vec::new();
        for _ in 0..1000 {
            let mut text = String::new();
            push_extra(&mut text, 70, &mut random);
            lengths.push(text.len());
        }
        assert!(lengths.iter().all(|length| (56..84).contains(length)));
        let mean = lengths.iter().sum::<usize>() / 1000;
        assert!((68..72).contains(&mean), "{mean}");
    }
}
