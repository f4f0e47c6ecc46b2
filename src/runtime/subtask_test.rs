//! Subtasks whose snapshots have nowhere to go, and subtasks whose heads differ in event time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use crate::checkpoint::{Deferred, Piece, PieceSink};
use crate::operator::Barrier;
use crate::operator::recorder::open_context;
use crate::time::Clock;

use super::*;
use crate::runtime::endless_head::{EndlessHead, Walk};

/// A writer that is behind for as long as the flag is set.
struct Sink(Arc<AtomicBool>);

impl PieceSink for Sink {
    fn has_room(&self) -> bool {
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn send(&mut self, _checkpoint: u64, _piece: Piece) {}

    fn defer(&mut self, _checkpoint: u64, _work: Deferred) {}

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn records_wait_while_what_they_make_tables_copy_has_nowhere_to_go() {
    let is_full = Arc::new(AtomicBool::new(true));
    let (taken, asked) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let head = EndlessHead {
        taken: Arc::clone(&taken),
        asked: Arc::clone(&asked),
        ..EndlessHead::default()
    };
    let heads: Vec<Box<dyn Head>> = vec![Box::new(head)];
    let mut subtask = Subtask::new(0, open_context(), heads, BatchSize::Fixed(1));
    subtask.take_snapshots(Box::new(Sink(Arc::clone(&is_full))));
    subtask.open().expect("nothing fails");
    let turn = |subtask: &mut Subtask| {
        let mut at = Clock::System.monotonic_nanos();
        let progress = subtask.poll(Timestamp(0), &mut at);
        progress.expect("nothing fails")
    };
    // Without a checkpoint there is nothing to wait for.
    assert_eq!(turn(&mut subtask), Progress::Worked);
    assert_eq!(taken.load(Ordering::Relaxed), 1);

    let barrier = Barrier {
        checkpoint: 1,
        options: 0,
    };
    let noticed = subtask.notice(Notice::Triggered(barrier));
    noticed.expect("nothing fails");
    assert_eq!(
        turn(&mut subtask),
        Progress::Worked,
        "the barrier is met here"
    );
    assert_eq!(taken.load(Ordering::Relaxed), 2);
    for round in 1..=3 {
        assert_eq!(turn(&mut subtask), Progress::Blocked);
        assert!(!subtask.has_work(), "it may sleep");
        assert!(subtask.deadline().is_some(), "but looks again");
        assert_eq!(taken.load(Ordering::Relaxed), 2);
        assert_eq!(
            asked.load(Ordering::Relaxed),
            1 + round,
            "copies still go out"
        );
    }
    is_full.store(false, Ordering::Relaxed);
    assert!(subtask.has_work());
    assert_eq!(turn(&mut subtask), Progress::Worked);
    assert_eq!(taken.load(Ordering::Relaxed), 3);
}

#[test]
fn heads_get_on_together_in_event_time_whatever_a_record_stands_for() {
    const BATCH: u32 = 1024;
    let times = [1, 40].map(|apart| (Arc::new(AtomicI64::new(0)), apart));
    let head = |(at, apart): &(Arc<AtomicI64>, i64)| {
        let walk = Some(Walk {
            at: Arc::clone(at),
            apart: *apart,
        });
        let head = EndlessHead {
            walk,
            ..EndlessHead::default()
        };
        Box::new(head) as Box<dyn Head>
    };
    let heads = times.iter().map(head).collect();
    let mut subtask = Subtask::new(0, open_context(), heads, BatchSize::Fixed(BATCH));
    subtask.open().expect("nothing fails");
    let mut at = Clock::System.monotonic_nanos();
    for _ in 0..1000 {
        subtask.poll(Timestamp(0), &mut at).expect("nothing fails");
        let [slow, quick] = [0, 1].map(|head: usize| times[head].0.load(Ordering::Relaxed));
        assert!((quick - slow).abs() <= 2 * 40 * i64::from(BATCH));
    }
    assert!(times[0].0.load(Ordering::Relaxed) >= 900 * i64::from(BATCH));
}
