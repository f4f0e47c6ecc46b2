//! The names that most jobs use.

pub use crate::connectors::{
    Collected, Collection, Discard, FileSink, ForEach, Generator, LineBlocks, LineSource, Print,
    RecordSource, Sequence, inlet, outlet,
};
#[cfg(feature = "csv")]
pub use crate::connectors::{CsvSource, Malformed};
pub use crate::datastream::{Environment, KeyedStream, Stream, WindowResult};
pub use crate::graph::PlanFormat;
pub use crate::operator::{
    CoProcessFunction, Group, IntervalBound, KeyedCoProcessFunction, KeyedOpenContext,
    KeyedProcessContext, KeyedProcessFunction, Outcome, OutputTag, ProcessContext, ProcessFunction,
    Session, Sliding, TimeDomain, TimeWindow, Tumbling,
};
pub use crate::record::{Archived, Pod, Record, View};
pub use crate::ring::WaitStrategy;
pub use crate::runtime::{
    Checkpoints, JobError, JobHandle, JobResult, JobStatus, Pipe, RestartStrategy, RestoreFrom,
};
pub use crate::state::{
    AggregatingState, Count, ListState, MapState, Max, Mean, Min, ReducingState, Sum, ValueState,
};
pub use crate::time::{
    BoundedOutOfOrderness, ManualClock, Monotonous, NoWatermarks, Timestamp, WatermarkStrategy,
    hours, millis, mins, nanoseconds, secs,
};
