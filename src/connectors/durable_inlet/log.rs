//! The segments of a log: appended, found again, looked at after a crash, and removed.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::DurableInletError;
use super::frame::{FORMAT, FrameHeader, HEADER_SIZE, SegmentHeader};

/// The name of the segment whose first record has this number.
fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.log"))
}

/// The numbers of the segments' first records, in order.
pub(super) fn segments(directory: &Path) -> Result<Vec<u64>, DurableInletError> {
    let entries = fs::read_dir(directory).map_err(DurableInletError::io(directory, "list it"))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(DurableInletError::io(directory, "list it"))?
            .file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".log"));
        found.extend(name.and_then(|first| first.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

fn sync_directory(directory: &Path) -> Result<(), DurableInletError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(DurableInletError::io(directory, "sync it"))
}

/// A segment being read.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: File,
    /// Where the next frame begins.
    pub(super) offset: u64,
}

/// A frame that was read: what its header says, and its records in a buffer aligned to 16 bytes.
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    pub(super) body: Vec<u128>,
}

impl Segment {
    /// Opens the segment whose first record has this number. None if its beginning was never written.
    pub(super) fn open(
        directory: &Path,
        first: u64,
        version: u32,
    ) -> Result<Option<Self>, DurableInletError> {
        let path = segment_path(directory, first);
        let file = File::options().read(true).write(true).open(&path);
        let file = file.map_err(DurableInletError::io(&path, "open it"))?;
        let mut bytes = [0; HEADER_SIZE];
        match file.read_exact_at(&mut bytes, 0) {
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(DurableInletError::io(&path, "read it"))?,
        }
        let Some(header) = SegmentHeader::decode(&bytes).filter(|h| h.first == first) else {
            return match find_frame(&path, &file, HEADER_SIZE as u64)? {
                None => Ok(None),
                Some(_) => Err(DurableInletError::damaged(&path, 0)),
            };
        };
        let versions = [
            ("format", header.format, FORMAT),
            ("record version", header.version, version),
        ];
        for (what, found, wanted) in versions {
            if found != wanted {
                return Err(DurableInletError::Version {
                    path,
                    what,
                    found,
                    wanted,
                });
            }
        }
        let offset = HEADER_SIZE as u64;
        Ok(Some(Segment { path, file, offset }))
    }

    /// Reads the next frame; none if no whole one follows.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, DurableInletError> {
        let Some(frame) = read_frame(&self.path, &self.file, self.offset)? else {
            return Ok(None);
        };
        self.offset += (HEADER_SIZE + frame.header.length) as u64;
        Ok(Some(frame))
    }

    /// Checks that what follows the last whole frame was never acknowledged: no whole frame stands behind it.
    fn check_tail(&self) -> Result<(), DurableInletError> {
        match find_frame(&self.path, &self.file, self.offset)? {
            None => Ok(()),
            Some(_) => Err(DurableInletError::damaged(&self.path, self.offset)),
        }
    }
}

/// The frame at `offset`, if there is a whole one.
fn read_frame(path: &Path, file: &File, offset: u64) -> Result<Option<Frame>, DurableInletError> {
    let mut bytes = [0; HEADER_SIZE];
    let read = |buffer: &mut [u8], offset| match file.read_exact_at(buffer, offset) {
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read
            .map(|()| true)
            .map_err(DurableInletError::io(path, "read it")),
    };
    if !read(&mut bytes, offset)? {
        return Ok(None);
    }
    let Some(header) = FrameHeader::decode(&bytes) else {
        return Ok(None);
    };
    let mut body = vec![0_u128; header.length / size_of::<u128>()];
    let whole = read(
        bytemuck::cast_slice_mut(&mut body),
        offset + HEADER_SIZE as u64,
    )? && FrameHeader::is_valid(&bytes, bytemuck::cast_slice(&body));
    Ok(whole.then_some(Frame { header, body }))
}

/// Where the first whole frame is from `from` on.
fn find_frame(path: &Path, file: &File, from: u64) -> Result<Option<u64>, DurableInletError> {
    let size = file
        .metadata()
        .map_err(DurableInletError::io(path, "look at it"))?
        .len();
    for offset in (from..size).step_by(16) {
        if read_frame(path, file, offset)?.is_some() {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

/// The end of a log, to which frames are appended.
#[derive(Debug)]
pub(super) struct Appender {
    directory: PathBuf,
    version: u32,
    segment_bytes: u64,
    /// The last segment, once there is one.
    file: Option<(PathBuf, File, u64)>,
    /// The number of the next record.
    pub(super) next: u64,
    failed: bool,
    /// Held while the log is open.
    _lock: File,
}

impl Appender {
    /// Opens the log in a directory, and cuts off what a crash left torn at its end.
    pub(super) fn open(
        directory: &Path,
        version: u32,
        segment_bytes: u64,
    ) -> Result<Self, DurableInletError> {
        fs::create_dir_all(directory).map_err(DurableInletError::io(directory, "create it"))?;
        let lock_path = directory.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path);
        let lock = lock.map_err(DurableInletError::io(&lock_path, "open it"))?;
        lock.try_lock().map_err(|_| DurableInletError::InUse {
            path: directory.to_path_buf(),
        })?;
        let mut appender = Appender {
            directory: directory.to_path_buf(),
            version,
            segment_bytes,
            file: None,
            next: 0,
            failed: false,
            _lock: lock,
        };
        if let Some(last) = segments(directory)?.pop() {
            appender.find_end(last)?;
        }
        sync_directory(directory)?;
        Ok(appender)
    }

    /// Goes to the end of the last segment.
    fn find_end(&mut self, last: u64) -> Result<(), DurableInletError> {
        self.next = last;
        let Some(mut segment) = Segment::open(&self.directory, last, self.version)? else {
            // It was never begun: the one before, if there is one, is whole.
            let path = segment_path(&self.directory, last);
            return fs::remove_file(&path).map_err(DurableInletError::io(&path, "remove it"));
        };
        while let Some(frame) = segment.next()? {
            if frame.header.first != self.next {
                return Err(DurableInletError::damaged(&segment.path, segment.offset));
            }
            self.next += frame.header.count;
        }
        segment.check_tail()?;
        let Segment { path, file, offset } = segment;
        let cut = file.set_len(offset).and_then(|()| file.sync_all());
        cut.map_err(DurableInletError::io(&path, "cut off what was torn"))?;
        self.file = Some((path, file, offset));
        Ok(())
    }

    fn roll(&mut self) -> Result<&mut (PathBuf, File, u64), DurableInletError> {
        let path = segment_path(&self.directory, self.next);
        let mut file =
            File::create_new(&path).map_err(DurableInletError::io(&path, "create it"))?;
        let header = SegmentHeader {
            format: FORMAT,
            version: self.version,
            first: self.next,
        };
        let written = file
            .write_all(&header.encode())
            .and_then(|()| file.sync_all());
        written.map_err(DurableInletError::io(&path, "write it"))?;
        sync_directory(&self.directory)?;
        Ok(self.file.insert((path, file, HEADER_SIZE as u64)))
    }

    /// Appends a frame of so many records and waits for the disk. After an error nothing is known of what is
    /// there, so nothing more is appended.
    pub(super) fn append(&mut self, frame: &[u8], count: u64) -> Result<(), DurableInletError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(DurableInletError::Failed);
        }
        let segment_bytes = self.segment_bytes;
        if self
            .file
            .as_ref()
            .is_none_or(|(_, _, size)| *size >= segment_bytes)
        {
            self.roll()?;
        }
        if let Some((path, file, size)) = &mut self.file {
            let written = file
                .write_all_at(frame, *size)
                .and_then(|()| file.sync_data());
            written.map_err(DurableInletError::io(path, "write it"))?;
            *size += frame.len() as u64;
        }
        self.next += count;
        self.failed = false;
        Ok(())
    }
}

/// Removes the segments all of whose records come before `record`.
pub(super) fn remove_before(directory: &Path, record: u64) -> Result<(), DurableInletError> {
    let all = segments(directory)?;
    for (first, behind) in all.iter().zip(&all[all.len().min(1)..]) {
        if *behind <= record {
            let path = segment_path(directory, *first);
            fs::remove_file(&path).map_err(DurableInletError::io(&path, "remove it"))?;
        }
    }
    Ok(())
}
