//! A small table of counts per key: open addressing, linear probing, at most half full.

/// Marks an empty slot; a key of this value is counted apart.
const EMPTY: u64 = u64::MAX;

/// Counts per key.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    slots: Vec<(u64, u64)>,
    shift: u32,
    len: usize,
    /// The count of the key that looks like an empty slot.
    of_empty: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            slots: vec![(EMPTY, 0); 1024],
            shift: 64 - 10,
            len: 0,
            of_empty: 0,
        }
    }
}

#[inline(always)]
fn hash(key: u64) -> u64 {
    // Sixteen bytes of state and one multiplication: as good as a table of this size needs.
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Counts {
    /// Adds to the count of `key`.
    #[inline(always)]
    pub(crate) fn add(&mut self, key: u64, count: u64) {
        let mut at = (hash(key) >> self.shift) as usize;
        let mask = self.slots.len() - 1;
        loop {
            let slot = &mut self.slots[at & mask];
            if slot.0 == key {
                slot.1 += count;
                return;
            }
            if slot.0 == EMPTY {
                return self.insert(key, count);
            }
            at += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, key: u64, count: u64) {
        if key == EMPTY {
            self.of_empty += count;
            return;
        }
        if (self.len + 1) * 2 > self.slots.len() {
            let larger = vec![(EMPTY, 0); self.slots.len() * 2];
            let old = std::mem::replace(&mut self.slots, larger);
            self.shift -= 1;
            for (key, count) in old.into_iter().filter(|slot| slot.0 != EMPTY) {
                self.place(key, count);
            }
        }
        self.place(key, count);
        self.len += 1;
    }

    fn place(&mut self, key: u64, count: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (hash(key) >> self.shift) as usize;
        while self.slots[at & mask].0 != EMPTY {
            at += 1;
        }
        self.slots[at & mask] = (key, count);
    }

    /// Every key with its count.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let of_empty = (self.of_empty > 0).then_some((EMPTY, self.of_empty));
        self.slots
            .iter()
            .copied()
            .filter(|slot| slot.0 != EMPTY)
            .chain(of_empty)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.slots.fill((EMPTY, 0));
        (self.len, self.of_empty) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_map() {
        let mut counts = Counts::default();
        let mut map = std::collections::BTreeMap::new();
        for i in 0..20_000u64 {
            let key = if i % 1000 == 0 {
                u64::MAX
            } else {
                harness::mix64(i % 5000)
            };
            counts.add(key, i);
            *map.entry(key).or_insert(0) += i;
        }
        let mut found: Vec<_> = counts.iter().collect();
        found.sort_unstable();
        assert_eq!(found, map.into_iter().collect::<Vec<_>>());
        counts.clear();
        assert_eq!(counts.iter().count(), 0);
    }
}
