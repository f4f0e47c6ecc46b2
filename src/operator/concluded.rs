//! The checkpoints that are over: nobody waits for their barriers or their pieces any more.

/// Every checkpoint up to one, and later ones that were aborted.
///
/// Of those a list and not the last one alone: an earlier checkpoint may be under way still when a later one is aborted.
#[derive(Debug, Default)]
pub(crate) struct Concluded {
    last: u64,
    aborted: Vec<u64>,
}

impl Concluded {
    /// Up to this one all are over.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Whether a checkpoint is over.
    pub(crate) fn contains(&self, checkpoint: u64) -> bool {
        checkpoint <= self.last || self.aborted.contains(&checkpoint)
    }

    /// A checkpoint was aborted.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        if !self.contains(checkpoint) {
            self.aborted.push(checkpoint);
        }
    }

    /// A checkpoint is over, and with it all before it.
    pub(crate) fn conclude(&mut self, checkpoint: u64) {
        self.last = self.last.max(checkpoint);
        self.aborted.retain(|aborted| *aborted > self.last);
    }
}
