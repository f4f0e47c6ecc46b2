//! Faults of a simulated disk, and when they occur.

/// The failure of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// `EIO`. After a failed sync, the data never becomes durable.
    Io,
    /// `ENOSPC`.
    NoSpace,
    /// Some of the bytes are written, followed by `EIO`.
    ShortWrite,
}

/// The faults to inject. Operations are counted from 0, see [`SimulatedStorage::operations`].
///
/// [`SimulatedStorage::operations`]: super::SimulatedStorage::operations
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// The power fails during this operation: it may have taken effect, and nothing works any more.
    pub crash_at: Option<u64>,
    /// This operation fails.
    pub fail_at: Option<(u64, Fault)>,
    /// The disk's capacity in bytes.
    pub capacity: Option<u64>,
    /// How many of a million operations fail in some way.
    pub failed_per_million: u32,
    /// How many of a million reads have one bit flipped.
    pub flipped_per_million: u32,
}

/// How much unsynced data a power loss destroys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Everything: only synced data is left.
    All,
    /// Nothing: as when only the process was killed.
    None,
    /// Some of it, by this seed: sectors of writes, names and lengths are lost or kept independently.
    Some(u64),
}

/// The kind of an operation.
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

/// A logged operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Its kind.
    pub kind: OperationKind,
    /// The file's name, empty for the directory.
    pub name: String,
}
