//! Counts of sliding windows, made of panes: one that comes is added, one that goes is taken off.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::key_table::KeyTable;

/// The window of query 5, in milliseconds.
pub const WINDOW_MS: i64 = 10_000;
/// How far one window stands from the next; also the width of a pane.
pub const SLIDE_MS: i64 = 2_000;

/// A window's largest count, ordered so that the largest wins: the count, the inverted auction.
pub type Most = (u64, u64);

/// Bids per auction.
pub type Counts = KeyTable<u64>;

/// The counts of the panes that the next window to fire has.
#[derive(Clone, Debug, Default)]
pub struct Sliding {
    totals: HashMap<u64, u64, FixedState>,
    panes: VecDeque<(i64, Counts)>,
    /// The end of the next window to fire, if there are panes.
    next: i64,
    spare: Vec<Counts>,
}

impl Sliding {
    /// Takes in the pane that ends at `end`, leaving an empty one in its place; fires the windows that
    /// end with it or before it.
    pub fn take(&mut self, end: i64, pane: &mut Counts, fire: &mut impl FnMut(i64, Most)) {
        self.advance(end - SLIDE_MS, fire);
        if self.panes.is_empty() {
            self.next = end;
        }
        for (auction, count) in pane.iter() {
            *self.totals.entry(auction).or_insert(0) += count;
        }
        let empty = self.spare.pop().unwrap_or_default();
        self.panes.push_back((end, std::mem::replace(pane, empty)));
        self.advance(end, fire);
    }

    /// Fires the windows that end no later than `watermark`, and have a pane.
    pub fn advance(&mut self, watermark: i64, fire: &mut impl FnMut(i64, Most)) {
        while !self.panes.is_empty() && self.next <= watermark {
            self.expire(self.next - WINDOW_MS);
            let counts = self.totals.iter();
            if let Some(most) = counts.map(|(auction, count)| (*count, !*auction)).max() {
                fire(self.next, most);
            }
            self.next += SLIDE_MS;
        }
    }

    /// Takes off the panes that end no later than `start`.
    fn expire(&mut self, start: i64) {
        while self.panes.front().is_some_and(|(end, _)| *end <= start) {
            let (_, mut gone) = self.panes.pop_front().expect("just seen");
            for (auction, count) in gone.iter() {
                if let Entry::Occupied(mut total) = self.totals.entry(auction) {
                    *total.get_mut() -= count;
                    if *total.get() == 0 {
                        total.remove();
                    }
                }
            }
            gone.clear();
            self.spare.push(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_with_a_record_fires_once() {
        let mut sliding = Sliding::default();
        let mut fired = Vec::new();
        for (end, auction, count) in [(2_000, 7, 3), (6_000, 8, 4), (30_000, 9, 1)] {
            let mut pane = Counts::default();
            *pane.value(auction) = count;
            sliding.take(end, &mut pane, &mut |end, most| {
                fired.push((end, most.0, !most.1))
            });
            assert!(pane.is_empty());
        }
        sliding.advance(i64::MAX, &mut |end, most| {
            fired.push((end, most.0, !most.1))
        });
        let of = |ends: std::ops::RangeInclusive<i64>, count, auction| {
            ends.step_by(2_000)
                .map(move |end| (end, count, auction))
                .collect::<Vec<_>>()
        };
        let expected = [
            of(2_000..=4_000, 3, 7),
            of(6_000..=14_000, 4, 8),
            of(30_000..=38_000, 1, 9),
        ];
        assert_eq!(fired, expected.concat());
    }
}
