//! The reader of a run.
#![expect(unsafe_code, reason = "reads records in place")]

use std::marker::PhantomData;
use std::ops::Range;
use std::slice::ChunksExact;

use super::{Layout, Start, aux, of_aux};
use crate::record::form::in_place;
use crate::record::{FRAME_ALIGN, FormError, FrameHeader, FrameKind, Wire};
use crate::time::Timestamp;

/// The note of a record with a frame of its own.
const AT_THE_START: &[u8] = &[0; size_of::<Start>()];

/// The records of a run, in place.
#[derive(Debug)]
pub(crate) struct RunReader<'a, V: ?Sized> {
    /// The places if all records have one length, otherwise the records' bytes.
    records: &'a [u8],
    /// The notes if records differ in length.
    notes: &'a [u8],
    /// How many there are.
    len: usize,
    /// The layout of the places, or of the notes.
    layout: Layout,
    /// The timestamp of all records, if none has its own.
    time: Timestamp,
    record: PhantomData<fn(&V)>,
}

impl<'a, V: Wire + ?Sized> RunReader<'a, V> {
    /// The records of a frame that [holds some](super::holds_records).
    ///
    /// # Safety
    /// `payload` must start at a multiple of [`FRAME_ALIGN`]. It and the header must be, for the kind
    /// [`FrameKind::RUN`], what a [`RunWriter`](super::RunWriter) of this process collected from records of type `V` or
    /// what [`rest`](Self::rest) made of that; and otherwise what `as_bytes` of one record returned.
    #[inline(always)]
    pub(crate) unsafe fn new(header: FrameHeader, payload: &'a [u8]) -> Self {
        const { assert!(V::ALIGN <= FRAME_ALIGN) };
        let (notes, timed) = of_aux(header);
        let layout = Layout::of::<V>(timed);
        let (records, notes, len) = if V::LENGTH.is_some() {
            (payload, AT_THE_START, payload.len() / layout.stride)
        } else if header.kind() == FrameKind::RECORD {
            (payload, AT_THE_START, 1)
        } else {
            let (records, notes_of_all) = payload.split_at(payload.len() - notes * layout.stride);
            (records, notes_of_all, notes)
        };
        RunReader {
            records,
            notes,
            len,
            layout,
            time: header.time,
            record: PhantomData,
        }
    }

    /// The records after the first `count`.
    #[inline(always)]
    pub(crate) fn after(self, count: usize) -> Self {
        let (mut records, mut notes) = (self.records, self.notes);
        if V::LENGTH.is_some() {
            records = &records[count * self.layout.stride..];
        } else {
            notes = &notes[..notes.len() - count * self.layout.stride];
        }
        RunReader {
            records,
            notes,
            len: self.len - count,
            ..self
        }
    }

    /// The same run, but with no records.
    #[inline(always)]
    pub(crate) fn none(&self) -> Self {
        RunReader { len: 0, ..*self }
    }

    /// The frame of the records after the first `count` of a run.
    pub(crate) fn rest(
        header: FrameHeader,
        payload: &'a [u8],
        count: usize,
    ) -> (FrameHeader, &'a [u8]) {
        let (notes, timed) = of_aux(header);
        let cut = count * Layout::of::<V>(timed).stride;
        let (aux, rest) = if V::LENGTH.is_some() {
            (header.aux(), &payload[cut..])
        } else {
            let end = payload.len() - cut;
            (aux(notes - count, timed), &payload[..end])
        };
        let header = FrameHeader::new(FrameKind::RUN, aux, rest.len() as u32, header.time);
        (header, rest)
    }

    /// How many records there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The records with these numbers, which must exist, and their timestamps.
    #[inline(always)]
    pub(crate) fn part(&self, numbers: Range<usize>) -> Records<'a, V> {
        let mut places = self.records.chunks_exact(1);
        if V::LENGTH.is_some() {
            let stride = self.layout.stride;
            let within = numbers.start * stride..numbers.end * stride;
            places = self.records[within].chunks_exact(stride);
        }
        Records {
            run: RunReader { ..*self },
            places,
            numbers,
        }
    }

    /// The record with number `index` and its timestamp, in a run whose records differ in length. Panics if there is
    /// none.
    #[inline(always)]
    fn noted(&self, index: usize) -> (&'a V, Timestamp) {
        assert!(index < self.len, "no record of this number");
        // SAFETY: the caller of `new` promised that the writer put this many records there, each where its note says.
        let (note, record) = unsafe {
            let note = self.note(index);
            let start = start_in(note).next_multiple_of(V::ALIGN);
            let end = if index + 1 < self.len {
                start_in(self.note(index + 1))
            } else {
                self.records.len()
            };
            (note, in_place(self.records.get_unchecked(start..end)))
        };
        let at = if self.layout.offset > 0 {
            time_in(&note[self.layout.offset..])
        } else {
            self.time
        };
        (record, at)
    }

    /// The note of the record with number `index`.
    ///
    /// # Safety
    /// There must be such a record.
    #[inline(always)]
    unsafe fn note(&self, index: usize) -> &'a [u8] {
        let stride = self.layout.stride;
        let start = self.notes.len() - (index + 1) * stride;
        // SAFETY: there is a note for every record.
        unsafe { self.notes.get_unchecked(start..start + stride) }
    }
}

/// Where the record with this note starts.
#[inline(always)]
fn start_in(note: &[u8]) -> usize {
    let start = note.first_chunk().map(|start| Start::from_ne_bytes(*start));
    usize::from(start.unwrap_or(0))
}

/// The timestamp at the start of some bytes.
#[inline(always)]
fn time_in(bytes: &[u8]) -> Timestamp {
    let time = bytes.first_chunk().map(|time| i64::from_ne_bytes(*time));
    time.map_or(Timestamp::MIN, Timestamp)
}

/// An iterator over records of a run and their timestamps.
#[derive(Debug)]
pub(crate) struct Records<'a, V: ?Sized> {
    run: RunReader<'a, V>,
    /// The places, if records have one length.
    places: ChunksExact<'a, u8>,
    /// Otherwise, the numbers of the records.
    numbers: Range<usize>,
}

impl<'a, V: Wire + ?Sized> Iterator for Records<'a, V> {
    type Item = (&'a V, Timestamp);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let Some(length) = V::LENGTH else {
            let index = self.numbers.next()?;
            return Some(self.run.noted(index));
        };
        let place = self.places.next()?;
        let offset = self.run.layout.offset;
        // SAFETY: the caller of `RunReader::new` promised that the writer put a `V` here; a place is as long as its
        // layout says.
        let record = unsafe { in_place(place.get_unchecked(offset..offset + length)) };
        let at = if offset > 0 {
            time_in(place)
        } else {
            self.run.time
        };
        Some((record, at))
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        match V::LENGTH {
            Some(_) => self.places.size_hint(),
            None => self.numbers.size_hint(),
        }
    }
}

impl<V: Wire + ?Sized> ExactSizeIterator for Records<'_, V> {}

/// Calls `visit` with the records of an untrusted run (read from a disk), after validating each. The payload must start
/// at a multiple of [`FRAME_ALIGN`].
pub(crate) fn visit_run<V: Wire + ?Sized>(
    header: FrameHeader,
    payload: &[u8],
    visit: &mut dyn FnMut(&V, Timestamp),
) -> Result<(), FormError> {
    match V::LENGTH {
        Some(length) => visit_places(length, header, payload, visit),
        None => visit_noted(header, payload, visit),
    }
}

fn malformed<V: ?Sized>(payload: &[u8]) -> FormError {
    FormError::new::<V>(payload, "not a run of such records")
}

/// Visits records of one length.
fn visit_places<V: Wire + ?Sized>(
    length: usize,
    header: FrameHeader,
    payload: &[u8],
    visit: &mut dyn FnMut(&V, Timestamp),
) -> Result<(), FormError> {
    let (notes, timed) = of_aux(header);
    let layout = Layout::of::<V>(timed);
    if notes > 0 || layout.stride == 0 || !payload.len().is_multiple_of(layout.stride) {
        return Err(malformed::<V>(payload));
    }
    for place in payload.chunks_exact(layout.stride) {
        let record = V::from_bytes(&place[layout.offset..][..length])?;
        let at = if timed { time_in(place) } else { header.time };
        visit(record, at);
    }
    Ok(())
}

/// Visits records with notes.
fn visit_noted<V: Wire + ?Sized>(
    header: FrameHeader,
    payload: &[u8],
    visit: &mut dyn FnMut(&V, Timestamp),
) -> Result<(), FormError> {
    let (count, timed) = of_aux(header);
    let size = Layout::of::<V>(timed).stride;
    let end = payload.len().checked_sub(count * size);
    let (records, notes) = payload.split_at(end.ok_or_else(|| malformed::<V>(payload))?);
    let mut notes = notes.rchunks_exact(size).peekable();
    while let Some(note) = notes.next() {
        let start = start_in(note).next_multiple_of(V::ALIGN);
        let end = notes.peek().map_or(records.len(), |next| start_in(next));
        let record = records.get(start..end);
        let record = V::from_bytes(record.ok_or_else(|| malformed::<V>(payload))?)?;
        let at = if timed {
            time_in(&note[size_of::<Start>()..])
        } else {
            header.time
        };
        visit(record, at);
    }
    Ok(())
}
