//! Manifests: the contents of a complete checkpoint, see [`super::format`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::CheckpointError;
use super::fields::{FieldReader, FieldWriter};
use super::format::{CHECKSUM_SIZE, MANIFEST_HEADER_SIZE, MANIFEST_MAGIC, Origin, checksum};
use super::piece::StateRef;
use super::storage::{Storage, read_whole};
use crate::record::{KeyGroupAssignment, MaxParallelism};
use crate::seeded_bugs::seeded;
use crate::state::{StateKind, StateSchema, TypeLayout};

/// A manifest is read into memory as a whole: anything longer is not one.
const LENGTH_MAX: u64 = 1 << 30;

/// An operator as recorded in a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorInfo {
    /// Its uid.
    pub uid: Arc<str>,
    /// How many subtasks it had.
    pub parallelism: u32,
    /// Its maximum parallelism.
    pub max_parallelism: u32,
}

/// A segment as recorded in a manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its number, which is part of its file name.
    pub number: u64,
    /// The checkpoint that it was written for; for a folded segment, the last checkpoint folded into it.
    pub checkpoint: u64,
    /// The length of the file in bytes.
    pub length: u64,
    /// The checksum of its trailer, which distinguishes it from every other segment.
    pub trailer_checksum: u64,
}

/// The part of a chain that is in one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The segment's number.
    pub segment: u64,
    /// How many entries, keys or values its blocks hold.
    pub entries: u64,
    /// How many bytes its blocks hold.
    pub bytes: u64,
}

/// The links that make up a subtask's part of a state: a full base, then the changes, checkpoint by checkpoint. Empty
/// if the state was empty.
pub type Chain = Vec<Link>;

/// A state in a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestState {
    /// Its schema.
    pub schema: StateSchema,
    /// How many entries it has: no more than its chains, where every change counts.
    pub live: u64,
    /// Its chains, by subtask.
    pub chains: BTreeMap<u32, Chain>,
}

impl ManifestState {
    /// The number of entries, keys and values in all chains.
    #[must_use]
    pub fn entries(&self) -> u64 {
        sum(self.chains.values().flatten().map(|link| link.entries))
    }

    /// The number of bytes in all chains.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        sum(self.chains.values().flatten().map(|link| link.bytes))
    }
}

/// The contents of a complete checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The checkpoint's number.
    pub checkpoint: u64,
    /// Whether it was taken as a savepoint.
    pub is_savepoint: bool,
    /// When it was begun, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it was completed, in milliseconds since 1970.
    pub completed_ms: u64,
    /// The function that assigns keys to key groups.
    pub assignment: KeyGroupAssignment,
    /// The number of key groups.
    pub max_parallelism: MaxParallelism,
    /// The operators.
    pub operators: Vec<OperatorInfo>,
    /// Every segment that a chain names, by number.
    pub segments: Vec<SegmentInfo>,
    /// Every state.
    pub states: BTreeMap<StateRef, ManifestState>,
}

/// A saturating sum: absurd numbers in a manifest cannot overflow it.
pub(super) fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// The file name of a checkpoint's manifest.
pub(super) fn manifest_name(checkpoint: u64) -> String {
    format!("manifest-{checkpoint:010}")
}

impl Manifest {
    /// The number of entries, keys and values in all of its blocks: every change counts each time it was written.
    #[must_use]
    pub fn entries(&self) -> u64 {
        sum(self.states.values().map(ManifestState::entries))
    }

    /// The number of bytes in all of its blocks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        sum(self.states.values().map(ManifestState::bytes))
    }

    /// The segment with this number, if a chain names it.
    #[must_use]
    pub fn segment(&self, number: u64) -> Option<&SegmentInfo> {
        let at = self.segments.binary_search_by_key(&number, |s| s.number);
        at.ok().map(|at| &self.segments[at])
    }

    /// The manifest's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        let origin = Origin {
            assignment: self.assignment,
            max_parallelism: self.max_parallelism,
        };
        origin.write(MANIFEST_MAGIC, &mut fields);
        fields.u32(self.is_savepoint.into());
        fields.u64(self.checkpoint);
        fields.u64(self.started_ms);
        fields.u64(self.completed_ms);
        fields.u64(self.entries());
        fields.u64(self.bytes());
        let length_at = fields.bytes.len();
        fields.u64(0);
        fields.count(self.operators.len());
        fields.count(self.segments.len());
        fields.count(self.states.len());
        fields.u32(0);
        assert_eq!(fields.bytes.len(), MANIFEST_HEADER_SIZE);
        for operator in &self.operators {
            fields.u32(operator.parallelism);
            fields.u32(operator.max_parallelism);
            fields.text(&operator.uid);
        }
        for segment in &self.segments {
            fields.u64(segment.number);
            fields.u64(segment.checkpoint);
            fields.u64(segment.length);
            fields.u64(segment.trailer_checksum);
        }
        for (state, entry) in &self.states {
            self.encode_state(state, entry, &mut fields);
        }
        let length = (fields.bytes.len() + CHECKSUM_SIZE) as u64;
        fields.bytes[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
        fields.u64(checksum(&fields.bytes));
        fields.bytes
    }

    fn encode_state(&self, state: &StateRef, entry: &ManifestState, fields: &mut FieldWriter) {
        let mut operators = self.operators.iter();
        let operator = operators.position(|operator| operator.uid == state.operator);
        fields.u8(entry.schema.kind as u8);
        fields.raw(&[0; 3]);
        fields.count(operator.expect("every state is of an operator that is listed"));
        fields.text(&state.state);
        for layout in [&entry.schema.key, &entry.schema.value] {
            fields.text(&layout.name);
            fields.u32(layout.length.is_some().into());
            fields.u32(layout.length.unwrap_or(layout.shape));
            fields.u32(layout.version);
            fields.u32(0);
        }
        fields.u64(entry.live);
        fields.count(entry.chains.len());
        fields.u32(0);
        for (subtask, chain) in &entry.chains {
            fields.u32(*subtask);
            fields.count(chain.len());
            for link in chain {
                let segment = self
                    .segments
                    .binary_search_by_key(&link.segment, |s| s.number);
                fields.count(segment.expect("every link's segment is listed"));
                fields.u32(0);
                fields.u64(link.entries);
                fields.u64(link.bytes);
            }
        }
    }

    /// Reads the manifest of a checkpoint.
    pub(super) fn load(storage: &dyn Storage, checkpoint: u64) -> Result<Self, CheckpointError> {
        let name = manifest_name(checkpoint);
        let file = storage.open(&name);
        let bytes = file.and_then(|file| read_whole(&*file, LENGTH_MAX));
        let bytes = bytes.map_err(|cause| CheckpointError::storage("read", &name, cause))?;
        let manifest = Manifest::decode(&name, &bytes)?;
        match manifest.checkpoint == checkpoint {
            true => Ok(manifest),
            false => Err(CheckpointError::damaged(
                &name,
                32,
                "it is of another checkpoint",
            )),
        }
    }

    /// Decodes a manifest from the `bytes` of the file called `name`.
    pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        if bytes.len() < MANIFEST_HEADER_SIZE + CHECKSUM_SIZE {
            let what = "it is shorter than any manifest";
            return Err(CheckpointError::damaged(name, bytes.len() as u64, what));
        }
        let (body, sum) = bytes.split_at(bytes.len() - CHECKSUM_SIZE);
        let mut fields = FieldReader::new(name, body, 0);
        let origin = Origin::read(name, MANIFEST_MAGIC, &mut fields)?;
        if checksum(body).to_le_bytes() != sum && !seeded("manifest-unchecked") {
            return Err(CheckpointError::damaged(
                name,
                0,
                "the manifest's checksum is wrong",
            ));
        }
        let is_savepoint = match fields.u32()? {
            0 => false,
            1 => true,
            _ => return Err(fields.damaged("there is no such flag")),
        };
        let (checkpoint, started_ms, completed_ms) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (entries, size) = (fields.u64()?, fields.u64()?);
        if fields.u64()? != bytes.len() as u64 {
            return Err(fields.damaged("it does not have the length that it says"));
        }
        let (operator_count, segment_count) = (fields.count(8)?, fields.count(32)?);
        let state_count = fields.count(8)?;
        fields.zeros(4)?;
        let operators = (0..operator_count).map(|_| read_operator(&mut fields));
        let operators = operators.collect::<Result<Vec<_>, _>>()?;
        let segments = (0..segment_count).map(|_| read_segment(&mut fields));
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        if !segments.is_sorted_by(|a, b| a.number < b.number) {
            return Err(fields.damaged("the segments are not in order"));
        }
        let mut states = BTreeMap::new();
        for _ in 0..state_count {
            let (state, entry) = read_state(&mut fields, &operators, &segments)?;
            states.insert(state, entry);
        }
        fields.end()?;
        let manifest = Manifest {
            checkpoint,
            is_savepoint,
            started_ms,
            completed_ms,
            assignment: origin.assignment,
            max_parallelism: origin.max_parallelism,
            operators,
            segments,
            states,
        };
        match (manifest.states.len(), manifest.entries(), manifest.bytes())
            == (state_count, entries, size)
        {
            true => Ok(manifest),
            false => Err(fields.damaged("its parts do not add up")),
        }
    }
}

fn read_operator(fields: &mut FieldReader<'_>) -> Result<OperatorInfo, CheckpointError> {
    Ok(OperatorInfo {
        parallelism: fields.u32()?,
        max_parallelism: fields.u32()?,
        uid: fields.text()?,
    })
}

fn read_segment(fields: &mut FieldReader<'_>) -> Result<SegmentInfo, CheckpointError> {
    Ok(SegmentInfo {
        number: fields.u64()?,
        checkpoint: fields.u64()?,
        length: fields.u64()?,
        trailer_checksum: fields.u64()?,
    })
}

fn read_state(
    fields: &mut FieldReader<'_>,
    operators: &[OperatorInfo],
    segments: &[SegmentInfo],
) -> Result<(StateRef, ManifestState), CheckpointError> {
    let kind = StateKind::from_u8(fields.u8()?);
    let kind = kind.ok_or_else(|| fields.damaged("there is no such kind of state"))?;
    fields.zeros(3)?;
    let operator = operators.get(fields.u32()? as usize);
    let operator = operator.ok_or_else(|| fields.damaged("a state is of no operator"))?;
    let name = fields.text()?;
    let (key, value) = (read_layout(fields)?, read_layout(fields)?);
    let live = fields.u64()?;
    let chain_count = fields.count(8)?;
    fields.zeros(4)?;
    let mut chains = BTreeMap::new();
    for _ in 0..chain_count {
        let (subtask, link_count) = (fields.u32()?, fields.count(24)?);
        let links = (0..link_count).map(|_| read_link(fields, segments));
        let links = links.collect::<Result<Chain, _>>()?;
        if chains.insert(subtask, links).is_some() {
            return Err(fields.damaged("a subtask has two chains of one state"));
        }
    }
    let state = StateRef {
        operator: Arc::clone(&operator.uid),
        state: Arc::clone(&name),
    };
    let schema = StateSchema {
        name,
        kind,
        key,
        value,
    };
    let entry = ManifestState {
        schema,
        live,
        chains,
    };
    if live > entry.entries() {
        return Err(fields.damaged("a state has more entries than its chains"));
    }
    Ok((state, entry))
}

fn read_layout(fields: &mut FieldReader<'_>) -> Result<TypeLayout, CheckpointError> {
    let name = fields.text()?;
    let (has_length, length) = (fields.u32()?, fields.u32()?);
    let (length, shape) = match (has_length, length) {
        (0, shape) => (None, shape),
        (1, length) => (Some(length), 0),
        _ => return Err(fields.damaged("a type's length is none")),
    };
    let version = fields.u32()?;
    fields.zeros(4)?;
    Ok(TypeLayout {
        name,
        length,
        shape,
        version,
    })
}

fn read_link(
    fields: &mut FieldReader<'_>,
    segments: &[SegmentInfo],
) -> Result<Link, CheckpointError> {
    let segment = segments.get(fields.u32()? as usize);
    let segment = segment.ok_or_else(|| fields.damaged("a link is to no segment"))?;
    fields.zeros(4)?;
    Ok(Link {
        segment: segment.number,
        entries: fields.u64()?,
        bytes: fields.u64()?,
    })
}
