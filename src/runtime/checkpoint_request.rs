//! Requests for checkpoints and savepoints, and what answers them.

/// Which checkpoint, and which savepoint, an answer is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) checkpoint: u64,
    /// The number of the savepoint.
    pub(super) savepoint: Option<u64>,
}

impl Answer {
    /// That of a savepoint for which no checkpoint was triggered.
    pub(super) fn of_savepoint(number: u64) -> Self {
        Answer {
            checkpoint: 0,
            savepoint: Some(number),
        }
    }
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
        match self {
            CheckpointRequest::Checkpoint(first) => first <= answer.checkpoint,
            CheckpointRequest::Savepoint(number) => answer.savepoint == Some(number),
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
        let periodic = Answer {
            checkpoint: 7,
            savepoint: None,
        };
        let savepoint = Answer {
            checkpoint: 6,
            savepoint: Some(1),
        };
        assert!(!CheckpointRequest::Savepoint(1).is_met(periodic));
        assert!(CheckpointRequest::Savepoint(1).is_met(savepoint));
        assert!(!CheckpointRequest::Savepoint(2).is_met(savepoint));
        assert!(CheckpointRequest::Checkpoint(6).is_met(periodic));
        assert!(!CheckpointRequest::Checkpoint(7).is_met(savepoint));
    }
}
