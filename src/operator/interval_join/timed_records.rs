//! `TimedRecords`: the records of one key and side of an interval join, in the order of their timestamps.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::operator::stamped::{put_stamped, take_stamped};
use crate::record::{FormError, Scratch, StateValue, shape_of_items};
use crate::time::Timestamp;

/// Records with their timestamps, the earliest first; those of one time in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimedRecords<V>(VecDeque<(Timestamp, V)>);

impl<V> Default for TimedRecords<V> {
    fn default() -> Self {
        TimedRecords(VecDeque::new())
    }
}

impl<V> TimedRecords<V> {
    /// Adds a record: in constant time if none is later.
    pub(super) fn insert(&mut self, at: Timestamp, record: V) {
        let place = match self.0.back() {
            Some((last, _)) if at < *last => self.0.partition_point(|(other, _)| *other <= at),
            _ => self.0.len(),
        };
        self.0.insert(place, (at, record));
    }

    /// The timestamp of the earliest one.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.0.front().map(|(at, _)| *at)
    }

    /// Those with timestamps in `times`.
    pub(super) fn within(
        &self,
        times: RangeInclusive<Timestamp>,
    ) -> impl Iterator<Item = &(Timestamp, V)> {
        let from = self.0.partition_point(|(at, _)| at < times.start());
        let to = self.0.partition_point(|(at, _)| at <= times.end());
        self.0.range(from..to.max(from))
    }

    /// Removes those up to `last`; says whether none is left.
    pub(super) fn remove_through(&mut self, last: Timestamp) -> bool {
        let count = self.0.partition_point(|(at, _)| *at <= last);
        self.0.drain(..count);
        self.0.is_empty()
    }
}

/// Encoding: each record after its timestamp, see `operator::stamped`.
impl<V: StateValue> StateValue for TimedRecords<V> {
    const LENGTH: Option<usize> = None;
    const VERSION: u32 = V::VERSION;
    const SHAPE: u32 = shape_of_items::<V>();

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        for (at, record) in &self.0 {
            put_stamped(at.0.to_ne_bytes(), record, scratch, bytes);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let mut records = VecDeque::<(Timestamp, V)>::new();
        take_stamped::<Self, V>(bytes, |at, record| {
            let at = Timestamp(i64::from_ne_bytes(at));
            if records.back().is_some_and(|(last, _)| *last > at) {
                return Err("not in order of time");
            }
            records.push_back((at, record));
            Ok(())
        })?;
        Ok(TimedRecords(records))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(times: &[i64]) -> TimedRecords<u32> {
        let mut records = TimedRecords::default();
        for (number, at) in (0..).zip(times) {
            records.insert(Timestamp(*at), number);
        }
        records
    }

    fn within(records: &TimedRecords<u32>, from: i64, to: i64) -> Vec<(i64, u32)> {
        let found = records.within(Timestamp(from)..=Timestamp(to));
        found.map(|(at, number)| (at.0, *number)).collect()
    }

    #[test]
    fn records_are_in_order_of_time_and_then_of_arrival() {
        let records = records(&[5, 3, 5, 9, 3, -1]);
        let all = [(-1, 5), (3, 1), (3, 4), (5, 0), (5, 2), (9, 3)];
        assert_eq!(within(&records, -9, 9), all);
        assert_eq!(within(&records, 3, 5), all[1..5]);
        assert_eq!(within(&records, 4, 4), []);
        assert_eq!(within(&records, 5, 4), [], "an empty range");
        assert_eq!(records.first(), Some(Timestamp(-1)));
    }

    #[test]
    fn what_is_removed_is_all_up_to_a_time() {
        let mut records = records(&[5, 3, 9]);
        assert!(!records.remove_through(Timestamp(2)));
        assert!(!records.remove_through(Timestamp(5)));
        assert_eq!(within(&records, 0, 9), [(9, 2)]);
        assert!(records.remove_through(Timestamp(9)));
        assert_eq!(records.first(), None);
    }

    #[test]
    fn records_come_back_from_their_bytes_and_damage_is_an_error() {
        let records = records(&[5, 3, 9]);
        let mut bytes = Vec::new();
        records.encode(&mut Scratch::new(), &mut bytes);
        assert_eq!(TimedRecords::decode(&bytes).unwrap(), records);
        for cut in (0..bytes.len()).filter(|cut| !cut.is_multiple_of(8 + 4)) {
            assert!(TimedRecords::<u32>::decode(&bytes[..cut]).is_err());
        }
        bytes[..8].copy_from_slice(&7_i64.to_ne_bytes());
        assert!(TimedRecords::<u32>::decode(&bytes).is_err(), "out of order");
    }
}
