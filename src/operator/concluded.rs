//! Concluded checkpoints: nobody waits for their barriers or pieces any more.

/// Every checkpoint up to one, and later ones that were aborted.
///
/// Those are a list, not just the last one: an earlier checkpoint may still be in progress when a later one is aborted.
#[derive(Debug, Default)]
pub(crate) struct Concluded {
    last: u64,
    aborted: Vec<u64>,
}

impl Concluded {
    /// Returns the number up to which all checkpoints are concluded.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Returns whether a checkpoint is concluded.
    pub(crate) fn contains(&self, checkpoint: u64) -> bool {
        checkpoint <= self.last || self.aborted.contains(&checkpoint)
    }

    /// Records that a checkpoint was aborted.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        if !self.contains(checkpoint) {
            self.aborted.push(checkpoint);
        }
    }

    /// Records that a checkpoint, and with it every earlier one, is concluded.
    pub(crate) fn conclude(&mut self, checkpoint: u64) {
        self.last = self.last.max(checkpoint);
        self.aborted.retain(|aborted| *aborted > self.last);
    }
}
