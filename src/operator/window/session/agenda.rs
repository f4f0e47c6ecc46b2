//! `Agenda`: when to check which key's sessions.
//!
//! Most sessions have been extended since they were last checked, so most appointments that come due are merely
//! postponed. A queue in exact order is too expensive for that (some five hundred instructions each
//! time). Here an entry is kept in the *bucket* that its time falls in, and is checked when the watermark
//! reaches the bucket's start. Postponing it then takes a few instructions. Only what turns out to end in a
//! bucket that is being passed goes into a heap, to come out in time order.
//!
//! ```text
//!             watermark
//!     near: heap  │     ring: 64 buckets of one grain        far: a list
//!   ──────────────┼──────┬──────┬──────┬──────┬─── … ───┬──────────────────►  time
//!             turned ─►  │ base
//! ```
//! Invariant: entries before `base` are in the heap, entries in the ring are in the 64 buckets from `base` on. Those at
//! the end of time, which has no bucket after it, are in the heap.
//!
//! The agenda can be derived from the sessions: it is not checkpointed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Timestamp;

const BUCKETS: i64 = 64;
/// How many buckets make up one gap.
const BUCKETS_PER_GAP: i64 = 16;
/// The widest grain: the ring then covers all of time.
const GRAIN_MAX: u32 = 58;

/// A time and the key it belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Appointment<K> {
    pub(super) at: Timestamp,
    pub(super) key: K,
}

/// Appointments, to be checked in good time and kept in order.
#[derive(Debug)]
pub(super) struct Agenda<K> {
    /// The width of a bucket as a power of two; unknown until the first gap is.
    grain: Option<u32>,
    /// The first bucket that has not been turned.
    base: i64,
    ring: Vec<Vec<Appointment<K>>>,
    /// Which buckets of the ring are non-empty.
    occupied: u64,
    far: Vec<Appointment<K>>,
    far_first: Timestamp,
    near: BinaryHeap<Reverse<Appointment<K>>>,
    /// The bucket that is being turned.
    turning: Vec<Appointment<K>>,
    /// The memory of turned buckets, for reuse.
    spare: Vec<Vec<Appointment<K>>>,
    len: usize,
}

impl<K: Ord> Agenda<K> {
    pub(super) fn new() -> Self {
        Agenda {
            grain: None,
            base: 0,
            ring: (0..BUCKETS).map(|_| Vec::new()).collect(),
            occupied: 0,
            far: Vec::new(),
            far_first: Timestamp::MAX,
            near: BinaryHeap::new(),
            turning: Vec::new(),
            spare: Vec::new(),
            len: 0,
        }
    }

    /// Returns how many appointments there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Fits the bucket width to a gap, unless it is set already, at the current `watermark`.
    #[inline]
    pub(super) fn fit(&mut self, gap: i64, watermark: Timestamp) {
        if self.grain.is_none() {
            let grain = (gap / BUCKETS_PER_GAP).max(1).ilog2();
            self.grain = Some(grain);
            self.base = bucket(watermark, grain);
        }
    }

    fn grain(&self) -> u32 {
        self.grain.unwrap_or(GRAIN_MAX)
    }

    /// Adds an appointment after the watermark.
    pub(super) fn add(&mut self, at: Timestamp, key: K) {
        self.len += 1;
        self.place(Appointment { at, key });
    }

    /// Adds an appointment that [`Agenda::turn`] has returned, perhaps at a later time.
    #[inline]
    pub(super) fn put_back(&mut self, appointment: Appointment<K>, watermark: Timestamp) {
        self.len += 1;
        if appointment.at <= watermark {
            self.near.push(Reverse(appointment));
        } else {
            self.place(appointment);
        }
    }

    fn place(&mut self, appointment: Appointment<K>) {
        let number = bucket(appointment.at, self.grain());
        if number < self.base || appointment.at == Timestamp::MAX {
            self.near.push(Reverse(appointment));
        } else if number.wrapping_sub(self.base).cast_unsigned() < BUCKETS.cast_unsigned() {
            let slot = number.rem_euclid(BUCKETS);
            let bucket = &mut self.ring[slot as usize];
            if self.occupied >> slot & 1 == 0 {
                self.occupied |= 1 << slot;
                *bucket = self.spare.pop().unwrap_or_default();
            }
            bucket.push(appointment);
        } else {
            self.far_first = self.far_first.min(appointment.at);
            self.far.push(appointment);
        }
    }

    /// Returns the first non-empty bucket of the ring.
    fn first_bucket(&self) -> Option<i64> {
        let from_base = self
            .occupied
            .rotate_right(self.base.rem_euclid(BUCKETS) as u32);
        (from_base != 0).then(|| self.base + i64::from(from_base.trailing_zeros()))
    }

    /// Returns a time before which nothing needs checking.
    pub(super) fn quiet_before(&self) -> Timestamp {
        let near = (self.near.peek()).map_or(Timestamp::MAX, |first| first.0.at);
        let ring = self.first_bucket();
        let ring = ring.map_or(Timestamp::MAX, |number| Timestamp(number << self.grain()));
        near.min(ring).min(self.far_first)
    }

    /// Removes an appointment from the buckets that `watermark` has reached; it may be after the watermark,
    /// and must then be added again. Call this until it returns `None`.
    pub(super) fn turn(&mut self, watermark: Timestamp) -> Option<Appointment<K>> {
        loop {
            if let Some(appointment) = self.turning.pop() {
                self.len -= 1;
                return Some(appointment);
            }
            let now = bucket(watermark, self.grain());
            let first = self.first_bucket().filter(|number| *number <= now);
            let far = bucket(self.far_first, self.grain());
            if !self.far.is_empty() && far <= now && first.is_none_or(|first| far <= first) {
                self.base = self.base.max(far);
                self.fetch_far();
            } else if let Some(number) = first {
                let slot = number.rem_euclid(BUCKETS);
                self.occupied &= !(1 << slot);
                let bucket = std::mem::take(&mut self.ring[slot as usize]);
                self.spare
                    .push(std::mem::replace(&mut self.turning, bucket));
                self.base = number + 1;
            } else {
                self.base = self.base.max(now.saturating_add(1));
                return None;
            }
        }
    }

    /// Returns the appointment that [`Agenda::turn`] will return after `ahead` others, if it is known yet.
    #[inline]
    pub(super) fn ahead(&self, ahead: usize) -> Option<&Appointment<K>> {
        let place = self.turning.len().checked_sub(ahead + 1)?;
        self.turning.get(place)
    }

    /// Returns the next appointment at or before `watermark`, in time order, once all buckets are turned.
    pub(super) fn next_due(&mut self, watermark: Timestamp) -> Option<Appointment<K>> {
        if self.near.peek()?.0.at > watermark {
            return None;
        }
        self.len -= 1;
        self.near.pop().map(|first| first.0)
    }

    /// Moves to the ring what is now within its reach; if that is too little, widens the ring's
    /// reach.
    fn fetch_far(&mut self) {
        let reached = self.base.saturating_add(BUCKETS);
        self.far_first = Timestamp::MAX;
        let mut place = 0;
        while let Some(appointment) = self.far.get(place) {
            if bucket(appointment.at, self.grain()) < reached {
                let appointment = self.far.swap_remove(place);
                self.place(appointment);
            } else {
                self.far_first = self.far_first.min(appointment.at);
                place += 1;
            }
        }
        let grain = self.grain();
        if self.far.len() * 2 > self.len && grain < GRAIN_MAX {
            let wider = (grain + 2).min(GRAIN_MAX);
            self.grain = Some(wider);
            self.base >>= wider - grain;
            self.occupied = 0;
            let mut all = std::mem::take(&mut self.far);
            self.far_first = Timestamp::MAX;
            self.ring.iter_mut().for_each(|bucket| all.append(bucket));
            all.into_iter()
                .for_each(|appointment| self.place(appointment));
        }
    }
}

#[inline]
fn bucket(at: Timestamp, grain: u32) -> i64 {
    at.0 >> grain
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Advances to `watermark`; returns what was due, in order.
    fn go_on(agenda: &mut Agenda<u32>, watermark: Timestamp) -> Vec<(i64, u32)> {
        while let Some(appointment) = agenda.turn(watermark) {
            agenda.put_back(appointment, watermark);
        }
        let due = std::iter::from_fn(|| agenda.next_due(watermark));
        due.map(|appointment| (appointment.at.0, appointment.key))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn appointments_come_in_the_order_of_time_and_in_time(
            gap in 1..100_000_i64, start in prop_oneof![Just(i64::MIN), -10_000..10_000_i64],
            steps in prop::collection::vec((1..6_i64, 0..400_000_i64, 0..30_000_i64), 1..120),
        ) {
            let mut agenda = Agenda::new();
            let mut expected = BTreeSet::new();
            let mut watermark = start;
            for (key, (count, after, forward)) in (0..).zip(steps) {
                agenda.fit(gap, Timestamp(watermark));
                for n in 0..count {
                    let at = watermark.max(-20_000) + 1 + after * n;
                    agenda.add(Timestamp(at), key);
                    expected.insert((at, key));
                    prop_assert!(agenda.quiet_before() <= Timestamp(at));
                }
                watermark = watermark.max(-15_000) + forward;
                let later = expected.split_off(&(watermark + 1, 0));
                let due: Vec<_> = expected.into_iter().collect();
                expected = later;
                let mut found = go_on(&mut agenda, Timestamp(watermark));
                found.dedup();
                prop_assert_eq!(found, due);
                prop_assert!(agenda.quiet_before() > Timestamp(watermark));
            }
            let mut rest = go_on(&mut agenda, Timestamp::MAX);
            rest.dedup();
            prop_assert!(rest.into_iter().eq(expected));
            prop_assert_eq!(agenda.len(), 0);
        }
    }

    #[test]
    fn the_ends_of_time_have_buckets_too() {
        let mut agenda = Agenda::new();
        agenda.fit(1, Timestamp::MIN);
        for at in [i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            agenda.add(Timestamp(at), 7);
        }
        assert_eq!(
            go_on(&mut agenda, Timestamp(-1)),
            [(i64::MIN + 1, 7), (-1, 7)]
        );
        assert_eq!(go_on(&mut agenda, Timestamp(0)), [(0, 7)]);
        assert_eq!(
            go_on(&mut agenda, Timestamp(i64::MAX - 1)),
            [(i64::MAX - 1, 7)]
        );
        assert_eq!(agenda.quiet_before(), Timestamp::MAX);
        assert_eq!(go_on(&mut agenda, Timestamp::MAX), [(i64::MAX, 7)]);
        assert_eq!(agenda.len(), 0);
    }
}
