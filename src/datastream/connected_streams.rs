//! Connected streams: two streams of different types read by one operator.

use crate::graph::{GraphError, NodeKind};
use crate::operator::{CoProcessFunction, KeyedCoProcessFunction, TwoInputFactory};
use crate::record::KeySelector;
use crate::runtime::Pipe;

use super::factory::{CoProcessFactory, KeyedCoProcessFactory, UnionFactory};
use super::keyed_stream::KeyedStream;
use super::pipe::TwoInputs;
use super::stream::Stream;

/// Two streams read by one operator: subtask *i* reads subtask *i* of each.
#[derive(Debug)]
pub struct ConnectedStreams<A: Pipe, B: Pipe> {
    first: Stream<A>,
    second: Stream<B>,
}

/// Two streams partitioned by the same type of key: the records of a key, from both, meet in one subtask.
#[derive(Debug)]
pub struct ConnectedKeyedStreams<A: Pipe, B: Pipe, S1, S2> {
    first: KeyedStream<A, S1>,
    second: KeyedStream<B, S2>,
}

/// Adds one operator that reads two streams.
pub(super) fn two_inputs<A, B, F>(
    kind: NodeKind,
    name: &str,
    first: Stream<A>,
    second: Stream<B>,
    factory: F,
) -> Stream<TwoInputs<A, B, F>>
where
    A: Pipe,
    B: Pipe,
    F: TwoInputFactory<A::Out, B::Out>,
{
    let (env, first_node, first) = first.take();
    let (second_env, second_node, second) = second.take();
    let mut inputs = vec![first_node];
    if env.is(&second_env) {
        // An exchange that was given no parallelism of its own takes the other side's.
        env.drawing()
            .graph
            .match_parallelism(first_node, second_node);
        inputs.push(second_node);
    } else {
        // The second node is one of another graph. Neither will run: what is built below counts on that.
        for env in [&env, &second_env] {
            env.drawing()
                .graph
                .reject(GraphError::OtherEnvironment(name.into()));
        }
    }
    let node = env.add(kind, name, inputs);
    if kind != NodeKind::Union {
        env.drawing().graph.offer_side_outputs(node);
    }
    Stream::new(env, node, TwoInputs::new(first, second, node, factory))
}

impl<A: Pipe> Stream<A> {
    /// Connects this stream with another one, for an operator that reads both. To give every subtask all records of the
    /// other stream, [`broadcast`](Stream::broadcast) it first.
    pub fn connect<B: Pipe>(self, second: Stream<B>) -> ConnectedStreams<A, B> {
        ConnectedStreams {
            first: self,
            second,
        }
    }

    /// The records of this stream and of another one of the same type. Nothing is lost or duplicated; there is no
    /// order between the two.
    pub fn union<B>(self, other: Stream<B>) -> Stream<TwoInputs<A, B, UnionFactory>>
    where
        B: Pipe<Out = A::Out>,
    {
        two_inputs(NodeKind::Union, "union", self, other, UnionFactory)
    }
}

impl<A: Pipe, B: Pipe> ConnectedStreams<A, B> {
    /// Processes the records of both streams.
    pub fn process<F>(self, function: F) -> Stream<TwoInputs<A, B, CoProcessFactory<F>>>
    where
        F: CoProcessFunction<A::Out, B::Out> + Clone,
    {
        let kind = NodeKind::Operator {
            stateful: F::STATEFUL,
        };
        two_inputs(
            kind,
            "co-process",
            self.first,
            self.second,
            CoProcessFactory(function),
        )
    }
}

impl<A: Pipe, S1: KeySelector<A::Out>> KeyedStream<A, S1> {
    /// Connects this stream with another one that is partitioned by the same type of key.
    pub fn connect<B, S2>(self, second: KeyedStream<B, S2>) -> ConnectedKeyedStreams<A, B, S1, S2>
    where
        B: Pipe,
        S2: KeySelector<B::Out, Key = S1::Key>,
    {
        ConnectedKeyedStreams {
            first: self,
            second,
        }
    }
}

/// The output of a [`KeyedCoProcessFunction`] on two keyed streams.
pub type KeyedCoProcessed<A, B, S1, S2, F> =
    Stream<TwoInputs<A, B, KeyedCoProcessFactory<S1, S2, F>>>;

impl<A, B, S1, S2> ConnectedKeyedStreams<A, B, S1, S2>
where
    A: Pipe,
    B: Pipe,
    S1: KeySelector<A::Out>,
    S2: KeySelector<B::Out, Key = S1::Key>,
{
    /// Processes the records of both streams, with state and timers of the current key.
    pub fn process<F>(self, function: F) -> KeyedCoProcessed<A, B, S1, S2, F>
    where
        F: KeyedCoProcessFunction<S1::Key, A::Out, B::Out> + Clone,
    {
        self.process_as("keyed co-process", function)
    }

    /// As [`process`](Self::process), by an operator of this name.
    pub(super) fn process_as<F>(self, name: &str, function: F) -> KeyedCoProcessed<A, B, S1, S2, F>
    where
        F: KeyedCoProcessFunction<S1::Key, A::Out, B::Out> + Clone,
    {
        let (first, second) = (self.first.selector, self.second.selector);
        let factory = KeyedCoProcessFactory {
            first,
            second,
            function,
        };
        let kind = NodeKind::Operator { stateful: true };
        two_inputs(kind, name, self.first.stream, self.second.stream, factory)
    }
}
