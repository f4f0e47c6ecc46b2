//! Keyed process functions resume from checkpoints: at any parallelism, with the watermark, or with an error
//! that says what does not fit.

use super::*;
use crate::checkpoint::{MemorySnapshot, Restored};
use crate::operator::keyed_snapshot::EVENT_TIMERS;
use crate::operator::recorder::{Recorder, open_context};
use crate::operator::watermark_snapshot::restored_watermarks;
use crate::operator::{Barrier, Checkpointing};
use crate::record::{MaxParallelism, OwnedSelector};
use crate::state::{ListState, ValueState};

/// A key, what is known of it, and which timer emitted it: 0 event, 1 processing, 2 none.
type Told = (u64, u64, u64);

/// Counts records by key; emits the count on timers and immediately, along with the watermark.
#[derive(Clone)]
struct Counts {
    count: ValueState<u64>,
    open: fn(&mut Counts, &mut KeyedOpenContext<'_, u64>) -> Outcome,
    /// Records of all keys.
    all: u64,
}

fn counts(open: fn(&mut Counts, &mut KeyedOpenContext<'_, u64>) -> Outcome) -> Counts {
    Counts {
        count: ValueState::default(),
        open,
        all: 0,
    }
}

fn plain() -> Counts {
    counts(|counts, cx| {
        counts.count = cx.state().value_state("count")?;
        Ok(())
    })
}

impl KeyedProcessFunction<u64, u64> for Counts {
    type Out = Told;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        (self.open)(self, cx)
    }

    fn process(&mut self, _: &u64, cx: &mut impl KeyedProcessContext<u64, Told>) -> Outcome {
        self.all += 1;
        self.count.update(cx, |count| *count += 1);
        let at = cx.timestamp().ok_or("no timestamp")?;
        cx.register_event_timer(at.saturating_add(100));
        cx.register_processing_timer(Timestamp(500));
        let told = (*cx.key(), cx.watermark().0.cast_unsigned(), 2);
        cx.emit(&told);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timestamp,
        domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, Told>,
    ) -> Outcome {
        let domain = u64::from(domain == TimeDomain::Processing);
        let told = (*cx.key(), self.count.value(cx).unwrap_or_default(), domain);
        cx.emit(&told);
        Ok(())
    }

    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        Ok(state.list("all", [&self.all])?)
    }

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        self.all = state.list::<u64>("all")?.iter().sum();
        Ok(())
    }
}

fn key_of(key: &u64) -> u64 {
    *key
}

type Subject = KeyedProcess<u64, OwnedSelector<fn(&u64) -> u64>, Counts, Recorder<Told>>;

fn operator(function: Counts) -> (Subject, Recorder<Told>) {
    let recorder = Recorder::new();
    let selector: fn(&u64) -> u64 = key_of;
    let outputs = Outputs::new(recorder.clone());
    let operator = KeyedProcess::new("counts".into(), OwnedSelector(selector), function, outputs);
    (operator.uid("uid".into()), recorder)
}

fn context(index: u32, parallelism: u32, restored: Option<Restored>) -> OpenContext {
    let mut cx = open_context();
    (cx.subtask.index, cx.subtask.parallelism) = (index, parallelism);
    cx.key_groups = MaxParallelism::default_for(1).range(index, parallelism);
    cx.checkpointing = Checkpointing {
        enabled: true,
        restored,
        ..Checkpointing::default()
    };
    cx
}

fn open(
    function: &Counts,
    index: u32,
    parallelism: u32,
    restored: Option<&MemorySnapshot>,
) -> Result<(Subject, Recorder<Told>), OperatorError> {
    let (mut operator, recorder) = operator(function.clone());
    let restored = restored.map(MemorySnapshot::restored);
    operator.open(&context(index, parallelism, restored))?;
    operator.begin(Timestamp(0));
    Ok((operator, recorder))
}

/// Feeds a barrier and writes what it froze, a few entries at a time.
fn checkpoint(
    operator: &mut Subject,
    memory: &mut MemorySnapshot,
    (checkpoint, options): (u64, u32),
    subtask: u32,
) {
    operator.signal(Signal::Barrier(Barrier {
        checkpoint,
        options,
    }));
    let mut reports = Vec::new();
    let mut out = SnapshotOutput::new(checkpoint, subtask, memory, &mut reports, 3);
    while !operator.snapshot(&mut out) {
        out = SnapshotOutput::new(checkpoint, subtask, memory, &mut reports, 3);
    }
    memory.complete(checkpoint, subtask, &reports).unwrap();
}

/// Two checkpoints of `parallelism` subtasks that have counted the keys to 40, some twice: one full, one of
/// changes. Subtask `n` has seen the watermark `10 + n`.
fn taken(function: &Counts, parallelism: u32) -> MemorySnapshot {
    let mut memory = MemorySnapshot::new(parallelism);
    for index in 0..parallelism {
        let (mut operator, _) = open(function, index, parallelism, None).unwrap();
        let cx = context(index, parallelism, None);
        let own = |key: &u64| cx.hashes().contains(&cx.hasher.hash(key));
        for key in (0..40).filter(own) {
            operator.push(&key, Timestamp(key as i64));
        }
        checkpoint(&mut operator, &mut memory, (1, Barrier::WHOLE), index);
        for key in (0..40).filter(own).filter(|key| key % 4 == 0) {
            operator.push(&key, Timestamp(key as i64));
        }
        operator.signal(Signal::Watermark(Timestamp(10 + i64::from(index))));
        checkpoint(&mut operator, &mut memory, (2, 0), index);
    }
    memory
}

#[test]
fn states_and_timers_are_restored_at_any_parallelism() {
    for (old, new) in [(1, 1), (1, 3), (2, 3), (3, 2), (2, 8), (3, 1)] {
        let memory = taken(&plain(), old);
        let mut told = Vec::new();
        let mut all = 0;
        for index in 0..new {
            let (mut operator, recorder) = open(&plain(), index, new, Some(&memory)).unwrap();
            assert!(recorder.take_records().is_empty());
            assert_eq!(operator.deadline(), Some(Timestamp(500)));
            operator.begin(Timestamp(500));
            operator.signal(Signal::Watermark(Timestamp(10_000)));
            told.extend(recorder.take_records());
            all += operator.function.function.all;
        }
        told.sort_unstable();
        let count = |key: u64| if key.is_multiple_of(4) { 2 } else { 1 };
        let expected: Vec<_> = (0..40)
            .flat_map(|key| {
                let event = ((key, count(key), 0), 100 + key as i64);
                [event, ((key, count(key), 1), i64::MIN)]
            })
            .collect();
        assert_eq!(told, expected, "{old} to {new}");
        assert_eq!(all, 50, "{old} to {new}");
    }
}

#[test]
fn the_watermark_is_restored_as_the_lowest_of_the_old_subtasks() {
    let memory = taken(&plain(), 3);
    for (index, parallelism, expected) in [(2, 3, 12), (0, 3, 10), (1, 2, 10)] {
        let (mut operator, recorder) = open(&plain(), index, parallelism, Some(&memory)).unwrap();
        operator.push(&7, Timestamp(3));
        assert_eq!(recorder.take_records(), [((7, expected, 2), 3)]);
        operator.signal(Signal::Watermark(Timestamp(9)));
        assert!(recorder.take().is_empty(), "it does not recede");
    }
    let cx = context(0, 1, None);
    let ended = restored_watermarks(&[vec![i64::MAX], vec![4]], &cx);
    assert_eq!(*ended.start(), Timestamp(4));
    let all_ended = restored_watermarks(&[vec![i64::MAX]], &cx);
    assert_eq!(*all_ended.start(), Timestamp::MIN);
}

#[test]
fn overdue_processing_timers_fire_at_once() {
    let memory = taken(&plain(), 1);
    let (mut operator, recorder) = operator(plain());
    operator
        .open(&context(0, 1, Some(memory.restored())))
        .unwrap();
    assert_eq!(operator.deadline(), Some(Timestamp(500)));
    operator.begin(Timestamp(9_000));
    assert_eq!(recorder.take_records().len(), 40);
    operator.flush();
    assert_eq!(operator.deadline(), None);
}

#[test]
fn timers_frozen_before_the_end_of_input_are_written_after_it() {
    let mut memory = MemorySnapshot::new(1);
    let (mut operator, _) = open(&plain(), 0, 1, None).unwrap();
    operator.push(&7, Timestamp(3));
    let barrier = Barrier {
        checkpoint: 1,
        options: 0,
    };
    operator.signal(Signal::Barrier(barrier));
    operator.signal(Signal::Watermark(Timestamp::MAX));
    operator.signal(Signal::End);
    assert_eq!(operator.deadline(), None);
    let mut reports = Vec::new();
    let mut out = SnapshotOutput::new(1, 0, &mut memory, &mut reports, usize::MAX);
    while !operator.snapshot(&mut out) {}
    memory.complete(1, 0, &reports).unwrap();
    let (mut operator, recorder) = open(&plain(), 0, 1, Some(&memory)).unwrap();
    operator.begin(Timestamp(500));
    operator.signal(Signal::Watermark(Timestamp(200)));
    let told = recorder.take_records();
    assert_eq!(told, [((7, 1, 1), i64::MIN), ((7, 1, 0), 103)]);
}

fn error(function: &Counts) -> String {
    let opened = open(function, 0, 1, Some(&taken(&plain(), 1)));
    opened.expect_err("the state does not fit").to_string()
}

#[test]
fn state_that_does_not_fit_is_an_error_that_names_it() {
    assert_eq!(
        error(&counts(|_, cx| {
            cx.state().value_state::<u32>("count")?;
            Ok(())
        })),
        "operator `counts` cannot be restored: the values of state `count` of operator `uid` are `u64` \
         (8 bytes) in the checkpoint, and `u32` (4 bytes) in the job: register the state with a migration, \
         or give it another name"
    );
    assert_eq!(
        error(&counts(|_, cx| {
            let _: ListState<u64> = cx.state().list_state("count")?;
            Ok(())
        })),
        "operator `counts` cannot be restored: state `count` of operator `uid` is value state in the \
         checkpoint, and list state in the job"
    );
    assert_eq!(
        error(&counts(|_, cx| {
            cx.state().value_state::<u64>("number")?;
            Ok(())
        })),
        "operator `counts` cannot be restored: the checkpoint holds state `count` of operator `uid`, which \
         the job does not have: give the operator its uid back, or allow state that is not restored"
    );
    let (mut operator, _) = operator(counts(|_, _| Ok(())));
    let mut cx = context(0, 1, Some(taken(&plain(), 1).restored()));
    cx.checkpointing.allow_non_restored = true;
    operator.open(&cx).unwrap();
}

/// Formerly counted in 64 bits, now in 32 bits.
fn migrated(function: &mut Counts, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
    function.count = cx
        .state()
        .value_state_migrated("count", |old: u32| u64::from(old) + 100)?;
    Ok(())
}

#[test]
fn values_of_an_older_type_are_migrated_and_written_as_a_whole() {
    let old = counts(|_, cx| {
        cx.state().value_state::<u32>("count")?;
        Ok(())
    });
    // The older function's handle was of another type: its values are put in by hand.
    let mut memory = MemorySnapshot::new(1);
    let (mut operator, _) = open(&old, 0, 1, None).unwrap();
    let cx = context(0, 1, None);
    let backend = &mut operator.services.backend;
    let state: ValueState<u32> = backend.value_state("count").unwrap();
    let services = &mut operator.services;
    state.set(
        &mut services.context(&7, cx.hasher.hash(&7_u64), Timestamp(0)),
        5,
    );
    checkpoint(&mut operator, &mut memory, (1, Barrier::WHOLE), 0);

    let new = counts(migrated);
    let (mut operator, recorder) = open(&new, 0, 1, Some(&memory)).unwrap();
    operator.push(&7, Timestamp(0));
    // The first checkpoint is a full one, although only changes are requested.
    checkpoint(&mut operator, &mut memory, (2, 0), 0);
    operator.signal(Signal::Watermark(Timestamp(100)));
    assert_eq!(recorder.take_records()[1], ((7, 106, 0), 100));
    // From then on the values are of the new type, and nothing is migrated.
    for function in [plain(), new] {
        let (mut operator, recorder) = open(&function, 0, 1, Some(&memory)).unwrap();
        operator.signal(Signal::Watermark(Timestamp(100)));
        assert_eq!(recorder.take_records(), [((7, 106, 0), 100)]);
    }
    let text = counts(|_, cx| {
        let state = cx.state();
        let _: ValueState<String> =
            state.value_state_migrated("count", |old: u16| old.to_string())?;
        Ok(())
    });
    let error = open(&text, 0, 1, Some(&memory)).err().unwrap().to_string();
    assert!(error.contains("are `u64` (8 bytes) in the checkpoint, and `alloc::string::String`"));
}

#[test]
fn the_names_of_timers_are_not_free() {
    let opened = open(
        &counts(|_, cx| {
            cx.state().value_state::<u64>(EVENT_TIMERS)?;
            Ok(())
        }),
        0,
        1,
        None,
    );
    let error = opened.err().unwrap().to_string();
    assert!(
        error.contains("`timers.event`") && error.contains("taken"),
        "{error}"
    );
}
