//! Timers as checkpoints see them: keyed entries whose key is a key and a time, and whose value is empty.
//!
//! A timer is encoded like the tuple of its key and its time, so that whoever stores the entries can order them by the
//! hash of the key, which decides which subtask owns them.

use std::any::type_name;
use std::ops::RangeInclusive;

use super::queue::TimerQueue;
use super::slab::Timer;
use crate::record::{FormError, KeyHash, KeyHasher, StoredKey, take_item, with_length};
use crate::state::schema::{StateKind, StateSchema, TypeLayout, decode_key};
use crate::state::{Drained, DurableTable, Extent};
use crate::time::Timestamp;

/// The length of an encoded timer with a key of type `S`, if it is the same for all.
const fn length<S: StoredKey>() -> Option<usize> {
    match S::LENGTH {
        Some(length) => Some(length + size_of::<i64>()),
        None => None,
    }
}

/// The schema of timers with keys of type `S`.
#[must_use]
pub fn timer_schema<S: StoredKey>(name: &str) -> StateSchema {
    StateSchema {
        name: name.into(),
        kind: StateKind::Timers,
        key: TypeLayout {
            name: type_name::<(S, i64)>().into(),
            length: length::<S>().map(|length| length as u32),
            shape: 0,
            version: 0,
        },
        value: TypeLayout::none(),
    }
}

/// Returns the hash of the key of an encoded timer.
///
/// # Errors
/// [`FormError`] if the bytes are not such a timer.
pub fn hash_of_timer<S: StoredKey>(
    hasher: &KeyHasher,
    mut bytes: &[u8],
) -> Result<KeyHash, FormError> {
    let key: S = decode_key(&mut bytes)?;
    Ok(hasher.hash(key.key()))
}

fn encode<S: StoredKey>(timer: &Timer<S, ()>, bytes: &mut Vec<u8>) {
    with_length(length::<S>(), bytes, |bytes| {
        with_length(S::LENGTH, bytes, |bytes| timer.key.encode(bytes));
        timer.at.0.encode(bytes);
    });
}

/// Decodes the next timer from the front of `bytes`.
fn decode<S: StoredKey>(hasher: &KeyHasher, bytes: &mut &[u8]) -> Result<Timer<S, ()>, FormError> {
    let mut item = take_item(length::<S>(), bytes)?;
    let key: S = decode_key(&mut item)?;
    Ok(Timer {
        hash: hasher.hash(key.key()),
        key,
        namespace: (),
        at: Timestamp(i64::decode(item)?),
    })
}

/// A queue of timers, with the hasher of their keys.
#[derive(Debug)]
pub struct DurableTimers<'a, S: StoredKey> {
    queue: &'a mut TimerQueue<S, ()>,
    hasher: KeyHasher,
}

impl<'a, S: StoredKey> DurableTimers<'a, S> {
    /// The timers of `queue`, whose keys are hashed by `hasher`.
    pub fn new(queue: &'a mut TimerQueue<S, ()>, hasher: KeyHasher) -> Self {
        DurableTimers { queue, hasher }
    }
}

impl<S: StoredKey> DurableTable for DurableTimers<'_, S> {
    fn entry_count(&self) -> usize {
        self.queue.len()
    }

    fn freeze(&mut self, extent: Extent) {
        self.queue.freeze(extent);
    }

    fn drain_frozen(&mut self, budget: usize, out: &mut Drained) -> bool {
        let set = |timer: &Timer<S, ()>| out.set.add(1, |bytes| encode(timer, bytes));
        let removed = |timer: &Timer<S, ()>| {
            encode(timer, &mut out.removed);
            out.removed_count += 1;
        };
        let done = self.queue.drain_frozen(budget, set, removed);
        if done {
            out.set.close();
        }
        done
    }

    fn restore_set(
        &mut self,
        mut bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError> {
        while !bytes.is_empty() {
            let timer = decode(&self.hasher, &mut bytes)?;
            if hashes.contains(&timer.hash) {
                self.queue.restore([timer]);
            }
        }
        Ok(())
    }

    fn restore_removed(
        &mut self,
        mut bytes: &[u8],
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<(), FormError> {
        while !bytes.is_empty() {
            let timer: Timer<S, ()> = decode(&self.hasher, &mut bytes)?;
            if hashes.contains(&timer.hash) {
                (self.queue).restore_removal(timer.hash, &timer.key, (), timer.at);
            }
        }
        Ok(())
    }
}
