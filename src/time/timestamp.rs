//! Event time and durations: one unit, nanoseconds, everywhere.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A point in event or processing time: nanoseconds since 1970-01-01T00:00:00Z, as an `i64`.
///
/// Nanoseconds suit millisecond sources and market data alike and reach from 1677 to 2262. The two
/// ends of the range are reserved, as in Flink: [`Timestamp::MIN`] means *no timestamp* on a record
/// and *nothing known* as a watermark; [`Timestamp::MAX`] is the watermark at the end of input.
/// Where Flink's rules subtract one millisecond (`window end − 1`), one nanosecond is subtracted.
///
/// A [`Duration`] is added and subtracted with `+` and `-`, which stop at the ends of the range: a timer
/// that would be due after the end of time is due at it.
///
/// ```
/// use thalweg::time::{Timestamp, millis, mins, secs};
///
/// let at = Timestamp::from_secs(60);
/// assert_eq!(at + millis(500), Timestamp::from_millis(60_500));
/// assert_eq!(at - mins(1), Timestamp::from_secs(0));
/// assert_eq!(at.saturating_duration_since(Timestamp::from_secs(45)), secs(15));
/// assert_eq!(Timestamp::MAX + secs(1), Timestamp::MAX);
/// ```
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    bytemuck::Pod,
    bytemuck::Zeroable,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[rkyv(
    derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug),
    compare(PartialEq, PartialOrd)
)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// No timestamp on a record; the watermark before any was seen.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The end of time: the watermark that follows the last record of a bounded input.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The timestamp `millis` milliseconds after the epoch, saturating.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis.saturating_mul(1_000_000))
    }

    /// The timestamp `secs` seconds after the epoch, saturating.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Timestamp(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[inline]
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// `self + nanos`, saturating at the ends of the range; `+` does the same with a [`Duration`].
    #[must_use]
    pub const fn saturating_add(self, nanos: i64) -> Self {
        Timestamp(self.0.saturating_add(nanos))
    }

    /// `self − nanos`, saturating at the ends of the range; `-` does the same with a [`Duration`].
    #[must_use]
    pub const fn saturating_sub(self, nanos: i64) -> Self {
        Timestamp(self.0.saturating_sub(nanos))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Timestamp) -> Duration {
        if self.0 > earlier.0 {
            Duration::from_nanos(self.0.abs_diff(earlier.0))
        } else {
            Duration::ZERO
        }
    }

    /// Whether this is [`Timestamp::MIN`], which means that a record has no timestamp.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == i64::MIN
    }
}

impl ArchivedTimestamp {
    /// The timestamp that was archived.
    #[inline]
    #[must_use]
    pub const fn to_native(self) -> Timestamp {
        Timestamp(self.0.to_native())
    }
}

/// Stops at [`Timestamp::MAX`].
impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    #[inline]
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span(duration)))
    }
}

impl AddAssign<Duration> for Timestamp {
    #[inline]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// Stops at [`Timestamp::MIN`].
impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    #[inline]
    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(span(duration)))
    }
}

impl SubAssign<Duration> for Timestamp {
    #[inline]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// The nanoseconds of a [`Duration`], or as many as there are from one end of the range to the other.
fn span(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::MIN => f.write_str("-∞"),
            Timestamp::MAX => f.write_str("+∞"),
            Timestamp(nanos) => write!(
                f,
                "{}.{:09}s",
                nanos.div_euclid(1_000_000_000),
                nanos.rem_euclid(1_000_000_000)
            ),
        }
    }
}

/// The start of the window of `size` nanoseconds that contains `at`, for windows aligned to `offset`:
/// `at − floorMod(at − offset, size)`.
///
/// Flink's `TimeWindow.getWindowStartWithOffset`, but with a floored remainder, so that times before the
/// epoch fall into the window that contains them, and exact where `at − offset` would overflow. A start
/// before [`Timestamp::MIN`] is `MIN`. One division.
///
/// Requires `size > 0` and `|offset| < size`; the assigners check this once, when they are built.
#[inline]
#[must_use]
pub const fn window_start(at: Timestamp, size: i64, offset: i64) -> Timestamp {
    debug_assert!(size > 0 && -size < offset && offset < size);
    let offset = if offset < 0 { offset + size } else { offset };
    let since = at.0.rem_euclid(size) - offset;
    let since = if since < 0 { since + size } else { since };
    at.saturating_sub(since)
}

/// The nanoseconds of a [`Duration`], saturating at `i64::MAX`.
#[must_use]
pub const fn nanos(duration: Duration) -> i64 {
    let nanos = duration.as_nanos();
    if nanos > i64::MAX as u128 {
        i64::MAX
    } else {
        nanos as i64
    }
}

/// `n` nanoseconds.
#[must_use]
pub const fn nanoseconds(n: u64) -> Duration {
    Duration::from_nanos(n)
}

/// `n` milliseconds.
#[must_use]
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `n` seconds.
#[must_use]
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
#[must_use]
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn window_start_is_floored_for_times_before_the_epoch() {
        let cases = [
            (0, 5, 0, 0),
            (4, 5, 0, 0),
            (5, 5, 0, 5),
            (-1, 5, 0, -5),
            (-5, 5, 0, -5),
            (-6, 5, 0, -10),
            (1, 5, 2, -3),
            (2, 5, 2, 2),
            (-3, 5, 2, -3),
            (-4, 5, 2, -8),
            (0, 5, -2, -2),
            (3, 5, -2, 3),
            (-3, 5, -2, -7),
        ];
        for (at, size, offset, start) in cases {
            let found = window_start(Timestamp(at), size, offset);
            assert_eq!(found, Timestamp(start), "at {at}, {size} from {offset}");
        }
    }

    #[test]
    fn durations_are_added_and_subtracted_up_to_the_ends_of_the_range() {
        let all_of_it = nanoseconds(u64::MAX);
        assert_eq!(Timestamp::MIN + all_of_it, Timestamp::MAX);
        assert_eq!(Timestamp::MAX - all_of_it, Timestamp::MIN);
        assert_eq!(Timestamp(7) + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp(7) - Duration::MAX, Timestamp::MIN);
        let since = |late: Timestamp, early| late.saturating_duration_since(early);
        assert_eq!(since(Timestamp::MAX, Timestamp::MIN), all_of_it);
        assert_eq!(since(Timestamp(3), Timestamp(4)), Duration::ZERO);
        let mut at = Timestamp(-3);
        at += nanoseconds(5);
        assert_eq!(at, Timestamp(2));
        at -= nanoseconds(9);
        assert_eq!(at, Timestamp(-7));
    }

    proptest! {
        #[test]
        fn window_start_is_the_formula_without_overflow(
            at in any::<i64>(),
            size in prop_oneof![1..100_i64, 1..i64::MAX],
            part in -1.0..1.0_f64,
        ) {
            let offset = ((size as f64 * part) as i64).clamp(1 - size, size - 1);
            let wide = i128::from(at) - (i128::from(at) - i128::from(offset)).rem_euclid(i128::from(size));
            let start = wide.max(i128::from(i64::MIN));
            prop_assert_eq!(i128::from(window_start(Timestamp(at), size, offset).0), start);
        }
    }
}
