//! Records that have frames of their own, pushed some at a time.
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use std::mem::MaybeUninit;

use crate::operator::{Lookahead, Push, RecordRun, on_stack};
use crate::record::{FrameKind, Wire, in_place};
use crate::ring::{Frame, Frames};
use crate::time::Timestamp;

/// How many records are gathered: several times as many as lie between one that is looked at and one that is pushed,
/// because those in between are gathered again.
const GATHERED: usize = 256;

const FAR: usize = Lookahead::Far.distance();

/// Pushes records of frames that follow one another, at most so many, while `next` is ready; says how many. The
/// frames are not taken.
///
/// # Safety
/// The record frames that come next hold what `as_bytes` of a `V` gave.
#[inline(always)]
pub(super) unsafe fn push_frames<'a, V: Wire + ?Sized, D: Push<V>>(
    frames: &Frames<'a>,
    next: &mut D,
    wanted: usize,
) -> usize {
    let record = |frame: Frame<'a>| {
        // SAFETY: the caller's promise.
        let record = unsafe { in_place::<V>(frame.payload) };
        (record, frame.header.time)
    };
    let is_record = |frame: &Frame<'a>| frame.header.kind() == FrameKind::RECORD;
    let upcoming = frames.upcoming().take_while(is_record).map(record);
    let mut gathered = [const { MaybeUninit::uninit() }; GATHERED];
    let mut found = 0;
    for (place, record) in gathered.iter_mut().zip(upcoming) {
        place.write(record);
        found += 1;
    }
    // SAFETY: so many have been written, from the first one on.
    let records = unsafe { std::slice::from_raw_parts(gathered.as_ptr().cast(), found) };
    // Where there may be more behind them, the last ones are looked at only: pushed, the ones behind would be
    // looked at when it is too late.
    let len = if found == GATHERED {
        GATHERED - FAR
    } else {
        found
    };
    let wanted = wanted.min(len);
    on_stack(next, |next| {
        next.push_run(&Gathered { records, len }, wanted)
    })
}

/// Records of frames that follow one another, gathered so that the chain can look ahead.
struct Gathered<'a, V: ?Sized> {
    records: &'a [(&'a V, Timestamp)],
    /// How many of them may be pushed.
    len: usize,
}

impl<V: ?Sized> RecordRun<V> for Gathered<'_, V> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn record(&self, index: usize) -> &V {
        self.records[index].0
    }

    #[inline(always)]
    fn time(&self, index: usize) -> Timestamp {
        self.records[index].1
    }

    #[inline(always)]
    fn known(&self) -> usize {
        self.records.len()
    }
}
