//! Sessions and joins resume at another parallelism as if nothing had happened.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use thalweg::checkpoint::{MemorySnapshot, Restored, SnapshotOutput};
use thalweg::operator::{
    Barrier, Budget, Checkpointing, CoGroup, Elements, Group, JoinPairs, Lateness, OpenContext,
    Operator, OperatorError, Outputs, ProcessWindow, Push, Session, SessionOperator, Signal,
    Sliding, TimeWindow, TwoInput, UnboundedJoin, WindowJoin,
};
use thalweg::record::{MaxParallelism, OwnedSelector};
use thalweg::testing::open_context;
use thalweg::time::{Timestamp, nanoseconds};

/// The end of a chain, which stores its input; a slow one has room only now and then.
struct Collect<O> {
    log: Arc<Mutex<Vec<(O, i64)>>>,
    slowness: u32,
    asked: AtomicU32,
}

impl<O: Send> Operator for Collect<O> {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }
    fn begin(&mut self, _now: Timestamp) {}
    fn signal(&mut self, _signal: Signal) {}
    fn ready(&self) -> bool {
        (self.asked.fetch_add(1, Ordering::Relaxed)).is_multiple_of(self.slowness)
    }
    fn resume(&mut self, _budget: &mut Budget) {}
    fn flush(&mut self) {}
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }
    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl<O: Clone + Send> Push<O> for Collect<O> {
    fn push(&mut self, record: &O, at: Timestamp) {
        self.log.lock().unwrap().push((record.clone(), at.0));
    }
}

/// An operator with one input or two.
trait Driven {
    fn operator(&mut self) -> &mut dyn Operator;
    fn record(&mut self, is_left: bool, n: u64, at: Timestamp);
    fn tell(&mut self, signal: Signal);
}

struct One<P>(P);

impl<P: Push<u64>> Driven for One<P> {
    fn operator(&mut self) -> &mut dyn Operator {
        &mut self.0
    }
    fn record(&mut self, _is_left: bool, n: u64, at: Timestamp) {
        self.0.push(&n, at);
    }
    fn tell(&mut self, signal: Signal) {
        self.0.signal(signal);
    }
}

struct Two<T>(T);

impl<T: TwoInput<u64, u64>> Driven for Two<T> {
    fn operator(&mut self) -> &mut dyn Operator {
        &mut self.0
    }
    fn record(&mut self, is_left: bool, n: u64, at: Timestamp) {
        if is_left {
            self.0.push_first(&n, at);
        } else {
            self.0.push_second(&n, at);
        }
    }
    fn tell(&mut self, signal: Signal) {
        self.0.signal_from(0, signal);
        settle(&mut self.0);
        self.0.signal_from(1, signal);
    }
}

fn settle(operator: &mut (impl Operator + ?Sized)) {
    for _ in 0..100_000 {
        if operator.ready() {
            return;
        }
        operator.resume(&mut Budget::new(7));
    }
    panic!("never ready");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record(bool, u64, i64),
    Watermark(i64),
}

/// Records around a rising watermark, some of them late.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0..1_000_u64, -40..60_i64).prop_map(|(left, n, at)| (Some((left, n)), at)),
        1 => (0..25_i64).prop_map(|forward| (None, forward)),
    ];
    prop::collection::vec(step, 0..250).prop_map(|steps| {
        let mut watermark = 0;
        let step = |(record, time)| match record {
            Some((left, n)) => Step::Record(left, n, watermark + time),
            None => {
                watermark += time;
                Step::Watermark(watermark)
            }
        };
        steps.into_iter().map(step).collect()
    })
}

fn key(n: &u64) -> u64 {
    n % 23
}

type Selector = OwnedSelector<fn(&u64) -> u64>;

fn selector() -> Selector {
    OwnedSelector(key)
}

/// The subtasks of one attempt, from one restore to the next.
struct Attempt<S> {
    subtasks: Vec<(S, OpenContext)>,
    memory: MemorySnapshot,
    checkpoint: u64,
    /// The first checkpoint of an attempt is full.
    is_first: bool,
    /// The subtasks whose part of the checkpoint is not written yet.
    writing: Vec<u32>,
}

impl<S: Driven> Attempt<S> {
    fn open(build: impl Fn() -> S, parallelism: u32, restored: Option<&Restored>) -> Self {
        let subtask = |index| {
            let mut cx = open_context();
            (cx.subtask.index, cx.subtask.parallelism) = (index, parallelism);
            cx.key_groups = MaxParallelism::default_for(1).range(index, parallelism);
            cx.checkpointing = Checkpointing {
                enabled: true,
                restored: restored.cloned(),
                ..Checkpointing::default()
            };
            let mut subtask = build();
            subtask.operator().open(&cx).unwrap();
            subtask.operator().begin(Timestamp(0));
            (subtask, cx)
        };
        Attempt {
            subtasks: (0..parallelism).map(subtask).collect(),
            memory: MemorySnapshot::new(parallelism),
            checkpoint: restored.map_or(0, Restored::checkpoint),
            is_first: true,
            writing: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        for (subtask, cx) in &mut self.subtasks {
            settle(subtask.operator());
            match step {
                Step::Record(is_left, n, at) => {
                    if cx.hashes().contains(&cx.hasher.hash(&key(&n))) {
                        subtask.record(is_left, n, Timestamp(at));
                    }
                }
                Step::Watermark(at) => subtask.tell(Signal::Watermark(Timestamp(at))),
            }
        }
    }

    fn barrier(&mut self) {
        self.checkpoint += 1;
        let checkpoint = self.checkpoint;
        let options = if std::mem::take(&mut self.is_first) {
            Barrier::WHOLE
        } else {
            0
        };
        for (subtask, _) in &mut self.subtasks {
            settle(subtask.operator());
            subtask.tell(Signal::Barrier(Barrier {
                checkpoint,
                options,
            }));
            settle(subtask.operator());
        }
        self.writing = (0..self.subtasks.len() as u32).collect();
    }
}

/// What is written for one subtask, a few entries at a time.
struct Writing(Vec<Vec<thalweg::checkpoint::StateReport>>);

impl Writing {
    /// Writes a slice of every subtask; returns whether all are done.
    fn write<S: Driven>(&mut self, attempt: &mut Attempt<S>) -> bool {
        let (memory, checkpoint) = (&mut attempt.memory, attempt.checkpoint);
        let (subtasks, reports) = (&mut attempt.subtasks, &mut self.0);
        attempt.writing.retain(|&index| {
            let (place, subtask) = (index as usize, &mut subtasks[index as usize].0);
            let mut out = SnapshotOutput::new(checkpoint, index, memory, &mut reports[place], 3);
            let done = subtask.operator().snapshot(&mut out);
            if done {
                let reports = std::mem::take(&mut reports[place]);
                memory.complete(checkpoint, index, &reports).unwrap();
            }
            !done
        });
        attempt.writing.is_empty()
    }
}

/// All output, sorted, of one attempt per parallelism, with the steps distributed evenly over the attempts.
fn results<O, S>(
    build: impl Fn(Collect<O>) -> S,
    steps: &[Step],
    parallelisms: &[u32],
) -> Vec<(O, i64)>
where
    O: Clone + Ord + Send,
    S: Driven,
{
    let log = Arc::new(Mutex::new(Vec::new()));
    let build = || {
        build(Collect {
            log: Arc::clone(&log),
            slowness: 2,
            asked: AtomicU32::new(0),
        })
    };
    let share = (steps.len() / parallelisms.len()).max(1);
    let mut restored: Option<Restored> = None;
    for (place, &parallelism) in parallelisms.iter().enumerate() {
        let is_last = place + 1 == parallelisms.len();
        let start = (place * share).min(steps.len());
        let end = if is_last {
            steps.len()
        } else {
            (start + share).min(steps.len())
        };
        let mut attempt = Attempt::open(build, parallelism, restored.as_ref());
        let mut writing = Writing(vec![Vec::new(); parallelism as usize]);
        for (count, &step) in steps[start..end].iter().enumerate() {
            attempt.step(step);
            if !is_last && count % 20 == 7 {
                while !writing.write(&mut attempt) {}
                attempt.barrier();
            } else if !attempt.writing.is_empty() {
                writing.write(&mut attempt);
            }
        }
        if is_last {
            attempt.step(Step::Watermark(i64::MAX));
            attempt
                .subtasks
                .iter_mut()
                .for_each(|(s, _)| settle(s.operator()));
        } else {
            while !writing.write(&mut attempt) {}
            attempt.barrier();
            while !writing.write(&mut attempt) {}
            restored = Some(attempt.memory.restored());
        }
    }
    let mut results = std::mem::take(&mut *log.lock().unwrap());
    results.sort();
    results
}

fn holds<O, S>(build: impl Fn(Collect<O>) -> S, steps: &[Step]) -> Result<(), TestCaseError>
where
    O: Clone + Ord + Send + std::fmt::Debug,
    S: Driven,
{
    let expected = results(&build, steps, &[1]);
    for parallelisms in [&[1, 1, 1][..], &[1, 3], &[3, 2, 1], &[2, 8, 8, 3]] {
        let found = results(&build, steps, parallelisms);
        prop_assert_eq!(&found, &expected, "{:?}", parallelisms);
    }
    Ok(())
}

type Lists = (u64, i64, Vec<u64>, Vec<u64>);

fn sessions(sink: Collect<Lists>) -> One<impl Push<u64>> {
    let function =
        |key: &u64, window: TimeWindow, all: &Elements<u64>, emit: &mut dyn FnMut(&Lists)| {
            emit(&(
                *key,
                window.start.0,
                all.iter().copied().collect(),
                Vec::new(),
            ));
        };
    let session = Session::with_gap(nanoseconds(15));
    let operator = SessionOperator::new(
        "sessions".into(),
        session,
        selector(),
        ProcessWindow::new(function),
        Outputs::new(sink),
    );
    One(operator
        .unwrap()
        .allowed_lateness(Lateness::of(nanoseconds(20))))
}

fn window_join(sink: Collect<(u64, u64, i64)>) -> Two<impl TwoInput<u64, u64>> {
    let pair = |left: &u64, right: &u64, window: TimeWindow| (*left, *right, window.start.0);
    let operator = WindowJoin::new(
        "join".into(),
        &Sliding::of(nanoseconds(30), nanoseconds(10)),
        (selector(), selector()),
        JoinPairs(pair),
        Outputs::new(sink),
    );
    Two(operator
        .unwrap()
        .allowed_lateness(Lateness::of(nanoseconds(20))))
}

fn co_group(sink: Collect<Lists>) -> Two<impl TwoInput<u64, u64>> {
    let function = |key: &u64,
                    window: TimeWindow,
                    lefts: Group<'_, u64>,
                    rights: Group<'_, u64>,
                    emit: &mut dyn FnMut(&Lists)| {
        let (lefts, rights) = (lefts.iter().copied(), rights.iter().copied());
        emit(&(*key, window.start.0, lefts.collect(), rights.collect()));
    };
    let operator = WindowJoin::new(
        "groups".into(),
        &Sliding::of(nanoseconds(30), nanoseconds(10)),
        (selector(), selector()),
        CoGroup::new(function),
        Outputs::new(sink),
    );
    Two(operator.unwrap())
}

fn unbounded_join(sink: Collect<(u64, u64)>) -> Two<impl TwoInput<u64, u64>> {
    let pair = |left: &u64, right: &u64| (*left, *right);
    let selectors = (selector(), selector());
    Two(UnboundedJoin::new(
        "join".into(),
        selectors,
        pair,
        Outputs::new(sink),
    ))
}

#[test]
fn session_that_fired_in_a_subtask_ahead_takes_a_record_behind_a_restore_and_fires_again() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let build = || {
        sessions(Collect {
            log: Arc::clone(&log),
            slowness: 1,
            asked: AtomicU32::new(0),
        })
    };
    let mut attempt = Attempt::open(build, 2, None);
    attempt.step(Step::Record(true, 0, 6));
    for (subtask, cx) in &mut attempt.subtasks {
        let is_owner = cx.hashes().contains(&cx.hasher.hash(&key(&0)));
        let watermark = if is_owner { 22 } else { 8 };
        subtask.tell(Signal::Watermark(Timestamp(watermark)));
    }
    let fired = |log: &Mutex<Vec<(Lists, i64)>>| std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(fired(&log), [((0, 6, vec![0], vec![]), 20)]);
    attempt.barrier();
    while !Writing(vec![Vec::new(); 2]).write(&mut attempt) {}

    let mut attempt = Attempt::open(build, 1, Some(&attempt.memory.restored()));
    attempt.step(Step::Watermark(9));
    attempt.step(Step::Record(true, 23, 9));
    attempt.step(Step::Watermark(22));
    assert_eq!(fired(&log), [], "what has fired does not for nothing");
    attempt.step(Step::Watermark(23));
    assert_eq!(fired(&log), [((0, 6, vec![0, 23], vec![]), 23)]);
}

#[test]
fn join_windows_that_fired_in_one_subtask_only_are_not_put_together() {
    let build = || {
        window_join(Collect {
            log: Arc::default(),
            slowness: 1,
            asked: AtomicU32::new(0),
        })
    };
    let mut attempt = Attempt::open(build, 2, None);
    attempt.step(Step::Record(true, 0, 6));
    for ((subtask, _), watermark) in attempt.subtasks.iter_mut().zip([31, 8]) {
        subtask.tell(Signal::Watermark(Timestamp(watermark)));
    }
    attempt.barrier();
    while !Writing(vec![Vec::new(); 2]).write(&mut attempt) {}
    let restored = attempt.memory.restored();
    Attempt::open(build, 2, Some(&restored));
    let mut cx = open_context();
    cx.checkpointing = Checkpointing {
        enabled: true,
        restored: Some(restored),
        ..Checkpointing::default()
    };
    let opened = build().operator().open(&cx);
    let error = opened.expect_err("a window would fire twice").to_string();
    assert!(
        error.contains("`join`") && error.contains("parallelism 2"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sessions_go_on_at_any_parallelism(steps in steps()) {
        holds(sessions, &steps)?;
    }

    #[test]
    fn window_joins_go_on_at_any_parallelism(steps in steps()) {
        holds(window_join, &steps)?;
    }

    #[test]
    fn co_groups_go_on_at_any_parallelism(steps in steps()) {
        holds(co_group, &steps)?;
    }

    #[test]
    fn unbounded_joins_go_on_at_any_parallelism(steps in steps()) {
        holds(unbounded_join, &steps)?;
    }

    /// As when an upstream operator produces several records from one.
    #[test]
    fn window_joins_take_records_without_being_asked(steps in steps()) {
        let run = |asks: bool| {
            let log = Arc::new(Mutex::new(Vec::new()));
            let mut join = window_join(Collect {
                log: Arc::clone(&log),
                slowness: 3,
                asked: AtomicU32::new(0),
            });
            join.operator().open(&open_context()).unwrap();
            for step in &steps {
                match *step {
                    Step::Record(is_left, n, at) => join.record(is_left, n, Timestamp(at)),
                    Step::Watermark(at) => {
                        settle(join.operator());
                        join.tell(Signal::Watermark(Timestamp(at)));
                        settle(join.operator());
                    }
                }
                if asks {
                    settle(join.operator());
                }
            }
            settle(join.operator());
            join.tell(Signal::Watermark(Timestamp::MAX));
            settle(join.operator());
            drop(join);
            Arc::into_inner(log).map(|log| log.into_inner().unwrap())
        };
        prop_assert_eq!(run(false), run(true));
    }
}
