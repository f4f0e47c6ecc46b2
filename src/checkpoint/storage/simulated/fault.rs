//! What may go wrong on a simulated disk, and when.

/// What an operation comes to in place of its effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// `EIO`. After a sync that failed, what it should have made durable never becomes durable.
    Io,
    /// `ENOSPC`.
    NoSpace,
    /// A part of the bytes is written, then comes `EIO`.
    ShortWrite,
}

/// Faults to come. Operations are counted from 0, see [`SimulatedStorage::operations`].
///
/// [`SimulatedStorage::operations`]: super::SimulatedStorage::operations
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// The power fails in the middle of this operation: it may have had its effect, and nothing works
    /// any more.
    pub crash_at: Option<u64>,
    /// This operation fails.
    pub fail_at: Option<(u64, Fault)>,
    /// So many bytes fit on the disk.
    pub capacity: Option<u64>,
    /// Of a million operations, so many fail in some way.
    pub failed_per_million: u32,
    /// Of a million reads, so many have one bit flipped.
    pub flipped_per_million: u32,
}

/// What of the unsynced a loss of power takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Everything: only what was synced is left.
    All,
    /// Nothing: as when only the process was killed.
    None,
    /// Some of it, by this seed: sectors of writes, names and lengths are lost or kept in any order.
    Some(u64),
}

/// What an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperationKind {
    /// A file was created.
    Create,
    /// Bytes were appended.
    Append,
    /// A file was synced.
    Sync,
    /// A file was ended without a sync.
    Close,
    /// A file was opened.
    Open,
    /// Bytes were read.
    Read,
    /// A file was renamed.
    Rename,
    /// A file was removed.
    Remove,
    /// The directory was listed.
    List,
    /// The directory was synced.
    SyncDirectory,
    /// The directory was locked.
    Lock,
}

/// One operation, as the log has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// What it was.
    pub kind: OperationKind,
    /// The file's name, empty for the directory.
    pub name: String,
}
