//! The input log: what a gate had not read when a barrier overtook it.
//!
//! When a barrier is forwarded before every channel has delivered it, whatever a channel has in its ring, and whatever
//! arrives until its own barrier does, belongs to the checkpoint. It is copied from the ring without being consumed,
//! before it is read or while nothing can be read.

use crate::checkpoint::SnapshotOutput;
use crate::operator::{ChannelId, ChannelState, FrameLog};
use crate::record::{FrameKind, RunReader, Wire};
use crate::ring::{Consumer, Frame};
use crate::seeded_bugs::seeded;
use crate::time::Valve;

/// Copies what channels deliver before the barrier of one checkpoint.
#[derive(Debug)]
pub(super) struct InputLog {
    ids: Vec<ChannelId>,
    state: ChannelState,
    checkpoint: u64,
    lanes: Vec<Lane>,
    /// How many channels have not delivered the barrier yet.
    missing: usize,
}

#[derive(Debug, Default)]
struct Lane {
    is_missing: bool,
    /// The ring position up to which it is logged; 0 as long as nothing is.
    end: u64,
    log: FrameLog,
}

impl InputLog {
    /// Creates a log of these channels that is stored in `state`.
    pub(super) fn new(ids: Vec<ChannelId>, state: ChannelState) -> Self {
        InputLog {
            lanes: ids.iter().map(|_| Lane::default()).collect(),
            ids,
            state,
            checkpoint: 0,
            missing: 0,
        }
    }

    /// Starts a checkpoint whose barrier some channels have not delivered yet, with what `valve` knows of each channel.
    pub(super) fn begin(
        &mut self,
        checkpoint: u64,
        valve: &Valve,
        is_missing: impl Fn(usize) -> bool,
    ) {
        self.forget();
        self.checkpoint = checkpoint;
        for (channel, lane) in self.lanes.iter_mut().enumerate() {
            let mut log = FrameLog::default();
            if let Some((watermark, is_idle)) = valve.channel(channel) {
                log.add_known(watermark, is_idle);
            }
            if is_missing(channel) {
                self.missing += 1;
                (lane.is_missing, lane.log) = (true, log);
            } else {
                self.state.add(checkpoint, self.ids[channel], log);
            }
        }
    }

    fn forget(&mut self) {
        self.missing = 0;
        self.lanes.fill_with(Lane::default);
    }

    /// Discards the log of an aborted checkpoint.
    pub(super) fn abort(&mut self, checkpoint: u64) {
        self.state.abort(checkpoint);
        if checkpoint == self.checkpoint {
            self.forget();
        }
    }

    /// Whether any channel's barrier is still awaited.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.missing > 0
    }

    /// Up to where a channel may be read while its barrier is awaited: what is not logged yet must not be read.
    #[inline]
    pub(super) fn end(&self, channel: usize) -> Option<u64> {
        let lane = &self.lanes[channel];
        lane.is_missing.then_some(lane.end)
    }

    /// Logs a channel's data, up to its barrier or its end. The first `within` records of the next run have already
    /// been read.
    pub(super) fn add<V: Wire + ?Sized>(
        &mut self,
        channel: usize,
        consumer: &mut Consumer,
        within: usize,
    ) {
        let lane = &mut self.lanes[channel];
        if !lane.is_missing {
            return;
        }
        let mut within = if lane.end == 0 { within } else { 0 };
        let mut unread = consumer.unread(lane.end);
        while let Some(frame) = unread.next() {
            let found = match frame.header.kind() {
                FrameKind::END => true,
                FrameKind::BARRIER => frame.header.time.0.cast_unsigned() >= self.checkpoint,
                _ => false,
            };
            if found {
                lane.is_missing = false;
                let mut log = std::mem::take(&mut lane.log);
                if seeded("received-not-kept") {
                    log = FrameLog::default();
                }
                self.state.add(self.checkpoint, self.ids[channel], log);
                self.missing -= 1;
                return;
            }
            add_rest::<V>(&mut lane.log, frame, std::mem::take(&mut within));
        }
        lane.end = unread.position();
    }

    /// Writes what was logged for the checkpoint of `out`. Returns whether it is all written, which it is not while a
    /// barrier is awaited.
    pub(super) fn write(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        if self.checkpoint == out.checkpoint() && self.is_active() {
            return false;
        }
        self.state.write(out);
        true
    }
}

/// Logs a frame without its first `within` records.
fn add_rest<V: Wire + ?Sized>(log: &mut FrameLog, frame: Frame<'_>, within: usize) {
    if within == 0 || frame.header.kind() != FrameKind::RUN {
        return log.add(frame.header, frame.payload);
    }
    let (header, payload) = RunReader::<V>::rest(frame.header, frame.payload, within);
    log.add(header, payload);
}
