//! The writer of a run.
#![expect(
    unsafe_code,
    reason = "asks once for each record whether there is room"
)]

use super::{Layout, Start, aux, is_timed, place_max};
use crate::record::{FrameHeader, FrameKind, ShortBytes, Wire};
use crate::time::Timestamp;

/// A run has room for so many records like its first one, within [`LONGEST`]: who reads them looks ahead among them.
const RECORDS_USUAL: usize = 64;

/// How many times as long as usual a run may become for that.
const LONGEST: usize = 4;

/// Where not even so many records would fit, one has a frame of its own.
const RECORDS_MIN: usize = 32;

/// A short record is written with zeros behind it.
const SLACK: usize = ShortBytes::LENGTH_MAX;

/// A run that is being gathered, in memory of its own.
#[derive(Debug, Default)]
pub(crate) struct RunWriter {
    /// What runs of records of one length fill. Others fill the first half, and their notes, from the end down, the
    /// second one.
    bytes: Box<[u8]>,
    /// Bytes of records gathered: never more than the room.
    filled: usize,
    rooms: Rooms,
    /// From the end of the room to the end of `bytes`: a note takes its bytes from both.
    above: usize,
}

/// How many bytes records may fill, those without timestamps and those with: as many as there are for the
/// ones that the run is of, none for the others. So one comparison finds either reason to end the run.
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
    /// Appends a record. Says `false`, and does nothing, if the run has to be [begun](Self::begin) anew for it:
    /// there is no room, or it is one of records with timestamps and this has none, or the other way round.
    #[inline(always)]
    pub(crate) fn push<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> bool {
        let payload = record.as_bytes();
        // Written out for records with timestamps and for those without: in each, what can be is a constant.
        match (V::LENGTH, is_timed::<V>(at)) {
            (Some(_), false) => self.put::<V>(payload, None),
            (Some(_), true) => self.put::<V>(payload, Some(at)),
            (None, false) => self.put_with_note::<V>(payload, None),
            (None, true) => self.put_with_note::<V>(payload, Some(at)),
        }
    }

    /// Appends a record of the length that all have.
    #[inline(always)]
    fn put<V: Wire + ?Sized>(&mut self, payload: &[u8], at: Option<Timestamp>) -> bool {
        let layout = Layout::places(payload.len(), V::ALIGN, at.is_some());
        let room = *self.rooms.of(at.is_some());
        let end = self.filled + layout.stride;
        if end > room {
            return false;
        }
        // SAFETY: `end` is at most `room`, which is at most the number of bytes, and no less than `filled`: both
        // terms of the sum are lengths of something in memory, so that it did not overflow.
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
        // SAFETY: the room and `above` are together at most the number of bytes, of which the note takes the last
        // ones; a record and the slack behind it end within the room. No sum has overflowed: its terms are lengths of
        // things in memory.
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

    /// Whether nothing is gathered.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0 && self.noted() == self.bytes.len()
    }

    /// Where the last note stands.
    #[inline(always)]
    fn noted(&self) -> usize {
        self.rooms.plain + self.rooms.timed + self.above
    }

    /// Ends the run, gives its frame, and forgets it.
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

    /// Begins the next run, in the same memory, for records like this one, which is not appended. It becomes about
    /// as long as `usual` says, in bytes. Says `false` where this one should have a frame of its own: there must be
    /// room for a payload of four times `usual` in a frame.
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
