//! A source, a function and a sink that fail where they are told to, and count the calls they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thalweg::operator::{
    BoxError, Collector, OpenContext, Outcome, ProcessContext, ProcessFunction, Push, Sink,
    SinkWriter, Source, SourceReader, SourceStatus,
};
use thalweg::time::Timestamp;

/// A moment in the life of a source, a function or a sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Start,
    Open,
    Record,
    End,
    Commit,
    Close,
}

/// What happens at that moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    Error,
    Panic,
}

/// Counts and fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    trouble: Option<(Moment, Trouble)>,
    counts: Arc<[AtomicU32; 6]>,
}

impl Probe {
    /// A probe that fails at a moment.
    pub(crate) fn failing(moment: Moment, trouble: Trouble) -> Self {
        Probe {
            trouble: Some((moment, trouble)),
            ..Probe::default()
        }
    }

    /// How often a moment occurred.
    pub(crate) fn count(&self, moment: Moment) -> u32 {
        self.counts[moment as usize].load(Ordering::SeqCst)
    }

    fn pass(&self, moment: Moment) -> Outcome {
        self.counts[moment as usize].fetch_add(1, Ordering::SeqCst);
        match self.trouble {
            Some((at, Trouble::Error)) if at == moment => Err("probed".into()),
            Some((at, Trouble::Panic)) if at == moment => panic!("probed"),
            _ => Ok(()),
        }
    }
}

/// A source of ten numbers in every subtask; unbounded if `endless`.
#[derive(Debug)]
pub(crate) struct ProbedSource {
    pub(crate) probe: Probe,
    pub(crate) endless: bool,
}

/// The reader of one subtask of a [`ProbedSource`].
#[derive(Debug)]
pub(crate) struct ProbedReader {
    probe: Probe,
    endless: bool,
    next: u64,
}

impl Source for ProbedSource {
    type Out = u64;
    type Reader = ProbedReader;

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn start(&self) -> Result<(), BoxError> {
        self.probe.pass(Moment::Start)
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> ProbedReader {
        ProbedReader {
            probe: self.probe.clone(),
            endless: self.endless,
            next: 0,
        }
    }
}

impl SourceReader for ProbedReader {
    type Out = u64;

    fn open(&mut self, _cx: &OpenContext) -> Result<(), BoxError> {
        self.probe.pass(Moment::Open)
    }

    fn poll<D: Push<u64>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        while self.endless || self.next < 10 {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            self.probe.pass(Moment::Record)?;
            out.emit(&self.next);
            self.next += 1;
        }
        self.probe.pass(Moment::End)?;
        Ok(SourceStatus::Finished)
    }

    fn position(
        &mut self,
        _checkpoint: u64,
        _positions: &mut Vec<Vec<u8>>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    fn commit(&mut self, _checkpoint: u64) {
        // It has no error to return.
        let _ = self.probe.pass(Moment::Commit);
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.probe.pass(Moment::Close)
    }
}

impl ProcessFunction<u64> for Probe {
    type Out = u64;

    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        self.pass(Moment::Open)
    }

    fn process(&mut self, n: &u64, cx: &mut impl ProcessContext<u64>) -> Outcome {
        self.pass(Moment::Record)?;
        cx.emit(n);
        Ok(())
    }

    fn on_end(&mut self, _cx: &mut impl ProcessContext<u64>) -> Outcome {
        self.pass(Moment::End)
    }

    fn close(&mut self) -> Outcome {
        self.pass(Moment::Close)
    }
}

impl Sink<u64> for Probe {
    type Writer = ProbedWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> ProbedWriter {
        ProbedWriter(self.clone())
    }
}

/// The writer of one subtask of a sink.
#[derive(Debug)]
pub(crate) struct ProbedWriter(Probe);

impl SinkWriter<u64> for ProbedWriter {
    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        self.0.pass(Moment::Open)
    }

    fn write(&mut self, _record: &u64, _at: Timestamp) -> Outcome {
        self.0.pass(Moment::Record)
    }

    fn finish(&mut self) -> Outcome {
        self.0.pass(Moment::End)
    }

    fn close(&mut self) -> Outcome {
        self.0.pass(Moment::Close)
    }
}
