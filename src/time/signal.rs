//! Signals sent downstream by the rules of event time: a watermark, or a change between idle and active.
//!
//! Each rule of this module returns at most two signals per input, so they are returned by value,
//! without an allocation, in the order in which they must be sent.

use super::Timestamp;

/// One thing to send downstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TimeSignal {
    /// No record at or before this time follows, except late ones.
    Watermark(Timestamp),
    /// Leave this channel out of the minimum until it is active again.
    Idle,
    /// The channel counts again.
    Active,
}

/// Up to two [`TimeSignal`]s, in the order in which they must be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use = "a signal that is not sent holds back everything downstream"]
pub struct TimeSignals {
    first: Option<TimeSignal>,
    second: Option<TimeSignal>,
}

impl TimeSignals {
    /// Nothing to send.
    pub const NONE: TimeSignals = TimeSignals {
        first: None,
        second: None,
    };

    /// One signal.
    #[inline]
    pub const fn one(signal: TimeSignal) -> Self {
        TimeSignals {
            first: Some(signal),
            second: None,
        }
    }

    /// The signals that are present, `first` before `second`.
    #[inline]
    pub(super) const fn of(first: Option<TimeSignal>, second: Option<TimeSignal>) -> Self {
        match first {
            Some(_) => TimeSignals { first, second },
            None => TimeSignals {
                first: second,
                second: None,
            },
        }
    }

    /// Whether there is nothing to send.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl Iterator for TimeSignals {
    type Item = TimeSignal;

    #[inline]
    fn next(&mut self) -> Option<TimeSignal> {
        std::mem::replace(&mut self.first, self.second.take())
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = usize::from(self.first.is_some()) + usize::from(self.second.is_some());
        (count, Some(count))
    }
}

impl ExactSizeIterator for TimeSignals {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_come_out_in_order_and_without_gaps() {
        let (idle, active) = (TimeSignal::Idle, TimeSignal::Active);
        let both = TimeSignals::of(Some(active), Some(idle));
        assert_eq!(both.len(), 2);
        assert_eq!(both.collect::<Vec<_>>(), [active, idle]);
        let late = TimeSignals::of(None, Some(idle));
        assert_eq!(late, TimeSignals::one(idle));
        assert!(!late.is_empty());
        assert!(TimeSignals::of(None, None).is_empty());
        assert_eq!(TimeSignals::NONE.count(), 0);
    }
}
