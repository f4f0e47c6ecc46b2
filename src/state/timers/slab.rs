//! The slab of timers: each stays in its slot from registration to its end.
//!
//! Slots come in blocks, so the slab grows without moving a timer; the slot freed last is used
//! first, while its lines are still in cache. The slab also notes what changed since the last freeze,
//! for incremental checkpoints: a slot is listed at most once, so the notes are never longer than the
//! slab, and a timer that came and went between two freezes leaves no trace.

use crate::record::KeyHash;
use crate::time::Timestamp;

const BLOCK_BITS: u32 = 8;
const BLOCK: usize = 1 << BLOCK_BITS;

/// A callback at a time, for a key and a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Timer<K, N> {
    /// Hash of the key: its key group.
    pub hash: KeyHash,
    /// Whose timer it is.
    pub key: K,
    /// Second key, such as the window.
    pub namespace: N,
    /// When it is due.
    pub at: Timestamp,
}

/// What happened to a queue between two freezes: take out `removed`, then put in `registered`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimerChanges<K, N> {
    /// Timers of the last freeze that fired or were deleted since.
    pub removed: Vec<Timer<K, N>>,
    /// Timers registered since the last freeze that are still there.
    pub registered: Vec<Timer<K, N>>,
}

#[derive(Debug)]
struct Slot<K, N> {
    timer: Option<Timer<K, N>>,
    tag: u32,
    /// Registered since the last freeze.
    is_new: bool,
    /// Stands in [`Notes::listed`].
    is_listed: bool,
}

/// What changed since the last freeze.
#[derive(Debug)]
pub(super) struct Notes<K, N> {
    removed: Vec<Timer<K, N>>,
    listed: Vec<u32>,
}

/// Timers by slot number.
#[derive(Debug)]
pub(super) struct Slab<K, N> {
    blocks: Vec<Box<[Slot<K, N>]>>,
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
        &mut self.blocks[(number >> BLOCK_BITS) as usize][number as usize & (BLOCK - 1)]
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Timer<K, N>> {
        self.slot(number).timer.as_ref()
    }

    /// Whether the slot holds a timer of this tag and time.
    #[inline]
    pub(super) fn holds(&self, number: u32, tag: u32, at: Timestamp) -> bool {
        let slot = self.slot(number);
        slot.tag == tag && slot.timer.as_ref().is_some_and(|timer| timer.at == at)
    }

    #[inline]
    pub(super) fn insert(&mut self, tag: u32, timer: Timer<K, N>) -> u32 {
        let number = match self.free.pop() {
            Some(number) => number,
            None => self.add_block(),
        };
        self.len += 1;
        let is_noted = self.notes.is_some();
        let slot = self.slot_mut(number);
        slot.timer = Some(timer);
        slot.tag = tag;
        slot.is_new = is_noted;
        if is_noted && !std::mem::replace(&mut slot.is_listed, true) {
            self.note_listed(number);
        }
        number
    }

    #[inline]
    pub(super) fn remove(&mut self, number: u32) -> Option<Timer<K, N>> {
        let slot = self.slot_mut(number);
        let timer = slot.timer.take()?;
        let was_new = slot.is_new;
        self.free.push(number);
        self.len -= 1;
        if let Some(notes) = &mut self.notes
            && !was_new
        {
            notes.removed.push(timer.clone());
        }
        Some(timer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Timer<K, N>> {
        let slots = self.blocks.iter().flatten();
        slots.filter_map(|slot| slot.timer.as_ref())
    }

    /// Stops noting until the notes are put back.
    pub(super) fn take_notes(&mut self) -> Option<Notes<K, N>> {
        self.notes.take()
    }

    pub(super) fn put_notes(&mut self, notes: Option<Notes<K, N>>) {
        self.notes = notes;
    }

    /// Starts or stops noting changes; what is there now counts as frozen.
    pub(super) fn set_noting(&mut self, on: bool) {
        self.freeze();
        self.notes = on.then(|| Notes {
            removed: Vec::new(),
            listed: Vec::new(),
        });
    }

    /// What changed since the last freeze; nothing if changes are not noted.
    pub(super) fn freeze(&mut self) -> TimerChanges<K, N> {
        let mut changes = TimerChanges {
            removed: Vec::new(),
            registered: Vec::new(),
        };
        let Some(mut notes) = self.notes.take() else {
            return changes;
        };
        for number in notes.listed.drain(..) {
            let slot = self.slot_mut(number);
            slot.is_listed = false;
            if std::mem::replace(&mut slot.is_new, false) {
                changes.registered.extend(slot.timer.clone());
            }
        }
        changes.removed = std::mem::take(&mut notes.removed);
        self.notes = Some(notes);
        changes
    }

    fn note_listed(&mut self, number: u32) {
        if let Some(notes) = &mut self.notes {
            notes.listed.push(number);
        }
    }

    /// Adds a block and gives its first slot; the others are free.
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
            is_new: false,
            is_listed: false,
        };
        self.blocks.push((0..BLOCK).map(|_| empty()).collect());
        let first = first as u32;
        self.free.extend((first + 1..first + BLOCK as u32).rev());
        first
    }
}
