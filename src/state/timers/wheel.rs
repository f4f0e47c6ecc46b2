//! The radix wheel: yields the next timer in exact order, without a heap.
//!
//! A hierarchical timing wheel (Varghese and Lauck, 1987) in which a tick is one nanosecond and the eleven levels of 64
//! slots cover every possible time; equivalently, a monotone radix heap of base 64.
//!
//! ```text
//!  level = the highest 6-bit digit in which a time differs from `base`; slot = that digit
//!  level 0   the 64 ns around base: one time per slot, so a slot needs no order
//!  level 1   64 slots of 64 ns
//!    …
//!  level 10  16 slots of 36 years
//! ```
//! Invariants: `base` ≤ every time in the wheel, so the first slot of the lowest level in use is the
//! earliest; and a time's slot follows from `base` alone. `base` moves only into the first slot, whose
//! entries then fall to lower levels: an entry moves at most ten times, and in practice two or three,
//! because a slot with few entries is sorted instead.
//!
//! Entries are stored in chunks from one pool, so slots share memory and nothing is allocated while as many timers are
//! added as removed. All chunks of a slot but the first are full.

const LEVEL_COUNT: usize = 11;
const DIGIT_BITS: u32 = 6;
const SLOTS_PER_LEVEL: usize = 1 << DIGIT_BITS;
const CHUNK: usize = 63;
/// A slot with at most this many entries is sorted instead of being spread over lower levels.
const RUN_MAX: usize = CHUNK;
const NONE: u32 = u32::MAX;

/// An entry: its time, as an unsigned number in the order of timestamps, its timer's slot, and how often that had been
/// filled then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Due {
    pub(super) at: u64,
    pub(super) number: u32,
    pub(super) fills: u16,
}

#[derive(Clone, Debug)]
struct Chunk {
    entries: [Due; CHUNK],
    next: u32,
    slot: u16,
    len: u16,
}

#[derive(Clone, Debug)]
struct Slot {
    head: u32,
    len: usize,
    /// No entry is before it; it is kept even after that entry died and was swept away.
    earliest: Due,
}

const EMPTY_SLOT: Slot = Slot {
    head: NONE,
    len: 0,
    earliest: Due {
        at: u64::MAX,
        number: 0,
        fills: 0,
    },
};

/// Entries ordered by time.
#[derive(Debug)]
pub(super) struct Wheel {
    base: u64,
    levels_used: u16,
    slots_used: [u64; LEVEL_COUNT],
    slots: Box<[Slot]>,
    #[expect(clippy::vec_box, reason = "growing moves pointers, not kilobytes")]
    chunks: Vec<Box<Chunk>>,
    free_chunk: u32,
    len: usize,
    /// Where the sweep continues: a chunk and an entry in it.
    sweep_position: (usize, usize),
    /// Entries of a small slot that are not due yet; kept to reuse its memory.
    later: Vec<Due>,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Wheel {
            base: 0,
            levels_used: 0,
            slots_used: [0; LEVEL_COUNT],
            slots: vec![EMPTY_SLOT; LEVEL_COUNT * SLOTS_PER_LEVEL].into_boxed_slice(),
            chunks: Vec::new(),
            free_chunk: NONE,
            len: 0,
            sweep_position: (0, 0),
            later: Vec::with_capacity(RUN_MAX),
        }
    }

    /// The number of entries, including those of deleted timers.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The earliest time that it accepts.
    #[inline]
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    #[inline]
    fn slot_of(&self, at: u64) -> usize {
        let level = ((at ^ self.base) | 1).ilog2() / DIGIT_BITS;
        let digit = (at >> (level * DIGIT_BITS)) as usize % SLOTS_PER_LEVEL;
        level as usize * SLOTS_PER_LEVEL + digit
    }

    /// Adds an entry that is not before `base`.
    #[inline]
    pub(super) fn push(&mut self, due: Due) {
        debug_assert!(due.at >= self.base);
        let number = self.slot_of(due.at);
        let slot = &mut self.slots[number];
        if slot.len.is_multiple_of(CHUNK) {
            self.add_chunk(number);
        }
        let slot = &mut self.slots[number];
        slot.len += 1;
        if due.at <= slot.earliest.at {
            slot.earliest = due;
        }
        let chunk = &mut self.chunks[slot.head as usize];
        chunk.entries[usize::from(chunk.len)] = due;
        chunk.len += 1;
        self.len += 1;
    }

    /// The earliest time of an entry that `is_live`; drops dead entries found on the way.
    pub(super) fn peek(&mut self, is_live: impl Fn(Due) -> bool) -> Option<u64> {
        loop {
            let number = self.first_slot()?;
            let earliest = self.slots[number].earliest;
            if is_live(earliest) {
                return Some(earliest.at);
            }
            let mut chunk = self.detach(number).head;
            while chunk != NONE {
                chunk = self.drain_chunk(chunk, |wheel, due| {
                    if is_live(due) {
                        wheel.push(due);
                    }
                });
            }
        }
    }

    /// Moves the next entries that are due at `watermark` to `run`, latest first; none if none is due. No entry that
    /// stays or is pushed later is before those. `run` must be empty.
    pub(super) fn take_due(&mut self, watermark: u64, run: &mut Vec<Due>) {
        debug_assert!(run.is_empty());
        if self.len == 0 {
            self.base = self.base.max(watermark);
        }
        while let Some(number) = self.first_slot()
            && run.is_empty()
            && self.slots[number].earliest.at <= watermark
        {
            let slot = self.detach(number);
            debug_assert!(slot.earliest.at >= self.base);
            self.base = slot.earliest.at;
            let is_one_time = number < SLOTS_PER_LEVEL;
            if is_one_time || slot.len <= RUN_MAX {
                self.take_slot(slot.head, watermark, run);
            } else {
                let mut chunk = slot.head;
                while chunk != NONE {
                    chunk = self.drain_chunk(chunk, Wheel::push);
                }
            }
        }
    }

    /// Sorts the due entries of a detached slot into `run` and puts the others back.
    fn take_slot(&mut self, head: u32, watermark: u64, run: &mut Vec<Due>) {
        let mut later = std::mem::take(&mut self.later);
        let mut chunk = head;
        while chunk != NONE {
            chunk = self.drain_chunk(chunk, |_, due| {
                if due.at <= watermark {
                    run.push(due);
                } else {
                    later.push(due);
                }
            });
        }
        if run.len() <= RUN_MAX {
            run.sort_unstable_by_key(|due| std::cmp::Reverse(due.at));
        }
        if let Some(latest) = run.first() {
            self.base = latest.at;
        }
        for due in later.drain(..) {
            self.push(due);
        }
        self.later = later;
    }

    /// Examines `count` entries from where the last sweep stopped, and drops the dead ones.
    pub(super) fn sweep(&mut self, count: usize, is_live: impl Fn(Due) -> bool) {
        let (mut chunk, mut entry) = self.sweep_position;
        for _ in 0..count {
            if chunk >= self.chunks.len() {
                (chunk, entry) = (0, 0);
            }
            let Some(found) = self.chunks.get(chunk) else {
                break;
            };
            if entry >= usize::from(found.len) {
                (chunk, entry) = (chunk + 1, 0);
            } else if is_live(found.entries[entry]) {
                entry += 1;
            } else {
                self.remove(chunk, entry);
            }
        }
        self.sweep_position = (chunk, entry);
    }

    /// Removes an entry; the slot's last one takes its place.
    fn remove(&mut self, chunk: usize, entry: usize) {
        let number = usize::from(self.chunks[chunk].slot);
        let slot = &mut self.slots[number];
        slot.len -= 1;
        self.len -= 1;
        let head = &mut self.chunks[slot.head as usize];
        head.len -= 1;
        let last = head.entries[usize::from(head.len)];
        let (is_head_empty, next) = (head.len == 0, head.next);
        self.chunks[chunk].entries[entry] = last;
        if is_head_empty {
            let emptied = std::mem::replace(&mut slot.head, next);
            self.free(emptied);
        }
        if self.slots[number].len == 0 {
            self.detach(number);
        }
    }

    #[inline]
    fn first_slot(&self) -> Option<usize> {
        if self.levels_used == 0 {
            return None;
        }
        let level = self.levels_used.trailing_zeros() as usize;
        let digit = self.slots_used[level].trailing_zeros() as usize;
        Some(level * SLOTS_PER_LEVEL + digit)
    }

    /// Empties a slot and returns its contents; the caller then owns its chunks.
    fn detach(&mut self, number: usize) -> Slot {
        let (level, digit) = (number / SLOTS_PER_LEVEL, number % SLOTS_PER_LEVEL);
        self.slots_used[level] &= !(1 << digit);
        if self.slots_used[level] == 0 {
            self.levels_used &= !(1 << level);
        }
        let slot = std::mem::replace(&mut self.slots[number], EMPTY_SLOT);
        self.len -= slot.len;
        slot
    }

    /// Passes the entries of a detached chunk to `each`, frees it, and returns the next one.
    #[inline]
    fn drain_chunk(&mut self, chunk: u32, mut each: impl FnMut(&mut Wheel, Due)) -> u32 {
        let len = usize::from(self.chunks[chunk as usize].len);
        for entry in 0..len {
            let due = self.chunks[chunk as usize].entries[entry];
            each(self, due);
        }
        let next = self.chunks[chunk as usize].next;
        self.free(chunk);
        next
    }

    fn free(&mut self, chunk: u32) {
        let freed = &mut self.chunks[chunk as usize];
        freed.len = 0;
        freed.next = self.free_chunk;
        self.free_chunk = chunk;
    }

    /// Adds an empty chunk at the head of a slot and marks the slot as in use.
    fn add_chunk(&mut self, number: usize) {
        if self.free_chunk == NONE {
            self.grow();
        }
        let chunk = self.free_chunk;
        let taken = &mut self.chunks[chunk as usize];
        self.free_chunk = taken.next;
        taken.next = self.slots[number].head;
        taken.slot = number as u16;
        self.slots[number].head = chunk;
        let (level, digit) = (number / SLOTS_PER_LEVEL, number % SLOTS_PER_LEVEL);
        self.slots_used[level] |= 1 << digit;
        self.levels_used |= 1 << level;
    }

    #[cold]
    fn grow(&mut self) {
        let number = u32::try_from(self.chunks.len()).unwrap_or(NONE);
        assert!(number != NONE, "fewer than 2^32 chunks");
        self.chunks.push(Box::new(Chunk {
            entries: [Due::default(); CHUNK],
            next: NONE,
            slot: 0,
            len: 0,
        }));
        self.free_chunk = number;
    }
}
