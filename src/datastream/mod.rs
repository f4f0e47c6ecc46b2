//! The API that people write: it draws graphs and has no logic of its own.

mod environment;
mod keyed_stream;
mod pipe;
mod stream;

pub use environment::Environment;
pub use keyed_stream::KeyedStream;
pub use pipe::{Chained, Exchanged, Forked, Side, SideChained, Sourced, TwoInputs};
pub use stream::{SinkHandle, Stream};
