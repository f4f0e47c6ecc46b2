//! The slab of timers: each stays in its slot for its whole life.
//!
//! Slots are allocated in blocks, so the slab grows without moving a timer; the most recently freed slot is reused
//! first, while its lines are still in cache. For incremental checkpoints every slot is marked with the generation that
//! filled it, see [`Notes`](super::notes::Notes); without checkpoints that costs a comparison.

use super::notes::Notes;
use crate::record::KeyHash;
use crate::state::Extent;
use crate::time::Timestamp;

const BLOCK_BITS: u32 = 8;
const BLOCK: usize = 1 << BLOCK_BITS;

/// A pending callback for a key and a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Timer<K, N> {
    /// The hash of the key, which determines its key group.
    pub hash: KeyHash,
    /// The key.
    pub key: K,
    /// A second key, such as the window.
    pub namespace: N,
    /// When it fires.
    pub at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Slot<K, N> {
    pub(super) timer: Option<Timer<K, N>>,
    /// The hash of the timer's identity.
    tag: u32,
    /// How often the slot was filled: tells its timer from earlier ones, which may have had the same identity. That it
    /// wraps around costs an entry of the queue that is dropped later.
    fills: u16,
    /// The generation in which the timer was registered, until it is drained; otherwise 0.
    pub(super) born: u8,
    /// The generation whose notes list the slot; otherwise 0.
    pub(super) listed: u8,
}

/// Contiguous slots.
pub(super) type Block<K, N> = Box<[Slot<K, N>]>;

#[inline]
pub(super) fn slot_of<K, N>(blocks: &mut [Block<K, N>], number: u32) -> &mut Slot<K, N> {
    &mut blocks[(number >> BLOCK_BITS) as usize][number as usize & (BLOCK - 1)]
}

/// Timers by slot number.
#[derive(Debug)]
pub(super) struct Slab<K, N> {
    blocks: Vec<Block<K, N>>,
    free: Vec<u32>,
    len: usize,
    notes: Option<Notes<K, N>>,
}

impl<K: Clone, N: Clone> Slab<K, N> {
    pub(super) const fn new() -> Self {
        Slab {
            blocks: Vec::new(),
            free: Vec::new(),
            len: 0,
            notes: None,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn slot(&self, number: u32) -> &Slot<K, N> {
        &self.blocks[(number >> BLOCK_BITS) as usize][number as usize & (BLOCK - 1)]
    }

    #[inline]
    fn slot_mut(&mut self, number: u32) -> &mut Slot<K, N> {
        slot_of(&mut self.blocks, number)
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Timer<K, N>> {
        self.slot(number).timer.as_ref()
    }

    /// Whether the slot still holds the timer of this time with which it was filled for the `fills`-th time.
    #[inline]
    pub(super) fn holds(&self, number: u32, fills: u16, at: Timestamp) -> bool {
        let slot = self.slot(number);
        slot.fills == fills && slot.timer.as_ref().is_some_and(|timer| timer.at == at)
    }

    /// The tag of the slot's last timer.
    #[inline]
    pub(super) fn tag(&self, number: u32) -> u32 {
        self.slot(number).tag
    }

    /// Returns the number of the timer's slot, and how often that was filled.
    #[inline]
    pub(super) fn insert(&mut self, tag: u32, timer: Timer<K, N>) -> (u32, u16) {
        let number = match self.free.pop() {
            Some(number) => number,
            None => self.add_block(),
        };
        self.len += 1;
        let generation = self.notes.as_ref().map_or(0, Notes::generation);
        let slot = self.slot_mut(number);
        slot.timer = Some(timer);
        slot.tag = tag;
        slot.fills = slot.fills.wrapping_add(1);
        let fills = slot.fills;
        slot.born = generation;
        if slot.listed != generation {
            slot.listed = generation;
            self.note_listed(number);
        }
        (number, fills)
    }

    #[inline]
    pub(super) fn remove(&mut self, number: u32) -> Option<Timer<K, N>> {
        let slot = self.slot_mut(number);
        let timer = slot.timer.take()?;
        let born = slot.born;
        self.free.push(number);
        self.len -= 1;
        if let Some(notes) = &mut self.notes {
            notes.note_removal(number, born, &timer);
        }
        Some(timer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Timer<K, N>> {
        let slots = self.blocks.iter().flatten();
        slots.filter_map(|slot| slot.timer.as_ref())
    }

    /// Stops tracking changes until the notes are put back.
    pub(super) fn take_notes(&mut self) -> Option<Notes<K, N>> {
        self.notes.take()
    }

    pub(super) fn put_notes(&mut self, notes: Option<Notes<K, N>>) {
        self.notes = notes;
    }

    /// Starts or stops tracking changes; the present timers count as drained.
    pub(super) fn set_noting(&mut self, on: bool) {
        for slot in self.blocks.iter_mut().flatten() {
            (slot.born, slot.listed) = (0, 0);
        }
        self.notes = on.then(Notes::new);
    }

    /// Freezes the current generation, see [`Notes::freeze`].
    pub(super) fn freeze(&mut self, extent: Extent) {
        let slot_count = self.blocks.len() * BLOCK;
        let notes = self.notes.as_mut();
        let notes = notes.expect("a queue that does not note changes cannot be frozen");
        notes.freeze(extent, slot_count);
    }

    /// Drains some of what was frozen, see [`Notes::drain`].
    pub(super) fn drain(
        &mut self,
        budget: usize,
        set: impl FnMut(&Timer<K, N>),
        removed: impl FnMut(&Timer<K, N>),
    ) -> bool {
        match &mut self.notes {
            Some(notes) => notes.drain(budget, &mut self.blocks, set, removed),
            None => true,
        }
    }

    #[inline]
    fn note_listed(&mut self, number: u32) {
        if let Some(notes) = &mut self.notes {
            notes.list(number);
        }
    }

    /// Adds a block and returns its first slot; the others are free.
    #[cold]
    fn add_block(&mut self) -> u32 {
        let first = self.blocks.len() * BLOCK;
        assert!(
            first < (u32::MAX - BLOCK as u32) as usize,
            "too many timers"
        );
        let empty = || Slot {
            timer: None,
            tag: 0,
            fills: 0,
            born: 0,
            listed: 0,
        };
        self.blocks.push((0..BLOCK).map(|_| empty()).collect());
        let first = first as u32;
        self.free.extend((first + 1..first + BLOCK as u32).rev());
        first
    }
}
