//! The encoding of a position: the kind of source that wrote it, followed by numbers and byte strings.

/// A source cannot resume from a position in a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// Another kind of source wrote the position.
    #[error(
        "the checkpoint has the position of {found} where {wanted} is to go on: give the new source a \
         uid of its own, or restore with the source that was read before"
    )]
    OtherSource {
        /// The source that is to resume.
        wanted: &'static str,
        /// The source that wrote the position.
        found: String,
    },
    /// The bytes are not what the source wrote.
    #[error("the checkpoint's position of {wanted} is damaged")]
    Damaged {
        /// The source that is to resume.
        wanted: &'static str,
    },
    /// The source has fewer records than were already read.
    #[error(
        "{wanted} has {count} records, but {read} were read before the checkpoint: restore with the \
         source that was read before"
    )]
    Shorter {
        /// The source that is to resume.
        wanted: &'static str,
        /// The number of records it has.
        count: u64,
        /// The number of records that were read.
        read: u64,
    },
}

/// A position under construction.
#[derive(Debug)]
pub(crate) struct Position(Vec<u8>);

impl Position {
    /// Starts a position of this kind of source, given as a noun with its article.
    pub(crate) fn of(source: &'static str) -> Self {
        Position(Vec::new()).bytes(source.as_bytes())
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.0
    }
}

/// A decoder of a position.
#[derive(Debug)]
pub(crate) struct PositionReader<'a> {
    wanted: &'static str,
    rest: &'a [u8],
}

impl<'a> PositionReader<'a> {
    /// Reads a position that [`Position::of`] the same kind of source started.
    pub(crate) fn of(wanted: &'static str, position: &'a [u8]) -> Result<Self, PositionError> {
        let mut reader = PositionReader {
            wanted,
            rest: position,
        };
        let found = reader.bytes()?;
        if found != wanted.as_bytes() {
            let found = String::from_utf8_lossy(found).into_owned();
            return Err(PositionError::OtherSource { wanted, found });
        }
        Ok(reader)
    }

    pub(crate) fn damaged(&self) -> PositionError {
        PositionError::Damaged {
            wanted: self.wanted,
        }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn number(&mut self) -> Result<u64, PositionError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*number))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], PositionError> {
        let length = usize::try_from(self.number()?).map_err(|_| self.damaged())?;
        let split = self.rest.split_at_checked(length);
        let (bytes, rest) = split.ok_or(self.damaged())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Checks that nothing is left.
    pub(crate) fn end(self) -> Result<(), PositionError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_of_another_source_and_damaged_ones_are_named() {
        let position = Position::of("a sequence").number(7).bytes(b"abc").end();
        let mut reader = PositionReader::of("a sequence", &position).unwrap();
        assert_eq!(reader.number(), Ok(7));
        assert_eq!(reader.bytes(), Ok(&b"abc"[..]));
        assert_eq!(reader.end(), Ok(()));
        let error = PositionReader::of("a collection", &position).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the position of a sequence where a collection is")
        );
        for length in 0..position.len() {
            let read = |position| -> Result<(), PositionError> {
                let mut reader = PositionReader::of("a sequence", position)?;
                reader.number()?;
                reader.bytes()?;
                reader.end()
            };
            let error = read(&position[..length]).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the checkpoint's position of a sequence is damaged"
            );
        }
    }
}
