//! Runs: records of one length, packed behind one another in one frame.
//!
//! A frame's header is as long as many a record. Where all records of an exchange have one length they
//! travel in *runs*: one header, then the records, each with its timestamp in front unless none of them
//! has one.
//!
//! ```text
//! plain   header │ record │ record │ record │ …                      aux = 0
//! timed   header │ time │ record │ time │ record │ …                 aux = 1
//! ```
//! A run is gathered by the sender in memory of its own, which stays in the nearest cache, and copied into
//! the ring as a whole: the lines that the receiver's core gives up are then written in one go.

use std::marker::PhantomData;

use super::form::{FormError, Wire, in_place};
use super::frame::{FRAME_ALIGN, FrameHeader, FrameKind, HEADER_SIZE};
use crate::time::Timestamp;

/// Where the records of a run stand.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// From a place to the record in it; its timestamp stands at the place itself.
    offset: usize,
    /// From one place to the next.
    stride: usize,
}

impl Layout {
    /// `length` and `align` are those of the record.
    const fn new(length: usize, align: usize, timed: bool) -> Self {
        let align = if align < size_of::<Timestamp>() {
            size_of::<Timestamp>()
        } else {
            align
        };
        if timed {
            Layout {
                offset: align,
                stride: (align + length).next_multiple_of(align),
            }
        } else {
            Layout {
                offset: 0,
                stride: length,
            }
        }
    }

    /// The timestamp at a place.
    #[inline(always)]
    fn time(self, place: &[u8]) -> Timestamp {
        match place.first_chunk() {
            Some(bytes) if self.offset > 0 => Timestamp(i64::from_ne_bytes(*bytes)),
            _ => Timestamp::MIN,
        }
    }
}

/// What `V` must have to travel in runs: one length.
pub(crate) const fn travels_in_runs<V: Wire + ?Sized>() -> bool {
    V::LENGTH.is_some()
}

/// A run that is being gathered, in memory of its own that is as long as a run may become.
#[derive(Debug, Default)]
pub(crate) struct RunWriter {
    bytes: Box<[u8]>,
    /// Bytes gathered: never more than there are.
    filled: usize,
    rooms: Rooms,
}

/// How many bytes records may fill, those without timestamps and those with: as many as there are for the
/// ones that the run is of, none for the others. So one comparison finds either reason to end the run.
#[derive(Debug, Default)]
struct Rooms {
    plain: usize,
    timed: usize,
}

impl RunWriter {
    /// Appends a record. Says `false`, and does nothing, if the run has to be [begun](Self::begin) anew for it:
    /// there is no room, or it is one of records with timestamps and this has none, or the other way round.
    #[inline(always)]
    pub(crate) fn push<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) -> bool {
        let payload = record.as_bytes();
        if is_timed(payload.len(), at) {
            self.put::<V>(payload, Some(at))
        } else {
            self.put::<V>(payload, None)
        }
    }

    /// Written out for records with timestamps and for those without: in each, all lengths are constants.
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "asks once for each record whether there is room"
    )]
    fn put<V: Wire + ?Sized>(&mut self, payload: &[u8], at: Option<Timestamp>) -> bool {
        let layout = Layout::new(payload.len(), V::ALIGN, at.is_some());
        let room = match at {
            None => self.rooms.plain,
            Some(_) => self.rooms.timed,
        };
        let end = self.filled + layout.stride;
        if end > room {
            return false;
        }
        // SAFETY: `end` is at most `room`, which is the number of bytes or zero, and no less than `filled`: both
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

    /// Bytes gathered.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// The frame of the run.
    pub(crate) fn frame(&self) -> (FrameHeader, &[u8]) {
        let aux = u32::from(self.rooms.timed > 0);
        let bytes = &self.bytes[..self.filled];
        let header = FrameHeader::new(FrameKind::RUN, aux, bytes.len() as u32, Timestamp::MIN);
        (header, bytes)
    }

    /// Forgets the records.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// Begins the next run, in the same memory: of records like the one of type `V` and timestamp `at`, and of at
    /// most `bytes` unless one record takes more.
    pub(crate) fn begin<V: Wire + ?Sized>(&mut self, bytes: usize, at: Timestamp) {
        self.clear();
        let bytes = bytes.max(place_max::<V>());
        if self.bytes.len() != bytes {
            self.bytes = vec![0; bytes].into_boxed_slice();
        }
        self.rooms = Rooms::default();
        if is_timed(V::LENGTH.unwrap_or(0), at) {
            self.rooms.timed = bytes;
        } else {
            self.rooms.plain = bytes;
        }
    }
}

/// Whether records of this length travel with their timestamps: one without bytes is counted by it.
#[inline(always)]
const fn is_timed(length: usize, at: Timestamp) -> bool {
    !at.is_none() || length == 0
}

/// What a record of a run takes at most.
const fn place_max<V: Wire + ?Sized>() -> usize {
    match V::LENGTH {
        Some(length) => Layout::new(length, V::ALIGN, true).stride,
        None => 0,
    }
}

/// What a ring must take at least in one frame: a run of one record.
pub(crate) const fn run_size_min<V: Wire + ?Sized>() -> usize {
    if travels_in_runs::<V>() {
        HEADER_SIZE + place_max::<V>()
    } else {
        0
    }
}

/// The records of a run, in place.
#[derive(Debug)]
pub(crate) struct RunReader<'a, V: ?Sized> {
    payload: &'a [u8],
    layout: Layout,
    length: usize,
    record: PhantomData<fn(&V)>,
}

impl<'a, V: Wire + ?Sized> RunReader<'a, V> {
    /// The records of a frame of kind [`FrameKind::RUN`].
    ///
    /// # Safety
    /// `payload` is what a [`RunWriter`] of this process gathered of records of type `V`, `timed` what its
    /// frame's `aux` says, and it starts at a multiple of [`FRAME_ALIGN`].
    #[inline(always)]
    #[expect(
        unsafe_code,
        reason = "the contract that every record of the run rests on"
    )]
    pub(crate) unsafe fn new(header: FrameHeader, payload: &'a [u8]) -> Self {
        const { assert!(V::ALIGN <= FRAME_ALIGN) };
        let length = V::LENGTH.unwrap_or(0);
        RunReader {
            payload,
            layout: Layout::new(length, V::ALIGN, header.aux() != 0),
            length,
            record: PhantomData,
        }
    }

    /// The records after the first `count`.
    #[inline(always)]
    pub(crate) fn after(self, count: usize) -> Self {
        RunReader {
            payload: &self.payload[count * self.layout.stride..],
            ..self
        }
    }

    /// As if there were no records.
    #[inline(always)]
    pub(crate) fn none(&self) -> Self {
        RunReader {
            payload: &[],
            ..*self
        }
    }

    /// The frame of the records after the first `count` of a run's.
    pub(crate) fn rest(
        header: FrameHeader,
        payload: &'a [u8],
        count: usize,
    ) -> (FrameHeader, &'a [u8]) {
        let layout = Layout::new(V::LENGTH.unwrap_or(0), V::ALIGN, header.aux() != 0);
        let rest = &payload[count * layout.stride..];
        let length = rest.len() as u32;
        (
            FrameHeader::new(FrameKind::RUN, header.aux(), length, header.time),
            rest,
        )
    }

    /// How many records there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.payload.len() / self.layout.stride
    }

    /// The first `count` records with their timestamps; there are so many.
    #[inline(always)]
    #[expect(unsafe_code, reason = "reads records in place")]
    pub(crate) fn first(&self, count: usize) -> impl ExactSizeIterator<Item = (&'a V, Timestamp)> {
        let (layout, length) = (self.layout, self.length);
        let places = self.payload[..count * layout.stride].chunks_exact(layout.stride);
        places.map(move |place| {
            // SAFETY: `new` was promised that the writer put a `V` here; a place is as long as its layout says.
            let record = unsafe {
                let bytes = place.get_unchecked(layout.offset..layout.offset + length);
                in_place(bytes)
            };
            (record, layout.time(place))
        })
    }

    /// The record of number `index`, if there are so many.
    #[inline(always)]
    #[expect(unsafe_code, reason = "reads a record in place")]
    pub(crate) fn record(&self, index: usize) -> &'a V {
        let start = index * self.layout.stride + self.layout.offset;
        let bytes = &self.payload[start..start + self.length];
        // SAFETY: `new` was promised that the writer put a `V` here, at a multiple of its alignment from
        // a start that is a multiple of 16.
        unsafe { in_place(bytes) }
    }

    /// The timestamp of the record of number `index`.
    #[inline(always)]
    pub(crate) fn time(&self, index: usize) -> Timestamp {
        self.layout
            .time(&self.payload[index * self.layout.stride..])
    }
}

/// Calls `visit` with the records of a run that nobody vouches for (read from a disk), after checking each. The
/// payload must start at a multiple of [`FRAME_ALIGN`].
pub(crate) fn visit_run<V: Wire + ?Sized>(
    header: FrameHeader,
    payload: &[u8],
    visit: &mut dyn FnMut(&V, Timestamp),
) -> Result<(), FormError> {
    let malformed = || FormError::new::<V>(payload, "not a run of such records");
    let length = V::LENGTH.ok_or_else(malformed)?;
    let layout = Layout::new(length, V::ALIGN, header.aux() != 0);
    if layout.stride == 0 || !payload.len().is_multiple_of(layout.stride) {
        return Err(malformed());
    }
    for place in payload.chunks_exact(layout.stride) {
        let record = V::from_bytes(&place[layout.offset..][..length])?;
        visit(record, layout.time(place));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Pod, Record};

    #[derive(Clone, Copy, PartialEq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
    #[repr(C)]
    struct Odd(u8, [u8; 2]);
    impl Record for Odd {
        type Form = Pod;
    }

    /// Payload bytes at the alignment that rings have.
    fn aligned(payload: &[u8]) -> rkyv::util::AlignedVec<FRAME_ALIGN> {
        let mut bytes = rkyv::util::AlignedVec::new();
        bytes.extend_from_slice(payload);
        bytes
    }

    #[expect(unsafe_code, reason = "the bytes were just gathered by a writer")]
    fn round_trip<V: Wire + Copy + PartialEq + std::fmt::Debug>(records: &[(V, i64)]) {
        let mut run = RunWriter::default();
        assert!(!run.push(&records[0].0, Timestamp(records[0].1)));
        run.begin::<V>(1024, Timestamp(records[0].1));
        for (record, at) in records {
            assert!(run.push(record, Timestamp(*at)));
        }
        let (header, payload) = run.frame();
        let payload = aligned(payload);
        // SAFETY: gathered above, of the same type, and aligned.
        let read = unsafe { RunReader::<V>::new(header, &payload) };
        assert_eq!(read.len(), records.len());
        for (index, (record, at)) in records.iter().enumerate() {
            assert_eq!((read.record(index), read.time(index).0), (record, *at));
        }
        let count = records.len() - 1;
        let first = read.first(count).map(|(record, at)| (*record, at.0));
        assert!(first.eq(records[..count].iter().copied()));
        let mut visited = Vec::new();
        let mut visit = |record: &V, at: Timestamp| visited.push((*record, at.0));
        visit_run::<V>(header, &payload, &mut visit).unwrap();
        assert_eq!(visited, records);
        let (header, rest) = RunReader::<V>::rest(header, &payload, 1);
        let rest = aligned(rest);
        visited.clear();
        let mut visit = |record: &V, at: Timestamp| visited.push((*record, at.0));
        visit_run::<V>(header, &rest, &mut visit).unwrap();
        assert_eq!(visited, records[1..]);
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let untimed = Timestamp::MIN.0;
        round_trip(&[(Odd(1, [2, 3]), 7), (Odd(4, [5, 6]), -8)]);
        round_trip(&[(Odd(1, [2, 3]), untimed), (Odd(4, [5, 6]), untimed)]);
        round_trip(&[([1u64, 2], 3), ([4, 5], 6)]);
        round_trip(&[(1u128, 3), (u128::MAX, 4)]);
        round_trip(&[(9u8, untimed), (8, untimed), (7, untimed)]);
        round_trip(&[([0u8; 0], untimed), ([], untimed)]);
    }

    #[test]
    fn a_run_that_is_cut_off_is_an_error() {
        let mut run = RunWriter::default();
        run.begin::<[u64; 2]>(1024, Timestamp(5));
        assert!(run.push(&[1u64, 2], Timestamp(5)));
        let (header, payload) = run.frame();
        let cut = aligned(&payload[..payload.len() - 1]);
        assert!(visit_run::<[u64; 2]>(header, &cut, &mut |_, _| {}).is_err());
        assert!(visit_run::<str>(header, payload, &mut |_, _| {}).is_err());
    }

    #[test]
    fn a_run_is_timed_or_it_is_not() {
        let mut run = RunWriter::default();
        run.begin::<u64>(1024, Timestamp(5));
        assert!(!run.push(&2u64, Timestamp::MIN));
        assert!(run.push(&1u64, Timestamp(5)));
        assert!(!run.push(&2u64, Timestamp::MIN));
        run.begin::<u64>(1024, Timestamp::MIN);
        assert!(!run.push(&3u64, Timestamp(5)));
        assert!(run.push(&2u64, Timestamp::MIN));
        assert!(!run.push(&3u64, Timestamp(5)));
    }

    #[test]
    fn a_run_has_room_for_what_it_began_with_or_for_one_record() {
        let mut run = RunWriter::default();
        for (at, room) in [(Timestamp::MIN, 5), (Timestamp(1), 2)] {
            run.begin::<u64>(40, at);
            let pushed = (0..9u64).take_while(|n| run.push(n, at)).count();
            assert_eq!(pushed, room);
        }
        run.begin::<[u64; 8]>(40, Timestamp(1));
        assert!(run.push(&[1u64; 8], Timestamp(1)));
        assert!(!run.push(&[1u64; 8], Timestamp(1)));
    }
}
