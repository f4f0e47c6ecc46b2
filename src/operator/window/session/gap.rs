//! `Session`: the description of session windows, and how the gap after a record is determined.

use std::marker::PhantomData;
use std::time::Duration;

use crate::operator::window::assigner::LENGTH_MAX;
use crate::operator::window::{EventTime, ProcessingTime, WindowError};
use crate::time::nanos;

/// How long a session waits after a record for the next one.
pub trait SessionGap<V: ?Sized>: Clone + Send + 'static {
    /// Checks whether the gap is valid.
    ///
    /// # Errors
    /// A [`WindowError`] if it is not.
    fn check(&self) -> Result<(), WindowError>;

    /// Returns the gap after `record` in nanoseconds; 0 is invalid and fails the subtask.
    fn gap(&self, record: &V) -> i64;
}

/// The same gap after every record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedGap(i64);

impl<V: ?Sized> SessionGap<V> for FixedGap {
    fn check(&self) -> Result<(), WindowError> {
        match self.0 {
            0 => Err(WindowError::ZeroGap),
            gap if gap > LENGTH_MAX => Err(WindowError::TooLong),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn gap(&self, _record: &V) -> i64 {
        self.0
    }
}

/// A gap that a function determines for each record.
#[derive(Clone, Copy, Debug)]
pub struct DynamicGap<F>(F);

impl<V, F> SessionGap<V> for DynamicGap<F>
where
    V: ?Sized,
    F: Fn(&V) -> Duration + Clone + Send + 'static,
{
    fn check(&self) -> Result<(), WindowError> {
        Ok(())
    }

    #[inline(always)]
    fn gap(&self, record: &V) -> i64 {
        nanos((self.0)(record))
    }
}

/// Session windows: the records of a key up to a gap without any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session<G = FixedGap, T = EventTime> {
    pub(super) gap: G,
    time: PhantomData<T>,
}

impl Session {
    /// Creates sessions that end `gap` after their last record.
    #[must_use]
    pub const fn with_gap(gap: Duration) -> Self {
        Session {
            gap: FixedGap(nanos(gap)),
            time: PhantomData,
        }
    }
}

impl<F> Session<DynamicGap<F>> {
    /// Creates sessions that wait `gap(record)` after each record. A gap of zero fails the job.
    pub const fn with_dynamic_gap<V: ?Sized>(gap: F) -> Self
    where
        F: Fn(&V) -> Duration,
    {
        Session {
            gap: DynamicGap(gap),
            time: PhantomData,
        }
    }
}

impl<G> Session<G> {
    /// Returns the same sessions in processing time.
    #[must_use]
    pub fn processing_time(self) -> Session<G, ProcessingTime> {
        Session {
            gap: self.gap,
            time: PhantomData,
        }
    }
}

impl<G, T> Session<G, T> {
    /// Checks whether the sessions are valid.
    ///
    /// # Errors
    /// A [`WindowError`] if the gap is invalid.
    pub fn check<V: ?Sized>(&self) -> Result<(), WindowError>
    where
        G: SessionGap<V>,
    {
        self.gap.check()
    }
}
