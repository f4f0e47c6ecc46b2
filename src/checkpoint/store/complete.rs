//! Completes a checkpoint: builds its manifest and makes everything durable before the checkpoint counts.

use std::collections::BTreeMap;

use super::retention::aside_name;
use super::{CheckpointStore, Completed, Contents, Pending};
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::manifest::{
    Link, Manifest, ManifestState, OperatorInfo, SegmentInfo, manifest_name, sum,
};
use crate::checkpoint::piece::StateRef;
use crate::checkpoint::segment_writer::{SegmentWriter, remove_leftover, segment_name};
use crate::checkpoint::snapshot::StateReport;
use crate::checkpoint::storage::{Durability, Storage};
use crate::seeded_bugs::seeded;

/// What a checkpoint's own segment holds of each state and subtask.
type OwnLinks = BTreeMap<(StateRef, u32), Link>;

fn own_links(segment: &SegmentWriter, number: u64) -> OwnLinks {
    let mut links = OwnLinks::new();
    for block in segment.blocks() {
        let state = segment.states()[block.state as usize].clone();
        let link = links.entry((state, block.subtask)).or_insert(Link {
            segment: number,
            entries: 0,
            bytes: 0,
        });
        link.entries += block.count;
        link.bytes += block.length;
    }
    links
}

/// How many subtasks the state's operator has.
fn parallelism(operators: &[OperatorInfo], state: &StateRef) -> Option<u32> {
    let mut operators = operators.iter();
    let operator = operators.find(|operator| operator.uid == state.operator)?;
    Some(operator.parallelism)
}

impl CheckpointStore {
    /// Completes a checkpoint: it counts once this returns `Ok`.
    ///
    /// # Errors
    /// File errors, [`CheckpointError::NoParent`], [`CheckpointError::Inconsistent`] and
    /// [`CheckpointError::Incomplete`]. The checkpoint does not count then; everything else is unchanged, and the next
    /// one can be taken.
    pub fn complete(
        &mut self,
        mut pending: Pending,
        contents: Contents,
    ) -> Result<Completed, CheckpointError> {
        let (checkpoint, number) = (pending.checkpoint, pending.number);
        let mut manifest = match self.assemble(&pending, &contents) {
            Ok(manifest) => manifest,
            Err(error) => {
                pending.discard();
                return Err(error);
            }
        };
        let sealed = pending
            .segment
            .take()
            .map(|segment| segment.seal(Durability::Synced));
        let own = sealed.transpose()?.map(|sealed| sealed.info);
        manifest.segments = self.segments_of(&manifest, contents.parent, own);
        let bytes = manifest.encode();
        if seeded("old-checkpoint-overwritten") {
            let before = self.completed.keys().copied();
            before.for_each(|before| remove_leftover(&*self.storage, &manifest_name(before)));
        }
        if let Err(error) = self.publish(checkpoint, number, &bytes) {
            if own.is_some() {
                // The manifest may exist nevertheless.
                self.retention.discard_behind(segment_name(number));
            }
            return Err(error);
        }
        let own_length = own.map_or(0, |segment| segment.length);
        let completed = Completed {
            checkpoint,
            bytes_written: own_length + bytes.len() as u64,
            entries: manifest.entries(),
            bytes: manifest.bytes(),
        };
        self.last_length = own_length;
        // There was nothing to write.
        if let Some(old) = pending.old.take() {
            self.retention.discard(segment_name(old));
        }
        for report in contents.reports.iter().flat_map(|of| &of.states) {
            if let Some(hash) = report.hash_of_key {
                self.hashes.insert(report.state.clone(), hash);
            }
        }
        if let Some(unused) = self.folds.settle(&manifest) {
            self.retention.discard(segment_name(unused));
        }
        self.completed.insert(checkpoint, manifest);
        self.retire();
        Ok(completed)
    }

    /// The manifest, without its list of segments: the checkpoint's own is not sealed yet.
    fn assemble(
        &self,
        pending: &Pending,
        contents: &Contents,
    ) -> Result<Manifest, CheckpointError> {
        let checkpoint = pending.checkpoint;
        if pending.failed {
            return Err(CheckpointError::Incomplete { checkpoint });
        }
        if let Some(newest) = self.newest().filter(|newest| checkpoint <= *newest) {
            return Err(CheckpointError::NotNewer { checkpoint, newest });
        }
        let parent = contents
            .parent
            .map(|parent| self.manifest(parent))
            .transpose()?;
        let own = pending.segment.as_ref();
        let mut own = own
            .map(|segment| own_links(segment, pending.number))
            .unwrap_or_default();
        let mut states = BTreeMap::new();
        for of_subtask in &contents.reports {
            for report in &of_subtask.states {
                let subtask = of_subtask.subtask;
                let link = own.remove(&(report.state.clone(), subtask));
                self.add(&mut states, contents, parent, (subtask, report, link))?;
            }
        }
        if let Some(((state, subtask), _)) = own.pop_first() {
            let what = "does not report it as handed over";
            return Err(CheckpointError::Inconsistent {
                state,
                subtask,
                what,
            });
        }
        Ok(Manifest {
            checkpoint,
            is_savepoint: contents.is_savepoint,
            started_ms: contents.started_ms,
            completed_ms: contents.completed_ms,
            assignment: self.options.hasher.assignment(),
            max_parallelism: self.options.hasher.max_parallelism(),
            operators: contents.operators.clone(),
            segments: Vec::new(),
            states,
        })
    }

    /// Adds the chain of one subtask's part of a state.
    fn add(
        &self,
        states: &mut BTreeMap<StateRef, ManifestState>,
        contents: &Contents,
        parent: Option<&Manifest>,
        (subtask, report, link): (u32, &StateReport, Option<Link>),
    ) -> Result<(), CheckpointError> {
        let state = &report.state;
        let inconsistent = |what| CheckpointError::Inconsistent {
            state: state.clone(),
            subtask,
            what,
        };
        let operator = parallelism(&contents.operators, state);
        if operator.is_none() {
            return Err(inconsistent("its operator is not listed"));
        }
        let entry = states
            .entry(state.clone())
            .or_insert_with(|| ManifestState {
                schema: report.schema.clone(),
                live: 0,
                chains: BTreeMap::new(),
            });
        if entry.schema != report.schema {
            return Err(inconsistent("another subtask has it with another type"));
        }
        let before = parent.and_then(|parent| parent.states.get(state));
        let chain = before.and_then(|before| Some((before, before.chains.get(&subtask)?)));
        let mut links = match (report.is_whole, chain) {
            (true, _) => Vec::new(),
            (false, Some((before, _))) if before.schema != report.schema => {
                return Err(inconsistent(
                    "the changes are of another type than what they change",
                ));
            }
            (false, Some(_))
                if parent.map(|p| parallelism(&p.operators, state)) != Some(operator) =>
            {
                return Err(inconsistent(
                    "the changes are of another parallelism than what they change",
                ));
            }
            (false, Some((_, chain))) => self.folds.fold_chain(state, subtask, chain),
            (false, None) => {
                let state = state.clone();
                return Err(CheckpointError::NoParent { state, subtask });
            }
        };
        links.extend(link);
        let written = sum(links.iter().map(|link| link.entries));
        let live = report.entries.map_or(written, |live| live.min(written));
        entry.live = entry.live.saturating_add(live);
        match entry.chains.insert(subtask, links) {
            None => Ok(()),
            Some(_) => Err(inconsistent("reports it twice")),
        }
    }

    /// Every segment that the manifest's chains name.
    fn segments_of(
        &self,
        manifest: &Manifest,
        parent: Option<u64>,
        own: Option<SegmentInfo>,
    ) -> Vec<SegmentInfo> {
        let parent = parent.and_then(|parent| self.completed.get(&parent));
        let chains = manifest
            .states
            .values()
            .flat_map(|state| state.chains.values());
        let mut numbers: Vec<u64> = chains.flatten().map(|link| link.segment).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let find = |number| {
            let own = own.filter(|own| own.number == number);
            let fold = || self.folds.segment().filter(|fold| fold.number == number);
            let before = || parent?.segment(number).copied();
            let found = own.or_else(fold).or_else(before);
            found.expect("a link is to the checkpoint's own segment, its parent's, or a folded one")
        };
        numbers.into_iter().map(find).collect()
    }

    /// Writes the manifest under a temporary name, syncs it, renames it and syncs the directory.
    fn publish(
        &mut self,
        checkpoint: u64,
        number: u64,
        bytes: &[u8],
    ) -> Result<(), CheckpointError> {
        let (aside, name) = (aside_name(number), manifest_name(checkpoint));
        let result = write_manifest(&*self.storage, &aside, &name, bytes);
        if result.is_err() {
            // Neither may be found later: not as a leftover, and not as a checkpoint that was reported as failed.
            remove_leftover(&*self.storage, &aside);
            self.retention.discard(name);
        }
        result
    }
}

/// The steps that create a manifest. The directory is also synced before the manifest gets its name, so that a manifest
/// that survives a power loss finds the segments that it names.
pub(in crate::checkpoint) fn write_manifest(
    storage: &dyn Storage,
    aside: &str,
    name: &str,
    bytes: &[u8],
) -> Result<(), CheckpointError> {
    let length = bytes.len() as u64;
    let refused = |action| move |cause| CheckpointError::write(action, aside, length, cause);
    let mut file = storage.create(aside, length).map_err(refused("create"))?;
    file.append(&[bytes]).map_err(refused("write"))?;
    let durability = match seeded("manifest-unsynced") {
        true => Durability::Scratch,
        false => Durability::Synced,
    };
    file.finish(durability).map_err(refused("sync"))?;
    let sync = || {
        if seeded("directory-unsynced") {
            return Ok(());
        }
        let synced = storage.sync_directory();
        synced.map_err(|cause| CheckpointError::write("sync", &storage.place(), length, cause))
    };
    sync()?;
    storage.rename(aside, name).map_err(refused("rename"))?;
    sync()
}
