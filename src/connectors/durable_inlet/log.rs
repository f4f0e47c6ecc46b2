//! The segments of a log: appending, discovery, recovery after a crash, and removal.
//!
//! Only the run that created a segment appends to it. A run that opens the log copies the last frame that it finds
//! into a segment of its own, because that frame may not be on the disk: its sync may have failed, and the data read
//! may come from the page cache, which no longer knows that the disk lacks it. Anything after that frame was never
//! acknowledged. The first frame of a segment was, though: a file gets a segment's name when that frame is on the disk.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::checkpoint::{DirectoryLock, ReadAt, Storage, WriteOnce};
use crate::record::{Far, Record, Wire};
use crate::seeded_bugs::seeded;

use super::DurableInletError;
use super::frame::{FORMAT, FrameHeader, HEADER_SIZE, SEGMENT_HEADER_SIZE, SegmentHeader};

/// The name of a new segment file until its first frame is on the disk.
const UNNAMED: &str = "segment.new";

/// The directory of a log.
#[derive(Clone, Debug)]
pub(super) struct LogFiles {
    storage: Arc<dyn Storage>,
    /// What tells the log from others.
    pub(super) log: u64,
    layout: RecordLayout,
}

/// The layout of a log's records.
#[derive(Clone, Copy, Debug)]
struct RecordLayout {
    type_name: &'static str,
    hash: u64,
}

impl RecordLayout {
    fn of<T: Record + ?Sized>() -> Self {
        let type_name = std::any::type_name::<T>();
        let mut hasher = Xxh3Default::new();
        hasher.update(type_name.as_bytes());
        let length = Far::<T>::LENGTH.map_or(u64::MAX, |length| length as u64);
        for part in [length, Far::<T>::SHAPE.into(), T::VERSION.into()] {
            hasher.update(&part.to_le_bytes());
        }
        let hash = hasher.digest();
        RecordLayout { type_name, hash }
    }
}

/// The file name of the segment whose first record has the number `first`.
fn name_of(first: u64) -> String {
    format!("{first:020}.log")
}

impl LogFiles {
    /// The files of a log of records of type `T`, which may have to be made yet.
    pub(super) fn new<T: Record + ?Sized>(storage: Arc<dyn Storage>) -> Self {
        LogFiles {
            storage,
            log: RandomState::new().build_hasher().finish(),
            layout: RecordLayout::of::<T>(),
        }
    }

    /// The path of a file, for error messages; that of the directory if `name` is empty.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let place = self.storage.place();
        match name {
            "" => PathBuf::from(place),
            name => Path::new(&place).join(name),
        }
    }

    fn io(
        &self,
        name: &str,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> DurableInletError + use<> {
        DurableInletError::io(&self.path(name), action)
    }

    /// The first record numbers of all segments, in order.
    pub(super) fn segments(&self) -> Result<Vec<u64>, DurableInletError> {
        let names = self.storage.list().map_err(self.io("", "list it"))?;
        let first = |name: &String| name.strip_suffix(".log").and_then(|n| n.parse().ok());
        let mut found: Vec<u64> = names.iter().filter_map(first).collect();
        found.sort_unstable();
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), DurableInletError> {
        match self.storage.remove(name) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(self.io(name, "remove it")),
        }
    }

    /// Removes the segments whose records all precede `record`, provided the following segment is known to be on the
    /// disk, as every record below `durable` is.
    pub(super) fn remove_before(&self, record: u64, durable: u64) -> Result<(), DurableInletError> {
        let all = self.segments()?;
        for (first, behind) in all.iter().zip(&all[all.len().min(1)..]) {
            if *behind <= record && *behind < durable {
                self.remove(&name_of(*first))?;
            }
        }
        Ok(())
    }

    /// Opens the segment whose first record has the number `first`. It belongs to the log that its header names.
    fn open_any(&self, first: u64) -> Result<(Segment, u64), DurableInletError> {
        let name = name_of(first);
        let file = self
            .storage
            .open(&name)
            .map_err(self.io(&name, "open it"))?;
        let path = self.path(&name);
        let mut segment = Segment {
            path,
            file,
            offset: 0,
        };
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let path = segment.path.clone();
        let damaged = || DurableInletError::damaged(&path, 0);
        if !segment.read(0, &mut bytes)? {
            return Err(damaged());
        }
        // One bit of damage is not taken for another format.
        if let Some(found @ 1..FORMAT) = SegmentHeader::format(&bytes) {
            return Err(DurableInletError::Format {
                path,
                found,
                wanted: FORMAT,
            });
        }
        let header = SegmentHeader::decode(&bytes).filter(|header| header.first == first);
        let header = header.ok_or_else(damaged)?;
        segment.offset = SEGMENT_HEADER_SIZE as u64;
        if header.layout != self.layout.hash {
            let wanted = self.layout.type_name;
            return Err(DurableInletError::RecordType { path, wanted });
        }
        Ok((segment, header.log))
    }

    /// Opens the segment of this log whose first record has the number `first`.
    pub(super) fn open(&self, first: u64) -> Result<Segment, DurableInletError> {
        match self.open_any(first)? {
            (segment, log) if log == self.log => Ok(segment),
            (segment, _) => Err(DurableInletError::damaged(&segment.path, 0)),
        }
    }
}

/// A segment being read.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: Box<dyn ReadAt>,
    /// The offset of the next frame.
    pub(super) offset: u64,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// A frame that was read: its header, and its records in a buffer aligned to 16 bytes.
pub(super) struct Frame {
    bytes: [u8; HEADER_SIZE],
    pub(super) header: FrameHeader,
    pub(super) body: Vec<u128>,
}

impl Segment {
    /// Reads the next frame; `None` if no complete one follows.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, DurableInletError> {
        let Some(frame) = self.frame_at(self.offset)? else {
            return Ok(None);
        };
        self.offset += (HEADER_SIZE + frame.header.length) as u64;
        Ok(Some(frame))
    }

    /// Fills `out` from `offset`; returns `false` if the file ends before that.
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<bool, DurableInletError> {
        match self.file.read_at(offset, out) {
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(false),
            read => read
                .map(|()| true)
                .map_err(DurableInletError::io(&self.path, "read it")),
        }
    }

    /// The frame at `offset`, if there is a complete one.
    fn frame_at(&self, offset: u64) -> Result<Option<Frame>, DurableInletError> {
        let mut bytes = [0; HEADER_SIZE];
        if !self.read(offset, &mut bytes)? {
            return Ok(None);
        }
        let Some(header) = FrameHeader::decode(&bytes) else {
            return Ok(None);
        };
        let mut body = vec![0_u128; header.length / size_of::<u128>()];
        let body_at = offset + HEADER_SIZE as u64;
        let whole = self.read(body_at, bytemuck::cast_slice_mut(&mut body))?
            && (FrameHeader::is_valid(&bytes, bytemuck::cast_slice(&body))
                || seeded("log-unchecked"));
        Ok(whole.then_some(Frame {
            bytes,
            header,
            body,
        }))
    }

    /// Whether a complete frame of records numbered `next` or higher follows. If so, the data at the current offset
    /// was acknowledged and is damaged. Anything else that looks like a frame is inside a torn record.
    fn has_frame_behind(&self, next: u64) -> Result<bool, DurableInletError> {
        for offset in (self.offset..self.file.length()).step_by(16) {
            let frame = self.frame_at(offset)?;
            if frame.is_some_and(|frame| frame.header.first >= next) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The writing end of a log.
pub(super) struct Appender {
    pub(super) files: LogFiles,
    segment_bytes: u64,
    /// The last segment and its size, once this run has created one.
    segment: Option<(String, Box<dyn WriteOnce>, u64)>,
    /// The number of the next record.
    pub(super) next: u64,
    /// Held while the log is open.
    _lock: Box<dyn DirectoryLock>,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Appender {
    /// Opens a log for appending after its last complete frame.
    pub(super) fn open(files: LogFiles, segment_bytes: u64) -> Result<Self, DurableInletError> {
        let lock = files.storage.lock().map_err(|cause| match cause.kind() {
            ErrorKind::WouldBlock => DurableInletError::InUse {
                path: files.path(""),
            },
            _ => files.io("", "lock it")(cause),
        })?;
        let mut appender = Appender {
            files,
            segment_bytes,
            segment: None,
            next: 0,
            _lock: lock,
        };
        appender.files.remove(UNNAMED)?;
        if let Some(last) = appender.files.segments()?.pop() {
            appender.find_end(last)?;
        }
        Ok(appender)
    }

    /// Finds the end of the log in the last segment.
    fn find_end(&mut self, last: u64) -> Result<(), DurableInletError> {
        self.next = last;
        let (mut segment, log) = self.files.open_any(last)?;
        self.files.log = log;
        let mut last_frame = None;
        while let Some(frame) = segment.next()? {
            if frame.header.first != self.next {
                return Err(DurableInletError::damaged(&segment.path, segment.offset));
            }
            self.next += frame.header.count;
            last_frame = Some(frame);
        }
        if segment.has_frame_behind(self.next)? {
            return Err(DurableInletError::damaged(&segment.path, segment.offset));
        }
        match last_frame {
            Some(_) if seeded("log-end-trusted") => Ok(()),
            Some(Frame {
                bytes,
                header,
                body,
            }) => self.begin(header.first, &[&bytes, bytemuck::cast_slice(&body)]),
            // A segment gets its name when its first frame is on the disk: that one was accepted, and cannot be torn.
            None => Err(DurableInletError::damaged(&segment.path, segment.offset)),
        }
    }

    /// Starts a segment with a frame, replacing any of the same name, and syncs it to the disk.
    fn begin(&mut self, first: u64, frame: &[&[u8]]) -> Result<(), DurableInletError> {
        let (files, name) = (&self.files, name_of(first));
        let header = SegmentHeader {
            log: files.log,
            layout: files.layout.hash,
            first,
        };
        let created = files.storage.create(UNNAMED, 0);
        let mut file = created.map_err(files.io(UNNAMED, "create it"))?;
        let header = header.encode();
        let parts = [&[&header[..]], frame].concat();
        let written = file.append(&parts).and_then(|()| file.sync());
        written.map_err(files.io(UNNAMED, "write it"))?;
        let renamed = files.storage.rename(UNNAMED, &name);
        renamed.map_err(files.io(UNNAMED, "rename it"))?;
        let synced = files.storage.sync_directory();
        synced.map_err(files.io("", "sync it"))?;
        let size = parts.iter().map(|part| part.len() as u64).sum();
        self.segment = Some((name, file, size));
        Ok(())
    }

    /// Appends a frame of `count` records and syncs it to the disk. After an error the state of the disk is unknown,
    /// so nothing more may be appended.
    pub(super) fn append(&mut self, frame: &[u8], count: u64) -> Result<(), DurableInletError> {
        match &mut self.segment {
            Some((name, file, size)) if *size < self.segment_bytes => {
                let mut written = file.append(&[frame]);
                if !seeded("log-unsynced") {
                    written = written.and_then(|()| file.sync());
                }
                written.map_err(self.files.io(name, "write it"))?;
                *size += frame.len() as u64;
            }
            _ => self.begin(self.next, &[frame])?,
        }
        self.next += count;
        Ok(())
    }
}
