//! What a job is restored from: its directory of checkpoints, and the checkpoint, in that directory or elsewhere, that
//! it is restored from.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{
    CheckpointError, CheckpointStore, RealStorage, Restored, Storage, StoreOptions, open_savepoint,
};
use crate::graph::ExecutionGraph;
use crate::operator::{Edge, keeps_ends_only};
use crate::record::{KeyHasher, MaxParallelism};

use super::checkpoint_event::CheckpointEvent;
use super::checkpoints::{Checkpoints, Place, RestoreFrom};
use super::config::Config;
use super::error::JobError;

/// Where a job's checkpoints are kept, and what it is restored from.
pub(crate) struct Origin {
    pub(crate) store: Option<CheckpointStore>,
    pub(crate) restored: Option<Restored>,
    /// The number of key groups: the checkpoint's if the job is restored from one, else the job's.
    pub(crate) max_parallelism: MaxParallelism,
}

impl Origin {
    /// Opens the store and the checkpoint that `config` names, and checks that they fit the job.
    ///
    /// # Errors
    /// [`JobError::Store`] if the store cannot be opened, [`JobError::Restore`] if the checkpoint does not fit.
    pub(crate) fn find(
        config: &Config,
        job: &Arc<str>,
        graph: &ExecutionGraph,
        max_parallelism: MaxParallelism,
    ) -> Result<Self, JobError> {
        let hasher = KeyHasher::new(config.key_groups, max_parallelism);
        let failed = |cause| JobError::restore(job, cause);
        let checkpoints = config.checkpoints.as_ref();
        let mut store = checkpoints
            .map(|to| open_store(to, hasher))
            .transpose()
            .map_err(|cause| JobError::Store {
                job: Arc::clone(job),
                cause: Box::new(cause),
            })?;
        let restored = match (&config.restore, &mut store) {
            (RestoreFrom::Nothing, _) => None,
            (RestoreFrom::Latest, Some(store)) => store.restore_newest().map_err(failed)?,
            (RestoreFrom::Latest, None) => return Err(JobError::NoCheckpoints(Arc::clone(job))),
            (RestoreFrom::Path(path), _) => Some(open_path(path).map_err(failed)?),
            (RestoreFrom::Storage(storage), _) => Some(open_savepoint(&**storage).map_err(failed)?),
        };
        let mut max_parallelism = max_parallelism;
        if let Some(restored) = &restored {
            max_parallelism =
                groups_of(restored, config, graph, max_parallelism).map_err(failed)?;
            if let Some(store) = &mut store {
                store.set_hasher(KeyHasher::new(config.key_groups, max_parallelism));
            }
            check_graph(restored, graph, config.allow_non_restored).map_err(failed)?;
        }
        let origin = Origin {
            store,
            restored,
            max_parallelism,
        };
        if let Some(checkpoints) = checkpoints {
            JobError::or_panicked(job, || {
                origin.tell(job, checkpoints);
                Ok(())
            })?;
        }
        Ok(origin)
    }

    /// Tells the observer where the job starts from.
    fn tell(&self, job: &Arc<str>, checkpoints: &Checkpoints) {
        if let Some(restored) = &self.restored {
            return checkpoints.settings.tell_restored(restored);
        }
        if let Some(newest) = self.store.as_ref().and_then(CheckpointStore::newest) {
            tracing::warn!(
                job = %job, newest,
                "the directory has checkpoints of an earlier run, which the job's own will replace; \
                 `.restore(RestoreFrom::Latest)` goes on from them"
            );
            let event = CheckpointEvent::Replacing { newest };
            checkpoints.settings.tell(&event);
        }
    }

    /// The number of the first checkpoint of this run: after those in the directory, and after the one that the
    /// job is restored from, so that a number identifies one checkpoint of a job wherever it is kept.
    pub(crate) fn next_checkpoint(&self) -> u64 {
        let stored = self
            .store
            .as_ref()
            .map_or(1, CheckpointStore::next_checkpoint);
        let restored = self.restored.as_ref().map_or(0, Restored::checkpoint);
        stored.max(restored + 1)
    }
}

fn open_store(
    checkpoints: &Checkpoints,
    hasher: KeyHasher,
) -> Result<CheckpointStore, CheckpointError> {
    let storage: Arc<dyn Storage> = match &checkpoints.place {
        Place::Directory(directory) => {
            let created = RealStorage::create(directory);
            Arc::new(created.map_err(unopened(directory))?)
        }
        Place::Storage(storage) => Arc::clone(storage),
    };
    let options = StoreOptions {
        retained: checkpoints.retained,
        hasher,
        ..StoreOptions::default()
    };
    CheckpointStore::open(storage, options)
}

fn open_path(path: &Path) -> Result<Restored, CheckpointError> {
    open_savepoint(&RealStorage::existing(path).map_err(unopened(path))?)
}

fn unopened(directory: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let directory = directory.to_path_buf();
    move |cause| CheckpointError::Directory { directory, cause }
}

/// The number of key groups of a job that is restored from a checkpoint. Flink's rule: the checkpoint's is adopted
/// unless the job sets a different one, and it must be enough for every parallelism of the job.
fn groups_of(
    restored: &Restored,
    config: &Config,
    graph: &ExecutionGraph,
    wanted: MaxParallelism,
) -> Result<MaxParallelism, CheckpointError> {
    let Some(saved) = restored.max_parallelism() else {
        return Ok(wanted);
    };
    if let Some(assignment) = restored.assignment()
        && assignment != config.key_groups
    {
        return Err(CheckpointError::Assignment {
            saved: assignment,
            wanted: config.key_groups,
        });
    }
    if config.max_parallelism.is_some_and(|groups| groups != saved) {
        return Err(CheckpointError::MaxParallelism {
            saved,
            wanted: wanted.get(),
        });
    }
    let groups = MaxParallelism::new(saved).map_err(|_| CheckpointError::MaxParallelism {
        saved,
        wanted: wanted.get(),
    })?;
    let parallelism = graph.stream_graph().parallelism_max();
    let admitted = groups.admit(parallelism);
    admitted.map_err(|_| CheckpointError::TooFewKeyGroups { saved, parallelism })?;
    Ok(groups)
}

/// Checks that the job has every operator that has state in the checkpoint, and that the checkpoint's in-flight data
/// was partitioned in the same way as the job's edges partition.
fn check_graph(
    restored: &Restored,
    graph: &ExecutionGraph,
    allow_non_restored: bool,
) -> Result<(), CheckpointError> {
    let stream = graph.stream_graph();
    let mut uids: BTreeSet<Arc<str>> = stream.nodes().iter().map(|n| stream.uid(n.id)).collect();
    for exchange in graph.job_graph().exchanges() {
        let edge = stream.edge(exchange.node, exchange.partitioning);
        edge.check(restored)?;
        uids.insert(edge.uid);
    }
    let mut operators = restored.operators().into_iter();
    let is_missing = |uid: &Arc<str>| !uids.contains(uid) && !keeps_ends_only(restored, uid);
    match operators.find(is_missing) {
        Some(operator) if !allow_non_restored => {
            Err(Edge::gone(restored, &operator)
                .unwrap_or(CheckpointError::OperatorGone { operator }))
        }
        _ => Ok(()),
    }
}
