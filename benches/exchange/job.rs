//! Jobs whose records cross an exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use thalweg::datastream::Environment;
use thalweg::operator::{
    Count, KeyedProcessContext, KeyedProcessFunction, Outcome, Sink, SinkWriter, Sum, Tumbling,
};
use thalweg::record::{Far, Record};
use thalweg::time::{Monotonous, Timestamp, nanoseconds};

use super::Exchange;
use super::record::{Arrived, Bid, Bidding, Checked};
use super::support::source::InMemory;

/// Adds up what arrives in all subtasks.
#[derive(Clone, Default)]
struct Total(Arc<[AtomicU64; 2]>);

impl Total {
    fn arrived(&self) -> Arrived {
        let [count, sum] = [0, 1].map(|number: usize| self.0[number].load(Relaxed));
        Arrived { count, sum }
    }
}

struct TotalWriter {
    arrived: Arrived,
    total: Total,
}

impl TotalWriter {
    fn of(total: &Total) -> Self {
        TotalWriter {
            arrived: Arrived::default(),
            total: total.clone(),
        }
    }

    fn finish(&mut self) -> Outcome {
        self.total.0[0].fetch_add(self.arrived.count, Relaxed);
        self.total.0[1].fetch_add(self.arrived.sum, Relaxed);
        Ok(())
    }
}

impl<V: Checked + ?Sized> Sink<V> for Total {
    type Writer = TotalWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> TotalWriter {
        TotalWriter::of(self)
    }
}

impl<V: Checked + ?Sized> SinkWriter<V> for TotalWriter {
    #[inline(always)]
    fn write(&mut self, record: &V, _at: Timestamp) -> Outcome {
        self.arrived.add(1, record.digest());
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        TotalWriter::finish(self)
    }
}

/// Emits the digests of the records of a keyed stream.
#[derive(Clone)]
struct Digests;

impl<V: Checked + ?Sized> KeyedProcessFunction<u64, V> for Digests {
    type Out = u64;

    #[inline(always)]
    fn process(&mut self, record: &V, cx: &mut impl KeyedProcessContext<u64, u64>) -> Outcome {
        cx.emit(&record.digest());
        Ok(())
    }
}

/// A job of two workers.
fn two_workers(parallelism: usize) -> Environment {
    Environment::new()
        .parallelism(parallelism as u32)
        .workers(2)
}

pub(crate) fn job<T>(exchange: Exchange, parts: &[Arc<[T]>], passes: usize) -> (Duration, Arrived)
where
    T: Record + Send + Sync + 'static,
    Far<T>: Bidding,
{
    let (env, total) = (two_workers(parts.len()), Total::default());
    let bids = env.source("bids", InMemory::new(parts.to_vec(), passes));
    match exchange {
        // Another slot, and thus another worker.
        Exchange::OneHop => bids
            .forward()
            .slot_sharing_group("receiver")
            .sink("total", total.clone()),
        Exchange::Keyed => bids
            .key_by(|bid| bid.auction())
            .process(Digests)
            .sink("total", total.clone()),
        Exchange::Rebalance => bids.rebalance().sink("total", total.clone()),
        Exchange::Broadcast => bids.broadcast().sink("total", total.clone()),
    };
    let ended = env.execute("exchange").expect("the job finishes");
    (ended.duration, total.arrived())
}

/// Counts and sums per key and window, aggregated before the exchange too or only after it.
pub(crate) fn windows(
    parts: &[Arc<[Bid]>],
    window: u64,
    in_two_phases: bool,
) -> (Duration, Arrived) {
    let (env, total) = (two_workers(parts.len()), Total::default());
    let keyed = env
        .source("bids", InMemory::new(parts.to_vec(), 1))
        .timestamps(Monotonous, |bid| Timestamp(bid.at))
        .key_by(|bid| bid.auction)
        .window(Tumbling::of(nanoseconds(window)));
    let aggregate = (Count, Sum::of(|bid: &Bid| bid.digest()));
    let result = |_: &u64, _, (count, sum)| Arrived { count, sum };
    if in_two_phases {
        let results = keyed.two_phase().aggregate_with(aggregate, result);
        results.sink("total", Windows(total.clone()));
    } else {
        let results = keyed.aggregate_with(aggregate, result);
        results.sink("total", Windows(total.clone()));
    }
    let ended = env.execute("windows").expect("the job finishes");
    (ended.duration, total.arrived())
}

/// Adds up the results of windows.
struct Windows(Total);

struct WindowsWriter(TotalWriter);

impl Sink<Arrived> for Windows {
    type Writer = WindowsWriter;

    fn writer(&self, _index: u32, _parallelism: u32) -> WindowsWriter {
        WindowsWriter(TotalWriter::of(&self.0))
    }
}

impl SinkWriter<Arrived> for WindowsWriter {
    fn write(&mut self, window: &Arrived, _at: Timestamp) -> Outcome {
        self.0.arrived.add(window.count, window.sum);
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.0.finish()
    }
}
