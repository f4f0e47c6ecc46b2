//! The index of timers by identity: from a tag to a slot number, eight bytes each.
//!
//! Linear probing from the top bits of a 32-bit tag, so the order of the slots is the order of the tags, and growing is
//! a sequential copy. Growing does not stop the queue: the old slots stay readable while each insertion moves a few of
//! them over. Removal shifts entries back and leaves no tombstones.

/// Old slots moved over per insertion while growing. A table grows when it is 5/8 full, so all are moved long before it
/// must grow again.
const CARRIED_PER_INSERT: usize = 16;
const BITS_MIN: u32 = 6;

const EMPTY: u64 = 0;
/// An old slot whose entry was removed or moved over: a probe continues past it.
const GONE: u64 = 1 << 32;

/// Maps tags to slot numbers.
#[derive(Debug)]
pub(super) struct Index {
    table: Table,
    old: Option<Old>,
    len: usize,
}

#[derive(Debug)]
struct Old {
    table: Table,
    carried: usize,
}

#[derive(Debug)]
struct Table {
    /// `tag << 32 | slot number + 1`, or [`EMPTY`]. The allocator provides zeroed memory lazily, so a large table costs
    /// nothing up front.
    slots: Vec<u64>,
    bits: u32,
}

fn entry(tag: u32, slot: u32) -> u64 {
    u64::from(tag) << 32 | (u64::from(slot) + 1)
}

fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

impl Table {
    fn new(bits: u32) -> Self {
        assert!(bits <= 32, "tags have 32 bits");
        Table {
            slots: vec![EMPTY; 1 << bits],
            bits,
        }
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        (tag >> (32 - self.bits)) as usize
    }

    #[inline]
    fn after(&self, position: usize) -> usize {
        (position + 1) & (self.slots.len() - 1)
    }

    /// The position and slot number of the first entry with `tag` that `matches`.
    #[inline]
    fn find(&self, tag: u32, mut matches: impl FnMut(u32) -> bool) -> Option<(usize, u32)> {
        let mut position = self.home(tag);
        loop {
            let found = self.slots[position];
            if found == EMPTY {
                return None;
            }
            if tag_of(found) == tag && found as u32 != 0 {
                let slot = found as u32 - 1;
                if matches(slot) {
                    return Some((position, slot));
                }
            }
            position = self.after(position);
        }
    }

    #[inline]
    fn insert(&mut self, entry: u64) {
        let mut position = self.home(tag_of(entry));
        while self.slots[position] != EMPTY {
            position = self.after(position);
        }
        self.slots[position] = entry;
    }

    /// Empties `hole` and shifts back the entries that a probe would no longer reach across it.
    fn remove_at(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut position = hole;
        loop {
            position = self.after(position);
            let candidate = self.slots[position];
            if candidate == EMPTY {
                break;
            }
            let from_home = position.wrapping_sub(self.home(tag_of(candidate))) & mask;
            if from_home >= position.wrapping_sub(hole) & mask {
                self.slots[hole] = candidate;
                hole = position;
            }
        }
        self.slots[hole] = EMPTY;
    }
}

impl Index {
    pub(super) fn new() -> Self {
        Index {
            table: Table::new(BITS_MIN),
            old: None,
            len: 0,
        }
    }

    /// The slot number with `tag` that `matches`.
    #[inline]
    pub(super) fn find(&self, tag: u32, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.table.find(tag, &mut matches).or_else(|| {
            let old = self.old.as_ref()?;
            old.table.find(tag, &mut matches)
        });
        found.map(|(_, slot)| slot)
    }

    /// Reads the home position of `tag`, so that it is in cache when it is looked up.
    #[inline]
    pub(super) fn touch(&self, tag: u32) {
        std::hint::black_box(self.table.slots[self.table.home(tag)]);
    }

    /// Adds a slot number that is not in the index.
    #[inline]
    pub(super) fn insert(&mut self, tag: u32, slot: u32) {
        assert!(slot < u32::MAX, "at most 2^32 - 1 timers");
        if self.old.is_some() {
            self.carry_over(CARRIED_PER_INSERT);
        }
        if (self.len + 1) * 8 > self.table.slots.len() * 5 {
            self.grow();
        }
        self.table.insert(entry(tag, slot));
        self.len += 1;
    }

    /// Removes a slot number that is in the index.
    #[inline]
    pub(super) fn remove(&mut self, tag: u32, slot: u32) {
        self.len -= 1;
        if let Some((position, _)) = self.table.find(tag, |found| found == slot) {
            self.table.remove_at(position);
            return;
        }
        let old = self.old.as_mut();
        let found = old.and_then(|old| {
            let (position, _) = old.table.find(tag, |found| found == slot)?;
            old.table.slots[position] = GONE;
            Some(position)
        });
        assert!(found.is_some(), "a timer in the slab is in the index");
    }

    #[cold]
    fn grow(&mut self) {
        self.carry_over(usize::MAX);
        let larger = Table::new(self.table.bits + 1);
        let table = std::mem::replace(&mut self.table, larger);
        self.old = Some(Old { table, carried: 0 });
    }

    fn carry_over(&mut self, count: usize) {
        let Some(old) = &mut self.old else { return };
        let end = old.table.slots.len().min(old.carried.saturating_add(count));
        for slot in &mut old.table.slots[old.carried..end] {
            if *slot != EMPTY && *slot != GONE {
                self.table.insert(std::mem::replace(slot, GONE));
            }
        }
        old.carried = end;
        if end == old.table.slots.len() {
            self.old = None;
        }
    }
}
