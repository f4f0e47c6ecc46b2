//! When a run starts and ends: the first record is read, and the last sink reaches the end of input.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thalweg::operator::{
    BoxError, Collector, OpenContext, Push, Source, SourceReader, SourceStatus,
};

use super::cpu_time::user_cpu_time;

/// A moment in wall-clock time and in the process's user CPU time.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: Instant,
    user_cpu: Duration,
}

impl Moment {
    fn now() -> Self {
        Moment {
            wall: Instant::now(),
            user_cpu: user_cpu_time(),
        }
    }
}

/// The duration of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elapsed {
    pub(super) wall: Duration,
    pub(super) user_cpu: Duration,
}

/// A stopwatch shared by the subtasks of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopwatch {
    span: Arc<Mutex<Option<(Moment, Moment)>>>,
}

impl Stopwatch {
    fn span(&self) -> MutexGuard<'_, Option<(Moment, Moment)>> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the start, unless another subtask already has.
    fn start(&self) {
        self.span().get_or_insert_with(|| {
            let now = Moment::now();
            (now, now)
        });
    }

    /// Records the end; the last subtask's call counts.
    pub(super) fn stop(&self) {
        if let Some((_, end)) = &mut *self.span() {
            *end = Moment::now();
        }
    }

    /// The time from start to end; zero for a run that has not started.
    pub(super) fn elapsed(&self) -> Elapsed {
        self.span()
            .map_or(Elapsed::default(), |(start, end)| Elapsed {
                wall: end.wall - start.wall,
                user_cpu: end.user_cpu.saturating_sub(start.user_cpu),
            })
    }
}

/// A source whose first poll starts a stopwatch.
#[derive(Debug)]
pub(super) struct Timed<S> {
    source: S,
    stopwatch: Stopwatch,
}

impl<S> Timed<S> {
    pub(super) fn new(source: S, stopwatch: &Stopwatch) -> Self {
        let stopwatch = stopwatch.clone();
        Timed { source, stopwatch }
    }
}

impl<S: Source> Source for Timed<S> {
    type Out = S::Out;
    type Reader = TimedReader<S::Reader>;

    fn max_parallelism(&self) -> u32 {
        self.source.max_parallelism()
    }

    fn is_bounded(&self) -> bool {
        self.source.is_bounded()
    }

    fn start(&self) -> Result<(), BoxError> {
        self.source.start()
    }

    fn reader(&self, index: u32, parallelism: u32) -> Self::Reader {
        TimedReader {
            reader: self.source.reader(index, parallelism),
            not_started: Some(self.stopwatch.clone()),
        }
    }
}

/// The reader of a [`Timed`] source.
#[derive(Debug)]
pub(super) struct TimedReader<R> {
    reader: R,
    not_started: Option<Stopwatch>,
}

impl<R: SourceReader> SourceReader for TimedReader<R> {
    type Out = R::Out;

    fn open(&mut self, cx: &OpenContext) -> Result<(), BoxError> {
        self.reader.open(cx)
    }

    fn poll<D: Push<R::Out>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        if let Some(stopwatch) = self.not_started.take() {
            stopwatch.start();
        }
        self.reader.poll(out)
    }

    fn has_input(&mut self) -> bool {
        self.reader.has_input()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.reader.close()
    }
}
