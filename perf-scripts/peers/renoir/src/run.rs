//! A query's run: context, sources that deal out blocks, sinks that digest.

use std::sync::Arc;

use harness::{BLOCK_RECORDS, Clock, Digest, Options, Outcome, blocks, fetch_after};
use renoir::Stream;
use renoir::operator::source::ParallelIteratorSource;
use renoir::operator::{Operator, StreamElement};
use renoir::prelude::*;

/// Records in a batch between threads.
const BATCH: usize = 4096;

/// A run on its way.
pub(crate) struct Run {
    context: StreamContext,
    clock: Arc<Clock>,
    pub(crate) parallelism: usize,
    pub(crate) jitter_ms: i64,
}

/// Runs what `build` draws, to the end of the input.
pub(crate) fn run(
    options: &Options,
    records: impl Fn(&Digest) -> usize,
    build: impl FnOnce(&Run),
) -> Outcome {
    let parallelism = options.parallelism;
    let config = RuntimeConfig::local(parallelism as u64).expect("a local run needs nothing");
    let run = Run {
        context: StreamContext::new(config),
        clock: Arc::new(Clock::default()),
        parallelism,
        jitter_ms: options.jitter_ms,
    };
    build(&run);
    let clock = run.clock.clone();
    run.context.execute_blocking();
    let outcome = clock.outcome(0);
    let records = records(&outcome.digest) as u64;
    Outcome { records, ..outcome }
}

/// An iterator that starts the clock when it is first asked.
pub(crate) struct Timed<I> {
    records: I,
    clock: Option<Arc<Clock>>,
}

impl<I: Iterator> Iterator for Timed<I> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        if let Some(clock) = self.clock.take() {
            clock.start();
        }
        self.records.next()
    }
}

/// The records of blocks, one by one.
pub(crate) struct Records<B, R: 'static> {
    current: std::slice::Iter<'static, R>,
    blocks: B,
}

impl<B: Iterator<Item = &'static [R]>, R: Copy> Iterator for Records<B, R> {
    type Item = R;

    #[inline]
    fn next(&mut self) -> Option<R> {
        loop {
            if let Some(record) = self.current.next() {
                fetch_after(record);
                return Some(*record);
            }
            self.current = self.blocks.next()?.iter();
        }
    }
}

impl Run {
    /// A source of the records of every replica's blocks.
    pub(crate) fn records<R: Copy + Send + Sync + 'static>(
        &self,
        records: &'static [R],
    ) -> Stream<impl Operator<Out = R> + 'static> {
        self.source(move |index, parallelism| Records {
            current: [].iter(),
            blocks: blocks(records, index, parallelism),
        })
    }

    /// A source of what every replica's iterator gives.
    pub(crate) fn source<I: Iterator<Item: Send> + Send + 'static>(
        &self,
        records: impl FnOnce(usize, usize) -> I + Clone + Send + 'static,
    ) -> Stream<impl Operator<Out = I::Item> + 'static> {
        let clock = self.clock.clone();
        let timed = move |index: u64, parallelism: u64| Timed {
            records: records(index as usize, parallelism as usize),
            clock: Some(clock),
        };
        let stream = self.context.stream(ParallelIteratorSource::new(timed));
        stream.batch_mode(BatchMode::fixed(BATCH))
    }

    /// `stream` with timestamps, and a watermark after every block's worth of records.
    pub(crate) fn timed<R: Send + 'static>(
        &self,
        stream: Stream<impl Operator<Out = R> + 'static>,
        time: fn(&R) -> i64,
    ) -> Stream<impl Operator<Out = R> + 'static> {
        let (mut count, behind) = (0, self.jitter_ms + 1);
        stream.add_timestamps(time, move |_, time| {
            count += 1;
            // Nothing at or before a watermark follows it.
            (count % BLOCK_RECORDS == 0).then_some(time - behind)
        })
    }

    /// Ends `stream` in sinks that hash every row.
    pub(crate) fn sink<R: Send + 'static>(
        &self,
        stream: Stream<impl Operator<Out = R> + 'static>,
        hash: impl Fn(&R) -> u64 + Clone + Send + 'static,
    ) {
        let (clock, mut digest) = (self.clock.clone(), Digest::default());
        let digests = stream.rich_map_custom(move |mut elements| {
            let mut local = digest;
            loop {
                match elements.next() {
                    StreamElement::Item(row) | StreamElement::Timestamped(row, _) => {
                        local.add(hash(&row));
                    }
                    StreamElement::Watermark(_) => {}
                    StreamElement::FlushBatch => {
                        digest = local;
                        return StreamElement::FlushBatch;
                    }
                    StreamElement::FlushAndRestart => {
                        clock.end(local);
                        digest = Digest::default();
                        return StreamElement::FlushAndRestart;
                    }
                    StreamElement::Terminate => return StreamElement::<()>::Terminate,
                }
            }
        });
        digests.for_each(drop);
    }
}

/// What a keyed operator is applied to: dealt out by key among several replicas; where there is only
/// one, records stay on their thread.
macro_rules! by_key {
    ($run:expr, $stream:expr, $key:expr, |$keyed:ident| $rest:expr) => {
        if $run.parallelism == 1 {
            let $keyed = $stream.key_by($key);
            $rest
        } else {
            let $keyed = $stream.group_by($key);
            $rest
        }
    };
}
pub(crate) use by_key;
