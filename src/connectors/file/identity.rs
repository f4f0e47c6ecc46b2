//! By what a file is known to be the one that it was.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use crate::connectors::splits::{Position, PositionError, PositionReader};

/// A file's size and when it was modified.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Identity {
    pub(super) size: u64,
    /// Nanoseconds since 1970; 0 where the file system does not say.
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

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(reader: &mut PositionReader<'_>) -> Result<Self, PositionError> {
        Ok(Identity {
            size: reader.number()?,
            modified: reader.number()?.cast_signed(),
        })
    }
}
