//! The type-erased table of one keyed state, and its migration from an older value type.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::schema::{HashOfKey, StateKind, StateSchema, TypeLayout, decode_key, hash_of_key};
use super::{Drained, DurableTable, Extent, Lookahead, Table};
use crate::record::{FormError, KeyHash, StateValue, StoredKey, take_item};

/// The type-erased table of one state.
pub trait KeyedTable: Send {
    /// The state's name.
    fn name(&self) -> &Arc<str>;

    /// The state's kind.
    fn kind(&self) -> StateKind;

    /// The Rust type of the values.
    fn type_name(&self) -> &'static str;

    /// How many keys have a value.
    fn len(&self) -> usize;

    /// Whether no key has a value.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the table occupies, excluding what keys and values own elsewhere (such as a list's elements).
    fn memory_bytes(&self) -> usize;

    /// Prefetches the cache lines that a search for `hash` reads.
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead);

    /// Whether prefetching pays.
    fn looks_ahead(&self) -> bool;

    /// The state's schema, as stored in a checkpoint.
    fn schema(&self) -> StateSchema;

    /// Returns the function that hashes its encoded keys.
    fn hash_of_key(&self) -> HashOfKey;

    /// The table as a checkpoint sees it.
    fn durable(&mut self) -> &mut dyn DurableTable;

    /// The table as the target of a migration from values of layout `saved`. `None` if that is the layout of the
    /// state's own type, or if no migration from it was registered.
    fn migrating(&mut self, saved: &TypeLayout) -> Option<Box<dyn DurableTable + '_>>;
}

/// Decodes a value of an older type and converts it.
pub(super) type Migrate<T> = Box<dyn Fn(&[u8]) -> Result<T, FormError> + Send>;

/// The migration of a state from an older value type.
pub(super) struct Migration<T> {
    /// The layout of the older type's values.
    pub(super) old: TypeLayout,
    pub(super) migrate: Migrate<T>,
}

/// A table with the name and kind it was registered under.
pub(super) struct TypedTable<S, T> {
    pub(super) name: Arc<str>,
    pub(super) kind: StateKind,
    pub(super) table: Table<S, T>,
    pub(super) migration: Option<Migration<T>>,
}

impl<S: StoredKey, T: StateValue> KeyedTable for TypedTable<S, T> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn kind(&self) -> StateKind {
        self.kind
    }

    fn type_name(&self) -> &'static str {
        T::type_name()
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn memory_bytes(&self) -> usize {
        self.table.memory_bytes()
    }

    #[inline]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.table.prefetch(hash, ahead);
    }

    #[inline]
    fn looks_ahead(&self) -> bool {
        self.table.looks_ahead()
    }

    fn schema(&self) -> StateSchema {
        StateSchema::keyed::<S, T>(&self.name, self.kind)
    }

    fn hash_of_key(&self) -> HashOfKey {
        hash_of_key::<S>
    }

    fn durable(&mut self) -> &mut dyn DurableTable {
        &mut self.table
    }

    fn migrating(&mut self, saved: &TypeLayout) -> Option<Box<dyn DurableTable + '_>> {
        if TypeLayout::of_value::<T>().agrees(saved) {
            return None;
        }
        let migration = self.migration.as_ref().filter(|m| m.old.agrees(saved))?;
        Some(Box::new(Migrating {
            table: &mut self.table,
            migration,
        }))
    }
}

/// A table being restored from values of an older type.
struct Migrating<'a, S, T> {
    table: &'a mut Table<S, T>,
    migration: &'a Migration<T>,
}

impl<S: StoredKey, T: StateValue> DurableTable for Migrating<'_, S, T> {
    fn entry_count(&self) -> usize {
        self.table.len()
    }

    fn freeze(&mut self, extent: Extent) {
        DurableTable::freeze(self.table, extent);
    }

    fn most_have_changed(&self) -> bool {
        self.table.most_have_changed()
    }

    fn expect_whole(&mut self) {
        self.table.expect_whole();
    }

    fn drain_frozen(&mut self, budget: usize, out: &mut Drained) -> bool {
        DurableTable::drain_frozen(self.table, budget, out)
    }

    fn restore_set(
        &mut self,
        mut bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError> {
        let hasher = self.table.hasher();
        let length = self.migration.old.length.map(|length| length as usize);
        while !bytes.is_empty() {
            let key: S = decode_key(&mut bytes)?;
            let value = take_item(length, &mut bytes)?;
            let hash = hasher.hash(key.key());
            if hashes.contains(&hash) {
                let value = (self.migration.migrate)(value)?;
                self.table.restore_entry(hash, key, value);
            }
        }
        Ok(())
    }

    fn restore_removed(
        &mut self,
        bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError> {
        self.table.restore_removed(bytes, hashes)
    }
}
