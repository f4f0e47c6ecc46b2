//! Windows that resume from checkpoints, at any parallelism, have the same results as undisturbed ones.

use proptest::prelude::*;

use super::harness::{Collect, Harness, Key, WindowResult, open_context, windows_in};
use super::oracle::{Event, Oracle, Record, Shape, of_key};
use super::{Step, TEN, busy, lists, result, shapes, steps, sums, sums_of_lists};
use crate::checkpoint::{CheckpointError, MemorySnapshot, Restored, SnapshotOutput, StateReport};
use crate::operator::window::{WindowFunction, WindowOperator};
use crate::operator::{Barrier, Checkpointing, OpenContext, Operator, OperatorError, Signal};
use crate::record::{KeyGroupAssignment, MaxParallelism};

/// The open context of one of several subtasks.
pub(super) fn context(index: u32, parallelism: u32, restored: Option<Restored>) -> OpenContext {
    let mut cx = open_context(KeyGroupAssignment::Flink);
    (cx.subtask.index, cx.subtask.parallelism) = (index, parallelism);
    cx.key_groups = MaxParallelism::default_for(1).range(index, parallelism);
    cx.checkpointing = Checkpointing {
        enabled: true,
        restored,
        ..Checkpointing::default()
    };
    cx
}

type Windows<F> = Harness<WindowOperator<Record, Key, F, Collect>>;

/// All subtasks of an operator, and the checkpoints that they take.
struct Job<F: WindowFunction<Record, u8>> {
    subtasks: Vec<Windows<F>>,
    memory: MemorySnapshot,
    reports: Vec<Vec<StateReport>>,
    /// Which subtasks still have something to write.
    unwritten: Vec<bool>,
}

impl<F: WindowFunction<Record, u8, Out = WindowResult>> Job<F> {
    fn start(
        shape: Shape,
        function: impl Fn() -> F,
        busy: u64,
        parallelism: u32,
        restored: Option<&Restored>,
    ) -> Self {
        let subtask = |index| {
            let cx = context(index, parallelism, restored.cloned());
            let mut windows = windows_in(cx, shape, function(), true).unwrap();
            windows.budget = 7;
            windows.down.0.lock().unwrap().busy = busy;
            windows
        };
        Job {
            memory: MemorySnapshot::new(parallelism),
            reports: vec![Vec::new(); parallelism as usize],
            unwritten: vec![false; parallelism as usize],
            subtasks: (0..parallelism).map(subtask).collect(),
        }
    }

    /// Fails; `next` resumes from a checkpoint. Returns the checkpoint as `next` knows it.
    fn go_on_as(&mut self, mut next: Self, last: Complete) -> Option<Complete> {
        let is_same = next.subtasks.len() == self.subtasks.len();
        if is_same {
            self.memory.abort();
            next.memory = std::mem::take(&mut self.memory);
        }
        *self = next;
        let lengths = vec![0; self.subtasks.len()];
        is_same.then_some(Complete { lengths, ..last })
    }

    fn push(&mut self, record: Record, at: i64) {
        let owner = owner(record.0, self.subtasks.len() as u32);
        self.subtasks[owner as usize].push(record, at);
    }

    fn signal(&mut self, signal: Signal) {
        self.subtasks.iter_mut().for_each(|subtask| {
            subtask.wait();
            subtask.operator.signal(signal);
        });
    }

    /// Writes a slice of a checkpoint. Returns whether it is complete now, or there was none.
    fn write(&mut self, checkpoint: u64, slice: usize) -> bool {
        if !self.unwritten.contains(&true) {
            return true;
        }
        let reports = self.reports.iter_mut().zip(&mut self.unwritten);
        for (index, (subtask, (reports, unwritten))) in
            self.subtasks.iter_mut().zip(reports).enumerate()
        {
            let memory = &mut self.memory;
            let mut out = SnapshotOutput::new(checkpoint, index as u32, memory, reports, slice);
            *unwritten = *unwritten && !subtask.operator.snapshot(&mut out);
        }
        if self.unwritten.contains(&true) {
            return false;
        }
        for (index, reports) in self.reports.iter_mut().enumerate() {
            let written = self.memory.complete(checkpoint, index as u32, reports);
            written.unwrap();
            reports.clear();
        }
        true
    }

    /// The lengths of the output so far, which may not all be final.
    fn lengths(&mut self) -> Vec<usize> {
        let subtasks = self.subtasks.iter_mut();
        let length = |subtask: &mut Windows<F>| {
            subtask.wait();
            subtask.down.0.lock().unwrap().events.len()
        };
        subtasks.map(length).collect()
    }

    /// Collects the output up to these lengths, by key.
    fn collect(&mut self, lengths: &[usize], log: &mut [Vec<Event>]) {
        let count = self.subtasks.len() as u32;
        for (key, log) in (0..).zip(log) {
            let owner = owner(key, count) as usize;
            let events = &self.subtasks[owner].down.0.lock().unwrap().events;
            log.extend(of_key(&events[..lengths[owner]], key).into_iter().cloned());
        }
    }
}

fn owner(key: u8, parallelism: u32) -> u32 {
    let owns = |index: &u32| {
        let cx = context(*index, parallelism, None);
        cx.hashes().contains(&cx.hasher.hash(&key))
    };
    (0..parallelism).find(owns).unwrap()
}

/// The last complete checkpoint: its contents, the step before it, and what had been emitted.
struct Complete {
    restored: Restored,
    step: usize,
    lengths: Vec<usize>,
}

/// What happens after each step: nothing, a barrier, or a failure.
fn check<F>(
    shape: Shape,
    steps: &[Step],
    mut happenings: Vec<u8>,
    function: impl Fn() -> F,
    busy: u64,
) -> Vec<Vec<Event>>
where
    F: WindowFunction<Record, u8, Out = WindowResult>,
{
    let start = |parallelism: u32, restored: Option<&Restored>| {
        Job::start(shape, &function, busy, parallelism, restored)
    };
    let mut log = vec![Vec::new(); 5];
    let mut job = start(1, None);
    let (mut checkpoint, mut taken, mut complete) = (0, None, None::<Complete>);
    let mut at = 0;
    while at < steps.len() {
        match steps[at] {
            Step::Push(record, time) => job.push(record, time),
            Step::Watermark(to) => job.signal(Signal::Watermark(crate::time::Timestamp(to))),
        }
        let happening = std::mem::replace(&mut happenings[at], u8::MAX);
        at += 1;
        let mut write = |job: &mut Job<F>, slice| {
            let done = job.write(checkpoint, slice);
            if done && let Some((step, lengths)) = taken.take() {
                let restored = job.memory.restored();
                complete = Some(Complete {
                    restored,
                    step,
                    lengths,
                });
            }
            done
        };
        write(&mut job, 1 + usize::from(happening % 5));
        match happening {
            0..60 => {
                while !write(&mut job, 3) {}
                checkpoint += 1;
                let options = u32::from(complete.is_none() || happening % 4 == 0);
                job.signal(Signal::Barrier(Barrier {
                    checkpoint,
                    options,
                }));
                job.unwritten.fill(true);
                taken = Some((at, job.lengths()));
            }
            60..90 => {
                let Some(last) = complete.take() else {
                    continue;
                };
                job.collect(&last.lengths, &mut log);
                let next = start(1 + u32::from(happening) % 3, Some(&last.restored));
                (at, taken) = (last.step, None);
                complete = job.go_on_as(next, last);
            }
            _ => {}
        }
    }
    job.signal(Signal::Watermark(crate::time::Timestamp::MAX));
    job.signal(Signal::End);
    let lengths = job.lengths();
    job.collect(&lengths, &mut log);
    log
}

fn expected(shape: Shape, steps: &[Step]) -> Vec<Event> {
    let mut oracle = Oracle::new(shape);
    for step in steps {
        match *step {
            Step::Push(record, at) => oracle.push(record, at),
            Step::Watermark(at) => oracle.watermark(at),
        }
    }
    oracle.watermark(i64::MAX);
    oracle.events.push(Event::End);
    oracle.events
}

fn compare(found: &[Vec<Event>], expected: &[Event]) {
    for (key, found) in (0..).zip(found) {
        let found: Vec<_> = found.iter().collect();
        assert_eq!(found, of_key(expected, key), "key {key}");
    }
}

fn happenings() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn restored_process_windows_are_flinks(
        shape in shapes(40, 30), steps in steps(300), happenings in happenings(), busy in busy(),
    ) {
        let found = check(shape, &steps, happenings, lists, busy);
        compare(&found, &expected(shape, &steps));
    }

    #[test]
    fn restored_aggregate_windows_with_a_large_overlap_are_flinks(
        shape in shapes(300, 4), steps in steps(300), happenings in happenings(), busy in busy(),
    ) {
        let found = check(shape, &steps, happenings, sums, busy);
        compare(&found, &sums_of_lists(expected(shape, &steps)));
    }
}

/// Writes a checkpoint of one subtask that was given a barrier.
pub(super) fn write(
    operator: &mut impl Operator,
    checkpoint: u64,
    subtask: u32,
    memory: &mut MemorySnapshot,
) {
    let mut reports = Vec::new();
    loop {
        let mut out = SnapshotOutput::new(checkpoint, subtask, memory, &mut reports, 2);
        if operator.snapshot(&mut out) {
            break;
        }
    }
    memory.complete(checkpoint, subtask, &reports).unwrap();
}

pub(super) fn barrier(checkpoint: u64, options: u32) -> Signal {
    Signal::Barrier(Barrier {
        checkpoint,
        options,
    })
}

/// Two subtasks, one of which has fired a window.
fn fired_apart(shape: Shape) -> MemorySnapshot {
    let mut memory = MemorySnapshot::new(2);
    for index in 0..2 {
        let mut windows = windows_in(context(index, 2, None), shape, sums(), true).unwrap();
        for key in (0..20).filter(|key| owner(*key, 2) == index) {
            windows.push((key, 1), 7);
        }
        windows.watermark(3 + 10 * i64::from(index));
        windows.signal(barrier(1, Barrier::WHOLE));
        write(&mut windows.operator, 1, index, &mut memory);
    }
    memory
}

#[test]
fn windows_that_some_subtasks_have_fired_and_keep_tie_the_checkpoint_to_its_parallelism() {
    let open = |shape, index, parallelism| {
        let restored = Some(fired_apart(shape).restored());
        windows_in(context(index, parallelism, restored), shape, sums(), true)
    };
    let kept = Shape { lateness: 5, ..TEN };
    let error = open(kept, 0, 1).err().unwrap();
    let OperatorError::Restore { cause, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(
        cause.downcast_ref(),
        Some(CheckpointError::FixedParallelism { saved: 2, .. })
    ));
    assert!(open(kept, 0, 2).is_ok());
    // What is over once it has fired fires in the others, and nowhere twice.
    let mut windows = open(TEN, 0, 1).unwrap();
    windows.watermark(20);
    let waiting = (0..20).filter(|key| owner(*key, 2) == 0).count();
    assert!(0 < waiting && waiting < 20);
    assert_eq!(windows.events().len(), waiting + 1);
}

#[test]
fn windows_of_another_size_are_an_error() {
    let restored = || Some(fired_apart(TEN).restored());
    let twenty = Shape {
        size: 20,
        slide: 20,
        ..TEN
    };
    let opened = windows_in(context(0, 2, restored()), twenty, sums(), true);
    let OperatorError::Restore { cause, .. } = opened.err().unwrap() else {
        panic!("another error");
    };
    assert!(matches!(
        cause.downcast_ref(),
        Some(CheckpointError::WindowsChanged { .. })
    ));
    let other = windows_in(context(0, 2, restored()), TEN, lists(), true);
    let OperatorError::Restore { cause, .. } = other.err().unwrap() else {
        panic!("another error");
    };
    assert!(matches!(
        cause.downcast_ref(),
        Some(CheckpointError::TypeChanged { part: "value", .. })
    ));
}

#[test]
fn fired_windows_that_are_kept_fire_again_for_late_records_only() {
    let shape = Shape { lateness: 5, ..TEN };
    let mut memory = MemorySnapshot::new(1);
    let mut windows = windows_in(context(0, 1, None), shape, lists(), true).unwrap();
    windows.push((1, 7), 3);
    windows.watermark(12);
    windows.signal(barrier(1, Barrier::WHOLE));
    write(&mut windows.operator, 1, 0, &mut memory);
    let cx = context(0, 1, Some(memory.restored()));
    let mut windows = windows_in(cx, shape, lists(), true).unwrap();
    windows.watermark(12);
    windows.watermark(13);
    windows.push((1, 8), 2);
    windows.watermark(14);
    windows.push((1, 9), 2);
    let late = Event::Late {
        key: 1,
        value: 9,
        at: 2,
    };
    let again = result(1, 0, 10, &[7, 8]);
    let expected = [Event::Watermark(13), again, Event::Watermark(14), late];
    assert_eq!(windows.events(), expected);
}

#[test]
fn windows_that_have_fired_do_not_fire_again_once_less_lateness_is_allowed() {
    let kept = Shape {
        lateness: 30,
        ..TEN
    };
    let mut memory = MemorySnapshot::new(1);
    let mut windows = windows_in(context(0, 1, None), kept, lists(), true).unwrap();
    for (value, at) in [(7, 75), (8, 85), (9, 105)] {
        windows.push((1, value), at);
    }
    windows.watermark(105);
    windows.signal(barrier(1, Barrier::WHOLE));
    write(&mut windows.operator, 1, 0, &mut memory);
    let cx = context(0, 1, Some(memory.restored()));
    let mut windows = windows_in(cx, TEN, lists(), true).unwrap();
    // A watermark generator starts anew.
    for at in [85, 94, 105] {
        windows.watermark(at);
        assert_eq!(windows.events(), [], "watermark {at}");
    }
    windows.watermark(109);
    let expected = [result(1, 100, 110, &[9]), Event::Watermark(109)];
    assert_eq!(windows.events(), expected);
    assert_eq!(windows.metric("state_entries"), 0);
}

#[test]
fn a_table_serves_another_slice_only_when_it_owes_nothing() {
    let mut memory = MemorySnapshot::new(1);
    let mut windows = windows_in(context(0, 1, None), TEN, sums(), true).unwrap();
    (0..100).for_each(|key| windows.push((key, 1), 3));
    windows.signal(barrier(1, Barrier::WHOLE));
    // The slice is over before any of it is written, and the next ones begin.
    windows.watermark(9);
    for slice in 1..5 {
        (0..100).for_each(|key| windows.push((key, 2), slice * 10));
    }
    write(&mut windows.operator, 1, 0, &mut memory);
    let restored = memory.restored();
    windows.push((0, 2), 59);
    windows.signal(barrier(2, 0));
    windows.watermark(39);
    write(&mut windows.operator, 2, 0, &mut memory);
    let fired = |restored, to| {
        let cx = context(0, 1, Some(restored));
        let mut windows = windows_in(cx, TEN, sums(), true).unwrap();
        windows.watermark(to);
        let results = windows
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Result { end, values, .. } => Some((end, values)),
                _ => None,
            });
        results.collect::<Vec<_>>()
    };
    assert_eq!(fired(restored, 1_000), vec![(10, vec![1, 1, 1]); 100]);
    let second = fired(memory.restored(), 1_000);
    assert_eq!(second.len(), 401);
    for slice in 1..5 {
        let of_slice = second.iter().filter(|(end, _)| *end == slice * 10 + 10);
        assert_eq!(of_slice.count(), 100);
    }
}
