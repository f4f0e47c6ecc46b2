//! A sink that calls a closure: a simple output for programs that embed a job.

use std::fmt;
use std::marker::PhantomData;

use crate::operator::{BoxError, Outcome, Sink, SinkWriter};
use crate::time::Timestamp;

/// What a [`ForEach`] closure may return: `()`, or a `Result` whose error fails the subtask.
pub trait IntoOutcome {
    /// Converts the return value.
    ///
    /// # Errors
    /// The closure's error.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    #[inline(always)]
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

impl<E: Into<BoxError>> IntoOutcome for Result<(), E> {
    #[inline(always)]
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

/// Calls a closure with every record and its timestamp ([`Timestamp::MIN`] if it has none).
///
/// Each subtask calls its own clone on its worker's thread, so the closure must not block.
///
/// ```
/// use thalweg::connectors::ForEach;
///
/// let sink = ForEach::new(|price: &f64, at| {
///     if *price < 0.0 {
///         return Err(format!("a negative price at {at}"));
///     }
///     Ok(())
/// });
/// ```
pub struct ForEach<V: ?Sized, F> {
    function: F,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, F> ForEach<V, F> {
    /// A sink that calls `function`.
    pub fn new<R: IntoOutcome>(function: F) -> Self
    where
        F: FnMut(&V, Timestamp) -> R + Clone + Send + Sync + 'static,
    {
        ForEach {
            function,
            record: PhantomData,
        }
    }
}

impl<V: ?Sized, F> fmt::Debug for ForEach<V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEach").finish_non_exhaustive()
    }
}

impl<V, F, R> Sink<V> for ForEach<V, F>
where
    V: ?Sized + 'static,
    R: IntoOutcome,
    F: FnMut(&V, Timestamp) -> R + Clone + Send + Sync + 'static,
{
    type Writer = ForEachWriter<F>;

    fn writer(&self, _index: u32, _parallelism: u32) -> ForEachWriter<F> {
        ForEachWriter {
            function: self.function.clone(),
        }
    }
}

/// Calls the closure of one subtask of a [`ForEach`].
pub struct ForEachWriter<F> {
    function: F,
}

impl<F> fmt::Debug for ForEachWriter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEachWriter").finish_non_exhaustive()
    }
}

impl<V, F, R> SinkWriter<V> for ForEachWriter<F>
where
    V: ?Sized,
    R: IntoOutcome,
    F: FnMut(&V, Timestamp) -> R + Send + 'static,
{
    #[inline(always)]
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome {
        (self.function)(record, at).into_outcome()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn closure_sees_every_record_with_its_timestamp() {
        let (sender, receiver) = mpsc::channel();
        let sink = ForEach::new(move |word: &str, at| {
            sender.send((word.to_owned(), at)).unwrap();
        });
        let mut writer = sink.writer(0, 1);
        writer.write("tick", Timestamp(3)).unwrap();
        assert_eq!(receiver.recv().unwrap(), ("tick".to_owned(), Timestamp(3)));
    }

    #[test]
    fn error_of_the_closure_fails_the_write() {
        let sink = ForEach::new(|n: &u64, _at| match n {
            0 => Err("zero"),
            _ => Ok(()),
        });
        let mut writer = sink.writer(0, 1);
        assert!(writer.write(&1, Timestamp::MIN).is_ok());
        let error = writer.write(&0, Timestamp::MIN).unwrap_err();
        assert_eq!(error.to_string(), "zero");
    }
}
