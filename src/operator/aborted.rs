//! The checkpoints whose barriers nobody waits for any more.

/// Checkpoints that were aborted, of those whose barriers may still come.
///
/// A list and not the last one alone: an earlier checkpoint may be under way still when a later one is aborted.
#[derive(Debug, Default)]
pub(crate) struct Aborted {
    checkpoints: Vec<u64>,
}

impl Aborted {
    /// A checkpoint was aborted.
    pub(crate) fn add(&mut self, checkpoint: u64) {
        self.checkpoints.push(checkpoint);
    }

    /// Whether a checkpoint was aborted.
    pub(crate) fn contains(&self, checkpoint: u64) -> bool {
        self.checkpoints.contains(&checkpoint)
    }

    /// No barrier up to this checkpoint's is of interest any more.
    pub(crate) fn forget_to(&mut self, checkpoint: u64) {
        self.checkpoints.retain(|aborted| *aborted > checkpoint);
    }
}
