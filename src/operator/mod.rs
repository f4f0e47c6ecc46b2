//! Operators: the computation, nested into one another at compile time.
//!
//! Each operator owns the one downstream of it. [`Push`] is the data plane: one call per record, by
//! reference, inlined through the whole chain. [`Operator`] is the control plane: one call per batch
//! or per signal. A *head* (a source or a ring reader, in the runtime) drives the chain in turns:
//!
//! ```text
//! open ─► ( resume? ─► begin ─► ( push | signal )* while ready ─► flush )* ─► signal(End) ─► close
//! ```
//! Checkpointed state is frozen when [`Signal::Barrier`] passes and written between turns
//! ([`Operator::snapshot`]); `open` restores it from the last checkpoint.
//!
//! *Architecture invariant:* nothing here starts a thread, touches a ring or a file, or reads a clock:
//! an operator can be tested by simply calling it.

mod barrier_aligner;
mod boxed_chain;
mod channel_replay;
mod channel_state;
mod co_process;
mod committer;
mod concluded;
mod context;
mod depth;
mod edge;
mod ended_inputs;
mod error;
mod factory;
mod fan_out;
mod far_form;
mod filter;
mod flat_map;
mod gathered;
mod inputs;
mod interval_join;
mod key_context;
mod keyed_aggregate;
mod keyed_co_process;
mod keyed_process;
mod keyed_services;
mod keyed_snapshot;
mod log_snapshot;
mod map;
mod min_max;
mod nothing;
mod on_stack;
mod partitioner;
mod port;
mod process;
mod process_context;
mod process_services;
mod record_run;
#[cfg(test)]
pub(crate) mod recorder;
mod reduce;
mod side_output;
mod signal;
mod sink;
mod source;
mod split;
mod split_generators;
mod stage;
mod stamped;
mod suspension;
mod timer_service;
mod timestamps_and_watermarks;
mod unbounded_join;
mod union;
mod watermark_snapshot;
mod window;

pub(crate) use barrier_aligner::BarrierAligner;
pub use boxed_chain::BoxedChain;
pub(crate) use channel_replay::{replay, replayed_signal};
pub(crate) use channel_state::{ChannelId, ChannelState, FrameLog, RECEIVED, SENT};
pub use co_process::{CoProcess, CoProcessFunction};
pub(crate) use committer::CommitTask;
pub use committer::{CommitQueue, Committer};
pub(crate) use concluded::Concluded;
pub use context::{Checkpointing, OpenContext, SubtaskInfo};
pub use depth::{Deep, Depth, Shallow};
pub use edge::Edge;
pub(crate) use ended_inputs::keeps_ends_only;
pub use error::{BoxError, OperatorError, Outcome, Unrecoverable, raise};
pub(crate) use error::{first_error, panic_message};
pub(crate) use factory::operator_factory;
pub use factory::{OperatorFactory, SideOutputFactory, Site, TwoInputFactory};
pub use fan_out::FanOut;
pub use far_form::FarForm;
pub use filter::{Filter, FilterFactory};
pub use flat_map::{FlatMap, FlatMapFactory, FlatMapFunction, IterFunction};
pub use interval_join::{Interval, IntervalBound, IntervalJoin};
pub use keyed_aggregate::KeyedAggregate;
pub use keyed_co_process::{KeyedCoProcess, KeyedCoProcessFunction};
pub use keyed_process::{KeyedProcess, KeyedProcessFunction};
pub use keyed_services::KeyedOpenContext;
pub use map::{Map, MapFactory};
pub use min_max::{MaxBy, MaxOf, MinBy, MinOf, SumOf};
pub use nothing::Nothing;
pub(crate) use on_stack::on_stack;
pub use partitioner::{
    Broadcast, Custom, CustomRoute, Global, KeyGroupRoute, KeyGroups, Lottery, Partitioner,
    RoundRobin, Route, RouteContext, Shuffle, Target, Turn,
};
pub use port::{First, MultiInput, Second, TwoInput, ports};
pub use process::{Process, ProcessFunction};
pub use process_context::{KeyedProcessContext, ProcessContext, TimeDomain};
pub use record_run::RecordRun;
pub(crate) use record_run::fetch_beginning;
use record_run::{fetch_behind, fetch_next_page};
use record_run::{looks_ahead, push_each, push_looking_ahead, push_mapped};
pub use reduce::{KeyedReduce, Reduce, RollingFunction};
pub use side_output::{OutputTag, Outputs, SideOutputs};
pub use signal::{Barrier, Signal, SplitId};
pub use sink::{Prepared, Sink, SinkOperator, SinkWriter};
pub use source::{Collector, Source, SourcePace, SourceReader, SourceStatus};
pub use split::Split;
pub(crate) use suspension::Suspension;
pub use timestamps_and_watermarks::TimestampsAndWatermarks;
pub use unbounded_join::UnboundedJoin;
pub use union::Union;

pub use crate::state::{Aggregate, Count, Lookahead, Max, Mean, Min, Sum};
pub use window::{
    AggregateWindow, ArchivedTimeWindow, CoGroup, DynamicGap, Elements, ElementsIter, EventTime,
    FixedGap, FoundKey, Group, GroupIter, JoinFunction, JoinPairs, KeyedPartial, KeyedPartials,
    Lateness, MergeKeyedPartials, MergePartials, PartialAggregate, PartialKey, ProcessWindow,
    ProcessingTime, ReduceWindow, Reduced, Session, SessionGap, SessionOperator, SlicedAssigner,
    Slicing, Sliding, TimeWindow, Tumbling, WindowAssigner, WindowError, WindowFunction,
    WindowJoin, WindowOperator, WindowParts, WindowTime,
};

use crate::checkpoint::SnapshotOutput;
use crate::record::KeyHash;
use crate::time::Timestamp;

/// How many results an operator may emit before it must yield to its worker.
#[derive(Debug)]
pub struct Budget {
    left: u32,
}

impl Budget {
    /// A budget of `records` results.
    #[must_use]
    pub fn new(records: u32) -> Self {
        Budget { left: records }
    }

    /// Takes one result; returns `false` if none is left.
    #[inline(always)]
    pub fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }

    /// Takes `records` results at once, or all that are left.
    #[inline(always)]
    pub fn spend(&mut self, records: u32) {
        self.left = self.left.saturating_sub(records);
    }

    /// Returns how many results are left.
    #[inline(always)]
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }
}

/// The control plane of a chain: life cycle, signals, batches. Every call is passed down the chain.
pub trait Operator: Send {
    /// Prepares the chain for records, tail first.
    ///
    /// # Errors
    /// Whatever a user function's or a sink's own `open` returned.
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError>;

    /// Starts a batch at processing time `now`: due processing-time timers fire.
    fn begin(&mut self, now: Timestamp);

    /// Handles a signal; forwards it once everything it causes has been emitted.
    fn signal(&mut self, signal: Signal);

    /// Returns whether the chain can take another record or signal now: its outputs have room and no firing is
    /// unfinished. If not, [`Operator::resume`] is called until it can.
    fn ready(&self) -> bool;

    /// Returns whether the chain can take a barrier that overtakes in-flight data ([`Barrier::overtakes`]) now: full
    /// outputs do not prevent this, an unfinished firing does. A chain that is ready always can.
    fn takes_barrier(&self) -> bool {
        self.ready()
    }

    /// What watermark alignment asks of the source that feeds the chain.
    fn source_pace(&self) -> SourcePace {
        SourcePace::Unaligned
    }

    /// Continues unfinished work (a window firing, a full output) within `budget`.
    fn resume(&mut self, budget: &mut Budget);

    /// Ends a batch: emits watermarks that have advanced, publishes outputs.
    fn flush(&mut self);

    /// Returns the processing time at which the chain must be called even without input: that of its next timer.
    fn deadline(&self) -> Option<Timestamp>;

    /// Returns how far the chain's own watermarks have advanced, or `None` if it generates none.
    fn event_time(&self) -> Option<Timestamp> {
        None
    }

    /// Writes part of what the barrier of `out`'s checkpoint has frozen, down the chain. Returns whether every
    /// operator has written all of it; `false` as long as the barrier has not reached one of them.
    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool;

    /// Ends the chain's life, tail first, after the end of input, a failure or a cancellation.
    /// Nothing may be emitted. Every operator is closed, whatever the others return.
    ///
    /// # Errors
    /// The first error in the chain.
    fn close(&mut self) -> Result<(), OperatorError>;
}

/// The data plane of a chain: takes records of type `V` by reference.
pub trait Push<V: ?Sized>: Operator {
    /// Processes one record with its timestamp ([`Timestamp::MIN`] if it has none).
    fn push(&mut self, record: &V, at: Timestamp);

    /// Returns whether looking ahead pays; asked once per run. If so, the caller hashes the upcoming records,
    /// prefetches their state in two stages, and pushes each with its hash. Operators that forward records
    /// unchanged pass all four methods through, to the first keyed operator.
    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Returns the hash of the key of a record that will be pushed later.
    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        let _ = record;
        KeyHash::default()
    }

    /// Prefetches a cache line of the state for a hash.
    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        let _ = (hash, ahead);
    }

    /// Like [`Push::push`], for a record for which [`Push::hash_ahead`] returned this hash.
    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let _ = hash;
        self.push(record, at);
    }

    /// Returns whether records only pass through functions into a sink. The loop over a run may then be vectorised,
    /// which prefetching each record would prevent.
    #[inline(always)]
    fn is_straight(&self) -> bool {
        false
    }

    /// Returns whether a run takes much less time than its records would take one by one, so that it pays to gather
    /// results into a run.
    #[inline(always)]
    fn takes_runs(&self) -> bool {
        false
    }

    /// Pushes the first records of a run, at most `wanted`, as long as the operator is ready; returns how many.
    /// Override it where much of the cost is the same for every record: what is kept in local variables for the length
    /// of the loop stays in registers. An operator that forwards records unchanged forwards a run that does its own
    /// work, so that the work is done in the loop of the operator downstream.
    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize
    where
        Self: Sized,
    {
        if looks_ahead(self, wanted) {
            push_looking_ahead(self, run, wanted)
        } else {
            self.push_each(run, wanted)
        }
    }

    /// Like [`Push::push_run`], without looking ahead.
    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize
    where
        Self: Sized,
    {
        push_each(self, run, wanted)
    }

    /// Like [`Push::push_each`], of what `map` makes of the records.
    #[inline(always)]
    fn push_mapped<U: ?Sized>(
        &mut self,
        run: &impl RecordRun<U>,
        wanted: usize,
        map: impl FnMut(&U) -> V,
    ) -> usize
    where
        V: Sized,
        Self: Sized,
    {
        push_mapped(self, run, wanted, map)
    }
}

/// Forwards the look-ahead methods to the next operator, which takes the same records of type `$record`.
macro_rules! look_through {
    ($next:tt: $record:ty) => {
        #[inline(always)]
        fn looks_ahead(&self) -> bool {
            self.$next.looks_ahead()
        }

        #[inline(always)]
        fn hash_ahead(&self, record: &$record) -> $crate::record::KeyHash {
            self.$next.hash_ahead(record)
        }

        #[inline(always)]
        fn prefetch(&self, hash: $crate::record::KeyHash, ahead: $crate::state::Lookahead) {
            Push::<$record>::prefetch(&self.$next, hash, ahead);
        }
    };
}
pub(crate) use look_through;

/// Forwards the listed control-plane methods to the next operator unchanged.
macro_rules! pass_on {
    ($next:tt: all) => {
        $crate::operator::pass_on!(
            $next: open, begin, signal, ready, resume, flush, deadline, event_time, snapshot, close
        );
    };
    ($next:tt: $($method:ident),* $(,)?) => { $( $crate::operator::pass_on!(@ $next $method); )* };
    (@ $next:tt open) => {
        fn open(&mut self, cx: &$crate::operator::OpenContext) -> Result<(), $crate::operator::OperatorError> {
            self.$next.open(cx)
        }
    };
    (@ $next:tt begin) => {
        #[inline]
        fn begin(&mut self, now: $crate::time::Timestamp) { self.$next.begin(now) }
    };
    (@ $next:tt signal) => {
        #[inline]
        fn signal(&mut self, signal: $crate::operator::Signal) { self.$next.signal(signal) }
    };
    (@ $next:tt ready) => {
        #[inline(always)]
        fn ready(&self) -> bool { self.$next.ready() }
        fn takes_barrier(&self) -> bool { self.$next.takes_barrier() }
        fn source_pace(&self) -> $crate::operator::SourcePace { self.$next.source_pace() }
    };
    (@ $next:tt resume) => {
        #[inline]
        fn resume(&mut self, budget: &mut $crate::operator::Budget) { self.$next.resume(budget) }
    };
    (@ $next:tt flush) => {
        #[inline]
        fn flush(&mut self) { self.$next.flush() }
    };
    (@ $next:tt deadline) => {
        #[inline]
        fn deadline(&self) -> Option<$crate::time::Timestamp> { self.$next.deadline() }
    };
    (@ $next:tt event_time) => {
        #[inline]
        fn event_time(&self) -> Option<$crate::time::Timestamp> { self.$next.event_time() }
    };
    (@ $next:tt snapshot) => {
        fn snapshot(&mut self, out: &mut $crate::checkpoint::SnapshotOutput<'_>) -> bool {
            self.$next.snapshot(out)
        }
    };
    (@ $next:tt close) => {
        fn close(&mut self) -> Result<(), $crate::operator::OperatorError> { self.$next.close() }
    };
}
pub(crate) use pass_on;

/// The earlier of two optional deadlines.
pub(crate) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}
