//! `Elements`: the records of a window, kept one by one.

use crate::record::{FormError, Scratch, StateValue};

/// The records of one key in one window, in order of arrival.
///
/// Each is kept with the number of its arrival at the subtask, so that the lists of several slices merge
/// into exactly the order that one list for the whole window would have.
///
/// Encoded: per element its arrival and its length (`u64`, little-endian) and its bytes.
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
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The elements in order of arrival.
    pub fn iter(&self) -> ElementsIter<'_, E> {
        ElementsIter(self.list.iter())
    }

    /// Appends what arrived after everything else.
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

/// The elements of a window in order of arrival.
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

impl<E: StateValue> StateValue for Elements<E> {
    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        for (arrival, element) in &self.list {
            bytes.extend_from_slice(&arrival.to_le_bytes());
            let length_at = bytes.len();
            bytes.extend_from_slice(&[0; 8]);
            element.encode(scratch, bytes);
            let length = (bytes.len() - length_at - 8) as u64;
            bytes[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let invalid = |reason: &str| FormError {
            type_name: std::any::type_name::<Self>(),
            length: bytes.len(),
            reason: reason.to_owned(),
        };
        let mut elements = Elements::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (arrival, after) = rest.split_first_chunk().ok_or_else(|| invalid("cut off"))?;
            let (length, after) = after
                .split_first_chunk()
                .ok_or_else(|| invalid("cut off"))?;
            let length = usize::try_from(u64::from_le_bytes(*length));
            let split = length
                .ok()
                .and_then(|length| after.split_at_checked(length));
            let (element, after) = split.ok_or_else(|| invalid("cut off"))?;
            let arrival = u64::from_le_bytes(*arrival);
            if elements
                .list
                .last()
                .is_some_and(|&(last, _)| last >= arrival)
            {
                return Err(invalid("not in order of arrival"));
            }
            elements.list.push((arrival, E::decode(element)?));
            rest = after;
        }
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
        for cut in (0..bytes.len()).filter(|&cut| cut != 0 && cut != 20) {
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
        bytes[0] = 1;
        bytes[8] = 255;
        assert!(
            Elements::<u32>::decode(&bytes).is_err(),
            "a length beyond the end"
        );
    }
}
