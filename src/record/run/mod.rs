//! Runs: consecutive records packed into one frame.
//!
//! A frame's header is as long as many records are. So records travel in *runs*: one header, then the records, each
//! preceded by its timestamp unless none of them has one.
//!
//! ```text
//! plain   header │ record │ record │ record │ …                      aux = 0
//! timed   header │ time │ record │ time │ record │ …                 aux = 1
//! ```
//! If records differ in length, there is a *note* for each, after all records and in reverse order: where the previous
//! record ends, and the timestamp, if there is one. The record begins there, or at the next multiple of its alignment.
//!
//! ```text
//! plain   header │ record 0 │ record 1 │ … │ end of 0 │ 0                        aux = 2 · records
//! timed   header │ record 0 │ record 1 │ … │ end of 0, time 1 │ 0, time 0        aux = 2 · records + 1
//! ```
//! So the part of a run that has been read can be cut off at its end, and a record of any number is found directly. A
//! record so long that only a few would fit into a run has a frame of its own; it is read as a run of one.
//!
//! The sender collects a run in the memory of the ring, where its frame will be. Only if there is no room it does so in
//! memory of its own, from which the run is copied. (If every run is copied, an exchange of 16-byte records takes up to
//! 8 % longer.)

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::{Records, RunReader, visit_run};
pub(crate) use writer::RunWriter;

use super::form::Wire;
use super::frame::{FrameHeader, FrameKind, HEADER_SIZE};
use crate::time::Timestamp;

/// The layout of a run's places, one per record, or of its notes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// From a place to the record in it (a timestamp is at the start of the place), or from a note to the timestamp in
    /// it. Zero if there are no timestamps.
    offset: usize,
    /// From one place or note to the next.
    stride: usize,
}

impl Layout {
    /// The places of records with this length and alignment.
    #[inline(always)]
    const fn places(length: usize, align: usize, timed: bool) -> Self {
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

    /// The notes of records that differ in length.
    #[inline(always)]
    const fn notes(timed: bool) -> Self {
        if timed {
            Layout {
                offset: size_of::<Start>(),
                stride: size_of::<Start>() + size_of::<Timestamp>(),
            }
        } else {
            Layout {
                offset: 0,
                stride: size_of::<Start>(),
            }
        }
    }

    /// The layout of a run of records of type `V`.
    #[inline(always)]
    const fn of<V: Wire + ?Sized>(timed: bool) -> Self {
        match V::LENGTH {
            Some(length) => Layout::places(length, V::ALIGN, timed),
            None => Layout::notes(timed),
        }
    }
}

/// The start of a record, as stored in a note.
type Start = u16;

/// The `aux` of a run: the number of notes, and whether records have timestamps.
const fn aux(notes: usize, timed: bool) -> u32 {
    (notes as u32) << 1 | timed as u32
}

/// The number of notes of a run, and whether its records have timestamps.
#[inline(always)]
const fn of_aux(header: FrameHeader) -> (usize, bool) {
    ((header.aux() >> 1) as usize, header.aux() & 1 != 0)
}

/// Whether such records are sent with their timestamps: records without bytes are counted by them, unless they have
/// notes.
#[inline(always)]
const fn is_timed<V: Wire + ?Sized>(at: Timestamp) -> bool {
    !at.is_none() || matches!(V::LENGTH, Some(0))
}

/// The maximum size of a record in a run, if all have one length.
const fn place_max<V: Wire + ?Sized>() -> usize {
    match V::LENGTH {
        Some(_) => Layout::of::<V>(true).stride,
        None => 0,
    }
}

/// The smallest frame that a ring must accept: a run of one record, if that cannot have a frame of its own.
pub(crate) const fn run_size_min<V: Wire + ?Sized>() -> usize {
    match V::LENGTH {
        Some(_) => HEADER_SIZE + place_max::<V>(),
        None => 0,
    }
}

/// Whether a frame of this kind holds records of type `V`: a run of them, or one that is too long for a run.
#[inline(always)]
pub(crate) const fn holds_records<V: Wire + ?Sized>(kind: FrameKind) -> bool {
    kind.as_u8() == FrameKind::RUN.as_u8()
        || (V::LENGTH.is_none() && kind.as_u8() == FrameKind::RECORD.as_u8())
}
