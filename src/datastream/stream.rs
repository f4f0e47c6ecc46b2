//! Streams: the type on which builder calls are made.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::graph::{GraphError, NodeId, NodeKind, Partitioning};
use crate::operator::{
    Broadcast, Custom, FilterFactory, FlatMapFactory, FlatMapFunction, Global, IterFunction,
    KeyGroups, MapFactory, OperatorFactory, OutputTag, Partitioner, ProcessFunction, RoundRobin,
    Shuffle, SideOutputFactory, Sink,
};
use crate::record::{BorrowedSelector, Far, Key, OwnedSelector, Record};
use crate::runtime::Pipe;
use crate::time::{Timestamp, WatermarkGenerator, WatermarkStrategy};

use super::environment::Environment;
use super::factory::{ProcessFactory, TimestampsFactory};
use super::keyed_stream::KeyedStream;
use super::pipe::{Chained, Exchanged, Forked, Side, SideChained, SinkTerminal, fork};

/// A stream of records of type `P::Out`.
///
/// Write `Stream<impl Pipe<Out = T>>` in signatures. Every call consumes the stream; to use one more
/// than once, [`fork`](Stream::fork) it. A stream that is never consumed still runs; its records are discarded.
#[derive(Debug)]
pub struct Stream<P: Pipe> {
    env: Environment,
    node: NodeId,
    /// The number under which the environment keeps the prefix.
    number: usize,
    prefix: PhantomData<fn() -> P>,
}

impl<P: Pipe> Stream<P> {
    pub(super) fn new(env: Environment, node: NodeId, pipe: P) -> Self {
        let number = env.add_loose_end(Box::new(pipe));
        Stream {
            env,
            node,
            number,
            prefix: PhantomData,
        }
    }

    /// Takes the stream's parts, for a builder call that consumes it.
    pub(super) fn take(self) -> (Environment, NodeId, P) {
        let pipe = self.env.take_loose_end(self.number).downcast::<P>();
        let pipe = pipe.expect("the number is that of a stream of this type");
        (self.env, self.node, *pipe)
    }

    pub(super) fn chain<F>(self, name: &str, stateful: bool, factory: F) -> Stream<Chained<P, F>>
    where
        F: OperatorFactory<P::Out>,
    {
        let (env, input, before) = self.take();
        let node = env.add(NodeKind::Operator { stateful }, name, vec![input]);
        Stream::new(
            env,
            node,
            Chained {
                before,
                node,
                factory,
            },
        )
    }

    pub(super) fn chain_with_sides<F>(
        self,
        name: &str,
        stateful: bool,
        factory: F,
    ) -> Stream<SideChained<P, F>>
    where
        F: SideOutputFactory<P::Out>,
    {
        let (env, input, before) = self.take();
        let node = env.add(NodeKind::Operator { stateful }, name, vec![input]);
        env.drawing().graph.offer_side_outputs(node);
        Stream::new(env, node, SideChained::new(before, node, factory))
    }

    /// The node of the last operator.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Declares that the operator at `part` does the first half of the last one's work and shares its uid.
    pub(super) fn with_part(self, part: NodeId) -> Self {
        self.env.drawing().graph.set_part(part, self.node);
        self
    }

    /// Records an error of a builder call; the job will not run.
    pub(super) fn reject(&self, error: GraphError) {
        self.env.drawing().graph.reject(error);
    }

    /// Names the last operator.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.env.drawing().graph.set_name(self.node, name.into());
        self
    }

    /// Gives the last operator a uid, which identifies its state in checkpoints.
    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.env.drawing().graph.set_uid(self.node, uid.into());
        self
    }

    /// Sets the parallelism of the region that the stream is in: from the source or exchange at which it begins to
    /// the next exchange. The parallelism cannot change within a region; that takes an exchange.
    #[must_use]
    pub fn parallelism(self, parallelism: u32) -> Self {
        self.env
            .drawing()
            .graph
            .set_parallelism(self.node, parallelism);
        self
    }

    /// Records how many keys to expect downstream of the exchange that the stream has just left.
    pub(super) fn expected_keys(self, keys: usize) -> Self {
        self.env.drawing().graph.expect_keys(self.node, keys);
        self
    }

    /// Puts the region that the stream is in into a slot sharing group. Regions of different groups are not fused,
    /// and run on different workers if there are enough.
    #[must_use]
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.env
            .drawing()
            .graph
            .set_slot_group(self.node, &group.into());
        self
    }

    /// Keeps the exchange at which the region begins from being fused away, whatever the parallelism.
    #[must_use]
    pub fn start_new_chain(self) -> Self {
        self.env.drawing().graph.start_chain(self.node);
        self
    }

    /// Maps each record to one record; the timestamp is kept.
    pub fn map<O, F>(self, function: F) -> Stream<Chained<P, MapFactory<F>>>
    where
        O: 'static,
        F: FnMut(&P::Out) -> O + Clone + Send + 'static,
    {
        self.chain("map", false, MapFactory(function))
    }

    /// Keeps the records that `predicate` accepts.
    pub fn filter<F>(self, predicate: F) -> Stream<Chained<P, FilterFactory<F>>>
    where
        F: FnMut(&P::Out) -> bool + Clone + Send + 'static,
    {
        self.chain("filter", false, FilterFactory(predicate))
    }

    /// Maps each record to any number of owned results: whatever `function`'s iterator yields.
    pub fn flat_map<I, F>(self, function: F) -> Stream<Chained<P, FlatMapFactory<IterFunction<F>>>>
    where
        I: IntoIterator,
        I::Item: 'static,
        F: FnMut(&P::Out) -> I + Clone + Send + 'static,
    {
        self.flat_map_with(IterFunction(function))
    }

    /// Maps each record to any number of results, which may borrow from it.
    pub fn flat_map_with<F>(self, function: F) -> Stream<Chained<P, FlatMapFactory<F>>>
    where
        F: FlatMapFunction<P::Out> + Clone + 'static,
    {
        self.chain("flat map", false, FlatMapFactory(function))
    }

    /// Applies a function with a life cycle, side outputs and access to time.
    pub fn process<F>(self, function: F) -> Stream<SideChained<P, ProcessFactory<F>>>
    where
        F: ProcessFunction<P::Out> + Clone,
    {
        self.chain_with_sides("process", F::STATEFUL, ProcessFactory(function))
    }

    /// Returns `N` streams of the same records, to be used independently: at least one.
    #[must_use]
    pub fn fork<const N: usize>(self) -> [Stream<Forked<P>>; N] {
        const { assert!(N > 0, "without a branch the records would go nowhere") };
        let (env, node, before) = self.take();
        let mut branches = fork(before, node, N);
        std::array::from_fn(|_| {
            Stream::new(
                env.clone(),
                node,
                branches.next().expect("as many as were asked for"),
            )
        })
    }

    /// Returns the side output `tag` of the operator that produces this stream: the last one before this call. It may be
    /// taken several times; each of these streams has all of its records.
    #[must_use]
    pub fn side_output<T: ?Sized + 'static>(&self, tag: &OutputTag<T>) -> Stream<Side<T>> {
        let mut drawing = self.env.drawing();
        let node = (drawing.graph).add_side_output(self.node, tag.name(), TypeId::of::<T>());
        drop(drawing);
        let name = Arc::clone(tag.name());
        let side = Side {
            node: self.node,
            name,
            record: PhantomData,
        };
        Stream::new(self.env.clone(), node, side)
    }

    /// Assigns each record the timestamp that `timestamp` extracts from it, and generates watermarks by
    /// `strategy`; timestamps and watermarks from upstream are replaced. A strategy with
    /// [alignment](WatermarkStrategy::with_alignment) pauses the sources: it must not be downstream of an exchange.
    pub fn timestamps<W, F>(
        self,
        strategy: W,
        timestamp: F,
    ) -> Stream<Chained<P, TimestampsFactory<F, W>>>
    where
        F: Fn(&P::Out) -> Timestamp + Clone + Send + 'static,
        W: WatermarkStrategy + 'static,
        W::Generator: WatermarkGenerator<P::Out> + Send + 'static,
    {
        if strategy.alignment().is_some() {
            let graph = &mut self.env.drawing().graph;
            if !graph.follows_sources(self.node) {
                let name = Arc::clone(&graph.node(self.node).name);
                graph.reject(GraphError::AlignmentBehindExchange(name));
            }
        }
        self.chain(
            "timestamps",
            false,
            TimestampsFactory {
                function: timestamp,
                strategy,
            },
        )
    }

    /// Ends the stream in a sink called `name`.
    pub fn sink<S: Sink<P::Out>>(self, name: &str, sink: S) -> SinkHandle {
        let (env, input, before) = self.take();
        let node = env.add(NodeKind::Sink, name, vec![input]);
        env.drawing()
            .terminals
            .push(Box::new(SinkTerminal { before, node, sink }));
        SinkHandle { env, node }
    }
}

/// Exchanges: downstream of each of them, records are in their far form.
///
/// The bounds are on the methods rather than on the `impl`, so that the compiler reports that the record has no
/// form, not that there is no such method.
impl<P: Pipe> Stream<P> {
    pub(super) fn exchange<R>(
        self,
        partitioning: Partitioning,
        partitioner: R,
    ) -> Stream<Exchanged<P, R>>
    where
        P::Out: Record,
        R: Partitioner<Far<P::Out>>,
    {
        let (env, input, before) = self.take();
        let name = partitioning.to_string();
        let node = env.add(NodeKind::Exchange(partitioning), &name, vec![input]);
        Stream::new(
            env,
            node,
            Exchanged {
                before,
                node,
                partitioning,
                partitioner,
            },
        )
    }

    /// Partitions the stream by a key that `selector` makes from each record.
    pub fn key_by<K, F>(
        self,
        selector: F,
    ) -> KeyedStream<Exchanged<P, KeyGroups<OwnedSelector<F>>>, OwnedSelector<F>>
    where
        P::Out: Record,
        K: Key,
        F: Fn(&Far<P::Out>) -> K + Clone + Send + 'static,
    {
        let selector = OwnedSelector(selector);
        let partitioner = KeyGroups(selector.clone());
        KeyedStream::new(
            self.exchange(Partitioning::KeyGroups, partitioner),
            selector,
        )
    }

    /// Partitions the stream by a key that is a part of each record, without copying it.
    pub fn key_by_ref<K, F>(
        self,
        selector: F,
    ) -> KeyedStream<Exchanged<P, KeyGroups<BorrowedSelector<F>>>, BorrowedSelector<F>>
    where
        P::Out: Record,
        K: Key + ?Sized,
        F: for<'a> Fn(&'a Far<P::Out>) -> &'a K + Clone + Send + 'static,
    {
        let selector = BorrowedSelector(selector);
        let partitioner = KeyGroups(selector.clone());
        KeyedStream::new(
            self.exchange(Partitioning::KeyGroups, partitioner),
            selector,
        )
    }

    /// Sends records to all subtasks in turn, starting anywhere.
    #[must_use]
    pub fn rebalance(self) -> Stream<Exchanged<P, RoundRobin>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Rebalance, RoundRobin { spread: true })
    }

    /// Sends records in turn to a subset of the subtasks: each sender has few receivers, each receiver few senders.
    #[must_use]
    pub fn rescale(self) -> Stream<Exchanged<P, RoundRobin>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Rescale, RoundRobin { spread: false })
    }

    /// Sends records from subtask *i* to subtask *i*: an exchange that is fused away unless a new chain or another
    /// slot sharing group begins there.
    #[must_use]
    pub fn forward(self) -> Stream<Exchanged<P, RoundRobin>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Forward, RoundRobin { spread: false })
    }

    /// Sends each record to a random subtask.
    #[must_use]
    pub fn shuffle(self) -> Stream<Exchanged<P, Shuffle>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Shuffle, Shuffle)
    }

    /// Sends every record to every subtask.
    #[must_use]
    pub fn broadcast(self) -> Stream<Exchanged<P, Broadcast>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Broadcast, Broadcast)
    }

    /// Sends every record to the first subtask.
    #[must_use]
    pub fn global(self) -> Stream<Exchanged<P, Global>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Global, Global)
    }

    /// Sends each record to the subtask that `choose(record, subtasks)` returns; an invalid index fails the job, even
    /// if there is one subtask only.
    pub fn partition_custom<F>(self, choose: F) -> Stream<Exchanged<P, Custom<F>>>
    where
        P::Out: Record,
        F: Fn(&Far<P::Out>, usize) -> usize + Clone + Send + 'static,
    {
        self.exchange(Partitioning::Custom, Custom(choose))
    }
}

/// A sink that has been added to the job, to be given a uid.
#[derive(Debug)]
pub struct SinkHandle {
    env: Environment,
    node: NodeId,
}

impl SinkHandle {
    /// Gives the sink a uid, which identifies its state in checkpoints.
    pub fn uid(self, uid: &str) -> Self {
        self.env.drawing().graph.set_uid(self.node, uid.into());
        self
    }
}
