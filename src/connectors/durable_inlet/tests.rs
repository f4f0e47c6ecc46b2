//! Tests of the durable inlet: every accepted record is read exactly once, whatever happens to the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::inlet::open;
use super::*;
use crate::checkpoint::{
    DirectoryLock, Durability, HeapStorage, ReadAt, RealStorage, Storage, WriteOnce,
};
use crate::connectors::test_chain::Chain;
use crate::operator::{Source, SourceReader, SourceStatus};
use crate::time::Timestamp;

fn files_in(directory: &Path) -> Arc<dyn Storage> {
    Arc::new(RealStorage::create(directory).unwrap())
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    paths.sort();
    paths
}

fn positions<R: SourceReader>(reader: &mut R, checkpoint: u64) -> Vec<Vec<u8>> {
    let mut positions = Vec::new();
    reader.position(checkpoint, &mut positions).unwrap();
    positions
}

/// Pushes and syncs.
fn accept(inlet: &mut DurableInlet<str>, words: &[&str]) -> u64 {
    for word in words {
        inlet.push(word).unwrap();
    }
    inlet.sync().unwrap()
}

/// What a run that starts now reads from a log.
fn read_all(directory: &Path) -> Result<Vec<String>, String> {
    let (inlet, source) = durable_inlet::<str>(directory).map_err(|error| error.to_string())?;
    drop(inlet);
    let mut chain = Chain::new(str::to_owned);
    let status = chain.try_drain(&mut source.reader(0, 1));
    assert_eq!(
        status.map_err(|error| error.to_string())?,
        SourceStatus::Finished
    );
    Ok(chain.values())
}

#[test]
fn job_sees_what_was_synced_and_no_more_and_ends_with_the_inlet() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, source) = durable_inlet::<str>(dir.path()).unwrap();
    let mut chain = Chain::new(str::to_owned);
    let mut reader = source.reader(0, 1);
    assert_eq!(
        chain.try_drain(&mut reader).unwrap(),
        SourceStatus::Idle(None)
    );
    assert_eq!(inlet.push_at("a", Timestamp(7)).unwrap(), 0);
    assert!(!reader.has_input());
    assert_eq!(inlet.sync().unwrap(), 1);
    assert!(reader.has_input());
    assert_eq!(chain.poll(&mut reader), SourceStatus::Idle(None));
    assert_eq!(chain.take(), [("a".to_owned(), Timestamp(7))]);
    accept(&mut inlet, &["b"]);
    inlet.push("never synced").unwrap();
    drop(inlet);
    assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
    assert_eq!(chain.values(), ["b"]);
    assert_eq!(read_all(dir.path()).unwrap(), ["a", "b"]);
}

#[test]
fn two_inlets_do_not_share_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let _open = durable_inlet::<str>(dir.path()).unwrap();
    let error = durable_inlet::<str>(dir.path()).unwrap_err();
    assert!(matches!(error, DurableInletError::InUse { .. }));
}

#[test]
fn torn_end_is_cut_off_at_every_length_but_not_the_first_frame() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, _) = durable_inlet::<str>(dir.path()).unwrap();
    accept(&mut inlet, &["first"]);
    let [path] = &segments(dir.path())[..] else {
        panic!("one segment");
    };
    let before = fs::metadata(path).unwrap().len() as usize;
    accept(&mut inlet, &["second", "third"]);
    drop(inlet);
    let whole = fs::read(path).unwrap();
    for length in 0..whole.len() {
        fs::write(path, &whole[..length]).unwrap();
        let read = read_all(dir.path());
        if length < before {
            assert!(read.unwrap_err().contains("is damaged at byte"), "{length}");
            assert_eq!(fs::read(path).unwrap(), whole[..length], "kept");
        } else {
            assert_eq!(read.unwrap(), ["first"], "{length}");
        }
    }
}

#[test]
fn every_flipped_byte_before_the_last_frame_is_a_named_error() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, _) = durable_inlet::<str>(dir.path()).unwrap();
    accept(&mut inlet, &["first"]);
    let path = segments(dir.path()).remove(0);
    let first_end = fs::metadata(&path).unwrap().len() as usize;
    accept(&mut inlet, &["second"]);
    drop(inlet);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        let read = read_all(dir.path());
        if at < first_end {
            assert!(read.unwrap_err().contains("is damaged at byte"), "{at}");
        } else {
            // The last frame found may never have been acknowledged.
            assert_eq!(read.unwrap(), ["first"], "{at}");
        }
    }
}

#[test]
fn every_flipped_byte_of_a_segment_with_one_frame_is_a_named_error() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, _) = durable_inlet::<str>(dir.path()).unwrap();
    accept(&mut inlet, &["first", "second"]);
    drop(inlet);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let error = read_all(dir.path()).unwrap_err();
        assert!(error.contains("is damaged at byte"), "{at}: {error}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "kept");
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), ["first", "second"]);
}

#[test]
fn complete_checkpoint_removes_what_it_covers_and_an_older_one_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, source) = open::<str>(files_in(dir.path()), 1).unwrap();
    for word in ["a", "b", "c", "d"] {
        accept(&mut inlet, &[word]);
    }
    assert_eq!(segments(dir.path()).len(), 4);
    let mut chain = Chain::new(str::to_owned);
    let mut reader = source.reader(0, 1);
    reader.open(&chain.cx()).unwrap();
    let start = positions(&mut reader, 1);
    chain.room = 3;
    chain.poll(&mut reader);
    let third = positions(&mut reader, 2);
    reader.commit(1);
    assert_eq!(segments(dir.path()).len(), 4);
    reader.commit(2);
    assert_eq!(segments(dir.path()).len(), 1);
    reader.commit(1);
    reader.close().unwrap();
    chain.room = usize::MAX;
    let mut restored = source.reader(0, 1);
    restored.seek(&third, 1).unwrap();
    chain.try_drain(&mut restored).unwrap();
    assert_eq!(chain.values(), ["a", "b", "c", "d"]);
    let mut old = source.reader(0, 1);
    old.seek(&start, 1).unwrap();
    let error = old.open(&chain.cx()).unwrap_err().to_string();
    assert!(error.contains("begins with record 3"), "{error}");
}

#[test]
fn checkpoint_that_was_given_up_does_not_keep_what_a_later_one_covers() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, source) = open::<str>(files_in(dir.path()), 1).unwrap();
    for word in ["a", "b", "c", "d"] {
        accept(&mut inlet, &[word]);
    }
    let mut chain = Chain::new(str::to_owned);
    let mut reader = source.reader(0, 1);
    reader.open(&chain.cx()).unwrap();
    for checkpoint in 1..5 {
        positions(&mut reader, checkpoint);
        chain.room = 1;
        chain.poll(&mut reader);
    }
    reader.commit(3);
    assert_eq!(segments(dir.path()).len(), 2, "what the third covers");
    reader.commit(4);
    assert_eq!(segments(dir.path()).len(), 1, "and the fourth");
}

#[test]
fn threads_that_wait_at_the_same_time_wait_for_one_sync() {
    const THREADS: u64 = 8;
    let disk = Slow {
        storage: HeapStorage::new(),
        syncs: Arc::default(),
    };
    let (inlet, source) = durable_inlet_in::<u64>(Arc::new(disk.clone())).unwrap();
    let threads = (0..THREADS).map(|thread| {
        let mut inlet = inlet.clone();
        std::thread::spawn(move || {
            for n in 0..20 {
                let number = inlet.push(&(thread * 100 + n)).unwrap();
                assert!(inlet.sync().unwrap() > number);
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    drop(inlet);
    let mut chain = Chain::new(u64::clone);
    chain.try_drain(&mut source.reader(0, 1)).unwrap();
    let read = chain.values();
    for thread in 0..THREADS {
        let own: Vec<u64> = read.iter().copied().filter(|n| n / 100 == thread).collect();
        let pushed: Vec<u64> = (0..20).map(|n| thread * 100 + n).collect();
        assert_eq!(own, pushed, "in order");
    }
    let syncs = disk.syncs.load(Ordering::Relaxed);
    assert!(syncs <= THREADS * 20 / 2, "{syncs} syncs");
}

/// Storage whose syncs are slow, and are counted.
#[derive(Clone, Debug)]
struct Slow {
    storage: HeapStorage,
    syncs: Arc<AtomicU64>,
}

struct SlowFile {
    file: Box<dyn WriteOnce>,
    syncs: Arc<AtomicU64>,
}

impl WriteOnce for SlowFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.file.append(parts)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        self.file.sync()
    }

    fn finish(self: Box<Self>, durability: Durability) -> io::Result<u64> {
        self.file.finish(durability)
    }
}

impl Storage for Slow {
    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        let (file, syncs) = (self.storage.create(name, expected)?, self.syncs.clone());
        Ok(Box::new(SlowFile { file, syncs }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        self.storage.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.storage.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.storage.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.storage.sync_directory()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        self.storage.lock()
    }

    fn place(&self) -> String {
        self.storage.place()
    }
}

#[test]
fn log_that_lost_its_end_or_a_segment_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, source) = open::<str>(files_in(dir.path()), 1).unwrap();
    for word in ["a", "b", "c"] {
        accept(&mut inlet, &[word]);
    }
    let mut chain = Chain::new(str::to_owned);
    let mut reader = source.reader(0, 1);
    chain.try_drain(&mut reader).unwrap();
    let end = positions(&mut reader, 1);
    drop((inlet, source, reader));
    let paths = segments(dir.path());
    fs::remove_file(&paths[1]).unwrap();
    assert!(read_all(dir.path()).unwrap_err().contains("is damaged"));
    fs::remove_file(&paths[2]).unwrap();
    let (_inlet, source) = durable_inlet::<str>(dir.path()).unwrap();
    let mut reader = source.reader(0, 1);
    reader.seek(&end, 1).unwrap();
    let error = reader.open(&chain.cx()).unwrap_err().to_string();
    assert!(
        error.contains("ends before record 1, but 3 were read"),
        "{error}"
    );
}

#[test]
fn log_that_took_the_place_of_another_is_told_so() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let read_from = |dir: &tempfile::TempDir, start: Option<&[Vec<u8>]>| {
        let (mut inlet, source) = durable_inlet::<str>(dir.path()).unwrap();
        accept(&mut inlet, &["a", "b"]);
        let mut chain = Chain::new(str::to_owned);
        let mut reader = source.reader(0, 1);
        if let Some(start) = start {
            reader.seek(start, 1).map_err(|error| error.to_string())?;
        }
        chain.try_drain(&mut reader).unwrap();
        Ok::<_, String>(positions(&mut reader, 1))
    };
    let end = read_from(&dirs[0], None).unwrap();
    let error = read_from(&dirs[1], Some(&end)).unwrap_err();
    assert!(error.contains("is not the one of which"), "{error}");
    read_from(&dirs[0], Some(&end)).expect("the log is the same in another run");
}

#[test]
fn log_is_read_as_records_of_the_type_that_wrote_it_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, _source) = durable_inlet::<u64>(dir.path()).unwrap();
    inlet.push(&7).unwrap();
    inlet.sync().unwrap();
    drop((inlet, _source));
    let error = durable_inlet::<f64>(dir.path()).unwrap_err().to_string();
    assert!(error.contains("records of `f64`"), "{error}");
    durable_inlet::<u64>(dir.path()).expect("what wrote it");
}

#[test]
fn sleeping_reader_is_woken_by_a_sync_and_by_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut inlet, source) = durable_inlet::<u64>(dir.path()).unwrap();
    let reading = std::thread::spawn(move || {
        let mut parker = crate::ring::Parker::new();
        let mut chain = Chain::new(u64::clone);
        chain.waker = Some(parker.waker());
        let mut reader = source.reader(0, 1);
        reader.open(&chain.cx()).unwrap();
        loop {
            let prepared = parker.prepare();
            match chain.poll(&mut reader) {
                SourceStatus::Finished => return chain.values(),
                SourceStatus::Idle(_) => drop(prepared.park(None)),
                SourceStatus::More => prepared.cancel(),
            }
        }
    });
    for number in 0..200 {
        inlet.push(&number).unwrap();
        inlet.sync().unwrap();
    }
    drop(inlet);
    assert_eq!(reading.join().unwrap(), (0..200).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Runs that push groups and read some, are cut at or after a barrier, and resume from the last one.
    #[test]
    fn every_accepted_record_is_read_once_wherever_a_run_is_cut(
        runs in prop::collection::vec(
            (prop::collection::vec(0..20_u64, 0..4), 0..50_usize, any::<bool>(), 0..20_usize), 1..6),
        segment_bytes in 1..2000_u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut pushed, mut read) = (0_u64, Vec::new());
        let mut left: Option<Vec<Vec<u8>>> = None;
        for (groups, room, complete, lost) in runs {
            let (mut inlet, source) = open::<u64>(files_in(dir.path()), segment_bytes).unwrap();
            for group in groups {
                for number in pushed..pushed + group {
                    inlet.push(&number).unwrap();
                }
                pushed += group;
                prop_assert_eq!(inlet.sync().unwrap(), pushed);
            }
            let mut chain = Chain::new(u64::clone);
            let mut reader = source.reader(0, 1);
            if let Some(left) = &left {
                reader.seek(left, 1).unwrap();
            }
            reader.open(&chain.cx()).unwrap();
            chain.room = room;
            while chain.room > 0 && chain.poll(&mut reader) == SourceStatus::More {}
            if complete {
                left = Some(positions(&mut reader, 1));
                reader.commit(1);
                read.extend(chain.take().into_iter().map(|(number, _)| number));
            }
            // Records read after the barrier are read again.
            chain.room = lost;
            while chain.room > 0 && chain.poll(&mut reader) == SourceStatus::More {}
        }
        let (inlet, source) = open::<u64>(files_in(dir.path()), segment_bytes).unwrap();
        drop(inlet);
        let mut chain = Chain::new(u64::clone);
        let mut reader = source.reader(0, 1);
        if let Some(left) = &left {
            reader.seek(left, 1).unwrap();
        }
        chain.drain(&mut reader);
        read.extend(chain.values());
        prop_assert_eq!(read, (0..pushed).collect::<Vec<_>>());
    }
}
