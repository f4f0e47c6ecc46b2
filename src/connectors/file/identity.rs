//! How a file is recognized as unchanged.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use crate::connectors::splits::{Position, PositionError, PositionReader};

/// A file's size and modification time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Identity {
    pub(super) size: u64,
    /// Nanoseconds since 1970; 0 if the file system does not provide it.
    pub(super) modified: i64,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let nanos = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()),
            Err(before) => i64::try_from(before.duration().as_nanos()).map(|nanos| -nanos),
        };
        Identity {
            size: metadata.len(),
            modified: nanos.unwrap_or(i64::MAX),
        }
    }

    /// Appends the identity to a position.
    pub(super) fn write(&self, position: Position) -> Position {
        position
            .number(self.size)
            .number(self.modified.cast_unsigned())
    }

    /// Reads an identity written by [`write`](Self::write).
    pub(super) fn read(reader: &mut PositionReader<'_>) -> Result<Self, PositionError> {
        Ok(Identity {
            size: reader.number()?,
            modified: reader.number()?.cast_signed(),
        })
    }
}
