//! Records in flight on an edge resume on the same edge only. If it partitions records differently or is gone, the
//! job is rejected with the edge's name, instead of losing records or sending them to the wrong subtask.

use std::sync::Arc;

use thalweg::checkpoint::{Loss, SimulatedStorage, Storage};
use thalweg::datastream::{SinkHandle, Stream};
use thalweg::prelude::*;
use thalweg::runtime::{Pipe, Step, Stepper};

use super::stalled::Stalled;

/// The edge that leads to the operator `counts`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Edge {
    Keys,
    Rebalance,
    Global,
    Forward,
    Custom,
    None,
}

fn job(edge: Edge, disk: &SimulatedStorage, sink: &Stalled) -> Result<Stepper, JobError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let env = Environment::new()
        .parallelism(2)
        .ring_capacity(1024)
        .checkpoints(Checkpoints::on_request().unaligned().to_storage(storage))
        .restore(RestoreFrom::Latest);
    let numbers = env.source("numbers", Sequence::new(0..2_000));
    match edge {
        Edge::Keys => numbers
            .key_by(|n| n % 7)
            .aggregate_with(Count, |key, count| [*key, count])
            .uid("counts")
            .sink("stalled", sink.clone()),
        Edge::Rebalance => end(numbers.rebalance(), sink),
        Edge::Global => end(numbers.global(), sink),
        Edge::Forward => end(numbers.forward().start_new_chain(), sink),
        Edge::Custom => {
            let spread = numbers.partition_custom(|n, channels| *n as usize % channels);
            end(spread, sink)
        }
        Edge::None => end(numbers, sink),
    };
    env.stepper("counts", ManualClock::new(Timestamp(0)))
}

fn end<P: Pipe<Out = u64>>(numbers: Stream<P>, sink: &Stalled) -> SinkHandle {
    let rows = numbers.map(|n| [*n, *n]).uid("counts");
    rows.sink("stalled", sink.clone())
}

/// A checkpoint of a stalled job, with records in flight to `counts`.
fn checkpoint(edge: Edge) -> SimulatedStorage {
    let (disk, sink) = (SimulatedStorage::new(1), Stalled::default());
    let mut job = job(edge, &disk, &sink).expect("a job").batch(64);
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    job.checkpoint();
    assert_eq!(job.run().expect("it is stalled"), Step::Idle);
    assert_eq!(job.completed_checkpoint(), Some(1), "{edge:?}");
    disk.power_loss(Loss::None)
}

#[test]
fn records_on_their_way_through_an_edge_that_has_changed_are_refused_by_name() {
    for (saved, name) in [(Edge::Keys, "key groups"), (Edge::Rebalance, "rebalance")] {
        let disk = checkpoint(saved);
        for (wanted, is) in [
            (Edge::Keys, "by key groups"),
            (Edge::Rebalance, "by rebalance"),
            (Edge::Global, "by global"),
            (Edge::Forward, "by forward"),
            (Edge::Custom, "by custom"),
            (Edge::None, "not there"),
        ] {
            let disk = disk.power_loss(Loss::None);
            let again = job(wanted, &disk, &Stalled::default());
            if saved == wanted {
                again.expect("the edge is the same");
                continue;
            }
            let error = again.expect_err("another edge").to_string();
            for part in [
                "`counts`",
                "`counts.input`",
                name,
                is,
                "savepoint",
                "aligned",
            ] {
                assert!(
                    error.contains(part),
                    "{saved:?} to {wanted:?}: {part} in: {error}"
                );
            }
        }
    }
}
