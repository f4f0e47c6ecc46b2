//! The timer queue: the timers of one time domain of one subtask.
//!
//! Rules (Flink's `InternalTimerServiceImpl`): a timer is identified by its key, namespace and time, so registering it
//! twice has no further effect, nor has deleting an absent one; timers fire in time order, ties in any order; a timer
//! registered while others fire, at or before the watermark, fires in the same pass.
//!
//! Invariants: every timer has an entry in the run, the early heap or the wheel; no entry of the run or the heap is
//! later than any in the wheel. An entry whose timer is gone is dead and is dropped when encountered.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};

use super::index::Index;
use super::slab::{Slab, Timer};
use super::wheel::{Due, Wheel};
use crate::record::KeyHash;
use crate::state::Extent;
use crate::time::Timestamp;

/// Fewer dead entries than this are not worth a sweep.
const DEAD_MIN: usize = 64;
/// Entries examined per deletion while more than half of all are dead: at least every second one is dropped, so
/// continual deletions do not accumulate entries.
const SWEPT_PER_DELETION: usize = 8;

/// Runs up to this length are read ahead; longer ones would be evicted from the cache before they are used.
const LOOK_AHEAD_MAX: usize = 256;

/// Timers, by identity and in time order.
#[derive(Debug)]
pub struct TimerQueue<K, N> {
    slab: Slab<K, N>,
    index: Index,
    wheel: Wheel,
    /// The next entries, latest first.
    run: Vec<Due>,
    /// Entries before the wheel's base: registered at or before what has fired.
    early: BinaryHeap<Reverse<Due>>,
}

impl<K: Clone + Eq, N: Copy + Eq + Hash> Default for TimerQueue<K, N> {
    fn default() -> Self {
        TimerQueue::new()
    }
}

impl<K: Clone + Eq, N: Copy + Eq + Hash> TimerQueue<K, N> {
    /// An empty queue that does not track changes.
    #[must_use]
    pub fn new() -> Self {
        TimerQueue {
            slab: Slab::new(),
            index: Index::new(),
            wheel: Wheel::new(),
            run: Vec::new(),
            early: BinaryHeap::new(),
        }
    }

    /// The number of timers.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are no timers.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a timer; returns `false` if it existed already. `hash` is the hash of the key that `is_key` recognises and
    /// `key` makes, for a timer that is new.
    pub fn register(
        &mut self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        namespace: N,
        at: Timestamp,
    ) -> bool {
        let tag = tag(hash, namespace, at);
        if self.find(tag, is_key, namespace, at).is_some() {
            return false;
        }
        let timer = Timer {
            hash,
            key: key(),
            namespace,
            at,
        };
        let (number, fills) = self.slab.insert(tag, timer);
        self.index.insert(tag, number);
        let at = ordered(at);
        let due = Due { at, number, fills };
        if at < self.wheel.base() {
            self.early.push(Reverse(due));
        } else {
            self.wheel.push(due);
        }
        true
    }

    /// Removes a timer; returns `false` if it did not exist. `hash` is the hash of the key that `is_key` recognises.
    pub fn delete(
        &mut self,
        hash: KeyHash,
        is_key: impl Fn(&K) -> bool,
        namespace: N,
        at: Timestamp,
    ) -> bool {
        let tag = tag(hash, namespace, at);
        let Some(number) = self.find(tag, is_key, namespace, at) else {
            return false;
        };
        self.index.remove(tag, number);
        self.slab.remove(number);
        self.sweep();
        true
    }

    /// The time of the next timer. This may have to search a slot of the wheel whose earliest timer was deleted, so
    /// call it once per batch, not once per record.
    pub fn peek(&mut self) -> Option<Timestamp> {
        let slab = &self.slab;
        while self.run.pop_if(|due| !is_live(slab, *due)).is_some() {}
        while self.early.peek().is_some_and(|e| !is_live(slab, e.0)) {
            self.early.pop();
        }
        let early = self.early.peek().map(|early| early.0.at);
        let run = self.run.last().map(|due| due.at);
        let next = match (early, run) {
            (Some(early), Some(run)) => Some(early.min(run)),
            (None, None) => self.wheel.peek(|due| is_live(slab, due)),
            (early, run) => early.or(run),
        };
        next.map(timestamp)
    }

    /// Removes and returns the next timer that is due: at or before `watermark`.
    ///
    /// A firing pass calls this until it returns `None`; timers that the callbacks register meanwhile, at or before
    /// `watermark`, are returned in their turn.
    pub fn pop_due(&mut self, watermark: Timestamp) -> Option<Timer<K, N>> {
        let limit = ordered(watermark);
        loop {
            while self.run.is_empty() && self.early.is_empty() {
                self.wheel.take_due(limit, &mut self.run);
                if self.run.is_empty() {
                    return None;
                }
                self.look_ahead();
            }
            let due = self.next_taken(limit)?;
            if is_live(&self.slab, due) {
                self.index.remove(self.slab.tag(due.number), due.number);
                return self.slab.remove(due.number);
            }
        }
    }

    /// Drops dead entries of a new run, and reads what popping its timers will need: these reads are independent, so
    /// their cache misses overlap, which they cannot do between callbacks.
    fn look_ahead(&mut self) {
        if self.run.len() <= LOOK_AHEAD_MAX {
            let (slab, index) = (&self.slab, &self.index);
            self.run.retain(|due| {
                index.touch(slab.tag(due.number));
                is_live(slab, *due)
            });
        }
    }

    /// Takes the earlier of the next entries of run and heap, if it is not after `limit`.
    #[inline]
    fn next_taken(&mut self, limit: u64) -> Option<Due> {
        let run = self.run.last().map_or(u64::MAX, |due| due.at);
        match self.early.peek() {
            Some(early) if early.0.at < run || self.run.is_empty() => {
                if early.0.at > limit {
                    return None;
                }
                self.early.pop().map(|early| early.0)
            }
            _ => self.run.pop_if(|due| due.at <= limit),
        }
    }

    /// All timers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Timer<K, N>> {
        self.slab.iter()
    }

    /// Restores timers from a checkpoint. They do not count as changes.
    pub fn restore(&mut self, timers: impl IntoIterator<Item = Timer<K, N>>) {
        let notes = self.slab.take_notes();
        for timer in timers {
            let Timer {
                hash,
                key,
                namespace,
                at,
            } = timer;
            let same = key.clone();
            self.register(hash, |known| *known == same, || key, namespace, at);
        }
        self.slab.put_notes(notes);
    }

    /// Removes a timer that a checkpoint lists as removed. That does not count as a change.
    pub fn restore_removal(&mut self, hash: KeyHash, key: &K, namespace: N, at: Timestamp) {
        let notes = self.slab.take_notes();
        self.delete(hash, |known| known == key, namespace, at);
        self.slab.put_notes(notes);
    }

    /// Starts or stops tracking changes for incremental checkpoints. The present timers count as drained.
    pub fn note_changes(&mut self, on: bool) {
        self.slab.set_noting(on);
    }

    /// Freezes the changes since the last freeze, or everything, and starts the next generation. Takes the same short
    /// time however many timers that is.
    ///
    /// # Panics
    /// If changes are not tracked, or the previous freeze is not drained yet.
    pub fn freeze(&mut self, extent: Extent) {
        self.slab.freeze(extent);
    }

    /// Drains about `budget` of what is frozen: timers removed since the previous freeze go to `removed`, those added
    /// since, or all, go to `set`; one that was removed and added again goes to both. Returns whether that was all, or
    /// nothing is frozen. The queue may change between slices: what is drained is the content at the freeze.
    pub fn drain_frozen(
        &mut self,
        budget: usize,
        set: impl FnMut(&Timer<K, N>),
        removed: impl FnMut(&Timer<K, N>),
    ) -> bool {
        self.slab.drain(budget, set, removed)
    }

    #[inline]
    fn find(
        &self,
        tag: u32,
        is_key: impl Fn(&K) -> bool,
        namespace: N,
        at: Timestamp,
    ) -> Option<u32> {
        self.index.find(tag, |number| {
            self.slab.get(number).is_some_and(|timer| {
                timer.at == at && timer.namespace == namespace && is_key(&timer.key)
            })
        })
    }

    /// The number of entries, including dead ones.
    pub(super) fn entry_count(&self) -> usize {
        self.wheel.len() + self.early.len() + self.run.len()
    }

    /// Keeps dead entries fewer than live ones, sweeping a few at a time.
    fn sweep(&mut self) {
        let slab = &self.slab;
        let dead = self.entry_count() - slab.len();
        if dead <= slab.len() + DEAD_MIN {
            return;
        }
        self.wheel
            .sweep(SWEPT_PER_DELETION, |due| is_live(slab, due));
        if self.early.len() > 2 * slab.len() + DEAD_MIN {
            self.early.retain(|early| is_live(slab, early.0));
        }
    }
}

#[inline]
fn is_live<K: Clone, N: Clone>(slab: &Slab<K, N>, due: Due) -> bool {
    slab.holds(due.number, due.fills, timestamp(due.at))
}

/// The timestamp as an unsigned number with the same order.
#[inline]
fn ordered(at: Timestamp) -> u64 {
    at.0.cast_unsigned() ^ (1 << 63)
}

#[inline]
fn timestamp(ordered: u64) -> Timestamp {
    Timestamp((ordered ^ (1 << 63)).cast_signed())
}

/// The top half of the identity's hash: it only exists in memory.
#[inline]
fn tag<N: Hash>(hash: KeyHash, namespace: N, at: Timestamp) -> u32 {
    let mut identity = IdentityHasher(hash.then(KeyHash(at.0.cast_unsigned())));
    namespace.hash(&mut identity);
    (identity.finish() >> 32) as u32
}

/// Folds a namespace into the hash of the key and the time.
struct IdentityHasher(KeyHash);

impl Hasher for IdentityHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.then(KeyHash::of_bytes(bytes));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = self.0.then(KeyHash(value));
    }

    #[inline]
    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}
