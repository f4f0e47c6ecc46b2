//! Map state: an ordered map per key.
//!
//! A map is one `BTreeMap` in its key's entry, so its order is the same in every run. An incremental checkpoint writes
//! a changed map as a whole; if maps grow large, key the stream by both keys instead.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::KeyedScope;
use super::backend::{Place, handle};
use crate::record::{FormError, Scratch, StateValue, shape_of_items, take_item, with_length};

/// Encoded as keys and values alternating, as items, in key order.
impl<K: StateValue + Ord, V: StateValue> StateValue for BTreeMap<K, V> {
    const LENGTH: Option<usize> = None;
    const VERSION: u32 = K::VERSION ^ V::VERSION.rotate_left(16);
    const SHAPE: u32 = shape_of_items::<K>() ^ shape_of_items::<V>().rotate_left(16);

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        for (key, value) in self {
            with_length(K::LENGTH, bytes, |bytes| key.encode(scratch, bytes));
            with_length(V::LENGTH, bytes, |bytes| value.encode(scratch, bytes));
        }
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, FormError> {
        let mut map = BTreeMap::new();
        while !bytes.is_empty() {
            let key = K::decode(take_item(K::LENGTH, &mut bytes)?)?;
            map.insert(key, V::decode(take_item(V::LENGTH, &mut bytes)?)?);
        }
        Ok(map)
    }
}

/// A handle to one map per key. A key with an empty map takes no space.
///
/// A default handle is unregistered; using it panics.
///
/// ```
/// use thalweg::prelude::*;
///
/// /// How often each reader has opened each page, whenever one is opened.
/// #[derive(Clone, Default)]
/// struct Opened { pages: MapState<u64, u32> }
/// impl KeyedProcessFunction<u64, [u64; 2]> for Opened {
///     type Out = [u64; 3];
///     fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
///         self.pages = cx.state().map_state("pages")?;
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         [_, page]: &[u64; 2],
///         cx: &mut impl KeyedProcessContext<u64, [u64; 3]>,
///     ) -> Outcome {
///         let times = self.pages.update(cx, *page, |times| { *times += 1; *times });
///         cx.emit(&[*cx.key(), *page, u64::from(times)]);
///         Ok(())
///     }
/// }
/// ```
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

    /// Returns the value under `map_key`, to be changed in place; the map then counts as changed.
    #[inline]
    pub fn get_mut<'a, Q: Ord + ?Sized, C: KeyedScope>(
        &self,
        cx: &'a mut C,
        map_key: &Q,
    ) -> Option<&'a mut MV>
    where
        MK: Borrow<Q>,
    {
        if !self.contains(cx, map_key) {
            return None;
        }
        cx.scope_mut().get_mut(self.0)?.get_mut(map_key)
    }

    /// Changes the value under `map_key` in place, starting from the default if there is none.
    #[inline]
    pub fn update<C: KeyedScope, R>(
        &self,
        cx: &mut C,
        map_key: MK,
        change: impl FnOnce(&mut MV) -> R,
    ) -> R
    where
        MV: Default,
    {
        let map = cx.scope_mut().entry(self.0, BTreeMap::new).0;
        change(map.entry(map_key).or_default())
    }

    /// Puts `value` under `map_key` and returns the previous value.
    #[inline]
    pub fn put<C: KeyedScope>(&self, cx: &mut C, map_key: MK, value: MV) -> Option<MV> {
        let map = cx.scope_mut().entry(self.0, BTreeMap::new).0;
        map.insert(map_key, value)
    }

    /// Puts every value of `entries` under its key.
    pub fn put_all<C: KeyedScope>(&self, cx: &mut C, entries: impl IntoIterator<Item = (MK, MV)>) {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_some() {
            let map = cx.scope_mut().entry(self.0, BTreeMap::new).0;
            map.extend(entries);
        }
    }

    /// Removes and returns the value under `map_key`.
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

    /// The entries of the current key's map, in ascending key order.
    #[inline]
    pub fn iter<'a, C: KeyedScope>(&self, cx: &'a C) -> impl Iterator<Item = (&'a MK, &'a MV)> {
        self.map(cx).into_iter().flatten()
    }

    /// The keys in the current key's map, in ascending order.
    #[inline]
    pub fn keys<'a, C: KeyedScope>(&self, cx: &'a C) -> impl Iterator<Item = &'a MK>
    where
        MV: 'a,
    {
        self.map(cx).into_iter().flat_map(BTreeMap::keys)
    }

    /// The values in the current key's map, in ascending order of their keys.
    #[inline]
    pub fn values<'a, C: KeyedScope>(&self, cx: &'a C) -> impl Iterator<Item = &'a MV>
    where
        MK: 'a,
    {
        self.map(cx).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether the current key's map is empty.
    #[inline]
    pub fn is_empty<C: KeyedScope>(&self, cx: &C) -> bool {
        self.map(cx).is_none()
    }

    /// Clears the map of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_maps_come_back_and_cut_ones_do_not() {
        let map = BTreeMap::from([(1u64, Some(2u16)), (4, None)]);
        let mut bytes = Vec::new();
        map.encode(&mut Scratch::new(), &mut bytes);
        assert_eq!(BTreeMap::decode(&bytes).expect("what was encoded"), map);
        assert!(BTreeMap::<u64, Option<u16>>::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
