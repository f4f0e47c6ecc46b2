//! The job's sink: records the latency of every count.

use std::sync::{Arc, Mutex, PoisonError};

use thalweg::operator::{Outcome, Sink, SinkWriter};
use thalweg::time::Timestamp;

use super::recorder::{Latencies, Recorder};
use super::tick::Counted;

/// A sink that records the latency of every count, separately per instance.
#[derive(Clone, Debug)]
pub(crate) struct LatencySink {
    recorder: Recorder,
    finished: Arc<Mutex<Option<Latencies>>>,
}

impl LatencySink {
    /// A sink whose instances start as copies of `recorder`.
    pub(crate) fn new(recorder: Recorder) -> Self {
        LatencySink {
            recorder,
            finished: Arc::default(),
        }
    }

    /// The findings of all instances; valid once the job has finished.
    pub(crate) fn into_latencies(self) -> Latencies {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.take().unwrap_or_else(Latencies::new)
    }
}

impl Sink<Counted> for LatencySink {
    type Writer = LatencyWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> LatencyWriter {
        LatencyWriter {
            recorder: self.recorder.clone(),
            finished: Arc::clone(&self.finished),
        }
    }
}

/// One instance of a [`LatencySink`].
#[derive(Debug)]
pub(crate) struct LatencyWriter {
    recorder: Recorder,
    finished: Arc<Mutex<Option<Latencies>>>,
}

impl SinkWriter<Counted> for LatencyWriter {
    #[inline(always)]
    fn write(&mut self, counted: &Counted, _at: Timestamp) -> Outcome {
        self.recorder.arrived(counted.due_nanos, counted.count);
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let all = finished.get_or_insert_with(Latencies::new);
        all.merge(&self.recorder.clone().into_latencies());
        Ok(())
    }
}
