//! `Group`: the records of one input with one key in one window.

use crate::record::Wire;

use super::state::Records;

/// The records of one input with one key in one window, in time order by slice, and in arrival order within
/// a slice.
pub struct Group<'a, V: ?Sized> {
    records: Records<'a, V>,
    places: &'a [u32],
}

impl<V: ?Sized> Clone for Group<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: ?Sized> Copy for Group<'_, V> {}

impl<V: ?Sized> std::fmt::Debug for Group<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("len", &self.places.len())
            .finish_non_exhaustive()
    }
}

impl<'a, V: Wire + ?Sized> Group<'a, V> {
    pub(super) fn new(records: Records<'a, V>, places: &'a [u32]) -> Self {
        Group { records, places }
    }

    /// Returns how many records there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.places.len()
    }

    /// Returns whether there are none: the key occurs in the other input only.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.places.is_empty()
    }

    /// Returns an iterator over the records.
    pub fn iter(self) -> GroupIter<'a, V> {
        GroupIter {
            records: self.records,
            places: self.places.iter(),
        }
    }
}

impl<'a, V: Wire + ?Sized> IntoIterator for Group<'a, V> {
    type Item = &'a V;
    type IntoIter = GroupIter<'a, V>;

    fn into_iter(self) -> GroupIter<'a, V> {
        self.iter()
    }
}

/// An iterator over the records of a [`Group`].
pub struct GroupIter<'a, V: ?Sized> {
    records: Records<'a, V>,
    places: std::slice::Iter<'a, u32>,
}

impl<V: ?Sized> std::fmt::Debug for GroupIter<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupIter")
            .field("left", &self.places.len())
            .finish_non_exhaustive()
    }
}

impl<'a, V: Wire + ?Sized> Iterator for GroupIter<'a, V> {
    type Item = &'a V;

    #[inline]
    fn next(&mut self) -> Option<&'a V> {
        (self.places.next()).map(|&place| self.records.get(place as usize))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl<V: Wire + ?Sized> ExactSizeIterator for GroupIter<'_, V> {}
