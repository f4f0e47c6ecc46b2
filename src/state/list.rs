//! List state: elements per key, in the order in which they were added.
//!
//! A list is one `Vec` in its key's entry: reading is a slice, and adding may move the elements. A
//! changed list is written whole by an incremental checkpoint, so it suits lists that stay short.

use super::KeyedScope;
use super::backend::{Place, handle};

/// A handle of one list per key. A key without elements holds nothing.
///
/// A default handle is registered nowhere; using it panics.
pub struct ListState<T>(Place<Vec<T>>);

handle!(ListState<T>);

impl<T: 'static> ListState<T> {
    pub(super) fn at(place: Place<Vec<T>>) -> Self {
        ListState(place)
    }

    /// The elements of the current key, in the order in which they were added.
    #[inline]
    pub fn get<'a, C: KeyedScope>(&self, cx: &'a C) -> &'a [T] {
        cx.scope().get(self.0).map_or(&[], Vec::as_slice)
    }

    /// Adds an element at the end.
    #[inline]
    pub fn add<C: KeyedScope>(&self, cx: &mut C, element: T) {
        cx.scope_mut().entry(self.0, Vec::new).0.push(element);
    }

    /// Adds elements at the end.
    pub fn add_all<C: KeyedScope>(&self, cx: &mut C, elements: impl IntoIterator<Item = T>) {
        let mut elements = elements.into_iter().peekable();
        if elements.peek().is_some() {
            cx.scope_mut().entry(self.0, Vec::new).0.extend(elements);
        }
    }

    /// Puts `elements` in place of what there is.
    pub fn replace<C: KeyedScope>(&self, cx: &mut C, elements: Vec<T>) {
        if elements.is_empty() {
            self.clear(cx);
        } else {
            *cx.scope_mut().entry(self.0, Vec::new).0 = elements;
        }
    }

    /// Forgets the elements of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.0);
    }
}
