//! The contract of every storage, and what the simulated one does to unsynced data.

use std::io;

use super::*;

const FILE: &str = "segment";

/// Writes a file from front to back.
fn write(storage: &dyn Storage, name: &str, parts: &[&[u8]]) -> io::Result<u64> {
    let mut file = storage.create(name, 100)?;
    for part in parts {
        file.append(&[part, b"|"])?;
    }
    file.finish(Durability::Synced)
}

fn read(storage: &dyn Storage, name: &str) -> io::Result<Vec<u8>> {
    read_whole(&*storage.open(name)?, u64::MAX)
}

fn keeps_its_promises(storage: &dyn Storage) {
    let large = vec![7u8; 3_000_000];
    let length = write(storage, FILE, &[b"abc", &large]).expect("written");
    assert_eq!(length, 5 + 3_000_000);
    let bytes = read(storage, FILE).expect("read");
    assert_eq!(bytes.len() as u64, length);
    assert_eq!(&bytes[..4], b"abc|");
    assert!(bytes[4..3_000_004].iter().all(|byte| *byte == 7));

    let twice = storage.create(FILE, 0).map(drop).expect_err("it is there");
    assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
    let behind = storage
        .open(FILE)
        .expect("there")
        .read_at(length - 1, &mut [0; 2]);
    assert_eq!(
        behind.expect_err("past its end").kind(),
        io::ErrorKind::UnexpectedEof
    );

    write(storage, "other", &[b"x"]).expect("written");
    let open = storage.open(FILE).expect("there");
    storage.rename("other", FILE).expect("replaced");
    storage.sync_directory().expect("synced");
    assert_eq!(read(storage, FILE).expect("read"), b"x|");
    let mut first = [0; 3];
    open.read_at(0, &mut first).expect("still readable");
    assert_eq!(&first, b"abc");

    let mut log = storage.create("log", 0).expect("created");
    let mut first = [0; 6];
    log.append(&[b"one"]).expect("appended");
    log.sync().expect("synced");
    let growing = storage.open("log").expect("there");
    log.append(&[b"two"]).expect("appended");
    log.sync().expect("synced");
    growing.read_at(0, &mut first).expect("grown");
    assert_eq!(&first, b"onetwo");
    assert_eq!(log.finish(Durability::Synced).expect("ended"), 6);

    is_reused(storage);

    storage.remove(FILE).expect("removed");
    let gone = storage.open(FILE).map(drop).expect_err("it is gone");
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    assert!(!storage.list().expect("listed").contains(&FILE.to_owned()));

    let lock = storage.lock().expect("free");
    let locked = storage.lock().map(drop).expect_err("taken");
    assert_eq!(locked.kind(), io::ErrorKind::WouldBlock);
    let identity = lock.identity();
    drop(lock);
    let again = storage.lock().expect("free again");
    assert_eq!(again.identity(), identity, "the directory is the same");
}

/// A file that takes another's place has only its own bytes, whether it is longer or shorter.
fn is_reused(storage: &dyn Storage) {
    let long = vec![9; 2_500_000];
    let mut old = "old";
    write(storage, old, &[&long, &long]).expect("written");
    for (name, content) in [("shorter", &long[..2_400_000]), ("longer", &[1; 6_000_000])] {
        let mut file = storage.reuse(old, name, 1_000_000).expect("in its place");
        let (first, rest) = content.split_at(1_000_001);
        file.append(&[first]).expect("appended");
        file.append(&[rest]).expect("appended");
        let length = file.finish(Durability::Synced).expect("ended");
        assert_eq!(length, content.len() as u64);
        assert!(read(storage, name).expect("read") == content);
        assert!(storage.open(old).is_err(), "it is no more");
        old = name;
    }
    let reading = storage.open(old).expect("there");
    let mut file = storage.reuse(old, "new", 10).expect("though it is read");
    file.append(&[b"new"]).expect("appended");
    let mut bytes = [0; 3];
    reading.read_at(0, &mut bytes).expect("still readable");
    assert_eq!(bytes, [1; 3]);
    drop(reading);
    file.finish(Durability::Synced).expect("ended");
    assert_eq!(read(storage, "new").expect("read"), b"new");
    let twice = storage.reuse("new", FILE, 3).map(drop).expect_err("there");
    assert_eq!(twice.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_heap_storage_keeps_its_promises() {
    keeps_its_promises(&HeapStorage::new());
}

#[test]
fn a_simulated_storage_without_faults_keeps_its_promises() {
    keeps_its_promises(&SimulatedStorage::new(1));
}

#[test]
#[cfg(not(miri))]
fn a_directory_keeps_its_promises() {
    for filling in [Filling::Map, Filling::Write] {
        let directory = tempfile::tempdir().expect("a directory");
        let storage = RealStorage::create(directory.path().join("a/b")).expect("made");
        keeps_its_promises(&storage.filled_by(filling));
    }
}

#[test]
#[cfg(not(miri))]
fn a_directory_is_told_from_one_that_takes_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let identity = || {
        let storage = RealStorage::create(directory.path().join("a")).expect("made");
        storage.lock().expect("free").identity()
    };
    let first = identity();
    assert_eq!(identity(), first);
    std::fs::rename(directory.path().join("a"), directory.path().join("b")).expect("moved");
    assert_ne!(identity(), first);
}

#[test]
#[cfg(not(miri))]
fn a_file_with_another_name_is_not_written_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = RealStorage::create(directory.path()).expect("made");
    write(&storage, FILE, &[b"kept"]).expect("written");
    let copy = directory.path().join("copy");
    std::fs::hard_link(directory.path().join(FILE), &copy).expect("linked");
    let mut file = storage.reuse(FILE, "new", 10).expect("created");
    file.append(&[b"over"]).expect("appended");
    file.finish(Durability::Synced).expect("ended");
    assert_eq!(std::fs::read(copy).expect("there"), b"kept|");
}

#[test]
fn a_loss_of_power_leaves_a_file_that_is_written_over_as_it_was_or_will_be() {
    let storage = SimulatedStorage::new(1);
    write(&storage, "old", &[b"0123456789"]).expect("written");
    storage.sync_directory().expect("synced");
    let mut file = storage.reuse("old", "new", 10).expect("in its place");
    file.append(&[b"abc"]).expect("appended");
    assert_eq!(storage.bytes("new").expect("there"), b"abc3456789|");
    let all = storage.power_loss(Loss::All);
    assert_eq!(all.bytes("old").expect("there"), b"0123456789|");
    file.finish(Durability::Synced).expect("ended");
    let all = storage.power_loss(Loss::All);
    assert_eq!(all.bytes("old").expect("its name was not synced"), b"abc");
    storage.sync_directory().expect("synced");
    let all = storage.power_loss(Loss::All);
    assert_eq!(all.bytes("new").expect("there"), b"abc");

    // The unsynced tail of a longer file is forgotten when a shorter one takes its place.
    let mut file = storage.create("unsynced", 10).expect("created");
    file.append(&[b"0123456789"]).expect("appended");
    let killed = storage.killed();
    let mut file = killed.reuse("unsynced", "short", 1).expect("in its place");
    file.append(&[b"a"]).expect("appended");
    file.finish(Durability::Synced).expect("ended");
    killed.sync_directory().expect("synced");
    let all = killed.power_loss(Loss::All);
    assert_eq!(all.bytes("short").expect("there"), b"a");
}

#[test]
fn a_loss_of_power_takes_what_was_not_synced() {
    let storage = SimulatedStorage::new(1);
    write(&storage, "named", &[b"kept"]).expect("written");
    storage.sync_directory().expect("synced");
    write(&storage, "unnamed", &[b"kept"]).expect("written");
    let mut file = storage.create("unsynced", 10).expect("created");
    file.append(&[b"lost"]).expect("appended");

    let all = storage.power_loss(Loss::All);
    assert_eq!(all.list().expect("listed"), ["named"]);
    let none = storage.power_loss(Loss::None);
    assert_eq!(
        none.list().expect("listed"),
        ["named", "unnamed", "unsynced"]
    );
    assert_eq!(none.bytes("unsynced").expect("there"), b"lost\0\0\0\0\0\0");
    let some = (0..64).map(|seed| storage.power_loss(Loss::Some(seed)));
    let kept = some.filter(|disk| disk.open("unsynced").is_ok()).count();
    assert!(
        (1..64).contains(&kept),
        "{kept} of 64 kept an unsynced name"
    );
}

#[test]
fn a_sync_that_failed_makes_nothing_durable_ever() {
    let storage = SimulatedStorage::new(1);
    let mut file = storage.create(FILE, 10).expect("created");
    file.append(&[b"lost"]).expect("appended");
    storage.sync_directory().expect("synced");
    storage.set_faults(Faults {
        fail_at: Some((storage.operations(), Fault::Io)),
        ..Faults::default()
    });
    file.finish(Durability::Synced).expect_err("the sync fails");
    for seed in 0..64 {
        let bytes = storage.power_loss(Loss::Some(seed)).bytes(FILE);
        assert_eq!(bytes.expect("named"), b"");
    }
    assert_eq!(
        storage.bytes(FILE).expect("there"),
        b"lost",
        "the process still sees it"
    );
}

#[test]
fn what_was_synced_while_a_file_grows_outlives_what_comes_after_it() {
    let storage = SimulatedStorage::new(1);
    let mut file = storage.create(FILE, 0).expect("created");
    storage.sync_directory().expect("synced");
    file.append(&[b"kept"]).expect("appended");
    file.sync().expect("synced");
    storage.set_faults(Faults {
        fail_at: Some((storage.operations() + 1, Fault::Io)),
        ..Faults::default()
    });
    file.append(&[b"lost"]).expect("appended");
    file.sync().expect_err("the sync fails");
    file.append(&[b"late"]).expect("appended");
    let all = storage.power_loss(Loss::All).bytes(FILE);
    assert_eq!(all.expect("there"), b"kept");
    file.sync().expect("another one");
    for loss in [Loss::All, Loss::Some(1)] {
        let bytes = storage.power_loss(loss).bytes(FILE).expect("there");
        assert_eq!(bytes, b"kept\0\0\0\0late", "what a failed sync has lost");
    }
}

#[test]
fn the_power_fails_in_the_middle_of_the_operation_that_is_told() {
    let storage = SimulatedStorage::new(1);
    storage.set_faults(Faults {
        crash_at: Some(1),
        ..Faults::default()
    });
    let mut file = storage.create(FILE, 10).expect("the first operation");
    file.append(&[b"x"]).expect_err("the power is off");
    file.finish(Durability::Synced).expect_err("it stays off");
    storage.list().expect_err("for everybody");
    let kinds: Vec<_> = storage
        .log()
        .into_iter()
        .map(|operation| operation.kind)
        .collect();
    assert_eq!(kinds, [OperationKind::Create, OperationKind::Append]);
    // It may have taken effect nevertheless.
    assert_eq!(
        &storage.power_loss(Loss::None).bytes(FILE).expect("there")[..1],
        b"x"
    );
}

#[test]
fn a_full_disk_is_an_error() {
    let storage = SimulatedStorage::new(1);
    storage.set_faults(Faults {
        capacity: Some(1_000),
        ..Faults::default()
    });
    let full = storage.create("a", 1_001).map(drop).expect_err("too much");
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    let mut file = storage.create("b", 900).expect("enough");
    let full = file.append(&[&[1; 1_001]]).expect_err("too much");
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
}
