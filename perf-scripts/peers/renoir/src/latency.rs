//! How long a record takes from the source, on one thread, to the count of its key, on another.

use std::fmt;

use harness::{Latency, Tick, Ticks, Trial};
use renoir::block::Replication;
use renoir::block::structure::{BlockStructure, OperatorKind, OperatorStructure};
use renoir::operator::source::Source;
use renoir::operator::{Operator, StreamElement};
use renoir::prelude::*;
use renoir::{ExecutionMetadata, Stream};

pub(crate) const LATENCY: Latency = Latency {
    setting: "a thread for the source and one for the count; batches of what is due at each look at the clock, \
              flushed by the source; receivers sleep in their channel, as Renoir has it",
    workers: 2,
    run,
};

/// Records in a batch at most: as many as may be due at one look at the clock.
const BATCH: usize = 1024;

fn run(trial: &Trial) {
    let config = RuntimeConfig::local(1).expect("a local run needs nothing");
    let context = StreamContext::new(config);
    let ticks = TickSource {
        ticks: trial.ticks(),
        unflushed: false,
        ended: false,
    };
    let ticks = context.stream(ticks).batch_mode(BatchMode::fixed(BATCH));
    let mut count = 0;
    let counts = ticks.group_by(|tick| tick.key).rich_map(move |(_, tick)| {
        count += 1;
        (count, tick.due_nanos)
    });
    sink(counts.unkey(), trial);
    context.execute_blocking();
}

/// Records when counts arrive.
fn sink(counts: Stream<impl Operator<Out = (u64, (u64, i64))> + 'static>, trial: &Trial) {
    let (trial, mut arrivals) = (trial.clone(), Some(trial.arrivals()));
    let arrived = counts.rich_map_custom(move |mut elements| {
        loop {
            match elements.next() {
                StreamElement::Item((_, (count, due_nanos)))
                | StreamElement::Timestamped((_, (count, due_nanos)), _) => {
                    let arrivals = arrivals.as_mut().expect("nothing comes after the end");
                    arrivals.arrived(due_nanos, count);
                }
                StreamElement::Watermark(_) => {}
                StreamElement::FlushBatch => return StreamElement::FlushBatch,
                StreamElement::FlushAndRestart => {
                    if let Some(arrivals) = arrivals.take() {
                        trial.end(arrivals);
                    }
                    return StreamElement::FlushAndRestart;
                }
                StreamElement::Terminate => return StreamElement::<()>::Terminate,
            }
        }
    });
    arrived.for_each(drop);
}

/// Hands on what is due and has it flushed; waits for more without sleeping.
#[derive(Clone)]
struct TickSource {
    ticks: Ticks,
    unflushed: bool,
    ended: bool,
}

impl fmt::Display for TickSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TickSource")
    }
}

impl Source for TickSource {
    fn replication(&self) -> Replication {
        Replication::One
    }
}

impl Operator for TickSource {
    type Out = Tick;

    fn setup(&mut self, _: &mut ExecutionMetadata) {}

    fn next(&mut self) -> StreamElement<Tick> {
        if self.ended {
            return StreamElement::Terminate;
        }
        loop {
            if let Some(tick) = self.ticks.take() {
                self.unflushed = true;
                return StreamElement::Item(tick);
            }
            if std::mem::take(&mut self.unflushed) {
                return StreamElement::FlushBatch;
            }
            if self.ticks.is_over() {
                self.ended = true;
                return StreamElement::FlushAndRestart;
            }
            std::hint::spin_loop();
            self.ticks.look();
        }
    }

    fn structure(&self) -> BlockStructure {
        let mut operator = OperatorStructure::new::<Tick, _>("TickSource");
        operator.kind = OperatorKind::Source;
        BlockStructure::default().add_operator(operator)
    }
}
