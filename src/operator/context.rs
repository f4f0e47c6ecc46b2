//! What an operator learns when it opens: where it runs and what it may register.

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
    /// How often the subtask was started before: 0 at first.
    pub attempt: u32,
}

/// What an operator learns when it opens.
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
    /// Whether checkpoints are taken, and which one the job goes on from.
    pub checkpointing: Checkpointing,
}

/// What a job's checkpoints mean for an operator that opens.
#[derive(Clone, Debug, Default)]
pub struct Checkpointing {
    /// Whether checkpoints are taken: state has to track its changes.
    pub enabled: bool,
    /// The number of the first checkpoint of this run, whatever attempt takes it: the numbers below it are those of
    /// other runs.
    pub first: u64,
    /// The checkpoint that the job goes on from.
    pub restored: Option<Restored>,
    /// Whether state of that checkpoint may be left behind that no operator takes.
    pub allow_non_restored: bool,
    /// Who does the commits and the slow writes of sinks, whether or not checkpoints are taken.
    pub committer: Committer,
}

impl OpenContext {
    /// The metrics of the operator called `name` in this subtask.
    #[must_use]
    pub fn operator_metrics(&self, name: &Arc<str>) -> MetricGroup {
        self.metrics.scoped(Arc::clone(name), self.subtask.index)
    }

    /// Whether the job goes on from a checkpoint (Flink 2.0's `isRestored`): whether or not it has state of
    /// this operator.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.checkpointing.restored.is_some()
    }

    /// This subtask's share of the entries that the checkpoint which the job goes on from has of a state.
    #[must_use]
    pub fn restored_entries(&self, operator: &Arc<str>, state: &str) -> usize {
        let restored = self.checkpointing.restored.as_ref();
        restored.map_or(0, |restored| {
            let entries = restored.entry_count(&StateRef::new(operator, state));
            self.share_of_keys(usize::try_from(entries).unwrap_or(usize::MAX))
        })
    }

    /// Looks for state of an operator that the checkpoint has and that is not `taken`.
    ///
    /// # Errors
    /// [`CheckpointError::NotRestored`] if there is some and it may not be left behind.
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

    /// The hashes of the keys whose state this subtask owns.
    #[must_use]
    pub fn hashes(&self) -> RangeInclusive<KeyHash> {
        self.hasher.max_parallelism().hashes(&self.key_groups)
    }

    /// This subtask's share of so many keys.
    #[must_use]
    pub fn share_of_keys(&self, keys: usize) -> usize {
        let (own, all) = (
            self.key_groups.groups().len(),
            self.hasher.max_parallelism().get() as usize,
        );
        (keys as u128 * own as u128).div_ceil(all as u128) as usize
    }
}
