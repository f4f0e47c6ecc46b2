//! Errors of graphs: an invalid graph is rejected here, before anything runs.

use std::sync::Arc;

use crate::operator::WindowError;
use crate::record::ParallelismError;

/// Why a graph cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The graph has no operator; the message is Flink's.
    #[error("No operators defined in streaming topology. Cannot execute.")]
    Empty,
    /// An operator was added to the graph of a running job.
    #[error(
        "something was added to the job's environment since the job was started, so it cannot start again"
    )]
    Changed,
    /// A stream was combined with one that was drawn in another environment.
    #[error(
        "`{0}` reads streams of two environments: draw both in the same one (its clones are the same one)"
    )]
    OtherEnvironment(Arc<str>),
    /// The interval of a join that holds no timestamp.
    #[error(
        "the lower bound of an interval join is above its upper bound, or excludes it: nothing would ever join"
    )]
    EmptyInterval,
    /// Two slot sharing groups in one region.
    #[error(
        "`{name}` is in one region with operators of the slot sharing groups `{}` and `{}`: put an exchange \
         (`forward()`, for one that changes nothing) in front of one of them, and the group behind it",
        groups[0], groups[1]
    )]
    SlotGroups {
        /// An operator in that region.
        name: Arc<str>,
        /// The groups.
        groups: [Arc<str>; 2],
    },
    /// Watermark alignment somewhere else than at sources.
    #[error(
        "watermark alignment pauses sources, and `{0}` is read through an exchange: assign timestamps in front of it"
    )]
    AlignmentBehindExchange(Arc<str>),
    /// A side output of something that has none.
    #[error(
        "`{name}` has no side outputs, so `{tag}` is none of them: call `side_output` on the stream of the operator \
         that emits it, before any `map`, `filter` and so on"
    )]
    NoSideOutputs {
        /// The side output's name.
        tag: Arc<str>,
        /// The operator from which it was to be taken.
        name: Arc<str>,
    },
    /// A side output that was taken twice, with different record types.
    #[error("side output `{tag}` of `{name}` is taken with two different record types")]
    SideOutputTypes {
        /// The side output's name.
        tag: Arc<str>,
        /// The operator.
        name: Arc<str>,
    },
    /// A parallelism of zero.
    #[error("operator `{0}`: a parallelism is 1 at least")]
    ZeroParallelism(Arc<str>),
    /// Rings too large to be meant.
    #[error("rings of {bytes} bytes each: `ring_capacity` is {limit} at most")]
    RingCapacity {
        /// The requested size of a ring.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// A source cannot use that many subtasks.
    #[error(
        "source `{name}` cannot run with parallelism {parallelism}: {limit} at most \
         (put `rebalance()` behind it to spread its records)"
    )]
    SourceParallelism {
        /// The source's name.
        name: Arc<str>,
        /// The requested parallelism.
        parallelism: u32,
        /// The largest parallelism that the source supports.
        limit: u32,
    },
    /// Two streams that are connected without an exchange have different parallelisms.
    #[error(
        "forward partitioning does not allow a change of parallelism: `{upstream}` has {from}, \
         `{name}` has {to}; put `rebalance()` between them"
    )]
    ForwardParallelism {
        /// The upstream operator.
        upstream: Arc<str>,
        /// Its parallelism.
        from: u32,
        /// The downstream operator.
        name: Arc<str>,
        /// Its parallelism.
        to: u32,
    },
    /// More subtasks than key groups, or an invalid number of key groups.
    #[error(transparent)]
    Parallelism(#[from] ParallelismError),
    /// Invalid windows.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Two operators have the same uid.
    #[error("uid `{uid}` is given to both `{first}` and `{second}`: a uid names one operator")]
    DuplicateUid {
        /// The uid.
        uid: Arc<str>,
        /// One operator.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
    /// Two sources or sinks have the same name, in a job with checkpoints.
    #[error(
        "two sources or sinks are called `{name}`, under which checkpoints keep what is theirs: give one of them \
         another name, or each its `.uid(…)`"
    )]
    DuplicateName {
        /// The name.
        name: Arc<str>,
    },
    /// A stateful operator has no uid, by which checkpoints could identify its state.
    #[error(
        "operator `{0}` keeps state but has no uid: with checkpoints on, give it one by `.uid(\"…\")`"
    )]
    MissingUid(Arc<str>),
}
