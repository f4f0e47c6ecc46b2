//! The states of a job and their transitions (Flink's `JobStatus`, with the transitions of its
//! default scheduler: a job that restarts goes from running to restarting without failing first).

/// The state of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JobStatus {
    /// Built, not yet running.
    Created,
    /// Its subtasks are running.
    Running,
    /// A subtask failed; the others are being closed, and all of them will restart from the last checkpoint.
    Restarting,
    /// A subtask failed for good; the others are being closed.
    Failing,
    /// Ended by a failure.
    Failed,
    /// Being cancelled.
    Cancelling,
    /// Cancelled.
    Canceled,
    /// All input was processed, or the job was stopped with a savepoint.
    Finished,
}

impl JobStatus {
    /// Whether this state is final.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            JobStatus::Failed | JobStatus::Canceled | JobStatus::Finished
        )
    }

    /// Whether `next` may follow this state.
    pub(super) fn leads_to(self, next: JobStatus) -> bool {
        use JobStatus::{
            Canceled, Cancelling, Created, Failed, Failing, Finished, Restarting, Running,
        };
        match self {
            Created => matches!(next, Running | Failing | Cancelling),
            Running => matches!(next, Finished | Restarting | Failing | Cancelling),
            Restarting => matches!(next, Running | Failing | Cancelling),
            Failing => matches!(next, Failed | Cancelling),
            Cancelling => matches!(next, Canceled | Failed),
            Failed | Canceled | Finished => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::JobStatus::{
        self, Canceled, Cancelling, Created, Failed, Failing, Finished, Restarting, Running,
    };

    const ALL: [JobStatus; 8] = [
        Created, Running, Restarting, Failing, Failed, Cancelling, Canceled, Finished,
    ];

    #[test]
    fn nothing_follows_a_terminal_state_and_every_other_one_can_be_cancelled() {
        for from in ALL {
            let follows = ALL.iter().any(|to| from.leads_to(*to));
            assert_eq!(follows, !from.is_terminal(), "{from:?}");
            let cancels = from.leads_to(Cancelling);
            assert_eq!(
                cancels,
                !from.is_terminal() && from != Cancelling,
                "{from:?}"
            );
        }
    }

    #[test]
    fn job_that_restarts_does_not_fail_first() {
        assert!(Running.leads_to(Restarting) && Restarting.leads_to(Running));
        assert!(!Failing.leads_to(Restarting) && !Restarting.leads_to(Finished));
    }
}
