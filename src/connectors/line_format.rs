//! How a record becomes a line of text.

use std::fmt::{self, Write};
use std::marker::PhantomData;

use crate::operator::Outcome;

/// Writes records as text: by [`Display`](ByDisplay), by [`Debug`](ByDebug) or by a [closure](By).
pub trait LineFormat<V: ?Sized>: Clone + Send + Sync + 'static {
    /// Appends the record's text, without the line's end.
    ///
    /// # Errors
    /// Where the record's own formatting fails.
    fn append(&self, record: &V, text: &mut String) -> Outcome;
}

/// The format of `{}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDisplay;

/// The format of `{:?}`.
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

/// The format of a closure that writes as an implementation of `Display` does:
/// `|record, f| write!(f, …)`.
pub struct By<V: ?Sized, F> {
    function: F,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, F> By<V, F> {
    /// The format of `function`.
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

/// A record together with the closure that shows it.
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

/// A record's `Display`, `Debug` or closure returned an error: memory never refuses text.
#[derive(Debug, thiserror::Error)]
#[error("a record could not be written as text: its formatting returned an error")]
pub struct FormatFailed;
