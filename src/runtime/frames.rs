//! Records that have frames of their own, pushed some at a time.
#![expect(unsafe_code, reason = "reads records in place in the rings' frames")]

use crate::operator::{Push, RecordRun, on_stack, push_run};
use crate::record::{FrameKind, Wire, in_place};
use crate::ring::{Frame, Frames};
use crate::time::Timestamp;

/// How many records are gathered: enough to look ahead among them.
const GATHERED: usize = 128;

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
    let mut upcoming = frames.upcoming().take_while(is_record).map(record);
    let Some(first) = upcoming.next() else {
        return 0;
    };
    let mut gathered = [first; GATHERED];
    let mut found = 1;
    let room = gathered.iter_mut().take(wanted).skip(1);
    for (place, record) in room.zip(upcoming) {
        *place = record;
        found += 1;
    }
    let run = Gathered(&gathered[..found]);
    on_stack(next, |next| push_run(next, &run, found))
}

/// Records of frames that follow one another, gathered so that the chain can look ahead.
struct Gathered<'a, V: ?Sized>(&'a [(&'a V, Timestamp)]);

impl<V: ?Sized> RecordRun<V> for Gathered<'_, V> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn record(&self, index: usize) -> &V {
        self.0[index].0
    }

    #[inline(always)]
    fn time(&self, index: usize) -> Timestamp {
        self.0[index].1
    }
}
