//! A sink that stores what a subtask sees: records and watermarks, in order.

use std::sync::{Arc, Mutex};

use thalweg::operator::{Outcome, Sink, SinkWriter};
use thalweg::time::Timestamp;

/// What a subtask saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Seen {
    Record(u64),
    Watermark(i64),
}

/// What every subtask saw; clones are the same observer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer {
    seen: Arc<Mutex<Vec<(u32, Seen)>>>,
}

impl Observer {
    /// What one subtask has seen since the last call.
    pub(crate) fn take(&self, subtask: u32) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap();
        let (own, others): (Vec<_>, Vec<_>) = seen.drain(..).partition(|(of, _)| *of == subtask);
        *seen = others;
        own.into_iter().map(|(_, seen)| seen).collect()
    }
}

impl Sink<u64> for Observer {
    type Writer = ObserverWriter;

    fn writer(&self, index: u32, _parallelism: u32) -> ObserverWriter {
        ObserverWriter {
            observer: self.clone(),
            index,
        }
    }
}

/// The writer of one subtask of an [`Observer`].
#[derive(Debug)]
pub(crate) struct ObserverWriter {
    observer: Observer,
    index: u32,
}

impl ObserverWriter {
    fn note(&self, seen: Seen) -> Outcome {
        self.observer.seen.lock().unwrap().push((self.index, seen));
        Ok(())
    }
}

impl SinkWriter<u64> for ObserverWriter {
    fn write(&mut self, record: &u64, _at: Timestamp) -> Outcome {
        self.note(Seen::Record(*record))
    }

    fn watermark(&mut self, at: Timestamp) -> Outcome {
        self.note(Seen::Watermark(at.0))
    }
}
