//! Formats records as lines of text.

use std::fmt::{self, Write};
use std::marker::PhantomData;

use crate::operator::Outcome;

/// Formats records as text with [`Display`](ByDisplay), [`Debug`](ByDebug) or a [closure](By).
pub trait LineFormat<V: ?Sized>: Clone + Send + Sync + 'static {
    /// Appends the text of the record, without a line terminator.
    ///
    /// # Errors
    /// If formatting the record fails.
    fn append(&self, record: &V, text: &mut String) -> Outcome;
}

/// Formats with `{}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDisplay;

/// Formats with `{:?}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDebug;

impl<V: fmt::Display + ?Sized> LineFormat<V> for ByDisplay {
    fn append(&self, record: &V, text: &mut String) -> Outcome {
        write!(text, "{record}").map_err(|_| FormatFailed.into())
    }
}

impl<V: fmt::Debug + ?Sized> LineFormat<V> for ByDebug {
    fn append(&self, record: &V, text: &mut String) -> Outcome {
        write!(text, "{record:?}").map_err(|_| FormatFailed.into())
    }
}

/// Formats with a closure that works like an implementation of `Display`: `|record, f| write!(f, …)`.
pub struct By<V: ?Sized, F> {
    function: F,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, F> By<V, F> {
    /// Formats with `function`.
    pub fn new(function: F) -> Self
    where
        F: Fn(&V, &mut fmt::Formatter<'_>) -> fmt::Result,
    {
        By {
            function,
            record: PhantomData,
        }
    }
}

impl<V: ?Sized, F: Clone> Clone for By<V, F> {
    fn clone(&self) -> Self {
        By {
            function: self.function.clone(),
            record: PhantomData,
        }
    }
}

impl<V: ?Sized, F> fmt::Debug for By<V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("By").finish_non_exhaustive()
    }
}

/// A record together with the closure that formats it.
struct Shown<'a, V: ?Sized, F>(&'a V, &'a F);

impl<V, F> fmt::Display for Shown<'_, V, F>
where
    V: ?Sized,
    F: Fn(&V, &mut fmt::Formatter<'_>) -> fmt::Result,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1)(self.0, f)
    }
}

impl<V, F> LineFormat<V> for By<V, F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut fmt::Formatter<'_>) -> fmt::Result + Clone + Send + Sync + 'static,
{
    fn append(&self, record: &V, text: &mut String) -> Outcome {
        ByDisplay.append(&Shown(record, &self.function), text)
    }
}

/// The record's `Display` or `Debug` implementation or the closure returned an error; writing to memory cannot fail.
#[derive(Debug, thiserror::Error)]
#[error("a record could not be written as text: its formatting returned an error")]
pub struct FormatFailed;
