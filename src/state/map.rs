//! Map state: a map per key, ordered by its own keys.
//!
//! A map is one `BTreeMap` in its key's entry, so its order is the same in every run. A changed map
//! is written whole by an incremental checkpoint; where maps grow large, key the stream by both keys.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::KeyedScope;
use super::backend::{Place, handle};

/// A handle of one map per key. A key with an empty map holds nothing.
///
/// A default handle is registered nowhere; using it panics.
pub struct MapState<MK, MV>(Place<BTreeMap<MK, MV>>);

handle!(MapState<MK, MV>);

impl<MK: Ord + 'static, MV: 'static> MapState<MK, MV> {
    pub(super) fn at(place: Place<BTreeMap<MK, MV>>) -> Self {
        MapState(place)
    }

    #[inline]
    fn map<'a, C: KeyedScope>(&self, cx: &'a C) -> Option<&'a BTreeMap<MK, MV>> {
        cx.scope().get(self.0)
    }

    /// The value under `map_key` for the current key.
    #[inline]
    pub fn get<'a, Q: Ord + ?Sized, C: KeyedScope>(&self, cx: &'a C, map_key: &Q) -> Option<&'a MV>
    where
        MK: Borrow<Q>,
    {
        self.map(cx)?.get(map_key)
    }

    /// Whether there is a value under `map_key`.
    #[inline]
    pub fn contains<Q: Ord + ?Sized, C: KeyedScope>(&self, cx: &C, map_key: &Q) -> bool
    where
        MK: Borrow<Q>,
    {
        self.get(cx, map_key).is_some()
    }

    /// Puts `value` under `map_key`; gives what was there.
    #[inline]
    pub fn put<C: KeyedScope>(&self, cx: &mut C, map_key: MK, value: MV) -> Option<MV> {
        let map = cx.scope_mut().entry(self.0, BTreeMap::new).0;
        map.insert(map_key, value)
    }

    /// Takes away what is under `map_key`.
    pub fn remove<Q: Ord + ?Sized, C: KeyedScope>(&self, cx: &mut C, map_key: &Q) -> Option<MV>
    where
        MK: Borrow<Q>,
    {
        if !self.contains(cx, map_key) {
            return None;
        }
        let map = cx.scope_mut().get_mut(self.0)?;
        let removed = map.remove(map_key);
        if map.is_empty() {
            self.clear(cx);
        }
        removed
    }

    /// The entries of the current key's map, in ascending order of their keys.
    #[inline]
    pub fn iter<'a, C: KeyedScope>(&self, cx: &'a C) -> impl Iterator<Item = (&'a MK, &'a MV)> {
        self.map(cx).into_iter().flatten()
    }

    /// Whether the current key's map has no entry.
    #[inline]
    pub fn is_empty<C: KeyedScope>(&self, cx: &C) -> bool {
        self.map(cx).is_none()
    }

    /// Forgets the map of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.0);
    }
}
