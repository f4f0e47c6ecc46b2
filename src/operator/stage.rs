//! The stage: holds records for a keyed operator whose head cannot look ahead for it.
//!
//! A head looks ahead among the records that it reads. If an intermediate operator creates new ones (a map
//! before a `key_by`, the words of a line), nobody has seen those before they are pushed, and each would
//! wait for the memory of its state. The stage holds some of them back, in two halves: while one is being
//! filled, and the state of its records prefetched, the records of the other one wait, prefetched already.
//!
//! ```text
//! push ─► filling: hash, prefetch ─► full: the waiting half is forwarded, the halves swap
//! signal, end of batch ────────────► both halves are forwarded
//! ```
//!
//! Halves of 16 to 256 that are forwarded as runs, as a head's records are, were tried, with hashes computed here or
//! there: no faster for words, and slower by a tenth to a third for a million keys. Memory has less to do while a half
//! is filled.
#![expect(unsafe_code, reason = "reads records back in place")]

use std::collections::VecDeque;
use std::marker::PhantomData;

use rkyv::util::AlignedVec;

use crate::record::{FRAME_ALIGN, KeyHash, ShortBytes, Wire, in_place};
use crate::state::Lookahead;
use crate::time::Timestamp;

use super::{Push, Signal};

/// How many records a half has: as many as take about as long as a memory access.
const HALF: usize = 16;

/// One record in a half.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Where its bytes start among those of long records; a short one has a slot.
    start: usize,
    length: usize,
    at: Timestamp,
    hash: KeyHash,
}

/// The bytes of a short record.
#[derive(Clone, Copy, Default)]
#[repr(C, align(16))]
struct Slot([u8; ShortBytes::LENGTH_MAX]);

const _: () = assert!(align_of::<Slot>() == FRAME_ALIGN);

/// Some records, in arrays: whether there is room is checked once per half, not for each record.
#[derive(Default)]
struct Half {
    places: [Place; HALF],
    slots: [Slot; HALF],
    /// How many records there are.
    len: usize,
    /// How many of them have been forwarded.
    gone: usize,
    long: AlignedVec<FRAME_ALIGN>,
}

/// Some records of type `V`, held back.
pub(super) struct Stage<V: ?Sized> {
    filling: Box<Half>,
    waiting: Box<Half>,
    /// Full halves between the two, if `next` is not ready and one record makes many.
    backlog: VecDeque<Box<Half>>,
    /// What is forwarded before everything else: records, and the signal behind them.
    held: VecDeque<(Box<Half>, Option<Signal>)>,
    record: PhantomData<fn(&V)>,
}

impl<V: Wire + ?Sized> Stage<V> {
    pub(super) fn new() -> Self {
        Stage {
            filling: Box::default(),
            waiting: Box::default(),
            backlog: VecDeque::new(),
            held: VecDeque::new(),
            record: PhantomData,
        }
    }

    /// Takes a record, prefetches its state, and forwards others in exchange while `next` is ready.
    #[inline(always)]
    pub(super) fn push<D: Push<V>>(&mut self, next: &mut D, record: &V, at: Timestamp) {
        // Two separate paths from here on: on that of short records the bytes are read once, for hashing and copying.
        match ShortBytes::of(record.as_bytes()) {
            Some(short) => {
                let hash = next.hash_ahead(record);
                self.filling.add_short(short, at, hash);
                next.prefetch(hash, Lookahead::Far);
            }
            None => {
                let hash = next.hash_ahead(record);
                self.filling.add_other(record, at, hash);
                next.prefetch(hash, Lookahead::Far);
            }
        }
        if self.filling.len == HALF {
            self.turn(next);
        }
    }

    /// Takes a record that is forwarded before all others, when the stage is drained.
    pub(super) fn hold<D: Push<V>>(&mut self, next: &D, record: &V, at: Timestamp) {
        let hash = next.hash_ahead(record);
        self.last_held().0.add(record, at, hash);
    }

    /// Takes a signal behind the records that are forwarded before all others.
    pub(super) fn hold_signal(&mut self, signal: Signal) {
        self.last_held().1 = Some(signal);
    }

    fn last_held(&mut self) -> &mut (Box<Half>, Option<Signal>) {
        let is_over =
            |(half, signal): &(Box<Half>, Option<Signal>)| half.len == HALF || signal.is_some();
        if self.held.back().is_none_or(is_over) {
            self.held.push_back((Box::default(), None));
        }
        self.held.back_mut().expect("there is one")
    }

    /// Forwards what comes before everything else, while `next` is ready; returns whether it has all been forwarded.
    #[cold]
    fn go_on_held<D: Push<V>>(&mut self, next: &mut D) -> bool {
        while let Some((half, signal)) = self.held.front_mut() {
            if !half.go_on(next) || !next.ready() {
                return false;
            }
            if let Some(signal) = *signal {
                next.signal(signal);
            }
            self.held.pop_front();
        }
        true
    }

    /// Forwards the waiting half; if it is empty then, the halves swap.
    #[inline(never)]
    fn turn<D: Push<V>>(&mut self, next: &mut D) {
        if !self.backlog.is_empty() || !self.waiting.go_on(next) {
            return self.backlog.push_back(std::mem::take(&mut self.filling));
        }
        std::mem::swap(&mut self.filling, &mut self.waiting);
        for place in &self.waiting.places {
            next.prefetch(place.hash, Lookahead::Near);
        }
    }

    /// Forwards every record while `next` is ready; returns whether none is left.
    pub(super) fn drain<D: Push<V>>(&mut self, next: &mut D) -> bool {
        if !self.held.is_empty() && !self.go_on_held(next) {
            return false;
        }
        while self.waiting.go_on(next) {
            match self.backlog.pop_front() {
                Some(half) => self.waiting = half,
                None if self.filling.len == 0 => return true,
                None => std::mem::swap(&mut self.filling, &mut self.waiting),
            }
        }
        false
    }
}

impl Half {
    /// Adds a record; there must be room for it.
    fn add<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        match ShortBytes::of(record.as_bytes()) {
            Some(short) => self.add_short(short, at, hash),
            None => self.add_other(record, at, hash),
        }
    }

    #[inline(always)]
    fn add_short(&mut self, short: ShortBytes, at: Timestamp, hash: KeyHash) {
        let index = self.len;
        let Slot(slot) = &mut self.slots[index];
        let place = &mut self.places[index];
        short.write(slot);
        // Where it starts is not asked of a short one, so nothing is written there.
        (place.length, place.at, place.hash) = (short.len(), at, hash);
        self.len = index + 1;
    }

    /// Adds a record that is empty or long.
    #[inline(always)]
    fn add_other<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let payload = record.as_bytes();
        let (start, length) = (self.append::<V>(payload), payload.len());
        self.places[self.len] = Place {
            start,
            length,
            at,
            hash,
        };
        self.len += 1;
    }

    /// Appends a long payload; returns where.
    #[inline]
    fn append<V: Wire + ?Sized>(&mut self, payload: &[u8]) -> usize {
        let start = self.long.len().next_multiple_of(V::ALIGN);
        if start > self.long.len() {
            self.long.resize(start, 0);
        }
        self.long.extend_from_slice(payload);
        start
    }

    /// Pushes the records while `next` is ready; returns whether all have been pushed. Called from several places, and
    /// inlined in none.
    #[inline(never)]
    fn go_on<V: Wire + ?Sized, D: Push<V>>(&mut self, next: &mut D) -> bool {
        let len = self.len.min(HALF);
        for index in self.gone..len {
            if !next.ready() {
                return false;
            }
            self.gone = index + 1;
            let (place, Slot(slot)) = (&self.places[index], &self.slots[index]);
            let payload = match slot.get(..place.length) {
                Some(payload) => payload,
                None => &self.long[place.start..place.start + place.length],
            };
            // SAFETY: `add_short` or `add_other` copied there what `as_bytes` of a `V` returned, starting at a multiple
            // of its alignment; nothing has changed the bytes since.
            next.push_hashed(unsafe { in_place(payload) }, place.at, place.hash);
        }
        (self.len, self.gone) = (0, 0);
        self.long.clear();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::recorder::Recorder;

    #[test]
    fn text_of_any_length_comes_back_in_order_however_much_comes_without_room() {
        let texts: Vec<String> = (0..200)
            .map(|n| "wörter "[..n % 2].repeat(n % 41))
            .collect();
        let mut stage = Stage::<str>::new();
        let mut next = Recorder::<String>::new();
        next.set_room(20);
        for (n, text) in texts.iter().enumerate() {
            stage.push(&mut next, text, Timestamp(n as i64));
        }
        let mut found = next.take_records();
        assert_eq!(found.len(), 20);
        assert!(!stage.drain(&mut next));
        next.set_room(usize::MAX);
        assert!(stage.drain(&mut next));
        found.extend(next.take_records());
        assert!(found.iter().map(|(text, _)| text).eq(&texts));
        assert!((0..200).eq(found.iter().map(|(_, at)| *at)));
    }

    #[test]
    fn records_go_on_in_order_as_far_as_there_is_room() {
        let mut stage = Stage::<[u64; 3]>::new();
        let mut next = Recorder::<[u64; 3]>::new();
        let record = |n: u64| ([n, n + 1, n * n], n as i64);
        for n in 0..40 {
            stage.push(&mut next, &record(n).0, Timestamp(n as i64));
        }
        assert_eq!(next.take_records(), (0..16).map(record).collect::<Vec<_>>());
        next.set_room(5);
        assert!(!stage.drain(&mut next));
        assert_eq!(
            next.take_records(),
            (16..21).map(record).collect::<Vec<_>>()
        );
        next.set_room(usize::MAX);
        assert!(stage.drain(&mut next));
        assert_eq!(
            next.take_records(),
            (21..40).map(record).collect::<Vec<_>>()
        );
    }
}
