//! Functions without keys keep state: lists are split, unions given to all, broadcast state to each.

use super::*;
use crate::checkpoint::MemorySnapshot;
use crate::operator::recorder::{Recorder, open_context};
use crate::operator::{Barrier, Checkpointing, OperatorError};

/// Keeps its records in three ways.
#[derive(Clone, Default)]
struct Keeps<const STATEFUL: bool> {
    list: Vec<u64>,
    /// Distributed after `list`, starting where its longer shares end.
    more: Vec<u64>,
    union: Vec<u64>,
    broadcast: Vec<u64>,
}

impl<const STATEFUL: bool> ProcessFunction<u64> for Keeps<STATEFUL> {
    type Out = u64;

    const STATEFUL: bool = STATEFUL;

    fn process(&mut self, n: &u64, _: &mut impl ProcessContext<u64>) -> Outcome {
        self.list.push(*n);
        self.more.push(*n);
        self.union.push(*n);
        self.broadcast.push(n % 10);
        Ok(())
    }

    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        state.list("list", &self.list)?;
        state.list("more", &self.more)?;
        state.union("union", &self.union)?;
        Ok(state.broadcast("broadcast", &self.broadcast)?)
    }

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        self.list = state.list("list")?;
        self.more = state.list("more")?;
        self.union = state.union("union")?;
        self.broadcast = state.broadcast("broadcast")?;
        assert!(state.list::<u64>("new")?.is_empty());
        Ok(())
    }
}

type Subject<F> = Process<u64, F, Recorder<u64>>;

fn open<F>(
    function: F,
    place: (u32, u32),
    restored: Option<&MemorySnapshot>,
) -> Result<Subject<F>, OperatorError>
where
    F: ProcessFunction<u64, Out = u64>,
{
    let mut operator = Process::new("keeps".into(), function, Outputs::new(Recorder::new()));
    operator.open(&context(place, restored))?;
    Ok(operator)
}

/// The open context of a subtask, given its index and the parallelism.
fn context((index, parallelism): (u32, u32), restored: Option<&MemorySnapshot>) -> OpenContext {
    let mut cx = open_context();
    (cx.subtask.index, cx.subtask.parallelism) = (index, parallelism);
    cx.checkpointing = Checkpointing {
        enabled: true,
        restored: restored.map(MemorySnapshot::restored),
        ..Checkpointing::default()
    };
    cx
}

/// Keeps what the subtask of this index has handed over at the barrier of the first checkpoint.
fn keep(operator: &mut impl Operator, index: u32, memory: &mut MemorySnapshot) {
    let mut reports = Vec::new();
    let mut out = SnapshotOutput::new(1, index, memory, &mut reports, 100);
    assert!(operator.snapshot(&mut out));
    memory.complete(1, index, &reports).unwrap();
}

fn barrier(checkpoint: u64) -> Signal {
    Signal::Barrier(Barrier {
        checkpoint,
        options: 0,
    })
}

fn taken(parallelism: u32) -> MemorySnapshot {
    let mut memory = MemorySnapshot::new(parallelism);
    for index in 0..parallelism {
        let mut operator = open(Keeps::<true>::default(), (index, parallelism), None).unwrap();
        for n in 0..2 {
            operator.push(&u64::from(index * 10 + n), Timestamp::MIN);
        }
        operator.signal(barrier(1));
        operator.push(&99, Timestamp::MIN);
        keep(&mut operator, index, &mut memory);
    }
    memory
}

#[test]
fn values_without_keys_are_dealt_given_to_all_or_to_each() {
    let memory = taken(2);
    let restored = |index, parallelism| {
        let function = Keeps::<true>::default();
        open(function, (index, parallelism), Some(&memory))
            .unwrap()
            .function
    };
    let same = restored(1, 2);
    assert_eq!(
        (&*same.list, &*same.broadcast),
        (&[10, 11][..], &[0, 1][..])
    );
    let three: Vec<_> = (0..3).map(|index| restored(index, 3)).collect();
    let lists: Vec<&[u64]> = three.iter().map(|f| &*f.list).collect();
    assert_eq!(lists, [&[0, 1][..], &[10], &[11]]);
    let more: Vec<&[u64]> = three.iter().map(|f| &*f.more).collect();
    assert_eq!(
        more,
        [&[11][..], &[0, 1], &[10]],
        "the next one gets the remainder"
    );
    assert!(three.iter().all(|f| f.union == [0, 1, 10, 11]));
    assert!(three.iter().all(|f| f.broadcast == [0, 1]));
    let one = restored(0, 1);
    assert_eq!((one.list, one.broadcast), (vec![0, 1, 10, 11], vec![0, 1]));
}

/// Forgets what was kept under the names it does not ask for.
#[derive(Clone)]
struct Asks<T>(T);

impl ProcessFunction<u64> for Asks<fn(&RestoredState<'_>) -> Outcome> {
    type Out = u64;

    fn process(&mut self, _: &u64, _: &mut impl ProcessContext<u64>) -> Outcome {
        Ok(())
    }

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        (self.0)(state)
    }
}

#[test]
fn state_that_does_not_fit_is_an_error_that_names_it() {
    let error = |restore: fn(&RestoredState<'_>) -> Outcome| {
        let opened = open(Asks(restore), (0, 1), Some(&taken(1)));
        opened.expect_err("it does not fit").to_string()
    };
    let unasked = error(|_| Ok(()));
    assert!(
        unasked
            .contains("holds state `broadcast` of operator `keeps`, which the job does not have"),
        "{unasked}"
    );
    let other_type = error(|state| Ok(state.list::<u32>("list").map(drop)?));
    assert!(
        other_type.contains("values of state `list` of operator `keeps` are `u64` (8 bytes)"),
        "{other_type}"
    );
    let other_kind = error(|state| Ok(state.union::<u64>("list").map(drop)?));
    assert!(
        other_kind.contains("is operator list state in the checkpoint, and union list state"),
        "{other_kind}"
    );
}

#[test]
fn a_function_that_keeps_state_without_saying_so_fails() {
    let mut operator = open(Keeps::<false>::default(), (0, 1), None).unwrap();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        operator.signal(barrier(1));
    }));
    let error = OperatorError::from_panic(failed.unwrap_err()).to_string();
    assert!(
        error.contains("`keeps`") && error.contains("STATEFUL"),
        "{error}"
    );
}

#[test]
fn a_name_is_given_to_one_state_and_a_state_that_is_left_out_is_empty() {
    let mut state = OperatorState::new("uid".into(), vec!["count".into()]);
    let taken = state.take(1, |state| state.list("count", &[1_u64]));
    assert!(taken.unwrap_err().to_string().contains("`count`"));
    let taken = state.take(1, |state| {
        state.list("a", &[1_u64])?;
        state.union("a", &[1_u64])
    });
    assert!(taken.is_err(), "twice at one barrier");
    let mut memory = MemorySnapshot::new(1);
    for checkpoint in [2, 3] {
        let values: &[u64] = if checkpoint == 2 { &[1, 2] } else { &[] };
        let taken = state.take(checkpoint, |state| match values {
            [] => Ok(()),
            values => state.list("a", values),
        });
        taken.unwrap();
        let mut reports = Vec::new();
        let mut out = SnapshotOutput::new(checkpoint, 0, &mut memory, &mut reports, 1);
        assert!(state.drain(&mut out));
        memory.complete(checkpoint, 0, &reports).unwrap();
        let (restored, uid) = (memory.restored(), "uid".into());
        let restored = RestoredState::new(&restored, &uid, 0, 1);
        assert_eq!(restored.list::<u64>("a").unwrap(), values);
    }
}

/// Emits a record at the end.
#[derive(Clone)]
struct TellsEnd;

impl ProcessFunction<u64> for TellsEnd {
    type Out = u64;

    fn process(&mut self, _: &u64, _: &mut impl ProcessContext<u64>) -> Outcome {
        Ok(())
    }

    fn on_end(&mut self, cx: &mut impl ProcessContext<u64>) -> Outcome {
        cx.emit(&u64::MAX);
        Ok(())
    }
}

/// Returns whether each subtask reports the end that it reaches when resuming from `restored`, and what they store
/// of that; `ended` tells which of them end before the barrier.
fn tell_end(
    uid: &str,
    ended: &[bool],
    record: bool,
    restored: Option<&MemorySnapshot>,
) -> (Vec<bool>, MemorySnapshot) {
    let parallelism = ended.len() as u32;
    let mut memory = MemorySnapshot::new(parallelism);
    let tell = |(index, is_before): (u32, &bool)| {
        let tail = Recorder::new();
        let mut operator = Process::new("tells".into(), TellsEnd, Outputs::new(tail.clone()));
        operator = operator.uid(uid.into());
        operator
            .open(&context((index, parallelism), restored))
            .unwrap();
        if record {
            operator.push(&1, Timestamp::MIN);
        }
        let mut signals = [barrier(1), Signal::End];
        if *is_before {
            signals.reverse();
        }
        for signal in signals {
            operator.signal(signal);
        }
        keep(&mut operator, index, &mut memory);
        !tail.take_records().is_empty()
    };
    let told = (0..).zip(ended).map(tell).collect();
    (told, memory)
}

#[test]
fn end_is_told_once_though_the_job_goes_on_from_behind_it_unless_more_has_come() {
    let (told, both) = tell_end("uid", &[true, true], true, None);
    assert_eq!(told, [true, true]);
    for subtasks in [&[false][..], &[false; 2], &[true; 3]] {
        let (told, again) = tell_end("uid", subtasks, false, Some(&both));
        assert!(!told.contains(&true));
        let (told, _) = tell_end("uid", &[false], false, Some(&again));
        assert!(!told.contains(&true), "and so on");
    }
    let (told, _) = tell_end("uid", &[false; 2], true, Some(&both));
    assert_eq!(told, [true, true], "the source had more");
    let (_, one) = tell_end("uid", &[true, false], true, None);
    let (told, _) = tell_end("uid", &[false; 2], false, Some(&one));
    assert_eq!(told, [true, true], "what is left may come to any of them");
    let (_, unnamed) = tell_end("tells", &[true, true], true, None);
    let (told, _) = tell_end("tells", &[false; 2], false, Some(&unnamed));
    assert_eq!(told, [true, true], "it may be another operator's");
}
