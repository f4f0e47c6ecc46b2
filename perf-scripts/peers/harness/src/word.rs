//! Lines and words of the mapped text, as engines hand them on.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::fnv1a64;
use crate::parts::Parts;

/// A part of the mapped text: a record points to it rather than owns a copy. Workers share memory, so
/// that no part of it is ever written out, though engines ask for the means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text(pub &'static [u8]);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("text stays in its process"))
    }
}

impl Text {
    /// The lines of a run of lines.
    #[inline(always)]
    pub fn lines(self) -> impl Iterator<Item = Text> + Send {
        Parts::new(self.0, *b"\n").map(move |line| Text(&self.0[line]))
    }

    /// The words of a line.
    #[inline(always)]
    pub fn words(self) -> impl Iterator<Item = Word> + Send {
        Parts::new(self.0, *b" ").map(move |word| Word::new(&self.0[word]))
    }
}

/// A word with its hash, which deals it out, finds its count, and stands for it in the checksum.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Word {
    /// The hash of the specification.
    pub hash: u64,
    /// The word itself, which decides whether two are the same.
    pub text: Text,
}

impl Word {
    fn new(text: &'static [u8]) -> Self {
        let hash = fnv1a64(text);
        let text = Text(text);
        Word { hash, text }
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Word {}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
