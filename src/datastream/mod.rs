//! The user-facing API: it builds graphs and has no logic of its own.

mod all_windowed_stream;
mod connected_streams;
mod environment;
mod factory;
mod interval_joined_streams;
mod joined_streams;
mod keyed_stream;
mod pipe;
mod stream;
mod two_phase_windows;
mod windowed_stream;

pub use all_windowed_stream::{AllWindowed, AllWindowedStream, Together};
pub use connected_streams::{ConnectedKeyedStreams, ConnectedStreams, KeyedCoProcessed};
pub use environment::Environment;
pub use factory::{
    AggregateFactory, CoProcessFactory, KeyedCoProcessFactory, KeyedPartialFactory,
    KeyedProcessFactory, PartialFactory, ProcessFactory, ReduceFactory, TimestampsFactory,
    UnboundedJoinFactory, UnionFactory, WindowFactory, WindowJoinFactory,
};
pub use interval_joined_streams::{IntervalJoined, IntervalJoinedStreams};
pub use joined_streams::{
    JoinedStreams, UnboundedJoined, UnboundedJoinedStreams, WindowJoined, WindowedJoin,
};
pub use keyed_stream::{KeyedStream, PairFn, Rolled};
pub use pipe::{Chained, Exchanged, Forked, Side, SideChained, Sourced, TwoInputs};
pub use stream::{SinkHandle, Stream};
pub use two_phase_windows::TwoPhaseWindows;
pub use windowed_stream::{
    ArchivedWindowResult, WindowResult, WindowResultFn, Windowed, WindowedStream,
};
