//! A query's run: workers, sources that deal out blocks, sinks that digest.

use std::rc::Rc;
use std::sync::{Arc, Barrier};

use harness::{Clock, Digest, Inputs, Options, Outcome, blocks, pages};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::{Operator, Probe};
use timely::dataflow::{Scope, StreamVec};

/// Blocks a source hands on before the operators after it have their turn: half a megabyte of bids,
/// which the second-level cache holds until they are read again. Half and four times as many are as
/// good; with fewer, scheduling and progress tracking show.
pub(crate) const QUANTUM: usize = 16;

/// What the parts of a run share, on one worker.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) index: usize,
    pub(crate) parallelism: usize,
    pub(crate) jitter_ms: i64,
    pub(crate) keys: usize,
    pub(crate) inputs: &'static Inputs,
    clock: Arc<Clock>,
    /// How far the sink has come: sources do not run ahead of it without bound.
    sunk: Rc<Handle<u64>>,
}

/// Runs `build` on every worker until the end of the input.
pub(crate) fn run(
    options: &Options,
    inputs: &'static Inputs,
    records: impl Fn(&Digest) -> usize,
    build: impl for<'s> Fn(Scope<'s, u64>, &Run) + Send + Sync + 'static,
) -> Outcome {
    let clock = Arc::new(Clock::default());
    let (shared, parallelism, jitter_ms) = (clock.clone(), options.parallelism, options.jitter_ms);
    let keys = options.query.keys().unwrap_or(0);
    let config = timely::Config::process(parallelism);
    let built = Barrier::new(parallelism);
    let guards = timely::execute(config, move |worker| {
        harness::pin(worker.index());
        let run = Run {
            index: worker.index(),
            parallelism,
            jitter_ms,
            keys,
            inputs,
            clock: shared.clone(),
            sunk: Rc::new(Handle::new()),
        };
        worker.dataflow::<u64, _, _>(|scope| build(scope, &run));
        // No source starts the clock while another worker still makes its tables.
        built.wait();
    });
    for result in guards.expect("workers start").join() {
        result.expect("no worker panics");
    }
    let outcome = clock.outcome(0);
    Outcome {
        records: records(&outcome.digest) as u64,
        ..outcome
    }
}

/// How a source goes on.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Containers in one go.
    quantum: usize,
    /// How far the sink may be behind, in times.
    lag: u64,
    /// Whether times are event times, in ms; else quanta are counted.
    timed: bool,
}

impl Pace {
    /// Times count quanta, of which eight may be under way.
    pub(crate) const COUNTED: Pace = Pace {
        quantum: QUANTUM,
        lag: 8,
        timed: false,
    };

    /// Times are event times, of which half a minute may be under way.
    pub(crate) const fn timed(quantum: usize) -> Self {
        Pace {
            quantum,
            lag: 30_000,
            timed: true,
        }
    }
}

impl Run {
    /// A source of the blocks of `records` that are this worker's.
    pub(crate) fn blocks<'s, R: Copy + 'static>(
        &self,
        scope: Scope<'s, u64>,
        records: &'static [R],
        pace: Pace,
        time: fn(&R) -> i64,
    ) -> StreamVec<'s, u64, R> {
        let mut blocks = blocks(records, self.index, self.parallelism);
        self.source(scope, pace, move || {
            let block = blocks.next()?;
            let mut container = Vec::with_capacity(block.len());
            pages(block).for_each(|page| container.extend_from_slice(page));
            Some((container, block.last().map_or(0, time)))
        })
    }

    /// A source of what `next` gives: containers, each with its last event time.
    pub(crate) fn source<'s, R: 'static>(
        &self,
        scope: Scope<'s, u64>,
        pace: Pace,
        mut next: impl FnMut() -> Option<(Vec<R>, i64)> + 'static,
    ) -> StreamVec<'s, u64, R> {
        let (clock, sunk, jitter) = (self.clock.clone(), self.sunk.clone(), self.jitter_ms);
        source::<_, CapacityContainerBuilder<Vec<R>>, _, _>(scope, "source", |capability, info| {
            let activator = scope.activator_for(info.address);
            let mut capability = Some(capability);
            move |output| {
                let Some(held) = capability.as_mut() else {
                    return;
                };
                activator.activate();
                clock.start();
                if sunk.less_than(&held.time().saturating_sub(pace.lag)) {
                    return;
                }
                let mut time = *held.time();
                let mut session = output.session(held);
                for _ in 0..pace.quantum {
                    let Some((mut container, seen)) = next() else {
                        drop(session);
                        capability = None;
                        return;
                    };
                    session.give_container(&mut container);
                    time = time.max((seen - jitter).max(0) as u64);
                }
                drop(session);
                held.downgrade(&if pace.timed { time } else { *held.time() + 1 });
            }
        })
    }

    /// Ends `stream` in a sink that hashes every row.
    pub(crate) fn sink<R: 'static>(
        &self,
        stream: StreamVec<'_, u64, R>,
        hash: impl Fn(&R) -> u64 + 'static,
    ) {
        let (clock, mut digest, mut open) = (self.clock.clone(), Digest::default(), true);
        stream
            .probe_with(&self.sunk)
            .sink(Pipeline, "sink", move |(input, frontier)| {
                input.for_each(|_, rows| {
                    // In registers, not behind the closure's pointer.
                    let mut local = digest;
                    for row in rows.iter() {
                        local.add(hash(row));
                    }
                    digest = local;
                });
                if open && frontier.is_empty() {
                    open = false;
                    clock.end(digest);
                }
            });
    }
}
