//! Tables as checkpoints see them: frozen, drained and restored, whatever their contents.

use std::ops::RangeInclusive;

use super::schema::{decode_key, decode_value};
use super::table::{Drained, Extent, Lookahead, Table};
use crate::record::{FormError, KeyHash, KeyHasher, StateValue, StoredKey};

/// How many entries are restored at a time: their cache lines arrive while the next ones are decoded.
const AHEAD: usize = 64;

/// A table whose keys and values can be encoded, with its types erased.
pub trait DurableTable {
    /// How many entries there are.
    fn entry_count(&self) -> usize;

    /// Freezes the current generation of changes, see [`Table::freeze`].
    fn freeze(&mut self, extent: Extent);

    /// Whether most entries have changed since the last freeze, see [`Table::most_have_changed`].
    fn most_have_changed(&self) -> bool {
        false
    }

    /// Announces that the next freeze will be of the whole table, see [`Table::expect_whole`].
    fn expect_whole(&mut self) {}

    /// Appends about `budget` frozen entries, see [`Table::drain_frozen`].
    fn drain_frozen(&mut self, budget: usize, out: &mut Drained) -> bool;

    /// Restores encoded entries whose keys have one of these hashes.
    ///
    /// # Errors
    /// [`FormError`] if the bytes are not such entries.
    fn restore_set(
        &mut self,
        bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError>;

    /// Removes the entries of those encoded keys that have one of these hashes.
    ///
    /// # Errors
    /// [`FormError`] if the bytes are not such keys.
    fn restore_removed(
        &mut self,
        bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError>;
}

impl<S: StoredKey, T: StateValue> DurableTable for Table<S, T> {
    fn entry_count(&self) -> usize {
        self.len()
    }

    fn freeze(&mut self, extent: Extent) {
        Table::freeze(self, extent);
    }

    fn most_have_changed(&self) -> bool {
        Table::most_have_changed(self)
    }

    fn expect_whole(&mut self) {
        Table::expect_whole(self);
    }

    fn drain_frozen(&mut self, budget: usize, out: &mut Drained) -> bool {
        Table::drain_frozen(self, budget, out)
    }

    fn restore_set(
        &mut self,
        bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError> {
        let hasher = self.hasher();
        let mut arriving = Vec::with_capacity(AHEAD);
        let result = entries(bytes, &hasher, hashes, |hash, key, value| {
            self.prefetch(hash, Lookahead::Far);
            arriving.push((hash, key, value));
            if arriving.len() == AHEAD {
                self.restore_entries(&mut arriving);
            }
        });
        self.restore_entries(&mut arriving);
        result
    }

    fn restore_removed(
        &mut self,
        bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError> {
        let hasher = self.hasher();
        removed_keys(bytes, &hasher, hashes, |hash, key: S| {
            self.restore_removal(hash, |stored| *stored == key);
        })
    }
}

/// Calls `entry` with every encoded entry whose key has one of these hashes.
///
/// # Errors
/// [`FormError`] if the bytes are not such entries.
#[inline]
pub fn entries<S: StoredKey, T: StateValue>(
    mut bytes: &[u8],
    hasher: &KeyHasher,
    hashes: &RangeInclusive<KeyHash>,
    mut entry: impl FnMut(KeyHash, S, T),
) -> Result<(), FormError> {
    while !bytes.is_empty() {
        let key: S = decode_key(&mut bytes)?;
        let value: T = decode_value(&mut bytes)?;
        let hash = hasher.hash(key.key());
        if hashes.contains(&hash) {
            entry(hash, key, value);
        }
    }
    Ok(())
}

/// Calls `removed` with every encoded key that has one of these hashes.
///
/// # Errors
/// [`FormError`] if the bytes are not such keys.
pub fn removed_keys<S: StoredKey>(
    mut bytes: &[u8],
    hasher: &KeyHasher,
    hashes: &RangeInclusive<KeyHash>,
    mut removed: impl FnMut(KeyHash, S),
) -> Result<(), FormError> {
    while !bytes.is_empty() {
        let key: S = decode_key(&mut bytes)?;
        let hash = hasher.hash(key.key());
        if hashes.contains(&hash) {
            removed(hash, key);
        }
    }
    Ok(())
}
