//! The format of a checkpoint is pinned: later versions that claim to must read today's files.

use std::fmt::Write;

use thalweg::checkpoint::SimulatedStorage;

use super::world::{Changes, contents, open, take};

pub(super) const MANIFEST: &str = include_str!("golden/manifest.hex");
pub(super) const SEGMENT: &str = include_str!("golden/segment.hex");

/// A hex dump, sixteen bytes per line, as numbers and as text.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen = |byte: &u8| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '.'
            }
        };
        let seen: String = line.iter().map(seen).collect();
        writeln!(text, "{:06x}  {:47}  {seen}", number * 16, hex.join(" "))
            .expect("a string grows");
    }
    text
}

pub(super) fn read_dump(text: &str) -> Vec<u8> {
    let bytes = text.lines().flat_map(|line| line[8..55].split_whitespace());
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).expect("a number"))
        .collect()
}

fn small_changes() -> Changes {
    Changes {
        dropped: vec![-1],
        removed: vec![(0, 3)],
        set: vec![
            ((0, 1), b"one".to_vec()),
            ((0, 2), b"two".to_vec()),
            ((5, 4), b"".to_vec()),
        ],
    }
}

#[test]
fn files_are_written_as_they_always_were() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    take(&mut store, 1, None, &small_changes()).expect("complete");
    let dumped = |name: &str| dump(&storage.bytes(name).expect("there"));
    let written = [
        ("manifest.hex", dumped("manifest-0000000001"), MANIFEST),
        ("segment.hex", dumped("segment-0000000001"), SEGMENT),
    ];
    for (file, found, wanted) in written {
        if found != wanted {
            let path = std::env::temp_dir().join(file);
            std::fs::write(&path, found).expect("written");
            panic!(
                "the format has changed: raise its version; see {}",
                path.display()
            );
        }
    }
}

#[test]
fn files_that_were_written_once_are_read() {
    let storage = SimulatedStorage::new(1);
    storage.put("manifest-0000000001", read_dump(MANIFEST));
    storage.put("segment-0000000001", read_dump(SEGMENT));
    let mut store = open(&storage).expect("undamaged");
    let restored = store.restore_newest().expect("undamaged").expect("there");
    let mut wanted = super::world::Entries::new();
    small_changes().apply(&mut wanted);
    assert_eq!(contents(&restored).expect("undamaged"), wanted);
}

#[test]
fn a_file_of_another_version_or_machine_is_called_foreign() {
    let cases: [(usize, &str); 3] = [
        (8, "format version"),
        (12, "the platform"),
        (16, "key hash"),
    ];
    for file in ["manifest-0000000001", "segment-0000000001"] {
        for (at, what) in cases {
            let storage = SimulatedStorage::new(1);
            storage.put("manifest-0000000001", read_dump(MANIFEST));
            storage.put("segment-0000000001", read_dump(SEGMENT));
            let mut bytes = storage.bytes(file).expect("there");
            bytes[at] += 1;
            storage.put(file, bytes);
            let mut store = open(&storage).expect("openable");
            let error = store.restore_newest().expect_err("it is foreign");
            let text = error.to_string();
            assert!(text.contains(file) && text.contains(what), "{text}");
        }
    }
}
