//! Tables as checkpoints see them: frozen, drained, put back, whatever they hold.

use std::ops::RangeInclusive;

use super::schema::{decode_key, decode_value};
use super::table::{Drained, Extent, Lookahead, Table};
use crate::record::{FormError, KeyHash, KeyHasher, StateValue, StoredKey};

/// So many entries are put back at a time: their cache lines arrive while the others are read.
const AHEAD: usize = 64;

/// A table whose keys and values can be encoded, with their types hidden.
pub trait DurableTable {
    /// How many entries there are.
    fn entry_count(&self) -> usize;

    /// Sets the current generation of changes aside, see [`Table::freeze`].
    fn freeze(&mut self, extent: Extent);

    /// Whether most entries have changed since the last freeze, see [`Table::most_have_changed`].
    fn most_have_changed(&self) -> bool {
        false
    }

    /// Says that the next freeze will be of everything, see [`Table::expect_whole`].
    fn expect_whole(&mut self) {}

    /// Appends about `budget` entries of what is set aside, see [`Table::drain_frozen`].
    fn drain_frozen(&mut self, budget: usize, out: &mut Drained) -> bool;

    /// Puts encoded entries back whose keys have one of these hashes.
    ///
    /// # Errors
    /// [`FormError`] where the bytes are not such entries.
    fn restore_set(
        &mut self,
        bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError>;

    /// Takes the entries of encoded keys out.
    ///
    /// # Errors
    /// [`FormError`] where the bytes are not such keys.
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

/// Calls `entry` with every entry of these whose key has one of these hashes.
///
/// # Errors
/// [`FormError`] where the bytes are not such entries.
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

/// Calls `removed` with every one of these keys that has one of these hashes.
///
/// # Errors
/// [`FormError`] where the bytes are not such keys.
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
