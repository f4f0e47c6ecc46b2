//! Reducing state: one value per key, with which added values are combined.

use super::KeyedScope;
use super::backend::Place;

/// A handle to one value per key, with the function that combines values.
pub struct ReducingState<T, F = fn(&T, &T) -> T> {
    place: Place<T>,
    function: F,
}

impl<T, F: Clone> Clone for ReducingState<T, F> {
    fn clone(&self) -> Self {
        ReducingState {
            place: self.place,
            function: self.function.clone(),
        }
    }
}

impl<T, F: Copy> Copy for ReducingState<T, F> {}

impl<T, F> std::fmt::Debug for ReducingState<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReducingState").field(&self.place).finish()
    }
}

impl<T: 'static, F: Fn(&T, &T) -> T> ReducingState<T, F> {
    /// An unregistered handle, for a field that `open` fills in; using it panics.
    #[must_use]
    pub fn unregistered(function: F) -> Self {
        Self::at(Place::NOWHERE, function)
    }

    pub(super) fn at(place: Place<T>, function: F) -> Self {
        ReducingState { place, function }
    }

    /// The combined value of the current key, if anything was added.
    #[inline]
    pub fn get<'a, C: KeyedScope>(&self, cx: &'a C) -> Option<&'a T> {
        cx.scope().get(self.place)
    }

    /// Combines `value` with the current key's value; the first one is stored unchanged.
    #[inline]
    pub fn add<C: KeyedScope>(&self, cx: &mut C, value: T) {
        let mut value = Some(value);
        let first = || value.take().expect("taken here only");
        let (kept, is_new) = cx.scope_mut().entry(self.place, first);
        if !is_new && let Some(value) = value {
            *kept = (self.function)(kept, &value);
        }
    }

    /// Clears the value of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.place);
    }
}
