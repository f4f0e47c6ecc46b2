//! Requests for checkpoints and savepoints, and what answers them.

/// What has ended, well or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The checkpoint with this number.
    Checkpoint(u64),
    /// The savepoint with this number: its checkpoint failed, or was copied, or could not be.
    Savepoint(u64),
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CheckpointRequest {
    /// A checkpoint: the first one with at least this number.
    Checkpoint(u64),
    /// The savepoint with this number, and no other.
    Savepoint(u64),
}

impl CheckpointRequest {
    /// Whether `answer` concludes it.
    pub(crate) fn is_met(self, answer: Answer) -> bool {
        match (self, answer) {
            (CheckpointRequest::Checkpoint(first), Answer::Checkpoint(number)) => first <= number,
            (CheckpointRequest::Savepoint(this), Answer::Savepoint(number)) => this == number,
            _ => false,
        }
    }
}

/// Why a job refuses to take a checkpoint or savepoint.
pub(crate) const NO_CHECKPOINTS: &str =
    "the job has no checkpoints: give its environment `.checkpoints(…)`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savepoint_is_answered_by_its_own_end_and_a_checkpoint_by_that_of_a_later_one() {
        let (checkpoint, savepoint) = (Answer::Checkpoint(7), Answer::Savepoint(7));
        assert!(!CheckpointRequest::Savepoint(7).is_met(checkpoint));
        assert!(CheckpointRequest::Savepoint(7).is_met(savepoint));
        assert!(!CheckpointRequest::Savepoint(8).is_met(savepoint));
        assert!(CheckpointRequest::Checkpoint(6).is_met(checkpoint));
        assert!(!CheckpointRequest::Checkpoint(6).is_met(savepoint));
        assert!(!CheckpointRequest::Checkpoint(8).is_met(checkpoint));
    }
}
