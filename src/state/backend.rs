//! The keyed backend: all keyed states of one operator in one subtask, by name.
//!
//! A state is a [`Table`] from keys to values. User functions hold small *handles* (a number and a type) that reach a
//! table only through a [`KeyedScope`], which knows the current key: no handle can read or change the state of another
//! key.
//!
//! ```text
//! ValueState<u64> { index: 0 } ─┐
//!                               ▼
//! KeyedBackend: [ "count": Table<K, u64>, "seen": Table<K, Vec<Id>>, … ]   one trait object each
//!                               ▲
//! KeyedScope: current key, hash ┘
//! ```
//! *Invariant:* all of the operator's keyed data, except timers, is behind the backend's trait objects.

#![expect(
    unsafe_code,
    reason = "finds the typed table behind a handle without a call through a pointer"
)]

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::record::{Key, KeyHash, KeyHasher, StateValue, StoredKey};

use super::error::StateError;
use super::keyed_table::{KeyedTable, Migration, TypedTable};
use super::list::List;
use super::schema::{StateKind, TypeLayout, encode_changes};
use super::{
    Aggregate, AggregatingState, ListState, Lookahead, MapState, ReducingState, Table,
    TableOptions, ValueState,
};

/// A table with its type, so that a handle is checked without a call through a pointer.
struct Erased {
    /// The type of the [`TypedTable`] in `table`, which is never replaced.
    type_id: TypeId,
    table: Box<dyn KeyedTable>,
}

impl Erased {
    fn new<S: StoredKey, T: StateValue>(table: TypedTable<S, T>) -> Self {
        Erased {
            type_id: TypeId::of::<TypedTable<S, T>>(),
            table: Box::new(table),
        }
    }

    #[inline(always)]
    fn is<S: StoredKey, T: 'static>(&self) -> bool {
        self.type_id == TypeId::of::<TypedTable<S, T>>()
    }

    #[inline(always)]
    fn typed<S: StoredKey, T: 'static>(&self) -> Option<&TypedTable<S, T>> {
        let table = &raw const *self.table;
        // SAFETY: `new` recorded the type that the box points to, and it is the one asked for.
        (self.is::<S, T>()).then(|| unsafe { &*table.cast::<TypedTable<S, T>>() })
    }

    #[inline(always)]
    fn typed_mut<S: StoredKey, T: 'static>(&mut self) -> Option<&mut TypedTable<S, T>> {
        let table = &raw mut *self.table;
        // SAFETY: as in `typed`; the box is borrowed exclusively.
        (self.is::<S, T>()).then(|| unsafe { &mut *table.cast::<TypedTable<S, T>>() })
    }
}

/// All keyed state of one operator in one subtask.
pub struct KeyedBackend<K: Key + ?Sized> {
    hasher: KeyHasher,
    /// How many keys each state is expected to hold, and in which range their hashes are.
    expected_keys: usize,
    hashes: RangeInclusive<KeyHash>,
    /// Whether states track their changes, for checkpoints.
    durable: bool,
    /// How many entries the checkpoint has, by name of a state still to be registered.
    restored: BTreeMap<Arc<str>, usize>,
    tables: Vec<Erased>,
    key: PhantomData<fn(&K)>,
}

impl<K: Key + ?Sized> fmt::Debug for KeyedBackend<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.tables().map(|t| (t.name(), t.len())))
            .finish()
    }
}

impl<K: Key + ?Sized> KeyedBackend<K> {
    /// A backend without states, whose callers hash keys with `hasher`.
    #[must_use]
    pub fn new(hasher: KeyHasher) -> Self {
        KeyedBackend {
            hasher,
            expected_keys: 0,
            hashes: KeyHash(0)..=KeyHash(u64::MAX),
            durable: false,
            restored: BTreeMap::new(),
            tables: Vec::new(),
            key: PhantomData,
        }
    }

    /// Reserves room for this many keys with these hashes in every state registered from now on.
    pub fn expecting(mut self, keys: usize, hashes: RangeInclusive<KeyHash>) -> Self {
        (self.expected_keys, self.hashes) = (keys, hashes);
        self
    }

    /// Sets whether every state registered from now on tracks its changes, so that it can be frozen.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// How keys are hashed.
    #[must_use]
    pub fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// Reserves room for this many entries in each restored state.
    pub fn restoring(mut self, entries: BTreeMap<Arc<str>, usize>) -> Self {
        self.restored = entries;
        self
    }

    /// Every state, in the order of registration, to be frozen or restored.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = &mut dyn KeyedTable> {
        self.tables
            .iter_mut()
            .map(|erased| &mut *erased.table as &mut dyn KeyedTable)
    }

    /// Every state, in the order of registration.
    pub fn tables(&self) -> impl Iterator<Item = &dyn KeyedTable> {
        self.tables.iter().map(|erased| &*erased.table)
    }

    /// Prefetches the cache lines of every state for the key with this hash.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        for erased in &self.tables {
            erased.table.prefetch(hash, ahead);
        }
    }

    /// Whether prefetching pays for any state.
    #[inline]
    #[must_use]
    pub fn looks_ahead(&self) -> bool {
        self.tables.iter().any(|erased| erased.table.looks_ahead())
    }

    /// Registers value state; registering the same name again returns the same state.
    ///
    /// # Errors
    /// Here and below, [`StateError::TypeConflict`] if the name is taken by a state of another kind or type.
    pub fn value_state<T: StateValue>(&mut self, name: &str) -> Result<ValueState<T>, StateError> {
        Ok(ValueState::at(self.register(name, StateKind::Value)?))
    }

    /// Registers value state that may be restored from a checkpoint whose values are of type `Old`: these are migrated
    /// by `migrate`. If the values are of type `T` already, `migrate` is not called.
    ///
    /// ```
    /// # use thalweg::record::KeyHasher;
    /// # use thalweg::state::{KeyedBackend, ValueState};
    /// # let mut backend = KeyedBackend::<u64>::new(KeyHasher::default());
    /// // Formerly a count, now the count and the sum, which older values did not have.
    /// let state: ValueState<(u64, f64)> =
    ///     backend.value_state_migrated("sums", |count: u64| (count, 0.0))?;
    /// # Ok::<(), thalweg::state::StateError>(())
    /// ```
    ///
    /// # Errors
    /// As [`value_state`](Self::value_state).
    pub fn value_state_migrated<T: StateValue, Old: StateValue>(
        &mut self,
        name: &str,
        migrate: impl Fn(Old) -> T + Send + 'static,
    ) -> Result<ValueState<T>, StateError> {
        let place = self.register(name, StateKind::Value)?;
        self.migrate(place, migrate);
        Ok(ValueState::at(place))
    }

    /// Registers list state that may be restored from a checkpoint whose elements are of type `Old`: see
    /// [`value_state_migrated`](Self::value_state_migrated).
    ///
    /// # Errors
    /// As [`value_state`](Self::value_state).
    pub fn list_state_migrated<T: StateValue, Old: StateValue>(
        &mut self,
        name: &str,
        migrate: impl Fn(Old) -> T + Send + 'static,
    ) -> Result<ListState<T>, StateError> {
        let place = self.register(name, StateKind::List)?;
        self.migrate(place, move |old: List<Old>| old.map(&migrate));
        Ok(ListState::at(place))
    }

    /// Registers list state.
    ///
    /// # Errors
    /// As [`value_state`](Self::value_state).
    pub fn list_state<T: StateValue>(&mut self, name: &str) -> Result<ListState<T>, StateError> {
        Ok(ListState::at(self.register(name, StateKind::List)?))
    }

    /// Registers map state.
    ///
    /// # Errors
    /// As [`value_state`](Self::value_state).
    pub fn map_state<MK, MV>(&mut self, name: &str) -> Result<MapState<MK, MV>, StateError>
    where
        MK: StateValue + Ord,
        MV: StateValue,
    {
        let place = self.register::<BTreeMap<MK, MV>>(name, StateKind::Map)?;
        Ok(MapState::at(place))
    }

    /// Registers reducing state that combines values with `function`.
    ///
    /// # Errors
    /// As [`value_state`](Self::value_state).
    pub fn reducing_state<T, F>(
        &mut self,
        name: &str,
        function: F,
    ) -> Result<ReducingState<T, F>, StateError>
    where
        T: StateValue,
        F: Fn(&T, &T) -> T,
    {
        let place = self.register(name, StateKind::Reducing)?;
        Ok(ReducingState::at(place, function))
    }

    /// Registers aggregating state over records of type `V`.
    ///
    /// # Errors
    /// As [`value_state`](Self::value_state).
    pub fn aggregating_state<V: ?Sized, A: Aggregate<V>>(
        &mut self,
        name: &str,
        aggregate: A,
    ) -> Result<AggregatingState<V, A>, StateError> {
        let place = self.register(name, StateKind::Aggregating)?;
        Ok(AggregatingState::at(place, aggregate))
    }

    fn register<T: StateValue>(
        &mut self,
        name: &str,
        kind: StateKind,
    ) -> Result<Place<T>, StateError> {
        let known = self.tables().position(|table| **table.name() == *name);
        if let Some(index) = known {
            let erased = &self.tables[index];
            let table = &*erased.table;
            if !erased.is::<K::Stored, T>() || table.kind() != kind {
                return Err(StateError::TypeConflict {
                    name: name.into(),
                    registered_kind: table.kind(),
                    registered: table.type_name(),
                    requested_kind: kind,
                    requested: T::type_name(),
                });
            }
            return Ok(Place::new(index));
        }
        self.tables.push(Erased::new(TypedTable::<K::Stored, T> {
            name: name.into(),
            kind,
            table: Table::new(TableOptions {
                hasher: self.hasher,
                expected_keys: self.expected_keys,
                restored_keys: self.restored.get(name).copied().unwrap_or(0),
                hashes: self.hashes.clone(),
                changes: self.durable.then(encode_changes),
                ..TableOptions::default()
            }),
            migration: None,
        }));
        Ok(Place::new(self.tables.len() - 1))
    }

    /// Records how older values of the state are migrated.
    fn migrate<T: StateValue, Old: StateValue>(
        &mut self,
        place: Place<T>,
        migrate: impl Fn(Old) -> T + Send + 'static,
    ) {
        let erased = self.tables.get_mut(place.index as usize);
        if let Some(typed) = erased.and_then(Erased::typed_mut::<K::Stored, T>) {
            typed.migration = Some(Migration {
                old: TypeLayout::of_value::<Old>(),
                migrate: Box::new(move |bytes| Old::decode(bytes).map(&migrate)),
            });
        }
    }

    #[inline]
    fn table<T: 'static>(&self, place: Place<T>) -> &Table<K::Stored, T> {
        let erased = self.tables.get(place.index as usize);
        match erased.and_then(Erased::typed::<K::Stored, T>) {
            Some(typed) => &typed.table,
            None => foreign_handle(),
        }
    }

    #[inline]
    fn table_mut<T: 'static>(&mut self, place: Place<T>) -> &mut Table<K::Stored, T> {
        let erased = self.tables.get_mut(place.index as usize);
        match erased.and_then(Erased::typed_mut::<K::Stored, T>) {
            Some(typed) => &mut typed.table,
            None => foreign_handle(),
        }
    }
}

#[cold]
fn foreign_handle() -> ! {
    panic!("a state handle was used that this operator's `open` did not register")
}

/// The position of a state in its backend, with the type that it keeps per key.
pub(super) struct Place<T> {
    index: u32,
    kept: PhantomData<fn() -> T>,
}

impl<T> Place<T> {
    fn new(index: usize) -> Self {
        Place {
            index: index as u32,
            kept: PhantomData,
        }
    }

    /// The place of an unregistered handle.
    pub(super) const NOWHERE: Self = Place {
        index: u32::MAX,
        kept: PhantomData,
    };
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}: {}", self.index, type_name::<T>())
    }
}

/// A handle is a place: it is freely copyable, and unregistered by default.
macro_rules! handle {
    ($state:ident<$($kept:ident),+>) => {
        impl<$($kept),+> Clone for $state<$($kept),+> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($kept),+> Copy for $state<$($kept),+> {}

        impl<$($kept),+> Default for $state<$($kept),+> {
            fn default() -> Self {
                $state(Place::NOWHERE)
            }
        }

        impl<$($kept),+> std::fmt::Debug for $state<$($kept),+> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($state)).field(&self.0).finish()
            }
        }
    };
}
pub(super) use handle;

/// Something with a current key: the context in which a keyed user function is called.
pub trait KeyedScope {
    /// The key's type.
    type Key: Key + ?Sized;

    /// The state of the current key, for reading.
    fn scope(&self) -> Scope<'_, Self::Key>;

    /// The state of the current key, for changing.
    fn scope_mut(&mut self) -> ScopeMut<'_, Self::Key>;
}

/// The state of one key, for reading through handles.
#[derive(Debug)]
pub struct Scope<'a, K: Key + ?Sized> {
    key: &'a K,
    hash: KeyHash,
    backend: &'a KeyedBackend<K>,
}

impl<'a, K: Key + ?Sized> Scope<'a, K> {
    /// The state of `key`, whose hash under the job's assignment is `hash`.
    #[inline(always)]
    pub fn new(key: &'a K, hash: KeyHash, backend: &'a KeyedBackend<K>) -> Self {
        Scope { key, hash, backend }
    }

    #[inline]
    pub(super) fn get<T: 'static>(self, place: Place<T>) -> Option<&'a T> {
        let table = self.backend.table(place);
        table.get(self.hash, |stored| stored.is(self.key))
    }
}

/// The state of one key, for changing through handles.
#[derive(Debug)]
pub struct ScopeMut<'a, K: Key + ?Sized> {
    key: &'a K,
    hash: KeyHash,
    backend: &'a mut KeyedBackend<K>,
}

impl<'a, K: Key + ?Sized> ScopeMut<'a, K> {
    /// The state of `key`, whose hash under the job's assignment is `hash`.
    #[inline(always)]
    pub fn new(key: &'a K, hash: KeyHash, backend: &'a mut KeyedBackend<K>) -> Self {
        ScopeMut { key, hash, backend }
    }

    #[inline]
    pub(super) fn get_mut<T: 'static>(self, place: Place<T>) -> Option<&'a mut T> {
        let table = self.backend.table_mut(place);
        table.get_mut(self.hash, |stored| stored.is(self.key))
    }

    /// The value kept for the key, and whether `first` has just created it.
    #[inline]
    pub(super) fn entry<T: 'static>(
        self,
        place: Place<T>,
        first: impl FnOnce() -> T,
    ) -> (&'a mut T, bool) {
        let (key, table) = (self.key, self.backend.table_mut(place));
        let make = || (key.to_stored(), first());
        table.find_or_insert_with(self.hash, |stored| stored.is(key), make)
    }

    /// Removes the value kept for the key.
    #[inline]
    pub(super) fn remove<T: 'static>(self, place: Place<T>) -> Option<T> {
        let table = self.backend.table_mut(place);
        let removed = table.remove(self.hash, |stored| stored.is(self.key));
        removed.map(|(_, value)| value)
    }
}

#[cfg(test)]
#[path = "backend_test.rs"]
mod tests;
