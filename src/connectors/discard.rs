//! A sink that discards records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::operator::{Outcome, Sink, SinkWriter};
use crate::time::Timestamp;

/// Drops every record and counts them. Flink's `DiscardingSink`.
///
/// ```
/// use thalweg::connectors::Discard;
///
/// let discard = Discard::new();
/// let counts = discard.clone(); // Clones show the same count.
/// assert_eq!(counts.count(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Discard {
    count: Arc<AtomicU64>,
}

impl Discard {
    /// A sink with a count of zero.
    #[must_use]
    pub fn new() -> Self {
        Discard::default()
    }

    /// The number of records dropped by all subtasks, as of the last batch of each.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

impl<V: ?Sized + 'static> Sink<V> for Discard {
    type Writer = DiscardWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> DiscardWriter {
        DiscardWriter {
            total: Arc::clone(&self.count),
            unreported: 0,
        }
    }
}

/// Counts the records of one subtask of a [`Discard`].
#[derive(Debug)]
pub struct DiscardWriter {
    total: Arc<AtomicU64>,
    unreported: u64,
}

impl<V: ?Sized> SinkWriter<V> for DiscardWriter {
    #[inline(always)]
    fn write(&mut self, record: &V, _at: Timestamp) -> Outcome {
        // Without this the compiler would optimize away the work that produced the record.
        std::hint::black_box(record);
        self.unreported += 1;
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        if self.unreported > 0 {
            self.total.fetch_add(self.unreported, Ordering::Release);
            self.unreported = 0;
        }
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        SinkWriter::<V>::flush(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_all_subtasks_are_counted() {
        let discard = Discard::new();
        for index in 0..2 {
            let mut writer = Sink::<str>::writer(&discard, index, 2);
            for _ in 0..3 {
                writer.write("gone", Timestamp::MIN).unwrap();
            }
            SinkWriter::<str>::flush(&mut writer).unwrap();
            writer.write("gone", Timestamp::MIN).unwrap();
            SinkWriter::<str>::close(&mut writer).unwrap();
        }
        assert_eq!(discard.count(), 8);
    }
}
