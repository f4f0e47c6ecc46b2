//! Keyed streams: partitioned by key, so that every key's records meet in one subtask.

use crate::runtime::Pipe;

use super::stream::Stream;

/// A stream partitioned by the key that `S` finds in each record.
#[derive(Debug)]
pub struct KeyedStream<P: Pipe, S> {
    stream: Stream<P>,
    selector: S,
}

impl<P: Pipe, S> KeyedStream<P, S> {
    pub(super) fn new(stream: Stream<P>, selector: S) -> Self {
        KeyedStream { stream, selector }
    }
}
