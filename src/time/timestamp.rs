//! Event time and durations: one unit, nanoseconds, everywhere.

use std::fmt;
use std::time::Duration;

/// A point in event or processing time: nanoseconds since 1970-01-01T00:00:00Z, as an `i64`.
///
/// Nanoseconds carry millisecond sources and market data alike and reach from 1677 to 2262. The two
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
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// `self + nanos`, stopping at the ends of the range.
    #[must_use]
    pub const fn saturating_add(self, nanos: i64) -> Self {
        Timestamp(self.0.saturating_add(nanos))
    }

    /// `self − nanos`, stopping at the ends of the range.
    #[must_use]
    pub const fn saturating_sub(self, nanos: i64) -> Self {
        Timestamp(self.0.saturating_sub(nanos))
    }

    /// Whether a record with this timestamp has none ([`Timestamp::MIN`]).
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
