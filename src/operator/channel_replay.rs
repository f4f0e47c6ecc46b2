//! Channel replay: the order in which in-flight data is replayed.
//!
//! Before anything else, a receiver of a restored exchange gets one sequence of records and of the watermarks
//! that go with them:
//!
//! - For one channel, first what had been received and then what had been sent, in order.
//! - After rescaling, every record is routed again: each receiver goes through all of them in one order, with one and
//!   the same route, and takes those that are routed to it. A sender's channels are merged: signals went to all of its
//!   receivers, so counted back from the barrier they are the same in every channel, and records stay between the
//!   signals between which they were sent, however far each receiver had got.
//! - Among several senders, the one with the lowest watermark goes first. So no record becomes late that was not, and
//!   what was late for its original receiver is late again.

use std::collections::{BTreeMap, VecDeque};

use crate::checkpoint::{CheckpointError, Restored};
use crate::record::{FrameHeader, FrameKind, RunWriter, Wire};
use crate::seeded_bugs::seeded;
use crate::time::{TimeSignal, TimeSignals, Timestamp, Valve};

use super::Signal;
use super::channel_state::{ChannelId, ChannelState, FrameLog, InFlight, KNOWN, RECEIVED, SENT};
use super::edge::Edge;

/// The size of a run, in bytes.
const RUN_BYTES: usize = 4 * 1024;

/// Records that were in flight between two signals.
#[derive(Debug, Default)]
struct Records {
    log: FrameLog,
    run: RunWriter,
}

impl Records {
    fn add<V: Wire + ?Sized>(&mut self, record: &V, at: Timestamp) {
        if self.run.push(record, at) {
            return;
        }
        self.end_run();
        if self.run.begin(record, at, RUN_BYTES) {
            self.run.push(record, at);
        } else {
            let payload = record.as_bytes();
            let header = FrameHeader::new(FrameKind::RECORD, 0, payload.len() as u32, at);
            self.log.add(header, payload);
        }
    }

    fn end_run(&mut self) {
        if !self.run.is_empty() {
            let (header, payload) = self.run.end();
            self.log.add(header, payload);
        }
    }
}

/// What a receiver knew of a channel.
#[derive(Clone, Copy, Debug)]
struct Known {
    watermark: Timestamp,
    is_idle: bool,
}

/// One channel, or all channels of one sender: records between signals.
#[derive(Debug)]
struct Track {
    known: Known,
    /// Records, each with the signal that follows them; the last ones are followed by the barrier.
    parts: VecDeque<(FrameLog, Option<FrameHeader>)>,
    last: Records,
}

impl Track {
    fn new() -> Self {
        Track {
            known: Known {
                watermark: Timestamp::MIN,
                is_idle: false,
            },
            parts: VecDeque::new(),
            last: Records::default(),
        }
    }

    fn signal(&mut self, signal: FrameHeader) {
        if signal.aux() == KNOWN {
            match signal.kind() {
                FrameKind::WATERMARK => self.known.watermark = signal.time,
                _ => self.known.is_idle = true,
            }
            return;
        }
        self.end_part(Some(signal));
    }

    fn end_part(&mut self, signal: Option<FrameHeader>) {
        self.last.end_run();
        let records = std::mem::take(&mut self.last.log);
        self.parts.push_back((records, signal));
    }

    /// Adds what the same sender had in flight to another receiver: the last signals are the same.
    fn unite(&mut self, mut other: Track) {
        if other.parts.len() > self.parts.len() {
            std::mem::swap(self, &mut other);
        }
        let further = self.parts.len() - other.parts.len();
        for ((records, _), (more, _)) in self.parts.iter_mut().skip(further).zip(&other.parts) {
            records.append(more);
        }
    }
}

/// The tracks of channels, by sender and receiver.
#[derive(Default)]
struct Tracks(BTreeMap<(u32, u32), Track>);

impl Tracks {
    fn of(&mut self, channel: ChannelId) -> &mut Track {
        let place = (channel.sender, channel.receiver);
        self.0.entry(place).or_insert_with(Track::new)
    }

    /// Merges all of them into one sequence, after merging those of each sender.
    fn merged(self) -> FrameLog {
        let mut senders: BTreeMap<u32, Track> = BTreeMap::new();
        for ((sender, _), mut track) in self.0 {
            track.end_part(None);
            match senders.get_mut(&sender) {
                Some(united) => united.unite(track),
                None => {
                    senders.insert(sender, track);
                }
            }
        }
        merge(senders.into_values().collect())
    }
}

/// Returns everything that was in flight to one receiver of an edge, in one sequence: all that `takes`
/// accepts, asked for every record of every channel that is `wanted`.
pub(crate) fn replay<V: Wire + ?Sized>(
    edge: &Edge,
    restored: &Restored,
    wanted: &dyn Fn(ChannelId) -> bool,
    takes: &mut dyn FnMut(ChannelId, &V) -> bool,
) -> Result<FrameLog, CheckpointError> {
    let mut tracks = Tracks::default();
    for name in [RECEIVED, SENT] {
        let state = ChannelState::of::<V>(edge, name);
        state.restore::<V>(restored, &mut |channel, in_flight| {
            if !wanted(channel) {
                return;
            }
            let track = tracks.of(channel);
            match in_flight {
                InFlight::Record(record, at) if takes(channel, record) => {
                    track.last.add(record, at);
                }
                InFlight::Record(..) => {}
                InFlight::Signal(signal) => track.signal(signal),
            }
        })?;
    }
    Ok(tracks.merged())
}

/// Merges the channels of several senders, with one valve for all of their signals.
fn merge(mut tracks: Vec<Track>) -> FrameLog {
    let mut merged = FrameLog::default();
    if tracks.is_empty() {
        return merged;
    }
    let mut valve = Valve::new(tracks.len());
    for (channel, track) in tracks.iter().enumerate() {
        add_signals(
            &mut merged,
            valve.on_watermark(channel, track.known.watermark),
        );
        if track.known.is_idle {
            add_signals(&mut merged, valve.on_idle(channel));
        }
    }
    let watermark = |valve: &Valve, channel| valve.channel(channel).map(|(at, _)| at);
    while let Some(channel) = (0..tracks.len())
        .filter(|channel| !tracks[*channel].parts.is_empty())
        .min_by_key(|channel| {
            let order = watermark(&valve, *channel);
            order.filter(|_| !seeded("replayed-out-of-time"))
        })
    {
        let Some((records, signal)) = tracks[channel].parts.pop_front() else {
            break;
        };
        merged.append(&records);
        let Some(signal) = signal else { continue };
        let signals = match signal.kind() {
            FrameKind::WATERMARK => valve.on_watermark(channel, signal.time),
            FrameKind::IDLE => valve.on_idle(channel),
            _ => valve.on_active(channel),
        };
        add_signals(&mut merged, signals);
    }
    if valve.is_idle() {
        // What follows comes from channels that have not declared themselves idle.
        merged.add(
            FrameHeader::new(FrameKind::ACTIVE, 0, 0, Timestamp::MIN),
            &[],
        );
    }
    merged
}

/// Returns a signal's frame in such a sequence as a signal.
pub(crate) fn replayed_signal(header: FrameHeader) -> Signal {
    match header.kind() {
        FrameKind::WATERMARK => Signal::Watermark(header.time),
        FrameKind::IDLE => Signal::Idle,
        _ => Signal::Active,
    }
}

fn add_signals(log: &mut FrameLog, signals: TimeSignals) {
    for signal in signals {
        let (kind, at) = match signal {
            TimeSignal::Watermark(at) => (FrameKind::WATERMARK, at),
            TimeSignal::Idle => (FrameKind::IDLE, Timestamp::MIN),
            TimeSignal::Active => (FrameKind::ACTIVE, Timestamp::MIN),
        };
        log.add(FrameHeader::new(kind, 0, 0, at), &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark(at: i64) -> FrameHeader {
        FrameHeader::new(FrameKind::WATERMARK, 0, 0, Timestamp(at))
    }

    /// A channel with this watermark; positive numbers are records, negative ones watermarks.
    fn track(known: i64, frames: &[i64]) -> Track {
        let mut track = Track::new();
        track.known.watermark = Timestamp(known);
        for frame in frames {
            match u64::try_from(*frame) {
                Ok(record) => track.last.add(&record, Timestamp(*frame)),
                Err(_) => track.signal(watermark(-frame)),
            }
        }
        track.end_part(None);
        track
    }

    fn shown(log: &FrameLog) -> Vec<i64> {
        let frames = log.frames();
        frames
            .flat_map(|(header, payload)| match header.kind() {
                FrameKind::RUN => payload
                    .chunks_exact(16)
                    .map(|place| i64::from_ne_bytes(place[8..].try_into().unwrap()))
                    .collect(),
                _ => vec![-header.time.0],
            })
            .collect()
    }

    #[test]
    fn one_channel_comes_as_it_was() {
        assert_eq!(
            shown(&merge(vec![track(5, &[7, 8, -9, 10])])),
            [-5, 7, 8, -9, 10]
        );
        assert_eq!(shown(&merge(vec![])), [0; 0]);
    }

    #[test]
    fn records_to_several_receivers_stay_between_the_signals_of_their_sender() {
        let mut united = track(20, &[21, -30, 31]);
        united.unite(track(5, &[6, -10, 11, -20, 22, -30, 32]));
        united.unite(track(30, &[33]));
        assert_eq!(
            shown(&merge(vec![united])),
            [-5, 6, -10, 11, -20, 22, 21, -30, 32, 31, 33]
        );
    }

    #[test]
    fn sender_that_is_furthest_behind_goes_first() {
        let ahead = track(50, &[51, -60, 61]);
        let behind = track(10, &[11, -20, 21, -55, 56, -70, 71]);
        assert_eq!(
            shown(&merge(vec![ahead, behind])),
            [-10, 11, -20, 21, -50, 51, -55, 56, -60, 61, 71]
        );
    }
}
