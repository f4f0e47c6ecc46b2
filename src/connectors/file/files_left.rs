//! The remaining files of a source, as reported by its readers for a checkpoint.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::connectors::splits::{Position, PositionError, PositionReader};

use super::identity::Identity;

/// How error messages refer to these sources.
const NAME: &str = "files";

/// A file that was partly read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BegunFile {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) place: FilePlace,
}

/// A position in a file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FilePlace {
    /// The number of bytes, after decompression, before the next record.
    pub offset: u64,
    /// The number of line ends before the next record.
    pub lines: u64,
}

/// The kinds of position entries.
const BEGUN: u64 = 1;
const FINISHED: u64 = 2;
const WAITING: u64 = 3;

/// The remaining files of a source.
#[derive(Default, Debug)]
pub(crate) struct FilesLeft {
    /// In order of the readers.
    pub(super) begun: Vec<BegunFile>,
    pub(super) finished: Vec<(PathBuf, Identity)>,
    /// Not yet assigned to a reader.
    pub(super) waiting: Vec<(PathBuf, Identity)>,
}

impl FilesLeft {
    /// Combines the reports of all readers.
    pub(crate) fn of(positions: &[Vec<u8>]) -> Result<Self, PositionError> {
        let mut left = FilesLeft::default();
        for position in positions {
            let mut reader = PositionReader::of(NAME, position)?;
            let kind = reader.number()?;
            while !reader.is_at_end() {
                let path = PathBuf::from(OsStr::from_bytes(reader.bytes()?));
                let identity = Identity::read(&mut reader)?;
                match kind {
                    BEGUN => {
                        let (offset, lines) = (reader.number()?, reader.number()?);
                        let place = FilePlace { offset, lines };
                        left.begun.push(BegunFile {
                            path,
                            identity,
                            place,
                        });
                    }
                    FINISHED => left.finished.push((path, identity)),
                    WAITING => left.waiting.push((path, identity)),
                    _ => return Err(reader.damaged()),
                }
            }
        }
        left.settle();
        Ok(left)
    }

    /// Removes from the waiting files those that a reader has, and duplicates reported by several readers.
    fn settle(&mut self) {
        let told = self.told().map(|(path, _)| path.to_path_buf());
        let mut told: HashSet<PathBuf> = told.collect();
        self.waiting.retain(|(path, _)| told.insert(path.clone()));
    }

    /// The files that readers have started or finished.
    pub(super) fn told(&self) -> impl Iterator<Item = (&Path, Identity)> {
        let begun = self.begun.iter().map(|file| (&*file.path, file.identity));
        let finished = self.finished.iter();
        begun.chain(finished.map(|(path, identity)| (&**path, *identity)))
    }

    /// Writes one reader's report.
    pub(super) fn write(&self, positions: &mut Vec<Vec<u8>>) {
        for file in &self.begun {
            let position = Position::of(NAME).number(BEGUN);
            let position = write_file(position, &file.path, &file.identity);
            let FilePlace { offset, lines } = file.place;
            positions.push(position.number(offset).number(lines).end());
        }
        for (kind, files) in [(FINISHED, &self.finished), (WAITING, &self.waiting)] {
            if !files.is_empty() {
                let position = Position::of(NAME).number(kind);
                let position = files.iter().fold(position, |position, (path, identity)| {
                    write_file(position, path, identity)
                });
                positions.push(position.end());
            }
        }
    }
}

fn write_file(position: Position, path: &Path, identity: &Identity) -> Position {
    identity.write(position.bytes(path.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> (PathBuf, Identity) {
        let (size, modified) = (3, -5);
        (name.into(), Identity { size, modified })
    }

    #[test]
    fn what_a_reader_has_outdoes_what_another_saw_waiting() {
        let (path, identity) = file("b");
        let (offset, lines) = (2, 1);
        let begun = BegunFile {
            path,
            identity,
            place: FilePlace { offset, lines },
        };
        let mut positions = Vec::new();
        FilesLeft {
            waiting: ["a", "b", "c"].map(file).to_vec(),
            ..FilesLeft::default()
        }
        .write(&mut positions);
        FilesLeft {
            begun: vec![begun.clone()],
            finished: vec![file("a")],
            waiting: vec![file("c")],
        }
        .write(&mut positions);
        let left = FilesLeft::of(&positions).unwrap();
        assert_eq!(left.begun, [begun]);
        assert_eq!(left.finished, [file("a")]);
        assert_eq!(left.waiting, [file("c")]);
        for position in &positions {
            let cut = position[..position.len() - 1].to_vec();
            let error = FilesLeft::of(&[cut]).unwrap_err();
            assert!(error.to_string().contains("position of files is damaged"));
        }
    }
}
