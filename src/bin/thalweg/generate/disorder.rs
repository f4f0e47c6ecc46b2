//! Bounded disorder: records out of the order of their times by no more than a bound.
//!
//! Each record is assigned a place, its time plus a random delay of at most the bound, and records are emitted in
//! order of their places, so none comes after one that is younger by more than the bound. The input is in time order:
//! once a record is later than a place, nothing can come before that place any more, and what is held there is
//! emitted. So no more records are held than occur within the bound.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::nexmark::{Dated, Random};

/// The records of `I`, whose input is in time order, in bounded disorder.
#[derive(Debug)]
pub(super) struct Disorder<I: Iterator> {
    records: I,
    bound_ms: u64,
    random: Random,
    held: BinaryHeap<Reverse<Held<I::Item>>>,
    taken: u64,
    /// All places up to this one are complete.
    complete: i64,
}

impl<I: Iterator> Disorder<I> {
    /// Delays of 0 to `bound_ms` milliseconds, from the random stream of `seed`.
    pub(super) fn new(records: I, bound_ms: u64, seed: u64) -> Self {
        Disorder {
            records,
            bound_ms,
            random: Random::new(seed),
            held: BinaryHeap::new(),
            taken: 0,
            complete: i64::MIN,
        }
    }
}

impl<I: Iterator<Item: Dated>> Iterator for Disorder<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        loop {
            if let Some(Reverse(first)) = self.held.peek()
                && first.place.0 <= self.complete
            {
                return self.held.pop().map(|Reverse(held)| held.record);
            }
            match self.records.next() {
                Some(record) => {
                    self.complete = record.date_time_ms();
                    let delay = self.random.below(self.bound_ms + 1);
                    let place = record.date_time_ms().saturating_add_unsigned(delay);
                    let place = (place, self.taken);
                    self.taken += 1;
                    self.held.push(Reverse(Held { place, record }));
                }
                None if self.held.is_empty() => return None,
                None => self.complete = i64::MAX,
            }
        }
    }
}

/// A record being held back.
#[derive(Debug)]
struct Held<T> {
    /// Where it goes; ties are broken by the order of arrival.
    place: (i64, u64),
    record: T,
}

impl<T> PartialEq for Held<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> Eq for Held<T> {}

impl<T> PartialOrd for Held<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Held<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nexmark::{Person, Timeline};

    fn persons() -> impl Iterator<Item = Person> {
        let (timeline, mut random) = (Timeline::new(10_000), Random::new(1));
        (0..5000).map(move |number| timeline.person(number, &mut random))
    }

    #[test]
    fn no_record_is_behind_a_younger_one_by_more_than_the_bound() {
        for bound in [0, 1, 40, 1000, 100_000] {
            let (mut newest, mut behind) = (i64::MIN, 0);
            let mut disorder = Disorder::new(persons(), bound, 7);
            let mut held_max = 0;
            let mut ids = Vec::new();
            while let Some(person) = disorder.next() {
                newest = newest.max(person.date_time_ms);
                behind = behind.max(newest - person.date_time_ms);
                held_max = held_max.max(disorder.held.len());
                ids.push(person.id);
            }
            let bound = i64::try_from(bound).expect("small");
            assert!(behind <= bound, "{behind} ms behind, bound {bound}");
            // All of them occur within 25 seconds.
            let enough = bound.min(25_000) / 2;
            assert!(bound < 40 || behind >= enough, "{behind} ms behind");
            // A person occurs every 5 ms: no more are held than occur within the bound.
            assert!(held_max as i64 <= bound / 5 + 2, "{held_max} held");
            ids.sort_unstable();
            assert!(ids.into_iter().eq(1000..6000), "bound {bound}");
        }
    }

    #[test]
    fn without_a_bound_the_order_is_kept() {
        assert!(Disorder::new(persons(), 0, 7).eq(persons()));
    }

    #[test]
    fn order_is_that_of_a_stable_sort_by_place() {
        let mut delays = Random::new(7);
        let places =
            persons().map(|person| (person.date_time_ms + delays.below(201) as i64, person));
        let mut sorted: Vec<_> = places.collect();
        sorted.sort_by_key(|(place, _)| *place);
        let sorted = sorted.into_iter().map(|(_, person)| person);
        assert!(Disorder::new(persons(), 200, 7).eq(sorted));
    }
}
