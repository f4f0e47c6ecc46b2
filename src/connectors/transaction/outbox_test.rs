//! Tests of the outbox: output is delivered once, wherever a run is cut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::outbox::{DELIVERIES_MAX, OUTPUT_BYTES};
use super::*;
use crate::checkpoint::CheckpointError;
use crate::connectors::test_chain::{CommitTasks, checkpointed_context, restored_context};
use crate::operator::{
    BoxError, OpenContext, Operator, OperatorError, Outcome, Prepared, Sink, SinkOperator,
    SinkWriter,
};
use crate::time::Timestamp;

/// A database whose output and markers change together.
#[derive(Default)]
struct Database {
    output: Vec<u8>,
    markers: HashMap<u32, u64>,
}

#[derive(Clone, Default)]
struct Target {
    database: Arc<Mutex<Database>>,
}

impl OutboxTarget<u8> for Target {
    fn encode(&mut self, record: &u8, _at: Timestamp, output: &mut Vec<u8>) -> Outcome {
        output.push(*record);
        Ok(())
    }
    fn marker(&mut self, lane: u32) -> Result<u64, BoxError> {
        let database = self.database.lock().unwrap();
        Ok(database.markers.get(&lane).copied().unwrap_or(0))
    }
    fn furthest(&mut self, index: u32, parallelism: u32) -> Result<Option<(u32, u64)>, BoxError> {
        let database = self.database.lock().unwrap();
        let markers = database.markers.iter();
        let markers = markers.filter(|(lane, _)| *lane % parallelism == index);
        let furthest = markers.max_by_key(|(_, marker)| **marker);
        Ok(furthest.map(|(lane, marker)| (*lane, *marker)))
    }
    fn forget(&mut self, index: u32, parallelism: u32) -> Outcome {
        let mut database = self.database.lock().unwrap();
        database
            .markers
            .retain(|lane, _| lane % parallelism != index);
        Ok(())
    }
    fn deliver(&mut self, lane: u32, epoch: u64, output: Arc<Vec<u8>>) -> Result<Work, BoxError> {
        let database = Arc::clone(&self.database);
        Ok(Box::new(move || {
            let mut database = database.lock().unwrap();
            database.output.extend_from_slice(&output);
            let before = database.markers.insert(lane, epoch);
            assert!(before.unwrap_or(0) < epoch, "a marker went back");
            Ok(())
        }))
    }
}

fn writers(target: &Target, parallelism: u32) -> Vec<OutboxWriter<u8, Target>> {
    let target = target.clone();
    let sink = Outbox::new(move |_, _| target.clone());
    (0..parallelism)
        .map(|index| sink.writer(index, parallelism))
        .collect()
}

/// Redistributes state as the runtime does.
fn shares(kept: &[Vec<Vec<u8>>], parallelism: u32) -> Vec<Vec<Vec<u8>>> {
    if kept.len() == parallelism as usize {
        return kept.to_vec();
    }
    let all = kept.concat();
    let size = all.len().div_ceil(parallelism as usize).max(1);
    let mut shares: Vec<_> = all.chunks(size).map(<[_]>::to_vec).collect();
    shares.resize(parallelism as usize, Vec::new());
    shares
}

proptest! {
    /// Each attempt takes some checkpoints. Then it is killed after none, some or all of its subtasks have learned of
    /// the completion of the last one, and the next attempt resumes from it with another parallelism.
    #[test]
    fn every_record_is_delivered_once_wherever_the_run_is_cut(
        attempts in prop::collection::vec(
            (1..5_u32, prop::collection::vec((0..6_usize, 0..5_usize), 1..5)), 1..6),
    ) {
        let target = Target::default();
        let (mut written, mut checkpoint) = (0_u8, 0_u64);
        let mut kept: Option<Vec<Vec<Vec<u8>>>> = None;
        for (parallelism, epochs) in attempts {
            let mut writers = writers(&target, parallelism);
            let shares = kept.take().map(|kept| shares(&kept, parallelism));
            for (index, writer) in writers.iter_mut().enumerate() {
                let index = index as u32;
                let cx = match checkpoint {
                    0 => checkpointed_context(index, parallelism, true),
                    from => restored_context(index, parallelism, from),
                };
                writer.open(&cx).unwrap();
            }
            for (writer, share) in writers.iter_mut().zip(shares.unwrap_or_default()) {
                writer.recover(share).unwrap();
            }
            for (records, notices) in epochs {
                for record in 0..records {
                    let writer = &mut writers[record % parallelism as usize];
                    writer.write(&written, Timestamp::MIN).unwrap();
                    written = written.wrapping_add(1);
                }
                checkpoint += 1;
                let prepare = |writer: &mut OutboxWriter<u8, Target>| {
                    let mut prepared = Prepared::default();
                    writer.prepare(checkpoint, &mut prepared).unwrap();
                    prepared.transactions().to_vec()
                };
                kept = Some(writers.iter_mut().map(prepare).collect());
                for writer in writers.iter_mut().take(notices) {
                    writer.commit(checkpoint).unwrap();
                    writer.commit(checkpoint - 1).unwrap();
                }
            }
            writers[0].write(&255, Timestamp::MIN).unwrap();
        }
        let mut last = writers(&target, 1);
        last[0].recover(kept.unwrap_or_default().concat()).unwrap();
        let mut delivered = target.database.lock().unwrap().output.clone();
        delivered.sort_unstable();
        prop_assert_eq!(delivered, (0..written).collect::<Vec<_>>());
    }
}

#[test]
fn job_that_is_behind_its_target_is_told_so_for_good_before_its_first_record() {
    let target = Target::default();
    target.database.lock().unwrap().markers.insert(0, 50);
    let open = |cx: &OpenContext| {
        let writer = writers(&target, 1).remove(0);
        SinkOperator::<_, u8>::new("out".into(), writer).open(cx)
    };
    // Also a job whose directory has checkpoints newer than the one it goes back to, and so counts on from those.
    for first in [8, 50, 51] {
        let mut cx = restored_context(0, 1, 7);
        cx.checkpointing.first = first;
        let error = open(&cx).unwrap_err();
        assert!(matches!(error, OperatorError::Restore { .. }), "{error:?}");
        let message = error.to_string();
        let expected = "checkpoint 50 of subtask 0, and the job goes on from before checkpoint 8";
        assert!(message.contains(expected), "{message}");
    }
    open(&restored_context(0, 1, 50)).unwrap();
    let mut without = restored_context(0, 1, 7);
    without.checkpointing.enabled = false;
    open(&without).unwrap();
}

#[test]
fn job_that_is_behind_what_a_subtask_delivered_that_it_does_not_have_is_told_so() {
    let target = Target::default();
    // The checkpoint need not name them: nothing of theirs was pending, or they came after it.
    target
        .database
        .lock()
        .unwrap()
        .markers
        .extend([(0, 7), (2, 8), (3, 7)]);
    let mut writers = writers(&target, 2);
    let error = writers[0].open(&restored_context(0, 2, 7)).unwrap_err();
    let error = error.downcast::<CheckpointError>().unwrap();
    assert!(
        matches!(*error, CheckpointError::TargetAhead { subtask: 2, .. }),
        "{error}"
    );
    writers[1].open(&restored_context(1, 2, 7)).unwrap();
}

#[test]
fn job_that_starts_anew_forgets_the_markers_of_subtasks_that_it_does_not_have() {
    let target = Target::default();
    let markers = (0..5).map(|lane| (lane, 50));
    target.database.lock().unwrap().markers.extend(markers);
    let left = || {
        let mut lanes: Vec<_> = (target.database.lock().unwrap().markers.keys())
            .copied()
            .collect();
        lanes.sort_unstable();
        lanes
    };
    let mut writers = writers(&target, 2);
    writers[1].open(&checkpointed_context(1, 2, true)).unwrap();
    assert_eq!(left(), [0, 2, 4], "the others are those of the other one");
    writers[0].open(&checkpointed_context(0, 2, true)).unwrap();
    assert!(left().is_empty());
}

#[test]
fn without_checkpoints_output_is_delivered_by_the_end() {
    let target = Target::default();
    let mut writer = writers(&target, 1).remove(0);
    writer.open(&checkpointed_context(0, 1, false)).unwrap();
    for record in 0..100 {
        writer.write(&record, Timestamp::MIN).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    writer.close().unwrap();
    assert_eq!(target.database.lock().unwrap().output.len(), 100);
}

#[test]
fn without_checkpoints_records_wait_for_a_target_that_is_slow() {
    let (target, tasks) = (Target::default(), CommitTasks::default());
    let mut writer = writers(&target, 1).remove(0);
    writer.open(&tasks.context(false)).unwrap();
    let delivered = || target.database.lock().unwrap().output.len();
    for _ in 0..DELIVERIES_MAX {
        assert!(writer.ready());
        for _ in 0..OUTPUT_BYTES {
            writer.write(&1, Timestamp::MIN).unwrap();
        }
        writer.flush().unwrap();
    }
    assert!(
        !writer.ready() && delivered() == 0,
        "nothing on this thread"
    );
    tasks.run();
    writer.resume().unwrap();
    assert!(writer.ready());
    assert_eq!(delivered(), DELIVERIES_MAX as usize * OUTPUT_BYTES);
}
