//! `Slicing`: which windows and which slice contain a timestamp, and which slices make up a window.
//!
//! A slice is a maximal stretch of time that every window contains either entirely or not at all. With `size = q ·
//! slide + r`, windows start at every multiple of the slide and end `r` after one, so the time between two
//! starts is one slice if `r` is 0, and two otherwise: before the ends and after them (the "pairs" of
//! Krishnamurthy, Wu and Franklin, SIGMOD 2006). Slices of `gcd(size, slide)` would do too, but for
//! unlucky durations there are millions of times as many. Window `w` consists of `count` slices, from
//! `w · step`:
//!
//! ```text
//! size 7, slide 3      time     0   1       3   4       6   7       9   10
//! (q 2, r 1:           slices   │ 0 │   1   │ 2 │   3   │ 4 │   5   │ 6 │
//! step 2, count 5)     windows  ├────────────── 0 ──────────┤
//!                                           ├────────────── 1 ──────────┤
//! ```
//!
//! With a slide longer than the size, `q` is 0: the even slices are windows, the odd ones are the gaps.
//!
//! Window and slice numbers are integers, negative before the offset. Times are computed in 128
//! bits where they could overflow, and saturate at the ends of the timestamp range.

use std::ops::RangeInclusive;

use crate::time::Timestamp;

use super::lateness::Lateness;
use super::time_window::TimeWindow;

/// The windows of a [`SlicedAssigner`](super::SlicedAssigner) and the slices that make them up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slicing {
    size: i64,
    slide: i64,
    offset: i64,
    /// Length of the first slice of a pair; 0 if a slide is one slice.
    rest: i64,
    step: i64,
    count: i64,
}

/// A slice of time: its number and its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slice {
    pub(super) number: i64,
    /// The first timestamp; never [`Timestamp::MIN`], which means none.
    pub(super) first: Timestamp,
    /// The last timestamp.
    pub(super) last: Timestamp,
}

impl Slice {
    /// A slice that contains no timestamp.
    pub(super) const NONE: Slice = Slice {
        number: 0,
        first: Timestamp::MAX,
        last: Timestamp::MIN,
    };

    /// Returns whether a timestamp belongs to the slice.
    #[inline(always)]
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.first <= at && at <= self.last
    }
}

impl Slicing {
    /// `size` and `slide` must be in `1..=2^60`, `offset` smaller than `slide` in magnitude.
    pub(super) fn new(size: i64, slide: i64, offset: i64) -> Self {
        debug_assert!(size > 0 && slide > 0 && -slide < offset && offset < slide);
        let (whole, rest) = (size / slide, size % slide);
        let step = if rest == 0 { 1 } else { 2 };
        Slicing {
            size,
            slide,
            offset,
            rest,
            step,
            count: whole * step + i64::from(rest != 0),
        }
    }

    /// Returns how many slices make up a window.
    #[must_use]
    pub fn slices_per_window(&self) -> i64 {
        self.count
    }

    /// Returns the number of the last window that starts at or before `at`.
    #[inline]
    fn last_started(&self, at: Timestamp) -> i64 {
        match at.0.checked_sub(self.offset) {
            Some(since) => since.div_euclid(self.slide),
            // The slide is above the offset, so it is at least 2 and the quotient is small enough.
            None => (i128::from(at.0) - i128::from(self.offset)).div_euclid(i128::from(self.slide))
                as i64,
        }
    }

    /// Returns the slice that contains `at`; `None` in a gap.
    #[inline]
    pub(super) fn slice(&self, at: Timestamp) -> Option<Slice> {
        let period = self.last_started(at);
        let near = Timestamp(-(1 << 62))..Timestamp(1 << 62);
        if !near.contains(&at) {
            return self.far_slice(at, period);
        }
        let start = period * self.slide + self.offset;
        let (number, from, to) = self.part(period, at.0 - start)?;
        Some(Slice {
            number,
            first: Timestamp(start + from),
            last: Timestamp(start + to - 1),
        })
    }

    /// [`Slicing::slice`] where sums may leave the timestamp range.
    #[cold]
    fn far_slice(&self, at: Timestamp, period: i64) -> Option<Slice> {
        let start = i128::from(period) * i128::from(self.slide) + i128::from(self.offset);
        let (number, from, to) = self.part(period, (i128::from(at.0) - start) as i64)?;
        Some(Slice {
            number,
            first: Timestamp(clamp(start + i128::from(from)).max(i64::MIN + 1)),
            last: Timestamp(clamp(start + i128::from(to) - 1)),
        })
    }

    /// Returns the slice of a period that contains the time `into` it: its number, and where in the period it
    /// begins and ends; `None` in a gap.
    #[inline]
    fn part(&self, period: i64, into: i64) -> Option<(i64, i64, i64)> {
        let number = period.saturating_mul(self.step);
        if self.rest == 0 {
            Some((number, 0, self.slide))
        } else if into < self.rest {
            Some((number, 0, self.rest))
        } else if self.count > 1 {
            Some((number.saturating_add(1), self.rest, self.slide))
        } else {
            None
        }
    }

    /// Returns the slice with this number, if it contains a timestamp that a window contains.
    pub(super) fn numbered(&self, number: i64) -> Option<Slice> {
        let (period, part) = (number.div_euclid(self.step), number.rem_euclid(self.step));
        let start = i128::from(period) * i128::from(self.slide) + i128::from(self.offset);
        let start = start + i128::from(part) * i128::from(self.rest);
        let slice = self.slice(Timestamp(clamp(start).max(i64::MIN + 1)));
        slice.filter(|slice| slice.number == number)
    }

    /// Returns the size, the slide and the offset in nanoseconds.
    pub(super) fn durations(&self) -> [i64; 3] {
        [self.size, self.slide, self.offset]
    }

    /// Returns the window with this number.
    #[must_use]
    pub fn window(&self, window: i64) -> TimeWindow {
        let start = i128::from(window) * i128::from(self.slide) + i128::from(self.offset);
        TimeWindow {
            start: Timestamp(clamp(start)),
            end: Timestamp(clamp(start + i128::from(self.size))),
        }
    }

    /// Returns the numbers of the windows that contain `at`, in the order of their starts.
    ///
    /// Flink's sliding assigner returns them in reverse order.
    #[must_use]
    pub fn windows(&self, at: Timestamp) -> impl DoubleEndedIterator<Item = i64> + use<> {
        let range = self.slice(at).map(|slice| self.windows_of(slice.number));
        range.map_or(0..0, |(first, last)| first..last + 1)
    }

    /// Returns the first and the last window that contain a slice, which must not be a gap.
    pub(super) fn windows_of(&self, slice: i64) -> (i64, i64) {
        (
            slice.saturating_sub(self.count).div_euclid(self.step) + 1,
            slice.div_euclid(self.step),
        )
    }

    /// Returns the first slice whose windows are all `window` or later ones.
    pub(super) fn first_slice_since(&self, window: i64) -> i64 {
        let before = window.saturating_sub(1).saturating_mul(self.step);
        before.saturating_add(self.count)
    }

    /// Returns the first slice of a window.
    pub(super) fn first_slice(&self, window: i64) -> i64 {
        window.saturating_mul(self.step)
    }

    /// Returns the slices that make up a window.
    pub(super) fn slices_of(&self, window: i64) -> std::ops::Range<i64> {
        let first = self.first_slice(window);
        first..first.saturating_add(self.count)
    }

    /// Returns the first window whose maximal timestamp is greater than `time`. If all windows within the
    /// timestamp range have ended, returns a number that no window reaches.
    pub(super) fn first_open(&self, time: Timestamp) -> i64 {
        if time == Timestamp::MAX {
            return i64::MAX;
        }
        // A window that ends at `MAX` or beyond lasts until then.
        let time = time.0.min(i64::MAX - 2);
        let since = i128::from(time) - i128::from(self.offset) - i128::from(self.size) + 1;
        let window = since.div_euclid(i128::from(self.slide)) + 1;
        clamp(window)
    }

    /// Returns whether merging the state of subtasks whose watermarks span the range `watermarks` combines parts that
    /// have fired with windows in which other parts have not, and that are still kept for other windows or
    /// late records.
    pub(super) fn has_fired_apart(
        &self,
        lateness: Lateness,
        watermarks: &RangeInclusive<Timestamp>,
    ) -> bool {
        let first_open = |at: &Timestamp| self.first_open(*at);
        let outlives_firing = self.slices_per_window() > 1 || lateness != Lateness::default();
        outlives_firing && first_open(watermarks.start()) < first_open(watermarks.end())
    }
}

fn clamp(nanos: i128) -> i64 {
    nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Flink's `SlidingEventTimeWindows.assignWindows`, in its order.
    fn naive(at: i64, size: i64, slide: i64, offset: i64) -> Vec<(i64, i64)> {
        let mut start = at - (at - offset).rem_euclid(slide);
        let mut windows = Vec::new();
        while start > at - size {
            windows.push((start, start + size));
            start -= slide;
        }
        windows
    }

    fn assigned(slicing: &Slicing, at: i64) -> Vec<(i64, i64)> {
        let windows = slicing.windows(Timestamp(at)).rev();
        let bounds = |w: TimeWindow| (w.start.0, w.end.0);
        windows.map(|w| bounds(slicing.window(w))).collect()
    }

    #[test]
    fn windows_before_the_epoch_are_floored() {
        let tumbling = Slicing::new(5, 5, 0);
        assert_eq!(assigned(&tumbling, -1), [(-5, 0)]);
        assert_eq!(assigned(&tumbling, -5), [(-5, 0)]);
        assert_eq!(assigned(&tumbling, -6), [(-10, -5)]);
        assert_eq!(assigned(&Slicing::new(5, 5, -2), -3), [(-7, -2)]);
    }

    #[test]
    fn a_slide_longer_than_the_size_leaves_gaps() {
        let gaps = Slicing::new(2, 5, 1);
        assert_eq!(assigned(&gaps, 1), [(1, 3)]);
        assert_eq!(assigned(&gaps, 2), [(1, 3)]);
        assert_eq!(assigned(&gaps, 3), []);
        assert_eq!(assigned(&gaps, -1), []);
        assert_eq!(assigned(&gaps, -3), [(-4, -2)]);
    }

    #[test]
    fn durations_without_a_common_divisor_make_two_slices_a_slide() {
        let hour = 3_600_000_000_000;
        let slicing = Slicing::new(hour, 1_000_000_001, 0);
        assert_eq!(slicing.slices_per_window(), 2 * 3599 + 1);
        assert_eq!(
            Slicing::new(hour, 1_000_000_000, 0).slices_per_window(),
            3600
        );
    }

    #[test]
    fn the_ends_of_time_have_windows_too() {
        let slicing = Slicing::new(10, 10, 3);
        for at in [i64::MIN + 1, i64::MIN + 9, i64::MAX - 1, i64::MAX] {
            let window = slicing.window(slicing.windows(Timestamp(at)).next().unwrap());
            assert!(window.start.0 <= at && (at < window.end.0 || window.end == Timestamp::MAX));
            let slice = slicing.slice(Timestamp(at)).unwrap();
            assert!((slice.first.0..=slice.last.0).contains(&at));
            assert_eq!(slicing.numbered(slice.number), Some(slice));
        }
        assert_eq!(slicing.first_open(Timestamp::MAX), i64::MAX);
        for time in [i64::MAX - 9, i64::MAX - 2, i64::MAX - 1].map(Timestamp) {
            let open = slicing.first_open(time);
            assert!(slicing.window(open).max_timestamp() > time);
            assert!(slicing.window(open - 1).max_timestamp() <= time);
        }
        assert!(slicing.window(slicing.first_open(Timestamp::MIN)).end > Timestamp::MIN);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn windows_are_those_of_the_naive_rule(
            at in -300..300_i64, size in 1..60_i64, slide in 1..60_i64, part in -1.0..1.0_f64,
        ) {
            let offset = ((slide as f64 * part) as i64).clamp(1 - slide, slide - 1);
            let slicing = Slicing::new(size, slide, offset);
            prop_assert_eq!(assigned(&slicing, at), naive(at, size, slide, offset));
        }

        #[test]
        fn a_slice_is_in_the_same_windows_all_along(
            at in -300..300_i64, size in 1..60_i64, slide in 1..60_i64, part in -1.0..1.0_f64,
        ) {
            let offset = ((slide as f64 * part) as i64).clamp(1 - slide, slide - 1);
            let slicing = Slicing::new(size, slide, offset);
            let windows = naive(at, size, slide, offset);
            let Some(slice) = slicing.slice(Timestamp(at)) else {
                prop_assert!(windows.is_empty());
                return Ok(());
            };
            prop_assert!((slice.first.0..=slice.last.0).contains(&at));
            prop_assert_eq!(slicing.numbered(slice.number), Some(slice));
            prop_assert_eq!(naive(slice.first.0, size, slide, offset), windows.clone());
            prop_assert_eq!(naive(slice.last.0, size, slide, offset), windows.clone());
            let (first, last) = slicing.windows_of(slice.number);
            prop_assert_eq!(last - first + 1, windows.len() as i64);
            prop_assert!(slicing.first_slice_since(first) <= slice.number);
            prop_assert!(slicing.first_slice_since(first + 1) > slice.number);
            for window in first..=last {
                let of = slicing.first_slice(window)..slicing.first_slice(window) + slicing.count;
                prop_assert!(of.contains(&slice.number));
            }
        }

        #[test]
        fn first_open_is_the_first_that_ends_later(
            time in -300..300_i64, size in 1..60_i64, slide in 1..60_i64, part in -1.0..1.0_f64,
        ) {
            let offset = ((slide as f64 * part) as i64).clamp(1 - slide, slide - 1);
            let slicing = Slicing::new(size, slide, offset);
            let open = slicing.first_open(Timestamp(time));
            prop_assert!(slicing.window(open).max_timestamp() > Timestamp(time));
            prop_assert!(slicing.window(open - 1).max_timestamp() <= Timestamp(time));
        }
    }
}
