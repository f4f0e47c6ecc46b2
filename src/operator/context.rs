//! What an operator is given when it opens: where it runs and what it may register.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, StateRef};
use crate::metrics::MetricGroup;
use crate::record::{KeyGroupRange, KeyHash, KeyHasher};
use crate::ring::Waker;
use crate::time::Clock;

use super::committer::Committer;

/// Which subtask a chain is: Flink's `RuntimeContext`, the part that never changes.
#[derive(Clone, Debug)]
pub struct SubtaskInfo {
    /// The job's name.
    pub job: Arc<str>,
    /// The name of the vertex: its operators' names joined by arrows.
    pub vertex: Arc<str>,
    /// The subtask's index, from 0.
    pub index: u32,
    /// How many subtasks the vertex has.
    pub parallelism: u32,
    /// How many times the subtask was started before: 0 at first.
    pub attempt: u32,
}

/// What an operator is given when it opens.
#[derive(Clone, Debug)]
pub struct OpenContext {
    /// Which subtask this is.
    pub subtask: SubtaskInfo,
    /// Where metrics are registered.
    pub metrics: MetricGroup,
    /// Hashes keys under the job's key-group assignment.
    pub hasher: KeyHasher,
    /// The key groups whose state this subtask owns.
    pub key_groups: KeyGroupRange,
    /// Wakes the worker that runs this subtask, from any thread.
    pub waker: Option<Waker>,
    /// The job's clock, for the control plane only.
    pub clock: Clock,
    /// Whether checkpoints are taken, and from which one the job resumes.
    pub checkpointing: Checkpointing,
}

/// What an operator that opens needs to know of the job's checkpoints.
#[derive(Clone, Debug, Default)]
pub struct Checkpointing {
    /// Whether checkpoints are taken: state has to track its changes.
    pub enabled: bool,
    /// The number of the first checkpoint of this run, across attempts: lower numbers belong to
    /// other runs.
    pub first: u64,
    /// Tells the directory of this run's checkpoints from all others: numbers count within one.
    pub directory: Option<u64>,
    /// The checkpoint from which the job resumes.
    pub restored: Option<Restored>,
    /// Whether state in that checkpoint may be left unclaimed (Flink's `allowNonRestoredState`).
    pub allow_non_restored: bool,
    /// Runs the commits and slow writes of sinks, whether or not checkpoints are taken.
    pub committer: Committer,
}

impl OpenContext {
    /// The metrics of the operator called `name` in this subtask.
    #[must_use]
    pub fn operator_metrics(&self, name: &Arc<str>) -> MetricGroup {
        self.metrics.scoped(Arc::clone(name), self.subtask.index)
    }

    /// Returns whether the job resumes from a checkpoint (Flink 2.0's `isRestored`), even if that has no state of
    /// this operator.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.checkpointing.restored.is_some()
    }

    /// Returns this subtask's share of the entries that the restored checkpoint has for a state.
    #[must_use]
    pub fn restored_entries(&self, operator: &Arc<str>, state: &str) -> usize {
        let restored = self.checkpointing.restored.as_ref();
        restored.map_or(0, |restored| {
            let entries = restored.entry_count(&StateRef::new(operator, state));
            self.share_of_keys(usize::try_from(entries).unwrap_or(usize::MAX))
        })
    }

    /// Checks that the checkpoint has no state of an operator other than what is `taken`.
    ///
    /// # Errors
    /// [`CheckpointError::NotRestored`] if it has some, unless unclaimed state is allowed.
    pub fn check_restored(
        &self,
        operator: &Arc<str>,
        taken: impl Fn(&str) -> bool,
    ) -> Result<(), CheckpointError> {
        let checkpointing = &self.checkpointing;
        let Some(restored) = &checkpointing.restored else {
            return Ok(());
        };
        let mut states = restored.states(operator).into_iter();
        match states.find(|state| !taken(&state.name)) {
            Some(state) if !checkpointing.allow_non_restored => Err(CheckpointError::NotRestored {
                state: StateRef::new(operator, &state.name),
            }),
            _ => Ok(()),
        }
    }

    /// Returns the hashes of the keys whose state this subtask owns.
    #[must_use]
    pub fn hashes(&self) -> RangeInclusive<KeyHash> {
        self.hasher.max_parallelism().hashes(&self.key_groups)
    }

    /// Returns this subtask's share of `keys` keys.
    #[must_use]
    pub fn share_of_keys(&self, keys: usize) -> usize {
        let (own, all) = (
            self.key_groups.groups().len(),
            self.hasher.max_parallelism().get() as usize,
        );
        (keys as u128 * own as u128).div_ceil(all as u128) as usize
    }
}
