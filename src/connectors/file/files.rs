//! Determines which files a source reads: one file, those of a directory, or those that appear at a path.
//!
//! The readers of a source share one split enumerator. Each takes one file at a time from it, so the lock is taken
//! once per file, and once per poll if they share a rate.
//!
//! For a checkpoint, each reader reports at its own barrier the files it is reading, those it has finished, and those
//! that are waiting. A file that one reader reports as waiting may already have been assigned to another by that
//! one's barrier, so a reader's report of its own files takes precedence over reports of waiting files
//! ([`FilesLeft`]).
//!
//! Flink's directory monitor remembers the newest modification time and ignores files that are not newer, so a file
//! moved in with an old modification time is never read. This one remembers the size and modification time of each
//! file. Both read a changed file again *in full*.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::operator::SplitId;
use crate::time::{Timestamp, nanos};

use super::FileError;
use super::files_left::FilesLeft;
use super::identity::Identity;
use super::schedule::{Schedule, Share};

/// How a path is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// One file, once.
    File,
    /// The files of a directory, once.
    Directory,
    /// Files that exist or appear at the path, listed at this interval in nanoseconds.
    Watch(i64, Known),
}

/// By what a watched file is known to have been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    /// By its contents: one that has changed is read again.
    Contents,
    /// By its path: it is read once, whatever becomes of it (the rule of Flink's `FileSource`).
    Path,
}

/// Files as listed.
type Listing = Vec<(PathBuf, Identity)>;

/// While one reader lists the files, the others ask again after this many nanoseconds.
const LISTING_WAIT: i64 = 10_000_000;

/// A file assigned to one reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileSplit {
    /// The split's number in this attempt.
    pub(crate) id: SplitId,
    pub(crate) path: PathBuf,
    /// The file's identity when it was listed.
    pub(super) identity: Identity,
}

/// The enumerator's answer to a reader that requests a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Assignment {
    /// Read this file.
    Split(FileSplit),
    /// No file is available now; ask again at this time.
    Wait(Timestamp),
    /// There are no more files.
    Done,
}

#[derive(Default, Debug)]
struct Enumerator {
    started: bool,
    waiting: VecDeque<FileSplit>,
    next_id: SplitId,
    /// Files that were assigned or are waiting, if they still exist.
    known: HashMap<PathBuf, Identity>,
    next_scan: Option<Timestamp>,
    /// A reader is listing the files, without the lock.
    is_listing: bool,
    schedule: Schedule,
}

/// The files of a source, shared by its readers.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    path: Arc<Path>,
    mode: Mode,
    enumerator: Arc<Mutex<Enumerator>>,
}

impl Files {
    pub(crate) fn file(path: &Path) -> Self {
        Files::new(path, Mode::File)
    }

    pub(crate) fn directory(path: &Path) -> Self {
        Files::new(path, Mode::Directory)
    }

    pub(crate) fn watch(path: &Path, interval: Duration) -> Self {
        Files::new(path, Mode::Watch(nanos(interval).max(1), Known::Contents))
    }

    pub(crate) fn watch_new(path: &Path, interval: Duration) -> Self {
        Files::new(path, Mode::Watch(nanos(interval).max(1), Known::Path))
    }

    fn new(path: &Path, mode: Mode) -> Self {
        Files {
            path: path.into(),
            mode,
            enumerator: Arc::default(),
        }
    }

    pub(crate) fn max_parallelism(&self) -> u32 {
        if self.mode == Mode::File { 1 } else { u32::MAX }
    }

    pub(crate) fn is_bounded(&self) -> bool {
        !self.is_watched()
    }

    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.mode, Mode::Watch(..))
    }

    /// Whether a file that has changed since it was listed is another one, which is listed anew.
    pub(super) fn reads_changes(&self) -> bool {
        matches!(self.mode, Mode::Watch(_, Known::Contents))
    }

    /// Whether a reader may read several files, each as a split.
    pub(crate) fn has_splits(&self) -> bool {
        self.mode != Mode::File
    }

    /// Resets all assignments and lists the files again.
    pub(crate) fn start(&self) -> Result<(), FileError> {
        *self.lock() = Enumerator::default();
        self.ensure_started()
    }

    /// Starts an attempt that resumes from a checkpoint. Files that were being read do not concern the enumerator:
    /// the readers take theirs from `left`.
    pub(crate) fn resume(&self, left: &FilesLeft) -> Result<(), FileError> {
        let mut enumerator = self.lock();
        *enumerator = Enumerator {
            started: true,
            ..Enumerator::default()
        };
        match self.mode {
            Mode::File | Mode::Directory => enumerator.queue(&left.waiting),
            Mode::Watch(_, known) => {
                let found = list_existing(&self.path)?;
                let told: HashSet<_> = left.told().collect();
                let is_told = |file: &&(PathBuf, Identity)| told.contains(&(&*file.0, file.1));
                enumerator.known = match known {
                    Known::Contents => found.iter().filter(is_told).cloned().collect(),
                    Known::Path => told.iter().map(|(path, id)| (path.into(), *id)).collect(),
                };
                enumerator.add(found, known);
            }
        }
        Ok(())
    }

    /// Like [`resume`](Self::resume), unless this attempt has already been started.
    pub(crate) fn ensure_resumed(&self, left: &FilesLeft) -> Result<(), FileError> {
        if self.lock().started {
            return Ok(());
        }
        self.resume(left)
    }

    /// Allocates a split number for a file that a reader resumes.
    pub(super) fn next_id(&self) -> SplitId {
        self.lock().take_id()
    }

    /// The waiting files, unless listing the path again will find them (a watched path).
    pub(super) fn waiting(&self) -> Vec<(PathBuf, Identity)> {
        let enumerator = self.lock();
        let waiting = enumerator.waiting.iter().filter(|_| !self.is_watched());
        waiting
            .map(|split| (split.path.clone(), split.identity))
            .collect()
    }

    /// Of a watched path, removes finished files that no longer exist or have changed, if those are read again.
    pub(super) fn forget_gone(&self, finished: &mut Vec<(PathBuf, Identity)>) {
        if self.reads_changes() {
            let known = &self.lock().known;
            finished.retain(|(path, identity)| known.get(path) == Some(identity));
        }
    }

    /// Lists the files, unless this attempt has already done so.
    pub(crate) fn ensure_started(&self) -> Result<(), FileError> {
        let mut enumerator = self.lock();
        if !enumerator.started {
            let metadata = metadata(&self.path)?;
            match self.mode {
                Mode::File if metadata.is_dir() => {
                    let path = self.path.to_path_buf();
                    return Err(FileError::IsDirectory { path });
                }
                Mode::Directory if !metadata.is_dir() => {
                    let path = self.path.to_path_buf();
                    return Err(FileError::NotDirectory { path });
                }
                _ => {}
            }
            let found = list(&self.path)?;
            enumerator.add(found, Known::Contents);
            enumerator.started = true;
        }
        Ok(())
    }

    /// Assigns the next file to a reader, at processing time `now`.
    pub(crate) fn assign(&self, now: Timestamp) -> Result<Assignment, FileError> {
        self.assign_of(now, list_existing)
    }

    /// Like [`assign`](Self::assign), with the files that `list` finds.
    ///
    /// A directory may be slow. It is listed without the lock, so that meanwhile no other reader has to wait for it,
    /// least of all at a checkpoint. Only one reader lists at a time: a listing that is added after a newer one would
    /// show changes that are none.
    fn assign_of(
        &self,
        now: Timestamp,
        list: impl FnOnce(&Path) -> Result<Listing, FileError>,
    ) -> Result<Assignment, FileError> {
        let mut enumerator = self.lock();
        if let Mode::Watch(interval, known) = self.mode
            && enumerator.waiting.is_empty()
        {
            if enumerator.is_listing {
                let soon = now.saturating_add(interval.min(LISTING_WAIT));
                return Ok(Assignment::Wait(soon));
            }
            let next = now.saturating_add(interval);
            let due = *enumerator.next_scan.get_or_insert(next);
            if now < due {
                return Ok(Assignment::Wait(due));
            }
            enumerator.is_listing = true;
            drop(enumerator);
            let found = list(&self.path);
            enumerator = self.lock();
            enumerator.is_listing = false;
            enumerator.add(found?, known);
            enumerator.next_scan = Some(next);
            if enumerator.waiting.is_empty() {
                return Ok(Assignment::Wait(next));
            }
        }
        let split = enumerator.waiting.pop_front();
        Ok(split.map_or(Assignment::Done, Assignment::Split))
    }

    /// Takes back that a watched file was found, since it was not read: the next listing finds it anew.
    pub(super) fn forget(&self, path: &Path, identity: Identity) {
        let known = &mut self.lock().known;
        // Meanwhile it may have been found with other contents.
        if known.get(path) == Some(&identity) {
            known.remove(path);
        }
    }

    /// Grants a reader of a file its share of the records that are due, or says when to ask again.
    pub(super) fn grant(&self, share: &mut Share, now: Timestamp) -> Result<(), Timestamp> {
        self.lock().schedule.grant(share, now)
    }

    /// Leaves the rate to the readers that have a file.
    pub(super) fn leave(&self, share: &mut Share) {
        self.lock().schedule.leave(share);
    }

    fn lock(&self) -> MutexGuard<'_, Enumerator> {
        let enumerator = self.enumerator.lock();
        enumerator.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enumerator {
    fn take_id(&mut self) -> SplitId {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    fn queue(&mut self, files: &[(PathBuf, Identity)]) {
        for (path, identity) in files {
            let split = FileSplit {
                id: self.take_id(),
                path: path.clone(),
                identity: *identity,
            };
            self.waiting.push_back(split);
        }
    }

    /// Queues new and changed files from a complete listing, oldest first.
    fn add(&mut self, mut found: Listing, known: Known) {
        found.sort_by(|(a, x), (b, y)| (x.modified, a).cmp(&(y.modified, b)));
        let is_new = |file: &&(PathBuf, Identity)| match known {
            Known::Contents => self.known.get(&file.0) != Some(&file.1),
            Known::Path => !self.known.contains_key(&file.0),
        };
        let new: Vec<_> = found.iter().filter(is_new).cloned().collect();
        self.queue(&new);
        match known {
            Known::Contents => self.known = found.into_iter().collect(),
            Known::Path => self.known.extend(new),
        }
    }
}

fn metadata(path: &Path) -> Result<Metadata, FileError> {
    fs::metadata(path).map_err(|cause| FileError::input(path, "look at it", cause))
}

/// The file at `path`, or the visible files directly in that directory.
fn list(path: &Path) -> Result<Listing, FileError> {
    let top = metadata(path)?;
    if !top.is_dir() {
        return Ok(vec![(path.to_path_buf(), Identity::of(&top))]);
    }
    let failed = |cause| FileError::input(path, "list it", cause);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".")
            || entry.file_name().as_encoded_bytes().starts_with(b"_")
        {
            continue;
        }
        match metadata(&entry.path()) {
            Ok(metadata) if metadata.is_file() => {
                found.push((entry.path(), Identity::of(&metadata)));
            }
            Ok(_directory_or_device) => {}
            // It was removed after it was listed.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Like [`list`]; nothing if the path does not exist.
fn list_existing(path: &Path) -> Result<Listing, FileError> {
    match list(path) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    fn write(path: &Path, text: &str, modified_secs: u64) {
        fs::write(path, text).unwrap();
        let file = fs::File::options().append(true).open(path).unwrap();
        let modified = std::time::SystemTime::UNIX_EPOCH + secs(modified_secs);
        file.set_modified(modified).unwrap();
    }

    fn assigned(files: &Files, now: Timestamp) -> Vec<String> {
        let mut names = Vec::new();
        while let Assignment::Split(split) = files.assign(now).unwrap() {
            let name = split.path.file_name().unwrap();
            names.push(name.to_str().unwrap().to_owned());
        }
        names
    }

    #[test]
    fn directory_is_read_once_oldest_file_first_without_hidden_and_nested_ones() {
        let dir = tempfile::tempdir().unwrap();
        for (name, modified) in [("b", 10), ("a", 20), ("c", 10), (".d", 5), ("_e", 5)] {
            write(&dir.path().join(name), "x", modified);
        }
        fs::create_dir(dir.path().join("nested")).unwrap();
        let files = Files::directory(dir.path());
        files.start().unwrap();
        assert_eq!(assigned(&files, Timestamp(0)), ["b", "c", "a"]);
        assert_eq!(files.assign(Timestamp(0)).unwrap(), Assignment::Done);
        files.start().unwrap();
        assert_eq!(assigned(&files, Timestamp(0)).len(), 3);
    }

    #[test]
    fn missing_path_is_named_and_the_kinds_are_not_mixed_up() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.csv");
        let message = Files::file(&missing).start().unwrap_err().to_string();
        let expected = format!(
            "The provided file path {} does not exist.",
            missing.display()
        );
        assert_eq!(message, expected);
        let error = Files::watch(&missing, secs(1)).start().unwrap_err();
        assert!(error.is_not_found());
        let error = Files::file(dir.path()).start().unwrap_err();
        assert!(matches!(error, FileError::IsDirectory { .. }));
        write(&missing, "", 0);
        let error = Files::directory(&missing).start().unwrap_err();
        assert!(matches!(error, FileError::NotDirectory { .. }));
    }

    #[test]
    fn watched_directory_gives_new_and_changed_files_whatever_their_time() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a"), "x", 100);
        let files = Files::watch(dir.path(), secs(1));
        files.start().unwrap();
        assert_eq!(assigned(&files, Timestamp(0)), ["a"]);

        write(&dir.path().join("old"), "x", 1);
        let half = files.assign(Timestamp::from_millis(500)).unwrap();
        assert_eq!(half, Assignment::Wait(Timestamp::from_secs(1)));
        assert_eq!(assigned(&files, Timestamp::from_secs(1)), ["old"]);

        write(&dir.path().join("a"), "longer", 100);
        write(&dir.path().join("old"), "x", 2);
        assert_eq!(assigned(&files, Timestamp::from_secs(2)), ["old", "a"]);
        assert!(assigned(&files, Timestamp::from_secs(3)).is_empty());
    }

    #[test]
    fn slow_directory_holds_up_the_reader_that_lists_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::watch(dir.path(), secs(1));
        files.start().unwrap();
        assert!(assigned(&files, Timestamp(0)).is_empty());
        let now = Timestamp::from_secs(1);
        let assignment = files.assign_of(now, |path| {
            assert!(files.enumerator.try_lock().is_ok());
            // Another reader neither waits nor lists, but is soon back for its part of what is found.
            let soon = Assignment::Wait(Timestamp::from_millis(1010));
            assert_eq!(files.assign(now).unwrap(), soon);
            write(&path.join("a"), "x", 10);
            write(&path.join("b"), "x", 20);
            list(path)
        });
        assert!(matches!(assignment.unwrap(), Assignment::Split(_)));
        assert_eq!(assigned(&files, Timestamp::from_millis(1010)), ["b"]);
    }

    #[test]
    fn path_that_is_watched_for_new_files_is_read_once_whatever_becomes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        write(&a, "x", 100);
        let files = Files::watch_new(dir.path(), secs(1));
        files.start().unwrap();
        assert_eq!(assigned(&files, Timestamp(0)), ["a"]);
        write(&a, "longer", 200);
        write(&b, "x", 1);
        assert_eq!(assigned(&files, Timestamp::from_secs(1)), ["b"]);
        fs::remove_file(&a).unwrap();
        assert!(assigned(&files, Timestamp::from_secs(2)).is_empty());
        write(&a, "another", 300);
        assert!(assigned(&files, Timestamp::from_secs(3)).is_empty());
    }

    #[test]
    fn watched_path_that_vanishes_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, "x", 100);
        let files = Files::watch(&path, secs(1));
        files.start().unwrap();
        assert_eq!(assigned(&files, Timestamp(0)), ["a"]);
        fs::remove_file(&path).unwrap();
        assert!(assigned(&files, Timestamp::from_secs(1)).is_empty());
        write(&path, "x", 100);
        assert_eq!(assigned(&files, Timestamp::from_secs(2)), ["a"]);
    }
}
