//! What is left of a source's files, as its readers told it at a checkpoint.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::connectors::splits::{Position, PositionError, PositionReader};

use super::identity::Identity;

/// How errors call these sources.
const NAME: &str = "files";

/// A file of which a part was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BegunFile {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) place: FilePlace,
}

/// A place in a file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FilePlace {
    /// Bytes of the file, after decompression, before the next record.
    pub offset: u64,
    /// Ends of lines before the next record.
    pub lines: u64,
}

/// The kinds of position.
const BEGUN: u64 = 1;
const FINISHED: u64 = 2;
const WAITING: u64 = 3;

/// What is left of the files of a source.
#[derive(Default, Debug)]
pub(crate) struct FilesLeft {
    /// In the order of the readers.
    pub(super) begun: Vec<BegunFile>,
    pub(super) finished: Vec<(PathBuf, Identity)>,
    /// Not yet given to a reader.
    pub(super) waiting: Vec<(PathBuf, Identity)>,
}

impl FilesLeft {
    /// What all readers together say.
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

    /// Takes out of what waits what a reader has, and what several readers saw waiting.
    fn settle(&mut self) {
        let told = self.told().map(|(path, _)| path.to_path_buf());
        let mut told: HashSet<PathBuf> = told.collect();
        self.waiting.retain(|(path, _)| told.insert(path.clone()));
    }

    /// The files that readers have begun or finished.
    pub(super) fn told(&self) -> impl Iterator<Item = (&Path, Identity)> {
        let begun = self.begun.iter().map(|file| (&*file.path, file.identity));
        let finished = self.finished.iter();
        begun.chain(finished.map(|(path, identity)| (&**path, *identity)))
    }

    /// Writes this, as one reader sees it.
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
