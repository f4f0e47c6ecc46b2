//! The timers of one keyed operator: a queue per time domain.

use crate::record::{Key, KeyHash, KeyHasher, StoredKey};
use crate::state::{DurableTimers, Timer, TimerQueue};
use crate::time::Timestamp;

use super::TimeDomain;

/// Event and processing timers by key.
#[derive(Debug)]
pub(super) struct TimerService<K: Key + ?Sized> {
    event: TimerQueue<K::Stored, ()>,
    processing: TimerQueue<K::Stored, ()>,
    /// A lower bound on the next processing timer: cached, because every batch asks for it.
    next: Option<Timestamp>,
    /// `next` may be too early, because timers were deleted.
    stale: bool,
    /// The input has ended: processing timers no longer fire.
    ended: bool,
}

impl<K: Key + ?Sized> TimerService<K> {
    pub(super) fn new() -> Self {
        TimerService {
            event: TimerQueue::new(),
            processing: TimerQueue::new(),
            next: None,
            stale: false,
            ended: false,
        }
    }

    pub(super) fn register(&mut self, domain: TimeDomain, hash: KeyHash, key: &K, at: Timestamp) {
        let (is_key, stored) = (|stored: &K::Stored| stored.is(key), || key.to_stored());
        match domain {
            TimeDomain::Event => {
                self.event.register(hash, is_key, stored, (), at);
            }
            TimeDomain::Processing => {
                self.processing.register(hash, is_key, stored, (), at);
                if !self.ended {
                    self.next = Some(self.next.map_or(at, |next| next.min(at)));
                }
            }
        }
    }

    pub(super) fn delete(&mut self, domain: TimeDomain, hash: KeyHash, key: &K, at: Timestamp) {
        let is_key = |stored: &K::Stored| stored.is(key);
        match domain {
            TimeDomain::Event => {
                self.event.delete(hash, is_key, (), at);
            }
            TimeDomain::Processing => {
                self.stale |= self.processing.delete(hash, is_key, (), at);
            }
        }
    }

    /// Removes and returns the next timer of `domain` that is due at `time`.
    pub(super) fn pop_due(
        &mut self,
        domain: TimeDomain,
        time: Timestamp,
    ) -> Option<Timer<K::Stored, ()>> {
        match domain {
            TimeDomain::Event => self.event.pop_due(time),
            TimeDomain::Processing => {
                self.stale = true;
                self.processing.pop_due(time)
            }
        }
    }

    /// Returns the earliest time at which the next processing timer may be due.
    #[inline]
    pub(super) fn next_processing(&self) -> Option<Timestamp> {
        self.next
    }

    /// Finds the next processing timer if it is not known; call this at the end of a batch.
    #[inline]
    pub(super) fn refresh(&mut self) {
        if std::mem::take(&mut self.stale) && !self.ended {
            self.next = self.processing.peek();
        }
    }

    /// Stops processing timers from firing after the end of input. They are kept: a checkpoint whose
    /// barrier preceded the end may not have been written yet.
    pub(super) fn end(&mut self) {
        (self.ended, self.next) = (true, None);
    }

    /// Returns the number of event and processing timers that may still fire.
    pub(super) fn len(&self) -> usize {
        let processing = if self.ended { 0 } else { self.processing.len() };
        self.event.len() + processing
    }

    /// Turns change tracking for checkpoints on or off in both queues.
    pub(super) fn note_changes(&mut self, on: bool) {
        self.event.note_changes(on);
        self.processing.note_changes(on);
    }

    /// Returns the timers of `domain` as checkpoints see them.
    pub(super) fn durable(
        &mut self,
        domain: TimeDomain,
        hasher: KeyHasher,
    ) -> DurableTimers<'_, K::Stored> {
        let queue = match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        };
        DurableTimers::new(queue, hasher)
    }

    /// Finds the next processing timer after some were restored.
    pub(super) fn rearm(&mut self) {
        self.stale = true;
        self.refresh();
    }
}
