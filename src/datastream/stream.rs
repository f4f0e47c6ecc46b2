//! Streams: what builder calls are made on.

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
/// than once, [`fork`](Stream::fork) it. A stream that is not used runs all the same, and its records
/// end in nothing.
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

    /// The stream's parts, for a builder call that uses it.
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
        Stream::new(env, node, SideChained::new(before, node, factory))
    }

    /// The place of the last operator.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Says that the operator at `part` does the first half of the work of the last one, and shares its uid.
    pub(super) fn with_part(self, part: NodeId) -> Self {
        self.env.drawing().graph.set_part(part, self.node);
        self
    }

    /// Notes an error of a builder call; the job will not run.
    pub(super) fn reject(&self, error: GraphError) {
        self.env.drawing().graph.reject(error);
    }

    /// Names the last operator.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.env.drawing().graph.set_name(self.node, name.into());
        self
    }

    /// Gives the last operator a uid, by which its state is found again.
    #[must_use]
    pub fn uid(self, uid: &str) -> Self {
        self.env.drawing().graph.set_uid(self.node, uid.into());
        self
    }

    /// Sets the parallelism of the region that the stream is in: from the source or exchange that it
    /// begins at to the next exchange. There is no change of parallelism inside a region: put an
    /// exchange there.
    #[must_use]
    pub fn parallelism(self, parallelism: u32) -> Self {
        self.env
            .drawing()
            .graph
            .set_parallelism(self.node, parallelism);
        self
    }

    /// Notes how many keys there will be behind the exchange that the stream has just left.
    pub(super) fn expected_keys(self, keys: usize) -> Self {
        self.env.drawing().graph.expect_keys(self.node, keys);
        self
    }

    /// Puts the region that the stream is in into a slot sharing group: regions of different groups
    /// are not fused, and run on different workers if there are enough.
    #[must_use]
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.env
            .drawing()
            .graph
            .set_slot_group(self.node, &group.into());
        self
    }

    /// Keeps the exchange at which the region begins from vanishing, whatever the parallelism.
    #[must_use]
    pub fn start_new_chain(self) -> Self {
        self.env.drawing().graph.start_chain(self.node);
        self
    }

    /// One record for one record; the timestamp is kept.
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

    /// Any number of owned results for one record: whatever `function`'s iterator yields.
    pub fn flat_map<I, F>(self, function: F) -> Stream<Chained<P, FlatMapFactory<IterFunction<F>>>>
    where
        I: IntoIterator,
        I::Item: 'static,
        F: FnMut(&P::Out) -> I + Clone + Send + 'static,
    {
        self.flat_map_with(IterFunction(function))
    }

    /// Any number of results for one record, which may borrow from it.
    pub fn flat_map_with<F>(self, function: F) -> Stream<Chained<P, FlatMapFactory<F>>>
    where
        F: FlatMapFunction<P::Out> + Clone + 'static,
    {
        self.chain("flat map", false, FlatMapFactory(function))
    }

    /// A function with a life cycle, side outputs and a view of time.
    pub fn process<F>(self, function: F) -> Stream<SideChained<P, ProcessFactory<F>>>
    where
        F: ProcessFunction<P::Out> + Clone,
    {
        self.chain_with_sides("process", F::STATEFUL, ProcessFactory(function))
    }

    /// `N` streams with the same records, to be used independently.
    #[must_use]
    pub fn fork<const N: usize>(self) -> [Stream<Forked<P>>; N] {
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

    /// The side output `tag` of the operator that the stream comes from.
    #[must_use]
    pub fn side_output<T: ?Sized + 'static>(&self, tag: &OutputTag<T>) -> Stream<Side<T>> {
        let node = self
            .env
            .add(NodeKind::SideOutput, tag.name(), vec![self.node]);
        let name = Arc::clone(tag.name());
        let side = Side {
            node: self.node,
            name,
            record: PhantomData,
        };
        Stream::new(self.env.clone(), node, side)
    }

    /// Gives each record the timestamp that `timestamp` finds in it, and makes watermarks by
    /// `strategy`; what was upstream of both is replaced.
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

/// Exchanges: behind each of them records are in their far form.
///
/// The bounds stand at the methods and not at the `impl`: so the compiler says that the record has no
/// form, rather than that there is no such method.
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

    /// To all subtasks in turns, starting anywhere.
    #[must_use]
    pub fn rebalance(self) -> Stream<Exchanged<P, RoundRobin>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Rebalance, RoundRobin { spread: true })
    }

    /// In turns to a share of the subtasks: each sender has few receivers, each receiver few senders.
    #[must_use]
    pub fn rescale(self) -> Stream<Exchanged<P, RoundRobin>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Rescale, RoundRobin { spread: false })
    }

    /// Subtask *i* to subtask *i*: an exchange that vanishes unless a new chain or another slot sharing
    /// group begins there.
    #[must_use]
    pub fn forward(self) -> Stream<Exchanged<P, RoundRobin>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Forward, RoundRobin { spread: false })
    }

    /// To random subtasks.
    #[must_use]
    pub fn shuffle(self) -> Stream<Exchanged<P, Shuffle>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Shuffle, Shuffle)
    }

    /// Every record to every subtask.
    #[must_use]
    pub fn broadcast(self) -> Stream<Exchanged<P, Broadcast>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Broadcast, Broadcast)
    }

    /// Every record to the first subtask.
    #[must_use]
    pub fn global(self) -> Stream<Exchanged<P, Global>>
    where
        P::Out: Record,
    {
        self.exchange(Partitioning::Global, Global)
    }

    /// To the subtask that `choose(record, subtasks)` names; one that does not exist fails the job.
    pub fn partition_custom<F>(self, choose: F) -> Stream<Exchanged<P, Custom<F>>>
    where
        P::Out: Record,
        F: Fn(&Far<P::Out>, usize) -> usize + Clone + Send + 'static,
    {
        self.exchange(Partitioning::Custom, Custom(choose))
    }
}

/// A sink that was drawn: the end of a stream, which may be given a uid.
#[derive(Debug)]
pub struct SinkHandle {
    env: Environment,
    node: NodeId,
}

impl SinkHandle {
    /// Gives the sink a uid, by which its state is found again.
    pub fn uid(self, uid: &str) -> Self {
        self.env.drawing().graph.set_uid(self.node, uid.into());
        self
    }
}
