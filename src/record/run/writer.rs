//! The writer of a run.
#![expect(
    unsafe_code,
    reason = "asks once for each record whether there is room"
)]

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

/// A run being collected, in memory of its own.
#[derive(Debug, Default)]
pub(crate) struct RunWriter {
    /// Filled by runs of records of one length. Other records fill the first half, and their notes the second half,
    /// from the end down.
    bytes: Box<[u8]>,
    /// Bytes of records collected: never more than the room.
    filled: usize,
    rooms: Rooms,
    /// From the end of the room to the end of `bytes`: a note takes its bytes from both.
    above: usize,
}

/// How many bytes records without and with timestamps may fill: the room for the kind of which the run is, zero for the
/// other. So one comparison detects either reason to end the run.
#[derive(Debug, Default)]
struct Rooms {
    plain: usize,
    timed: usize,
}

impl Rooms {
    #[inline(always)]
    fn of(&mut self, timed: bool) -> &mut usize {
        if timed {
            &mut self.timed
        } else {
            &mut self.plain
        }
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
        let room = *self.rooms.of(at.is_some());
        let end = self.filled + layout.stride;
        if end > room {
            return false;
        }
        // SAFETY: `end` is at most `room`, which is at most the number of bytes, and no less than `filled`: both terms
        // of the sum are lengths of something in memory, so it did not overflow.
        let place = unsafe { self.bytes.get_unchecked_mut(self.filled..end) };
        if let Some(at) = at {
            if layout.stride > size_of::<Timestamp>() + payload.len() {
                place.fill(0);
            }
            place[..size_of::<Timestamp>()].copy_from_slice(&at.0.to_ne_bytes());
        }
        place[layout.offset..layout.offset + payload.len()].copy_from_slice(payload);
        self.filled = end;
        true
    }

    /// Appends a record, and its note.
    #[inline(always)]
    fn put_with_note<V: Wire + ?Sized>(&mut self, payload: &[u8], at: Option<Timestamp>) -> bool {
        let note_size = Layout::notes(at.is_some()).stride;
        let room = *self.rooms.of(at.is_some());
        let before = self.filled;
        let start = before.next_multiple_of(V::ALIGN);
        let end = start + payload.len();
        if end + SLACK + note_size > room {
            return false;
        }
        let room_left = room - note_size;
        let note = room_left + self.above;
        // SAFETY: the room and `above` add up to at most the number of bytes, of which the note takes the last ones; a
        // record and the slack behind it end within the room. No sum has overflowed: its terms are lengths of things in
        // memory.
        unsafe {
            if V::ALIGN > 1 {
                let padding = self.bytes.get_unchecked_mut(before..before + SLACK);
                padding.fill(0);
            }
            let place = self.bytes.get_unchecked_mut(start..end + SLACK);
            match (ShortBytes::of(payload), place.first_chunk_mut()) {
                (Some(short), Some(place)) => short.write(place),
                _ => place
                    .get_unchecked_mut(..payload.len())
                    .copy_from_slice(payload),
            }
            let note = self.bytes.get_unchecked_mut(note..note + note_size);
            note[..size_of::<Start>()].copy_from_slice(&(before as Start).to_ne_bytes());
            if let Some(at) = at {
                note[size_of::<Start>()..].copy_from_slice(&at.0.to_ne_bytes());
            }
        }
        *self.rooms.of(at.is_some()) = room_left;
        self.filled = end;
        true
    }

    /// Whether nothing has been collected.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0 && self.noted() == self.bytes.len()
    }

    /// The offset of the last note.
    #[inline(always)]
    fn noted(&self) -> usize {
        self.rooms.plain + self.rooms.timed + self.above
    }

    /// Ends the run and returns its frame; the writer is empty afterwards.
    pub(crate) fn end(&mut self) -> (FrameHeader, &[u8]) {
        let timed = self.rooms.timed > 0;
        let noted = self.noted();
        let notes = self.bytes.len() - noted;
        self.bytes.copy_within(noted.., self.filled);
        let length = self.filled + notes;
        let aux = aux(notes / Layout::notes(timed).stride, timed);
        (self.filled, self.above) = (0, self.bytes.len());
        self.rooms = Rooms::default();
        let header = FrameHeader::new(FrameKind::RUN, aux, length as u32, Timestamp::MIN);
        (header, &self.bytes[..length])
    }

    /// Begins the next run, in the same memory, for records like this one, which is not appended. The run is about
    /// `usual` bytes long. Returns `false` if this record should have a frame of its own. A frame must have room for a
    /// payload of four times `usual`.
    pub(crate) fn begin<V: Wire + ?Sized>(
        &mut self,
        record: &V,
        at: Timestamp,
        usual: usize,
    ) -> bool {
        debug_assert!(self.is_empty());
        let (length, timed) = (record.as_bytes().len(), is_timed::<V>(at));
        let (max, size, memory);
        if V::LENGTH.is_some() {
            max = (LONGEST * usual).max(place_max::<V>());
            size = Layout::of::<V>(timed).stride;
            memory = max;
        } else {
            max = (LONGEST * usual).min(usize::from(Start::MAX));
            size = length.next_multiple_of(V::ALIGN) + Layout::of::<V>(timed).stride;
            memory = 2 * max;
            let is_long = size.saturating_mul(RECORDS_MIN) > max;
            if is_long || size + SLACK > max {
                return false;
            }
        }
        if self.bytes.len() != memory {
            self.bytes = vec![0; memory].into_boxed_slice();
        }
        let room = size.saturating_mul(RECORDS_USUAL).max(usual).min(max);
        *self.rooms.of(timed) = room;
        self.above = memory - room;
        true
    }
}
