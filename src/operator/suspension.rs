//! Whether a job stops where it is (Flink's stop with a savepoint, without drain).

use super::Signal;

/// Begins with a barrier with which the job stops, and ends where that checkpoint is aborted: in between nothing is
/// read, no time passes and no watermark is sent.
#[derive(Debug, Default)]
pub(crate) struct Suspension(Option<u64>);

impl Suspension {
    /// Notes a signal that begins or ends it.
    pub(crate) fn note(&mut self, signal: Signal) {
        match signal {
            Signal::Barrier(barrier) if barrier.suspends() => self.0 = Some(barrier.checkpoint),
            Signal::CheckpointAborted(checkpoint) => {
                self.0.take_if(|by| *by == checkpoint);
            }
            _ => {}
        }
    }

    /// Whether the job stops.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }
}
