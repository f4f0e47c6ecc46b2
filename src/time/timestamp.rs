//! Event time and durations: one unit, nanoseconds, everywhere.

use std::fmt;
use std::time::Duration;

/// A point in event or processing time: nanoseconds since 1970-01-01T00:00:00Z, as an `i64`.
///
/// Nanoseconds suit millisecond sources and market data alike and reach from 1677 to 2262. The two
/// ends of the range are reserved, as in Flink: [`Timestamp::MIN`] means *no timestamp* on a record
/// and *nothing known* as a watermark; [`Timestamp::MAX`] is the watermark at the end of input.
/// Where Flink's rules subtract one millisecond (`window end − 1`), one nanosecond is subtracted.
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

    /// `self + nanos`, saturating at the ends of the range.
    #[must_use]
    pub const fn saturating_add(self, nanos: i64) -> Self {
        Timestamp(self.0.saturating_add(nanos))
    }

    /// `self − nanos`, saturating at the ends of the range.
    #[must_use]
    pub const fn saturating_sub(self, nanos: i64) -> Self {
        Timestamp(self.0.saturating_sub(nanos))
    }

    /// Whether this is [`Timestamp::MIN`], which means that a record has no timestamp.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == i64::MIN
    }
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
