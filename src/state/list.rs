//! List state: a list of elements per key, in insertion order.
//!
//! A list is stored in its key's entry: a single element directly, more of them in a `Vec`. Most keys of a join hold
//! very few elements, and those need no allocation. Reading returns a slice; adding may move the elements. An
//! incremental checkpoint writes a changed list as a whole, so list state suits lists that stay short.

use super::KeyedScope;
use super::backend::{Place, handle};
use crate::record::{FormError, Scratch, StateValue, shape_of_items, take_item, with_length};

/// The elements of one key.
#[derive(Clone)]
pub(super) enum List<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> List<T> {
    fn new() -> Self {
        List::Many(Vec::new())
    }

    /// Applies `map` to every element.
    pub(super) fn map<U>(self, map: impl Fn(T) -> U) -> List<U> {
        match self {
            List::One(element) => List::One(map(element)),
            List::Many(elements) => List::Many(elements.into_iter().map(map).collect()),
        }
    }

    fn as_slice(&self) -> &[T] {
        match self {
            List::One(element) => std::slice::from_ref(element),
            List::Many(elements) => elements,
        }
    }

    #[inline]
    fn push(&mut self, element: T) {
        match self {
            List::Many(elements) if elements.capacity() == 0 => *self = List::One(element),
            List::Many(elements) => elements.push(element),
            List::One(_) => self.extend([element]),
        }
    }

    fn extend(&mut self, others: impl IntoIterator<Item = T>) {
        let mut elements = match std::mem::replace(self, List::new()) {
            List::One(first) => vec![first],
            List::Many(elements) => elements,
        };
        elements.extend(others);
        *self = List::Many(elements);
    }
}

/// Encoded as the elements in order, each as an item.
impl<T: StateValue> StateValue for List<T> {
    const LENGTH: Option<usize> = None;
    const VERSION: u32 = T::VERSION;
    const SHAPE: u32 = shape_of_items::<T>();

    fn type_name() -> &'static str {
        T::type_name()
    }

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        for element in self.as_slice() {
            with_length(T::LENGTH, bytes, |bytes| element.encode(scratch, bytes));
        }
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, FormError> {
        let mut list = List::new();
        while !bytes.is_empty() {
            list.push(T::decode(take_item(T::LENGTH, &mut bytes)?)?);
        }
        Ok(list)
    }
}

/// A handle to one list per key. A key with an empty list takes no space.
///
/// A default handle is unregistered; using it panics.
pub struct ListState<T>(Place<List<T>>);

handle!(ListState<T>);

impl<T: 'static> ListState<T> {
    pub(super) fn at(place: Place<List<T>>) -> Self {
        ListState(place)
    }

    /// The elements of the current key, in insertion order.
    #[inline]
    pub fn get<'a, C: KeyedScope>(&self, cx: &'a C) -> &'a [T] {
        cx.scope().get(self.0).map_or(&[], List::as_slice)
    }

    /// Appends an element.
    #[inline]
    pub fn add<C: KeyedScope>(&self, cx: &mut C, element: T) {
        cx.scope_mut().entry(self.0, List::new).0.push(element);
    }

    /// Appends several elements.
    pub fn add_all<C: KeyedScope>(&self, cx: &mut C, elements: impl IntoIterator<Item = T>) {
        let mut elements = elements.into_iter().peekable();
        if elements.peek().is_some() {
            cx.scope_mut().entry(self.0, List::new).0.extend(elements);
        }
    }

    /// Replaces the elements of the current key.
    pub fn replace<C: KeyedScope>(&self, cx: &mut C, elements: Vec<T>) {
        if elements.is_empty() {
            self.clear(cx);
        } else {
            *cx.scope_mut().entry(self.0, List::new).0 = List::Many(elements);
        }
    }

    /// Clears the list of the current key.
    #[inline]
    pub fn clear<C: KeyedScope>(&self, cx: &mut C) {
        cx.scope_mut().remove(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_lists_come_back_and_cut_ones_do_not() {
        for length in 0..4 {
            let mut list = List::new();
            list.extend((0..length).map(|n: u32| Some(n)));
            let mut bytes = Vec::new();
            list.encode(&mut Scratch::new(), &mut bytes);
            let decoded = List::<Option<u32>>::decode(&bytes).expect("what was encoded");
            assert_eq!(decoded.as_slice(), list.as_slice());
            assert!(length == 0 || List::<Option<u32>>::decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn lists_grow_from_nothing_and_keep_their_order() {
        let mut list = List::new();
        let mut expected = Vec::new();
        for n in 0..20 {
            assert_eq!(list.as_slice(), expected);
            list.push(n);
            expected.push(n);
            if n % 5 == 0 {
                list.extend([100 + n, 200 + n]);
                expected.extend([100 + n, 200 + n]);
            }
        }
        let mut extended = List::new();
        extended.extend([1, 2]);
        assert_eq!(extended.as_slice(), [1, 2]);
        assert!(matches!(
            {
                let mut one = List::new();
                one.push(1);
                one
            },
            List::One(1)
        ));
    }
}
