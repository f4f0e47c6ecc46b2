//! `TimeWindow`: an interval of event time.

use crate::record::{Pod, Record, plain_key};
use crate::time::Timestamp;

/// A window of event time: from `start` (inclusive) to `end` (exclusive).
///
/// A start before [`Timestamp::MIN`] becomes `MIN`. An end beyond [`Timestamp::MAX`] becomes `MAX`, which is the end of
/// time: such a window contains `MAX`, too.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
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
#[repr(C)]
pub struct TimeWindow {
    /// The first timestamp in the window.
    pub start: Timestamp,
    /// The first timestamp after the window.
    pub end: Timestamp,
}

impl Record for TimeWindow {
    type Form = Pod;
}

plain_key!(TimeWindow);

impl TimeWindow {
    /// Returns the last timestamp in the window: when it fires, and the timestamp of its results. It is `end` minus one
    /// nanosecond, but [`Timestamp::MAX`] for a window that lasts to the end of time.
    #[inline]
    #[must_use]
    pub const fn max_timestamp(self) -> Timestamp {
        match self.end {
            Timestamp::MAX => Timestamp::MAX,
            end => end.saturating_sub(1),
        }
    }
}

impl ArchivedTimeWindow {
    /// The window that was archived.
    #[inline]
    #[must_use]
    pub const fn to_native(self) -> TimeWindow {
        TimeWindow {
            start: self.start.to_native(),
            end: self.end.to_native(),
        }
    }
}

impl std::fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Archived, Form, Key, Scratch, StoredKey, View, Wire};

    #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    struct Visit {
        page: String,
        at: Timestamp,
        window: TimeWindow,
    }

    impl Record for Visit {
        type Form = Archived;
    }

    #[test]
    fn times_and_windows_are_parts_of_archived_records() {
        let window = TimeWindow {
            start: Timestamp(-5),
            end: Timestamp(5),
        };
        let visit = Visit {
            page: "a page whose name is not short".to_owned(),
            at: Timestamp(4),
            window,
        };
        let mut scratch = Scratch::new();
        let view: &View<Visit> = Archived::far(&visit, &mut scratch);
        assert_eq!(view.page, visit.page);
        assert_eq!(view.at.to_native(), Timestamp(4));
        assert_eq!(view.window.to_native(), window);
        assert!(view.at < window.end && view.window == window);
    }

    #[test]
    fn a_window_to_the_end_of_time_contains_its_last_timestamp() {
        let last = |end| {
            let (start, end) = (Timestamp(0), Timestamp(end));
            TimeWindow { start, end }.max_timestamp()
        };
        assert_eq!(last(i64::MAX), Timestamp::MAX);
        assert_eq!(last(i64::MAX - 1), Timestamp(i64::MAX - 2));
    }

    #[test]
    fn windows_are_keys() {
        let window = |end| TimeWindow {
            start: Timestamp(-5),
            end: Timestamp(end),
        };
        let decoded = TimeWindow::decode(window(5).itself()).expect("a window");
        assert_eq!(decoded, window(5));
        assert_ne!(window(5).key_hash(), window(6).key_hash());
    }

    #[test]
    fn a_pair_with_a_time_or_a_window_has_archives_of_one_length() {
        assert_eq!(View::<(Timestamp, u64)>::LENGTH, Some(16));
        assert_eq!(View::<(TimeWindow, u64)>::LENGTH, Some(24));
    }
}
