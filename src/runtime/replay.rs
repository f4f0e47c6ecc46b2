//! Replay: feeds the in-flight data of a checkpoint to a gate again, through a ring of its own.
//!
//! So the gate reads it like everything else.

use crate::checkpoint::CheckpointError;
use crate::operator::{ChannelState, FrameLog, OpenContext, RECEIVED, Route, Target, replay};
use crate::record::{Wire, frame_size};
use crate::ring::{Consumer, RingOptions, ring};
use crate::seeded_bugs::seeded;

use super::channels::Channels;

/// What a receiver of an exchange needs to restore channel state.
pub(crate) struct Restoring<V: ?Sized> {
    pub(crate) channels: Channels,
    /// The route of the first sender, which redistributes records when the parallelism has changed.
    pub(crate) route: Box<dyn Route<V>>,
}

impl<V: Wire + ?Sized> Restoring<V> {
    /// The ring to read first; `None` if nothing was in flight to this receiver.
    pub(crate) fn replay(&mut self, cx: &OpenContext) -> Result<Option<Consumer>, CheckpointError> {
        let Some(restored) = &cx.checkpointing.restored else {
            return Ok(None);
        };
        let receiver = cx.subtask.index;
        let (channels, route) = (&self.channels, &mut self.route);
        let log = replay::<V>(
            &channels.edge,
            restored,
            &|channel| !channels.has(channel) || channel.receiver == receiver,
            &mut |channel, record| {
                let is_mine = channels.has(channel) || seeded("in-flight-not-dealt");
                is_mine || route.target(record) == Target::One(receiver as usize)
            },
        )?;
        Ok((!log.is_empty()).then(|| ring_of(&log)))
    }

    /// The state that holds what this receiver has not read.
    pub(crate) fn received(&self) -> ChannelState {
        ChannelState::of::<V>(&self.channels.edge, RECEIVED)
    }
}

/// Makes a ring that contains all frames of a log.
fn ring_of(log: &FrameLog) -> Consumer {
    let sizes = || log.frames().map(|(_, payload)| frame_size(payload.len()));
    let largest = sizes().max().unwrap_or(0);
    let capacity = sizes().sum::<usize>().max(4 * largest);
    let (mut producer, consumer) = ring(RingOptions::new().capacity(capacity));
    for (header, payload) in log.frames() {
        producer
            .push(header.kind(), header.aux(), header.time, payload)
            .expect("the ring is as large as all frames");
    }
    producer.publish();
    consumer
}
