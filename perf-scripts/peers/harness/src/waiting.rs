//! What has come before its partner: per key a chain through one vector.

use crate::key_table::KeyTable;

/// Values that wait for their key's partner.
#[derive(Clone, Debug, Default)]
pub struct Waiting<V> {
    /// The head of a key's chain, plus one; zero where there is none any more.
    heads: KeyTable<u32>,
    /// A value, and the next of its chain as in `heads`.
    values: Vec<(V, u32)>,
}

impl<V: Copy> Waiting<V> {
    /// Lets `value` wait for the partner of `key`.
    pub fn put(&mut self, key: u64, value: V) {
        let head = self.heads.value(key);
        self.values.push((value, *head));
        *head = u32::try_from(self.values.len()).expect("fewer than 2^32 wait");
    }

    /// The partner of `key` is there: hands over what has waited for it.
    pub fn take(&mut self, key: u64, mut met: impl FnMut(V)) {
        if self.values.is_empty() || self.heads.get(key).is_none() {
            return;
        }
        let mut next = std::mem::take(self.heads.value(key)) as usize;
        while next > 0 {
            let (value, after) = self.values[next - 1];
            met(value);
            next = after as usize;
        }
    }

    /// Whether nothing has come to wait.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if !self.values.is_empty() {
            self.heads.clear();
            self.values.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_meets_all_that_waited_for_it_once() {
        let mut waiting = Waiting::default();
        for (key, value) in [(1, 10), (2, 20), (1, 11)] {
            waiting.put(key, value);
        }
        let mut met = Vec::new();
        waiting.take(1, |value| met.push(value));
        waiting.take(1, |value| met.push(value));
        waiting.take(3, |value| met.push(value));
        assert_eq!(met, [11, 10]);
    }
}
