//! A sink that collects records for the program to take: for tests and small results.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::operator::{Outcome, Sink, SinkWriter};
use crate::time::Timestamp;

/// A collection of records filled by a sink; clones share it.
///
/// Unbounded: records that are not taken stay in memory. The records of one subtask keep their order and are added
/// one batch at a time; batches of different subtasks interleave arbitrarily. A restarted job collects replayed
/// records again (at least once).
///
/// ```
/// use thalweg::connectors::Collected;
/// use thalweg::time::Timestamp;
///
/// let words = Collected::<String>::new();
/// let sink = words.sink(); // takes `String` and `str`
/// let timed = Collected::new();
/// let sink = timed.sink_with(|number: &u64, at: Timestamp| (*number, at));
/// assert!(words.take().is_empty());
/// # let _: Vec<(u64, Timestamp)> = timed.take();
/// ```
#[derive(Debug)]
pub struct Collected<T> {
    records: Arc<Mutex<Vec<T>>>,
}

impl<T> Collected<T> {
    /// An empty collection.
    #[must_use]
    pub fn new() -> Self {
        Collected {
            records: Arc::default(),
        }
    }

    /// A sink that clones every record into this collection. It accepts `T`, or any type whose [`ToOwned`] yields `T`
    /// (`str` for `String`).
    #[must_use]
    pub fn sink(&self) -> Collect<T> {
        Collect {
            records: Arc::clone(&self.records),
        }
    }

    /// A sink that collects the result of `function` for every record.
    #[must_use]
    pub fn sink_with<V, F>(&self, function: F) -> CollectWith<V, T, F>
    where
        V: ?Sized,
        F: FnMut(&V, Timestamp) -> T + Clone + Send + Sync + 'static,
    {
        CollectWith {
            records: Arc::clone(&self.records),
            function,
            record: PhantomData,
        }
    }

    /// Removes and returns everything collected so far.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut lock(&self.records))
    }

    /// The number of records available to take.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.records).len()
    }

    /// Whether there are no records to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Collected::new()
    }
}

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Collected {
            records: Arc::clone(&self.records),
        }
    }
}

fn lock<T>(records: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sink of [`Collected::sink`].
#[derive(Debug)]
pub struct Collect<T> {
    records: Arc<Mutex<Vec<T>>>,
}

impl<V, T> Sink<V> for Collect<T>
where
    V: ToOwned<Owned = T> + ?Sized + 'static,
    T: Send + 'static,
{
    type Writer = CollectWriter<T, fn(&V, Timestamp) -> T>;

    fn writer(&self, _index: u32, _parallelism: u32) -> Self::Writer {
        CollectWriter {
            records: Arc::clone(&self.records),
            function: |record, _at| record.to_owned(),
            batch: Vec::new(),
        }
    }
}

/// The sink of [`Collected::sink_with`].
#[derive(Debug)]
pub struct CollectWith<V: ?Sized, T, F> {
    records: Arc<Mutex<Vec<T>>>,
    function: F,
    record: PhantomData<fn(&V)>,
}

impl<V, T, F> Sink<V> for CollectWith<V, T, F>
where
    V: ?Sized + 'static,
    T: Send + 'static,
    F: FnMut(&V, Timestamp) -> T + Clone + Send + Sync + 'static,
{
    type Writer = CollectWriter<T, F>;

    fn writer(&self, _index: u32, _parallelism: u32) -> Self::Writer {
        CollectWriter {
            records: Arc::clone(&self.records),
            function: self.function.clone(),
            batch: Vec::new(),
        }
    }
}

/// Collects the records of one subtask, a batch at a time.
#[derive(Debug)]
pub struct CollectWriter<T, F> {
    records: Arc<Mutex<Vec<T>>>,
    function: F,
    batch: Vec<T>,
}

impl<V, T, F> SinkWriter<V> for CollectWriter<T, F>
where
    V: ?Sized,
    T: Send + 'static,
    F: FnMut(&V, Timestamp) -> T + Send + 'static,
{
    #[inline]
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome {
        self.batch.push((self.function)(record, at));
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        if !self.batch.is_empty() {
            lock(&self.records).append(&mut self.batch);
        }
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_appear_when_the_batch_ends_and_are_taken_once() {
        let numbers = Collected::new();
        let mut writer = Sink::<u64>::writer(&numbers.sink(), 0, 1);
        writer.write(&1, Timestamp::MIN).unwrap();
        writer.write(&2, Timestamp::MIN).unwrap();
        assert!(numbers.is_empty());
        writer.flush().unwrap();
        assert_eq!(numbers.take(), [1, 2]);
        assert!(numbers.is_empty());
        writer.write(&3, Timestamp::MIN).unwrap();
        writer.close().unwrap();
        assert_eq!(numbers.clone().take(), [3]);
    }

    #[test]
    fn text_is_collected_as_strings_and_closures_see_timestamps() {
        let words = Collected::<String>::new();
        let mut writer = Sink::<str>::writer(&words.sink(), 0, 1);
        writer.write("word", Timestamp::MIN).unwrap();
        writer.flush().unwrap();
        assert_eq!(words.take(), ["word"]);

        let timed = Collected::new();
        let sink = timed.sink_with(|word: &str, at| (word.len(), at));
        let mut writer = sink.writer(0, 1);
        writer.write("word", Timestamp(9)).unwrap();
        writer.flush().unwrap();
        assert_eq!(timed.take(), [(4, Timestamp(9))]);
    }
}
