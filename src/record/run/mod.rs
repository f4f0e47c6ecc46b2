//! Runs: records packed behind one another in one frame.
//!
//! A frame's header is as long as many a record. So records travel in *runs*: one header, then the records, each with
//! its timestamp in front unless none of them has one.
//!
//! ```text
//! plain   header │ record │ record │ record │ …                      aux = 0
//! timed   header │ time │ record │ time │ record │ …                 aux = 1
//! ```
//! Where records differ in length there is a *note* for each, behind all records and in reverse order: where the
//! record before it ends, and its timestamp if it has one. The record begins there, or at the next multiple of its
//! alignment.
//!
//! ```text
//! plain   header │ record 0 │ record 1 │ … │ end of 0 │ 0                        aux = 2 · records
//! timed   header │ record 0 │ record 1 │ … │ end of 0, time 1 │ 0, time 0        aux = 2 · records + 1
//! ```
//! What has been read of a run can so be cut off from its end, and the record of any number is found at once. A
//! record that is so long that only a few would make a run has a frame of its own; it is read as a run of one.
//!
//! A run is gathered by the sender in memory of its own, which stays in the nearest cache, and copied into
//! the ring as a whole: the lines that the receiver's core gives up are then written in one go.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::{RunReader, visit_run};
pub(crate) use writer::RunWriter;

use super::form::Wire;
use super::frame::{FrameHeader, FrameKind, HEADER_SIZE};
use crate::time::Timestamp;

/// The places of a run, each of a record; or the notes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// From a place to the record in it, whose timestamp stands at the place itself; from a note to the timestamp in
    /// it. Zero where there are no timestamps.
    offset: usize,
    /// From one to the next.
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

    /// What a run of records of type `V` is made of.
    #[inline(always)]
    const fn of<V: Wire + ?Sized>(timed: bool) -> Self {
        match V::LENGTH {
            Some(length) => Layout::places(length, V::ALIGN, timed),
            None => Layout::notes(timed),
        }
    }
}

/// Where a record begins, as a note says it.
type Start = u16;

/// What the `aux` of a run says: how many notes there are, and whether records have timestamps.
const fn aux(notes: usize, timed: bool) -> u32 {
    (notes as u32) << 1 | timed as u32
}

/// How many notes a run has, and whether its records have timestamps.
#[inline(always)]
const fn of_aux(header: FrameHeader) -> (usize, bool) {
    ((header.aux() >> 1) as usize, header.aux() & 1 != 0)
}

/// Whether records of this length travel with their timestamps: one without bytes is counted by it, unless it has a
/// note.
#[inline(always)]
const fn is_timed<V: Wire + ?Sized>(at: Timestamp) -> bool {
    !at.is_none() || matches!(V::LENGTH, Some(0))
}

/// What a record of a run takes at most, where all have one length.
const fn place_max<V: Wire + ?Sized>() -> usize {
    match V::LENGTH {
        Some(_) => Layout::of::<V>(true).stride,
        None => 0,
    }
}

/// What a ring must take at least in one frame: a run of one record, where that cannot have a frame of its own.
pub(crate) const fn run_size_min<V: Wire + ?Sized>() -> usize {
    match V::LENGTH {
        Some(_) => HEADER_SIZE + place_max::<V>(),
        None => 0,
    }
}

/// Whether a frame of this kind holds records of type `V`: a run of them, or one that is too long for that.
#[inline(always)]
pub(crate) const fn holds_records<V: Wire + ?Sized>(kind: FrameKind) -> bool {
    kind.as_u8() == FrameKind::RUN.as_u8()
        || (V::LENGTH.is_none() && kind.as_u8() == FrameKind::RECORD.as_u8())
}
