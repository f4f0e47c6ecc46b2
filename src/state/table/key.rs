//! What a table requires of its keys: a stable hash.

use crate::record::{Key, KeyHash, KeyHasher, StoredKey};

/// A key as stored in a table. Every [`StoredKey`] is one.
pub trait TableKey {
    /// The stable hash of this key.
    fn key_hash(&self) -> KeyHash;

    /// The hash under the job's key-group assignment: the one that callers pass beside the key to the table's methods.
    /// A table calls this on the stored keys when it splits its segments.
    #[inline]
    fn hash_under(&self, hasher: &KeyHasher) -> KeyHash {
        let _ = hasher;
        self.key_hash()
    }
}

impl<S: StoredKey> TableKey for S {
    #[inline(always)]
    fn key_hash(&self) -> KeyHash {
        self.key().key_hash()
    }

    #[inline(always)]
    fn hash_under(&self, hasher: &KeyHasher) -> KeyHash {
        hasher.hash(self.key())
    }
}
