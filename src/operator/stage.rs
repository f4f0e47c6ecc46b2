//! The stage: records on their way to a keyed operator whose head cannot look ahead for it.
//!
//! A head looks ahead among the records that it reads. Where an operator in between makes new ones (a map
//! before a `key_by`, the words of a line), nobody has seen those before they are pushed, and each would
//! wait for the memory of its state. The stage holds some of them back, in two halves: while one is
//! filled, and the state of its records fetched, the other one's have been fetched and wait.
//!
//! ```text
//! push ─► filling: hash, prefetch ─► full: the waiting half goes on, the halves change places
//! signal, end of batch ────────────► both halves go on
//! ```
#![expect(unsafe_code, reason = "reads records back in place")]

use std::collections::VecDeque;
use std::marker::PhantomData;

use rkyv::util::AlignedVec;

use crate::record::{FRAME_ALIGN, KeyHash, ShortBytes, Wire, in_place};
use crate::state::Lookahead;
use crate::time::Timestamp;

use super::{Push, Signal};

/// Records of one half: as many as take about as long as memory does.
const HALF: usize = 16;

/// Appends a payload. A short one of a type whose payloads differ in length stands in front of padding.
#[inline(always)]
fn append<V: Wire + ?Sized>(bytes: &mut AlignedVec<FRAME_ALIGN>, payload: &[u8]) {
    match ShortBytes::of(payload) {
        Some(short) if V::LENGTH.is_none() => {
            bytes.extend_from_slice(&[0; ShortBytes::LENGTH_MAX]);
            let place = bytes.last_chunk_mut();
            short.write(place.expect("so many bytes were appended"));
        }
        _ => bytes.extend_from_slice(payload),
    }
}

/// One record in a half.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    length: usize,
    at: Timestamp,
    hash: KeyHash,
}

#[derive(Default)]
struct Half {
    bytes: AlignedVec<FRAME_ALIGN>,
    places: Vec<Place>,
    /// How many of them have gone on.
    gone: usize,
}

/// Some records of type `V`, held back.
pub(super) struct Stage<V: ?Sized> {
    filling: Half,
    waiting: Half,
    /// What goes on before all others: records, and the signal behind them.
    held: VecDeque<(Half, Option<Signal>)>,
    record: PhantomData<fn(&V)>,
}

impl<V: Wire + ?Sized> Stage<V> {
    pub(super) fn new() -> Self {
        Stage {
            filling: Half::default(),
            waiting: Half::default(),
            held: VecDeque::new(),
            record: PhantomData,
        }
    }

    /// Takes a record, has its state fetched, and lets others go on for it while `next` is ready.
    #[inline(always)]
    pub(super) fn push<D: Push<V>>(&mut self, next: &mut D, record: &V, at: Timestamp) {
        let hash = next.hash_ahead(record);
        next.prefetch(hash, Lookahead::Far);
        self.filling.add(record, at, hash);
        if self.filling.places.len() >= HALF {
            self.turn(next);
        }
    }

    /// Takes a record that goes on before all others, when the stage is drained.
    pub(super) fn hold<D: Push<V>>(&mut self, next: &D, record: &V, at: Timestamp) {
        let hash = next.hash_ahead(record);
        self.last_held().0.add(record, at, hash);
    }

    /// Takes a signal behind the records that go on before all others.
    pub(super) fn hold_signal(&mut self, signal: Signal) {
        self.last_held().1 = Some(signal);
    }

    fn last_held(&mut self) -> &mut (Half, Option<Signal>) {
        if self.held.back().is_none_or(|(_, signal)| signal.is_some()) {
            self.held.push_back((Half::default(), None));
        }
        self.held.back_mut().expect("there is one")
    }

    /// Lets go on what goes before all others, while `next` is ready; says whether all of it has.
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

    /// Lets the waiting half go on; if all of it has, the halves change places.
    #[inline(never)]
    fn turn<D: Push<V>>(&mut self, next: &mut D) {
        if self.waiting.go_on(next) {
            std::mem::swap(&mut self.filling, &mut self.waiting);
            for place in &self.waiting.places {
                next.prefetch(place.hash, Lookahead::Near);
            }
        }
    }

    /// Lets every record go on while `next` is ready; says whether none is left.
    pub(super) fn drain<D: Push<V>>(&mut self, next: &mut D) -> bool {
        if !self.held.is_empty() && !self.go_on_held(next) {
            return false;
        }
        for _ in 0..2 {
            if !self.waiting.go_on(next) {
                return false;
            }
            std::mem::swap(&mut self.filling, &mut self.waiting);
        }
        true
    }
}

impl Half {
    #[inline(always)]
    fn add<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let Half { bytes, places, .. } = self;
        let start = bytes.len().next_multiple_of(V::ALIGN);
        if start > bytes.len() {
            bytes.resize(start, 0);
        }
        let payload = record.as_bytes();
        append::<V>(bytes, payload);
        let length = payload.len();
        places.push(Place {
            start,
            length,
            at,
            hash,
        });
    }

    /// Pushes the records while `next` is ready; says whether all have gone. Called from several places, and
    /// not written out in any.
    #[inline(never)]
    fn go_on<V: Wire + ?Sized, D: Push<V>>(&mut self, next: &mut D) -> bool {
        while let Some(place) = self.places.get(self.gone) {
            if !next.ready() {
                return false;
            }
            self.gone += 1;
            let payload = &self.bytes[place.start..place.start + place.length];
            // SAFETY: `add` copied there what `as_bytes` of a `V` gave, from a multiple of its alignment on;
            // nothing has changed the bytes since.
            next.push_hashed(unsafe { in_place(payload) }, place.at, place.hash);
        }
        self.bytes.clear();
        self.places.clear();
        self.gone = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::recorder::Recorder;

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
