//! A small table by key: open addressing, linear probing, at most half full.

/// Marks an empty slot; the key of this value has a place of its own.
const EMPTY: u64 = u64::MAX;

/// Values per key, for tables that a cache holds.
#[derive(Clone, Debug)]
pub struct KeyTable<V> {
    /// A power of two of them.
    slots: Vec<(u64, V)>,
    shift: u32,
    len: usize,
    /// What belongs to the key that looks like an empty slot.
    of_empty: Option<V>,
}

impl<V: Copy + Default> Default for KeyTable<V> {
    fn default() -> Self {
        let slots = vec![(EMPTY, V::default()); 1024];
        KeyTable {
            slots,
            shift: 64 - 10,
            len: 0,
            of_empty: None,
        }
    }
}

impl<V: Copy + Default> KeyTable<V> {
    /// Where `key` is to be looked for first: one multiplication, whose high bits count.
    #[inline(always)]
    fn place(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    /// The value of `key`, the default one where there was none.
    #[inline(always)]
    pub fn value(&mut self, key: u64) -> &mut V {
        let mask = self.slots.len() - 1;
        let mut at = self.place(key) & mask;
        loop {
            let found = self.slots[at].0;
            if found == key && key != EMPTY {
                return &mut self.slots[at].1;
            }
            if found == EMPTY {
                return self.insert(key);
            }
            at = (at + 1) & mask;
        }
    }

    /// The value of `key`, if there is one.
    #[inline(always)]
    pub fn get(&self, key: u64) -> Option<&V> {
        let mask = self.slots.len() - 1;
        let mut at = self.place(key) & mask;
        loop {
            let (found, value) = &self.slots[at];
            if *found == EMPTY {
                return self.of_empty.as_ref().filter(|_| key == EMPTY);
            }
            if *found == key {
                return Some(value);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, key: u64) -> &mut V {
        if key == EMPTY {
            return self.of_empty.get_or_insert_default();
        }
        if (self.len + 1) * 2 > self.slots.len() {
            let larger = vec![(EMPTY, V::default()); self.slots.len() * 2];
            let old = std::mem::replace(&mut self.slots, larger);
            self.shift -= 1;
            for slot in old.into_iter().filter(|slot| slot.0 != EMPTY) {
                self.put(slot);
            }
        }
        self.len += 1;
        let at = self.put((key, V::default()));
        &mut self.slots[at].1
    }

    fn put(&mut self, slot: (u64, V)) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = self.place(slot.0) & mask;
        while self.slots[at].0 != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        at
    }

    /// Every key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (u64, V)> {
        let of_empty = self.of_empty.map(|value| (EMPTY, value));
        let slots = self.slots.iter().copied();
        slots.filter(|slot| slot.0 != EMPTY).chain(of_empty)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len + usize::from(self.of_empty.is_some())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.fill((EMPTY, V::default()));
        (self.len, self.of_empty) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_a_map() {
        let mut table = KeyTable::default();
        let mut map = std::collections::BTreeMap::new();
        assert_eq!(table.get(u64::MAX), None);
        for i in 0..20_000u64 {
            let key = match i % 1000 {
                0 => u64::MAX,
                _ => crate::mix64(i % 5000),
            };
            *table.value(key) += i;
            *map.entry(key).or_insert(0) += i;
            assert_eq!(table.get(key), map.get(&key));
            assert_eq!(table.get(i), None);
        }
        let mut found: Vec<_> = table.iter().collect();
        found.sort_unstable();
        assert_eq!(table.len(), found.len());
        assert_eq!(found, map.into_iter().collect::<Vec<_>>());
        table.clear();
        assert_eq!(table.iter().count(), 0);
    }
}
