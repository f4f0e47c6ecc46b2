//! `Elements`: the individual records of a window.

use crate::operator::stamped::{put_stamped, take_stamped};
use crate::record::{FormError, Scratch, StateValue, shape_of_items};

/// The records of one key in one window, in arrival order.
///
/// Each is stored with its arrival number at the subtask, so that the lists of several slices merge
/// into exactly the order that one list for the whole window would have.
#[derive(Clone, Debug, PartialEq)]
pub struct Elements<E> {
    /// In ascending order of arrival.
    list: Vec<(u64, E)>,
}

impl<E> Default for Elements<E> {
    fn default() -> Self {
        Elements { list: Vec::new() }
    }
}

impl<E> Elements<E> {
    /// Returns the number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the elements in arrival order.
    pub fn iter(&self) -> ElementsIter<'_, E> {
        ElementsIter(self.list.iter())
    }

    /// Returns the number for an element that arrives after all of these.
    pub(super) fn next_arrival(&self) -> u64 {
        self.list.last().map_or(0, |&(last, _)| last + 1)
    }

    /// Appends an element that arrived after all others.
    pub(super) fn push(&mut self, arrival: u64, element: E) {
        debug_assert!(self.list.last().is_none_or(|&(last, _)| last < arrival));
        self.list.push((arrival, element));
    }
}

impl<E: Clone> Elements<E> {
    pub(super) fn merge(&mut self, other: &Elements<E>) {
        let sorted = match (self.list.last(), other.list.first()) {
            (Some((last, _)), Some((first, _))) => last < first,
            _ => true,
        };
        self.list.extend_from_slice(&other.list);
        if !sorted {
            // Two sorted runs: the stable sort finds and merges them.
            self.list.sort_by_key(|&(arrival, _)| arrival);
        }
    }
}

impl<'a, E> IntoIterator for &'a Elements<E> {
    type Item = &'a E;
    type IntoIter = ElementsIter<'a, E>;

    fn into_iter(self) -> ElementsIter<'a, E> {
        self.iter()
    }
}

/// An iterator over the elements of a window, in arrival order.
#[derive(Clone, Debug)]
pub struct ElementsIter<'a, E>(std::slice::Iter<'a, (u64, E)>);

impl<'a, E> Iterator for ElementsIter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        self.0.next().map(|(_, element)| element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<E> ExactSizeIterator for ElementsIter<'_, E> {}

impl<E> DoubleEndedIterator for ElementsIter<'_, E> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(_, element)| element)
    }
}

/// Encoding: each element after its arrival number, see `operator::stamped`.
impl<E: StateValue> StateValue for Elements<E> {
    const LENGTH: Option<usize> = None;
    const VERSION: u32 = E::VERSION;
    const SHAPE: u32 = shape_of_items::<E>();

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        for (arrival, element) in &self.list {
            put_stamped(arrival.to_ne_bytes(), element, scratch, bytes);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let mut elements = Elements::default();
        take_stamped::<Self, E>(bytes, |arrival, element| {
            let arrival = u64::from_ne_bytes(arrival);
            let last = elements.list.last();
            if last.is_some_and(|&(last, _)| last >= arrival) {
                return Err("not in order of arrival");
            }
            elements.list.push((arrival, element));
            Ok(())
        })?;
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn elements(list: &[(u64, u32)]) -> Elements<u32> {
        Elements {
            list: list.to_vec(),
        }
    }

    proptest! {
        #[test]
        fn merging_gives_the_order_of_arrival(lists in proptest::collection::vec(0..3_usize, 0..60)) {
            let mut parts = [const { Elements { list: Vec::new() } }; 3];
            for (arrival, &part) in lists.iter().enumerate() {
                parts[part].push(arrival as u64, arrival);
            }
            let mut merged = Elements::default();
            parts.iter().for_each(|part| merged.merge(part));
            prop_assert!(merged.iter().copied().eq(0..lists.len()));
        }
    }

    #[test]
    fn elements_come_back_from_their_bytes() {
        for list in [&[][..], &[(1, 5)], &[(1, 5), (2, 5), (9, 0)]] {
            let mut bytes = Vec::new();
            elements(list).encode(&mut Scratch::new(), &mut bytes);
            assert_eq!(Elements::decode(&bytes).unwrap(), elements(list));
        }
        let texts = Elements {
            list: vec![(3, String::from("a")), (4, String::new())],
        };
        let mut bytes = Vec::new();
        texts.encode(&mut Scratch::new(), &mut bytes);
        assert_eq!(Elements::decode(&bytes).unwrap(), texts);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let mut bytes = Vec::new();
        elements(&[(1, 5), (2, 6)]).encode(&mut Scratch::new(), &mut bytes);
        // Cut between two elements, it is a valid shorter list.
        let within = |cut: &usize| !cut.is_multiple_of(8 + 4);
        for cut in (0..bytes.len()).filter(within) {
            assert!(
                Elements::<u32>::decode(&bytes[..cut]).is_err(),
                "cut at {cut}"
            );
        }
        bytes[0] = 2;
        assert!(
            Elements::<u32>::decode(&bytes).is_err(),
            "arrivals out of order"
        );
        let texts = Elements {
            list: vec![(3, String::from("a"))],
        };
        bytes.clear();
        texts.encode(&mut Scratch::new(), &mut bytes);
        bytes[8] = 255;
        assert!(
            Elements::<String>::decode(&bytes).is_err(),
            "a length beyond the end"
        );
    }
}
