//! Value state: one value per key.

use super::KeyedScope;
use super::backend::{Place, handle};

/// A handle to one value per key. `T` is any [`StateValue`](crate::record::StateValue).
///
/// A default handle is unregistered; using it panics.
pub struct ValueState<T>(Place<T>);

handle!(ValueState<T>);

impl<T: 'static> ValueState<T> {
    pub(super) fn at(place: Place<T>) -> Self {
        ValueState(place)
    }

    /// The value of the current key, if it has one.
    #[inline]
    pub fn get<'a, C: KeyedScope>(&self, cx: &'a C) -> Option<&'a T> {
        cx.scope().get(self.0)
    }

    /// A copy of the value of the current key, if it has one.
    #[inline]
    pub fn value<C: KeyedScope>(&self, cx: &C) -> Option<T>
    where
        T: Clone,
    {
        self.get(cx).cloned()
    }

    /// Sets the value of the current key.
    #[inline]
    pub fn set<C: KeyedScope>(&self, cx: &mut C, value: T) {
        let mut value = Some(value);
        let first = || value.take().expect("taken here only");
        let (kept, is_new) = cx.scope_mut().entry(self.0, first);
        if !is_new && let Some(value) = value {
            *kept = value;
        }
    }

    /// Changes the value of the current key in place; a key without one starts from the default.
    #[inline]
    pub fn update<C: KeyedScope, R>(&self, cx: &mut C, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Default,
    {
        change(cx.scope_mut().entry(self.0, T::default).0)
    }

    /// Clears the value of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.0);
    }
}
