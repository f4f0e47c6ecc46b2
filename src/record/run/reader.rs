//! The reader of a run.
#![expect(unsafe_code, reason = "reads records in place")]

use std::marker::PhantomData;
use std::ops::Range;

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
        let left = numbers.len();
        assert!(numbers.end <= self.len, "no record of this number");
        let before = numbers.start * self.layout.stride;
        let (mut bytes, mut notes, mut start) = (self.records, self.notes, 0);
        if V::LENGTH.is_some() {
            bytes = &bytes[before..before + left * self.layout.stride];
        } else {
            notes = &notes[..notes.len() - before];
            // SAFETY: these are the notes of all records but the first ones.
            start = unsafe { start_of_last(notes, self.layout.stride) }.unwrap_or(bytes.len());
        }
        Records {
            bytes,
            notes,
            start,
            left,
            layout: self.layout,
            time: self.time,
            record: PhantomData,
        }
    }
}

/// Where the record with the last of these notes starts, if there are any.
///
/// # Safety
/// They must be whole notes, of this size.
#[inline(always)]
unsafe fn start_of_last(notes: &[u8], size: usize) -> Option<usize> {
    let last = notes.len().checked_sub(size)?;
    // SAFETY: as the caller promises, the last note is there, and it begins with a `Start`.
    Some(start_in(unsafe {
        notes.get_unchecked(last..).first_chunk().unwrap_unchecked()
    }))
}

/// Where the record whose note starts with these bytes starts.
#[inline(always)]
fn start_in(note: &[u8; size_of::<Start>()]) -> usize {
    usize::from(Start::from_ne_bytes(*note))
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
    /// The places of the records that are left, if all have one length, otherwise the bytes of all records of the run.
    bytes: &'a [u8],
    /// The notes of the next record and of all that follow it in the run, if records differ in length.
    notes: &'a [u8],
    /// Where the next record starts, if they do.
    start: usize,
    /// How many are left.
    left: usize,
    layout: Layout,
    time: Timestamp,
    record: PhantomData<fn(&V)>,
}

impl<'a, V: Wire + ?Sized> Iterator for Records<'a, V> {
    type Item = (&'a V, Timestamp);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let Layout { offset, stride } = self.layout;
        // SAFETY: the caller of `RunReader::new` promised that the writer put a place, or a note, for every record there,
        // and each record where its layout or its note says. One was left.
        unsafe {
            let (record, times) = if let Some(length) = V::LENGTH {
                let (place, places) = self.bytes.split_at_unchecked(stride);
                self.bytes = places;
                (place.get_unchecked(offset..offset + length), place)
            } else {
                let (notes, note) = self.notes.split_at_unchecked(self.notes.len() - stride);
                let end = start_of_last(notes, stride).unwrap_or(self.bytes.len());
                let start = self.start.next_multiple_of(V::ALIGN);
                (self.notes, self.start) = (notes, end);
                (
                    self.bytes.get_unchecked(start..end),
                    note.get_unchecked(offset..),
                )
            };
            let at = if offset > 0 {
                time_in(times)
            } else {
                self.time
            };
            Some((in_place(record), at))
        }
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
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
    let start = |note: &[u8]| note.first_chunk().map_or(0, start_in);
    let mut notes = notes.rchunks_exact(size).peekable();
    while let Some(note) = notes.next() {
        let end = notes.peek().map_or(records.len(), |next| start(next));
        let start = start(note).next_multiple_of(V::ALIGN);
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
