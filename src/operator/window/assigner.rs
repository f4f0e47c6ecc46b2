//! Assigners for windows made of slices: tumbling and sliding, in event or processing time.
//!
//! Both follow Flink's rule: a window starts at `offset + n · slide` for every integer `n`, and a record
//! is in each window that contains its timestamp, rounding down so that this also holds before the epoch.
//! A slide longer than the size leaves gaps; records in a gap are in no window.
//!
//! An assigner is a description; [`SlicedAssigner::slicing`] validates it and returns the arithmetic.

use std::marker::PhantomData;
use std::time::Duration;

use crate::time::nanos;

use super::slicing::Slicing;

/// The longest size, slide and offset: 2^60 ns, about 36 years. Sums of a few of them never overflow.
pub(super) const LENGTH_MAX: i64 = 1 << 60;

/// Why an assigner's windows are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The size is zero.
    #[error("a window's size must be above zero")]
    ZeroSize,
    /// The slide is zero.
    #[error("a window's slide must be above zero")]
    ZeroSlide,
    /// The gap that ends a session is zero.
    #[error("a session's gap must be above zero")]
    ZeroGap,
    /// Late records of two-phase windows cannot go to a side output.
    #[error("windows in two phases keep no records: late ones cannot go to a side output")]
    LateInTwoPhases,
    /// The offset reaches the next window start or beyond.
    #[error("a window offset of {offset} ns is not smaller than the slide of {slide} ns")]
    OffsetTooLarge {
        /// The offset in nanoseconds.
        offset: i64,
        /// The distance between window starts in nanoseconds: the size of a tumbling window.
        slide: i64,
    },
    /// A duration is longer than 2^60 nanoseconds.
    #[error("a window's size, slide or gap must not be over 36 years")]
    TooLong,
}

/// The time domain of windows: [`EventTime`] or [`ProcessingTime`].
pub trait WindowTime: Send + Sync + 'static {
    /// Whether it is event time.
    const IS_EVENT: bool;
}

/// A record is in the windows that contain its timestamp, and the watermark ends windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventTime {}

/// A record is in the windows that contain the time of the batch in which it arrives, and the clock ends windows.
/// Timestamps are ignored, nothing is late, and windows still open at the end of input do not fire, unless a job resumes
/// from a checkpoint taken after it: that fires them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessingTime {}

impl WindowTime for EventTime {
    const IS_EVENT: bool = true;
}

impl WindowTime for ProcessingTime {
    const IS_EVENT: bool = false;
}

/// Assigns records to windows made of slices.
pub trait SlicedAssigner: Clone + Send + Sync + 'static {
    /// The time domain of the windows.
    type Time: WindowTime;

    /// Returns the windows and slices.
    ///
    /// # Errors
    /// A [`WindowError`] if the windows are invalid.
    fn slicing(&self) -> Result<Slicing, WindowError>;
}

/// Windows of one size, back to back: every record is in exactly one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tumbling<T = EventTime>(Sliding<T>);

impl Tumbling {
    /// Creates windows of length `size`.
    #[must_use]
    pub const fn of(size: Duration) -> Self {
        Tumbling(Sliding::of(size, size))
    }

    /// Returns the same windows in processing time.
    #[must_use]
    pub const fn processing_time(self) -> Tumbling<ProcessingTime> {
        Tumbling(self.0.processing_time())
    }
}

impl<T> Tumbling<T> {
    /// Shifts all windows to start later by `offset`, which must be smaller than the size.
    #[must_use]
    pub const fn offset(self, offset: Duration) -> Self {
        Tumbling(self.0.offset(offset))
    }

    /// Shifts all windows to start earlier by `offset`: Flink's negative offset.
    #[must_use]
    pub const fn offset_back(self, offset: Duration) -> Self {
        Tumbling(self.0.offset_back(offset))
    }
}

impl<T: WindowTime + Clone> SlicedAssigner for Tumbling<T> {
    type Time = T;

    fn slicing(&self) -> Result<Slicing, WindowError> {
        self.0.slicing()
    }
}

/// Windows of one size that start at regular intervals: they overlap if the slide is shorter than the
/// size, and leave gaps if it is longer.
///
/// A checkpoint of windows that overlap is tied to its parallelism if some subtasks had fired what others had not: in
/// processing time, or if its barriers were not aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sliding<T = EventTime> {
    size: i64,
    slide: i64,
    offset: i64,
    time: PhantomData<T>,
}

impl Sliding {
    /// Creates windows of length `size` that start every `slide`.
    #[must_use]
    pub const fn of(size: Duration, slide: Duration) -> Self {
        Sliding {
            size: nanos(size),
            slide: nanos(slide),
            offset: 0,
            time: PhantomData,
        }
    }

    /// Returns the same windows in processing time.
    #[must_use]
    pub const fn processing_time(self) -> Sliding<ProcessingTime> {
        Sliding {
            size: self.size,
            slide: self.slide,
            offset: self.offset,
            time: PhantomData,
        }
    }
}

impl<T> Sliding<T> {
    const fn offset_by(self, offset: i64) -> Self {
        Sliding {
            size: self.size,
            slide: self.slide,
            offset,
            time: PhantomData,
        }
    }

    /// Shifts all windows to start later by `offset`, which must be smaller than the slide.
    #[must_use]
    pub const fn offset(self, offset: Duration) -> Self {
        self.offset_by(nanos(offset))
    }

    /// Shifts all windows to start earlier by `offset`: Flink's negative offset.
    #[must_use]
    pub const fn offset_back(self, offset: Duration) -> Self {
        self.offset_by(-nanos(offset))
    }
}

impl<T: WindowTime + Clone> SlicedAssigner for Sliding<T> {
    type Time = T;

    fn slicing(&self) -> Result<Slicing, WindowError> {
        let Sliding {
            size,
            slide,
            offset,
            ..
        } = *self;
        match (size, slide) {
            (0, _) => Err(WindowError::ZeroSize),
            (_, 0) => Err(WindowError::ZeroSlide),
            _ if size > LENGTH_MAX || slide > LENGTH_MAX => Err(WindowError::TooLong),
            _ if offset <= -slide || offset >= slide => {
                Err(WindowError::OffsetTooLarge { offset, slide })
            }
            _ => Ok(Slicing::new(size, slide, offset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::nanoseconds;

    #[test]
    fn windows_that_cannot_be_are_errors() {
        let large = |offset, slide| Err(WindowError::OffsetTooLarge { offset, slide });
        let error = |assigner: Sliding| assigner.slicing().map(|_| ());
        let sliding = |size, slide| Sliding::of(nanoseconds(size), nanoseconds(slide));
        assert_eq!(error(sliding(0, 1)), Err(WindowError::ZeroSize));
        assert_eq!(error(sliding(1, 0)), Err(WindowError::ZeroSlide));
        assert_eq!(error(sliding(u64::MAX, 1)), Err(WindowError::TooLong));
        assert_eq!(error(sliding(1, u64::MAX)), Err(WindowError::TooLong));
        assert_eq!(error(sliding(9, 3).offset(nanoseconds(3))), large(3, 3));
        assert_eq!(
            error(sliding(9, 3).offset_back(nanoseconds(3))),
            large(-3, 3)
        );
        assert_eq!(error(sliding(9, 3).offset_back(nanoseconds(2))), Ok(()));
        let tumbling = Tumbling::of(nanoseconds(5));
        assert!(tumbling.offset(nanoseconds(4)).slicing().is_ok());
        assert_eq!(
            tumbling.offset(nanoseconds(5)).slicing().map(|_| ()),
            large(5, 5)
        );
    }
}
