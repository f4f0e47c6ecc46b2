//! The writer of a run.
#![expect(
    unsafe_code,
    reason = "writes to memory of a ring, and asks once for each record whether there is room"
)]

use std::ptr::NonNull;
use std::slice;

use super::{Layout, Start, aux, is_timed, place_max};
use crate::record::{FrameHeader, FrameKind, ShortBytes, Wire};
use crate::time::Timestamp;

/// A run has room for this many records like its first one, within [`LONGEST`], because readers look ahead among them.
const RECORDS_USUAL: usize = 64;

/// By which factor a run may exceed its usual length for that.
const LONGEST: usize = 4;

/// If not even this many records fit, each has a frame of its own.
const RECORDS_MIN: usize = 32;

/// A short record is written together with trailing zeros.
const SLACK: usize = ShortBytes::LENGTH_MAX;

/// A run being collected, in memory of its own or in memory that was lent for it.
#[derive(Debug)]
pub(crate) struct RunWriter {
    /// Where the records go, and the notes at the end: the beginning of `own` or of what was lent. As many bytes belong
    /// to the run as it had room at first.
    place: NonNull<u8>,
    is_lent: bool,
    /// Not accessed but through `place`: a vector may be moved without that becoming invalid.
    own: Vec<u8>,
    /// Filled from the end down, if records differ in length.
    notes: Box<[u8]>,
    /// Bytes of records collected: never more than the room.
    filled: usize,
    rooms: Rooms,
    /// From the end of the room to the end of `notes`: a note takes its bytes from both.
    above: usize,
}

// SAFETY: `place` leads into `own` or into memory that nothing else uses until the run is ended, on any thread.
unsafe impl Send for RunWriter {}

impl Default for RunWriter {
    fn default() -> Self {
        RunWriter {
            place: NonNull::dangling(),
            is_lent: false,
            own: Vec::new(),
            notes: Box::default(),
            filled: 0,
            rooms: Rooms::default(),
            above: 0,
        }
    }
}

/// How many bytes records may fill: the room for the kind of which the run is, zero for all others. So one comparison
/// detects every reason to end the run.
#[derive(Debug, Default)]
struct Rooms {
    plain: usize,
    timed: usize,
    /// With notes.
    plain_noted: usize,
    timed_noted: usize,
}

impl Rooms {
    #[inline(always)]
    fn of<V: Wire + ?Sized>(&mut self, timed: bool) -> &mut usize {
        match (V::LENGTH.is_some(), timed) {
            (true, false) => &mut self.plain,
            (true, true) => &mut self.timed,
            (false, false) => &mut self.plain_noted,
            (false, true) => &mut self.timed_noted,
        }
    }

    fn are_timed(&self) -> bool {
        self.timed + self.timed_noted > 0
    }
}

/// A record of up to this many words is copied word by word.
const WORDS_MAX: usize = 8;

/// Copies a record: word by word, unless it is long. If it was just made of words, a copy in larger pieces would first
/// have to wait until all of them are in memory: ten or more cycles.
#[inline(always)]
fn copy_record(to: &mut [u8], from: &[u8]) {
    let (words, rest) = from.as_chunks::<{ size_of::<u64>() }>();
    if !rest.is_empty() || words.len() > WORDS_MAX {
        return to.copy_from_slice(from);
    }
    for (to, word) in to.as_chunks_mut().0.iter_mut().zip(words) {
        *to = *word;
    }
}

impl RunWriter {
    /// Appends a record. Returns `false`, and does nothing, if a new run has to be [begun](Self::begin) for it: there
    /// is no room, or the run's records have timestamps and this one has none, or vice versa.
    #[inline(always)]
    pub(crate) fn push<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> bool {
        let payload = record.as_bytes();
        // Separate code for records with and without timestamps, so that as much as possible is constant in each.
        match (V::LENGTH, is_timed::<V>(at)) {
            (Some(_), false) => self.put::<V>(payload, None),
            (Some(_), true) => self.put::<V>(payload, Some(at)),
            (None, false) => self.put_with_note::<V>(payload, None),
            (None, true) => self.put_with_note::<V>(payload, Some(at)),
        }
    }

    /// Appends a record of fixed length.
    #[inline(always)]
    fn put<V: Wire + ?Sized>(&mut self, payload: &[u8], at: Option<Timestamp>) -> bool {
        let layout = Layout::places(payload.len(), V::ALIGN, at.is_some());
        let room = *self.rooms.of::<V>(at.is_some());
        let end = self.filled + layout.stride;
        if end > room {
            return false;
        }
        // SAFETY: `end` is at most `room`, which is at most the number of bytes; both terms of the sum are lengths of
        // something in memory, so it did not overflow.
        let place = unsafe { self.bytes(self.filled, layout.stride) };
        if let Some(at) = at {
            if layout.stride > size_of::<Timestamp>() + payload.len() {
                place.fill(0);
            }
            place[..size_of::<Timestamp>()].copy_from_slice(&at.0.to_ne_bytes());
        }
        copy_record(&mut place[layout.offset..][..payload.len()], payload);
        self.filled = end;
        true
    }

    /// Appends a record, and its note.
    #[inline(always)]
    fn put_with_note<V: Wire + ?Sized>(&mut self, payload: &[u8], at: Option<Timestamp>) -> bool {
        let note_size = Layout::notes(at.is_some()).stride;
        let room = *self.rooms.of::<V>(at.is_some());
        let before = self.filled;
        let start = before.next_multiple_of(V::ALIGN);
        let end = start + payload.len();
        if end + SLACK + note_size > room {
            return false;
        }
        let room_left = room - note_size;
        let note = room_left + self.above;
        // SAFETY: the room and `above` add up to the bytes of notes that are left, of which this one takes the last; a
        // record and the slack behind it end within the room. No sum has overflowed: its terms are lengths of things in
        // memory.
        unsafe {
            if V::ALIGN > 1 {
                self.bytes(before, SLACK).fill(0);
            }
            let place = self.bytes(start, payload.len() + SLACK);
            match (ShortBytes::of(payload), place.first_chunk_mut()) {
                (Some(short), Some(place)) => short.write(place),
                _ => place
                    .get_unchecked_mut(..payload.len())
                    .copy_from_slice(payload),
            }
            let note = self.notes.get_unchecked_mut(note..note + note_size);
            note[..size_of::<Start>()].copy_from_slice(&(before as Start).to_ne_bytes());
            if let Some(at) = at {
                note[size_of::<Start>()..].copy_from_slice(&at.0.to_ne_bytes());
            }
        }
        *self.rooms.of::<V>(at.is_some()) = room_left;
        self.filled = end;
        true
    }

    /// Some bytes of the memory in which the run is collected.
    ///
    /// # Safety
    /// They must end within the room that the run had at first.
    #[inline(always)]
    unsafe fn bytes(&mut self, start: usize, length: usize) -> &mut [u8] {
        // SAFETY: so many bytes belong to the run, and all are initialised: those of `own` are, and those lent by the
        // promise of the lender.
        unsafe { slice::from_raw_parts_mut(self.place.add(start).as_ptr(), length) }
    }

    /// Whether nothing has been collected.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0 && self.noted() == self.notes.len()
    }

    /// Whether a run has been begun in memory that was lent for it, and has not been ended.
    #[inline(always)]
    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// The offset of the last note.
    #[inline(always)]
    fn noted(&self) -> usize {
        self.rooms.plain_noted + self.rooms.timed_noted + self.above
    }

    /// Ends the run and returns its frame; the writer is empty afterwards. If memory was lent for the run, the payload
    /// is at its beginning.
    pub(crate) fn end(&mut self) -> (FrameHeader, &[u8]) {
        let timed = self.rooms.are_timed();
        let noted = self.noted();
        let (records, notes) = (self.filled, self.notes.len() - noted);
        let length = records + notes;
        (self.filled, self.above) = (0, self.notes.len());
        self.rooms = Rooms::default();
        self.is_lent = false;
        // SAFETY: records and notes together had room.
        let payload = unsafe { slice::from_raw_parts_mut(self.place.as_ptr(), length) };
        payload[records..].copy_from_slice(&self.notes[noted..]);
        let aux = aux(notes / Layout::notes(timed).stride, timed);
        let header = FrameHeader::new(FrameKind::RUN, aux, length as u32, Timestamp::MIN);
        (header, payload)
    }

    /// Begins the next run, in memory of its own, for records like this one, which is not appended. The run is about
    /// `usual` bytes long. Returns `false` if this record should have a frame of its own. A frame must have room for a
    /// payload of four times `usual`.
    pub(crate) fn begin<V: Wire + ?Sized>(
        &mut self,
        record: &V,
        at: Timestamp,
        usual: usize,
    ) -> bool {
        // SAFETY: nothing is lent.
        unsafe { self.begin_in(record, at, usual, |_| None) }
    }

    /// Like [`begin`](Self::begin), but the run is collected in memory that `lend` lends for it, if it does. It is
    /// told how many bytes are needed.
    ///
    /// # Safety
    /// Memory that is lent must be initialised and have so many bytes, and nothing else may access them until the run
    /// is [ended](Self::end).
    pub(crate) unsafe fn begin_in<V: Wire + ?Sized>(
        &mut self,
        record: &V,
        at: Timestamp,
        usual: usize,
        lend: impl FnOnce(usize) -> Option<NonNull<u8>>,
    ) -> bool {
        debug_assert!(self.is_empty() && !self.is_lent);
        let (length, timed) = (record.as_bytes().len(), is_timed::<V>(at));
        let (max, size, notes);
        if V::LENGTH.is_some() {
            max = (LONGEST * usual).max(place_max::<V>());
            size = Layout::of::<V>(timed).stride;
            notes = 0;
        } else {
            max = (LONGEST * usual).min(usize::from(Start::MAX));
            size = length.next_multiple_of(V::ALIGN) + Layout::of::<V>(timed).stride;
            notes = max;
            let is_long = size.saturating_mul(RECORDS_MIN) > max;
            if is_long || size + SLACK > max {
                return false;
            }
        }
        if self.notes.len() != notes {
            self.notes = vec![0; notes].into_boxed_slice();
        }
        let room = size.saturating_mul(RECORDS_USUAL).max(usual).min(max);
        let lent = lend(room);
        self.is_lent = lent.is_some();
        self.place = lent.unwrap_or_else(|| self.own(max));
        self.rooms = Rooms::default();
        *self.rooms.of::<V>(timed) = room;
        self.above = notes.saturating_sub(room);
        true
    }

    /// Memory of its own, of at least `length` bytes.
    fn own(&mut self, length: usize) -> NonNull<u8> {
        if self.own.len() < length {
            self.own = vec![0; length];
        }
        NonNull::from(self.own.as_mut_slice()).cast()
    }
}
