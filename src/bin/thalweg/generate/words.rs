//! Text: lines of words, of which a few are frequent and many are rare.

use std::collections::HashSet;

use crate::nexmark::{Random, Zipf};

/// The number of different words.
const WORDS: usize = 100_000;

/// The length of a word in letters: the minimum, and the number of possible lengths.
const LETTERS: (u64, u64) = (3, 8);

/// The number of words in a line: the minimum, and the number of possible values.
const WORDS_OF_LINE: (u64, u64) = (8, 9);

/// Generates lines endlessly.
#[derive(Debug)]
pub(super) struct Words {
    vocabulary: Vec<Vec<u8>>,
    zipf: Zipf,
    random: Random,
}

impl Words {
    /// Generates a vocabulary, in which the first words are the frequent ones.
    pub(super) fn new(mut random: Random) -> Self {
        let mut known = HashSet::new();
        let mut vocabulary = Vec::with_capacity(WORDS);
        while vocabulary.len() < WORDS {
            let letters = LETTERS.0 + random.below(LETTERS.1);
            let letter = |_| b'a' + random.below(26) as u8;
            let word: Vec<u8> = (0..letters).map(letter).collect();
            if known.insert(word.clone()) {
                vocabulary.push(word);
            }
        }
        Words {
            vocabulary,
            zipf: Zipf::new(WORDS, 1.0),
            random,
        }
    }

    /// Replaces the contents of `line` with the next line, including its terminator; returns its number of words.
    pub(super) fn fill(&mut self, line: &mut Vec<u8>) -> u64 {
        line.clear();
        let words = WORDS_OF_LINE.0 + self.random.below(WORDS_OF_LINE.1);
        for _ in 0..words {
            let rank = self.zipf.rank(&mut self.random);
            line.extend_from_slice(&self.vocabulary[rank]);
            line.push(b' ');
        }
        // The trailing space.
        line.pop();
        line.push(b'\n');
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_8_to_16_words_with_single_spaces() {
        let mut words = Words::new(Random::new(3));
        let mut line = Vec::new();
        let mut counts = HashSet::new();
        for _ in 0..1000 {
            let count = words.fill(&mut line);
            let text = std::str::from_utf8(&line).expect("ASCII");
            let text = text.strip_suffix('\n').expect("a whole line");
            assert_eq!(text.split(' ').count() as u64, count);
            assert!(text.split(' ').all(|word| (3..=10).contains(&word.len())));
            assert!(text.bytes().all(|b| b == b' ' || b.is_ascii_lowercase()));
            counts.insert(count);
        }
        assert_eq!(counts.len(), 9);
        assert_eq!(
            (counts.iter().min(), counts.iter().max()),
            (Some(&8), Some(&16))
        );
    }
}
