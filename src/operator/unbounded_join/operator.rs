//! `UnboundedJoin`: records arrive, are linked, and meet their partners.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StoredKey, Wire};
use crate::state::{ChunkPool, Lookahead, Table, TableOptions};
use crate::time::{Combiner, Timestamp};

use crate::checkpoint::SnapshotOutput;
use crate::operator::inputs::Inputs;
use crate::operator::key_context::TableGauges;
use crate::operator::{
    Budget, MultiInput, OpenContext, Operator, OperatorError, Outputs, Push, Signal, TwoInput,
    pass_on, raise,
};

use super::records::{Arrival, Arrivals, Heads, Kept};
use super::snapshot::JoinSnapshot;

/// How many pairs the arrivals, or a signal behind them, may emit before the worker gets a chance to do
/// something else.
const PAIRS_MAX: u32 = 256;

/// How many records arrive before they are linked: enough to wait for all their cache misses together.
const ROOM: usize = 64;

/// A record with partners left.
#[derive(Clone, Copy)]
struct Pending {
    is_left: bool,
    /// Its own link.
    record: u32,
    /// The link of its next partner.
    partner: u32,
    at: Timestamp,
}

/// Joins two keyed streams without windows.
pub struct UnboundedJoin<L: ?Sized, R: ?Sized, S1, S2, F, D>
where
    S1: KeySelector<L>,
{
    pub(super) name: Arc<str>,
    pub(super) uid: Arc<str>,
    pub(super) selectors: (S1, S2),
    function: F,
    next: Outputs<D>,
    hasher: KeyHasher,
    expected_keys: usize,
    pub(super) table: Table<<S1::Key as Key>::Stored, Heads>,
    pub(super) left: Kept<L>,
    pub(super) right: Kept<R>,
    pub(super) spare: ChunkPool,
    inputs: Inputs<Combiner>,
    /// The record whose pairs are being emitted, if it was interrupted.
    pending: Option<Pending>,
    /// Those that arrived after it.
    arrivals: Arrivals,
    /// Signals behind those.
    waiting: VecDeque<Signal>,
    /// Whether any of the above is in progress, or there was no room downstream when it was last called: a
    /// record that merely arrives needs none, so it does not check.
    busy: bool,
    gauges: TableGauges,
    /// Present if checkpoints are enabled.
    pub(super) snapshot: Option<Box<JoinSnapshot>>,
}

impl<L: ?Sized, R: ?Sized, S1, S2, F, D> std::fmt::Debug for UnboundedJoin<L, R, S1, S2, F, D>
where
    S1: KeySelector<L>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnboundedJoin")
            .field("name", &self.name)
            .field("keys", &self.table.len())
            .finish_non_exhaustive()
    }
}

/// Emits pairs starting with the partner at `link`, calling `pair` for each partner. Returns the link at which
/// it stopped, or 0. The caller has checked that there is room for the first.
#[inline(always)]
fn emit<V, O, D>(
    partners: &Kept<V>,
    mut link: u32,
    budget: &mut Budget,
    (next, at): (&mut Outputs<D>, Timestamp),
    mut pair: impl FnMut(&V) -> O,
) -> u32
where
    V: Wire + ?Sized,
    D: Push<O>,
{
    while link != 0 {
        let (partner, before) = partners.get(link);
        next.main.push(&pair(partner), at);
        link = before;
        budget.take();
        if budget.left() == 0 || !next.ready() {
            break;
        }
    }
    link
}

impl<L, R, S1, S2, F, O, D> UnboundedJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: FnMut(&L, &R) -> O + Send,
    D: Push<O>,
{
    /// Creates a join that emits `function(left, right)` to `next` for every pair with equal keys.
    pub fn new(name: Arc<str>, selectors: (S1, S2), function: F, next: Outputs<D>) -> Self {
        UnboundedJoin {
            uid: Arc::clone(&name),
            name,
            selectors,
            function,
            next,
            hasher: KeyHasher::default(),
            expected_keys: 0,
            table: Table::new(TableOptions::default()),
            left: Kept::default(),
            right: Kept::default(),
            spare: ChunkPool::new(),
            inputs: Inputs::new(2, Combiner::new(2)),
            pending: None,
            arrivals: Arrivals::default(),
            waiting: VecDeque::new(),
            busy: false,
            gauges: TableGauges::default(),
            snapshot: None,
        }
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(self, uid: Arc<str>) -> Self {
        UnboundedJoin { uid, ..self }
    }

    /// Reserves room for `keys` keys, across all subtasks, when the operator opens.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.expected_keys = keys;
        self
    }

    /// Returns what is known of a key.
    #[inline(always)]
    pub(super) fn heads<'a>(
        table: &'a mut Table<<S1::Key as Key>::Stored, Heads>,
        key: &S1::Key,
        hash: KeyHash,
    ) -> &'a mut Heads {
        let make = || (key.to_stored(), Heads::default());
        let (heads, _) = table.find_or_insert_with(hash, |stored| stored.is(key), make);
        heads
    }

    /// Returns the link of the next record added to a log of `len` records.
    #[inline(always)]
    fn next_link(&self, len: usize) -> u32 {
        match u32::try_from(len + 1) {
            Ok(link) => link,
            Err(_) => self.raise_too_large(),
        }
    }

    #[cold]
    fn raise_too_large(&self) -> ! {
        let operator = Arc::clone(&self.name);
        raise(OperatorError::JoinTooLarge { operator })
    }

    /// Notes a record that was added to its log, and prefetches the cache line of the table that it will need.
    #[inline(always)]
    fn arrive(&mut self, arrival: Arrival) {
        self.table.prefetch(arrival.hash, Lookahead::Far);
        self.arrivals.arrivals.push(arrival);
        if self.arrivals.arrivals.len() >= ROOM && !self.busy {
            self.settle();
        }
    }

    /// Links the records that have arrived, as far as there is room for their pairs, and handles what
    /// waits behind them.
    #[inline(never)]
    fn settle(&mut self) {
        for arrival in &self.arrivals.arrivals[self.arrivals.linked..] {
            self.table.prefetch(arrival.hash, Lookahead::Near);
        }
        self.busy = true;
        self.advance(&mut Budget::new(PAIRS_MAX));
    }

    /// Links arrived records until one has partners, which then becomes pending; returns whether one has.
    #[inline(never)]
    fn link_some(&mut self) -> bool {
        while let Some(arrival) = self.arrivals.take() {
            let Arrival {
                hash,
                at,
                link,
                is_left,
            } = arrival;
            let (table, spare) = (&mut self.table, &mut self.spare);
            let place = link as usize - 1;
            let partner = if is_left {
                let key = self.selectors.0.key(self.left.log.get(place));
                let heads = Self::heads(table, key.borrow(), hash);
                let before = std::mem::replace(&mut heads.left, link);
                self.left.links.push(&before, spare);
                heads.right
            } else {
                let key = self.selectors.1.key(self.right.log.get(place));
                let heads = Self::heads(table, key.borrow(), hash);
                let before = std::mem::replace(&mut heads.right, link);
                self.right.links.push(&before, spare);
                heads.left
            };
            if partner != 0 {
                self.pending = Some(Pending {
                    is_left,
                    record: link,
                    partner,
                    at,
                });
                return true;
            }
        }
        false
    }

    /// Emits some pairs of the pending record.
    fn go_on(&mut self, pending: Pending, budget: &mut Budget) {
        let Pending {
            is_left,
            record,
            partner,
            at,
        } = pending;
        let function = &mut self.function;
        let to = (&mut self.next, at);
        let record = record as usize - 1;
        let partner = if is_left {
            let left = self.left.log.get(record);
            emit(&self.right, partner, budget, to, |right| {
                function(left, right)
            })
        } else {
            let right = self.right.log.get(record);
            emit(&self.left, partner, budget, to, |left| {
                function(left, right)
            })
        };
        let rest = Pending { partner, ..pending };
        self.pending = (partner != 0).then_some(rest);
    }

    /// Returns whether all arrived records are linked, and their pairs emitted.
    fn is_settled(&self) -> bool {
        self.pending.is_none() && self.arrivals.arrivals.is_empty()
    }

    /// Takes an overtaking barrier although there is no room downstream, if nothing is ahead of it.
    fn let_overtake(&mut self) {
        if self.is_settled()
            && let Some(signal) = Signal::take_overtaking(&mut self.waiting)
        {
            self.accept(signal);
        }
    }

    /// Handles a signal of both inputs, once everything before it has been handled.
    fn accept(&mut self, signal: Signal) {
        if let Signal::Barrier(barrier) = signal {
            self.freeze(barrier);
        }
        self.next.signal(signal);
    }

    /// Continues while there is budget and room downstream.
    fn advance(&mut self, budget: &mut Budget) {
        while self.busy && budget.left() > 0 && self.next.ready() {
            if let Some(pending) = self.pending {
                self.go_on(pending, budget);
            } else if self.link_some() {
                // It is pending now.
            } else if let Some(signal) = self.waiting.pop_front() {
                self.accept(signal);
            } else {
                self.busy = false;
            }
        }
    }
}

impl<L, R, S1, S2, F, O, D> Operator for UnboundedJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: FnMut(&L, &R) -> O + Send,
    D: Push<O>,
{
    pass_on!(next: deadline, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        self.hasher = cx.hasher;
        self.table = Table::new(TableOptions {
            hasher: cx.hasher,
            expected_keys: cx.share_of_keys(self.expected_keys),
            hashes: cx.hashes(),
            ..TableOptions::default()
        });
        self.gauges = TableGauges::register(&self.name, cx);
        self.restore(cx)
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.drain(out);
        self.next.snapshot(out) && written
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        self.busy |= !self.next.ready();
    }

    fn signal(&mut self, signal: Signal) {
        self.waiting.push_back(signal);
        self.let_overtake();
        self.settle();
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.busy
    }

    fn takes_barrier(&self) -> bool {
        self.is_settled() && self.waiting.is_empty() && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
    }

    fn flush(&mut self) {
        if !self.arrivals.arrivals.is_empty() {
            self.settle();
        }
        let records = self.left.log.len() + self.right.log.len();
        let bytes = || self.table.memory_bytes() + self.spare.memory_bytes();
        self.gauges.publish(records, bytes);
        self.next.flush();
        self.busy |= !self.next.ready();
    }
}

impl<L, R, S1, S2, F, O, D> MultiInput for UnboundedJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: FnMut(&L, &R) -> O + Send,
    D: Push<O>,
{
    fn is_held(&self, input: usize) -> bool {
        self.inputs.is_held(input)
    }

    fn signal_from(&mut self, input: usize, signal: Signal) {
        let waiting = &mut self.waiting;
        (self.inputs).on_signal(input, signal, |signal| waiting.push_back(signal));
        self.let_overtake();
        if !self.waiting.is_empty() {
            self.settle();
        }
    }
}

impl<L, R, S1, S2, F, O, D> TwoInput<L, R> for UnboundedJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: FnMut(&L, &R) -> O + Send,
    D: Push<O>,
{
    #[inline(always)]
    fn push_first(&mut self, record: &L, at: Timestamp) {
        let link = self.next_link(self.left.log.len());
        let hash = self.hasher.hash(self.selectors.0.key(record).borrow());
        self.left.log.push(record, &mut self.spare);
        self.arrive(Arrival {
            hash,
            at,
            link,
            is_left: true,
        });
    }

    #[inline(always)]
    fn push_second(&mut self, record: &R, at: Timestamp) {
        let link = self.next_link(self.right.log.len());
        let hash = self.hasher.hash(self.selectors.1.key(record).borrow());
        self.right.log.push(record, &mut self.spare);
        self.arrive(Arrival {
            hash,
            at,
            link,
            is_left: false,
        });
    }
}
