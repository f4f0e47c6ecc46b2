//! Whether a job is being stopped where it is (Flink's stop with savepoint, without drain).

use super::Signal;

/// Begins with the barrier with which the job stops, and ends if that checkpoint is aborted: in between nothing is
/// read, no time passes and no watermark is sent.
#[derive(Debug, Default)]
pub(crate) struct Suspension(Option<u64>);

impl Suspension {
    /// Notes a signal that may begin or end it.
    pub(crate) fn note(&mut self, signal: Signal) {
        match signal {
            Signal::Barrier(barrier) if barrier.suspends() => self.0 = Some(barrier.checkpoint),
            Signal::CheckpointAborted(checkpoint) => {
                self.0.take_if(|by| *by == checkpoint);
            }
            _ => {}
        }
    }

    /// Returns whether the job is stopping.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }
}
