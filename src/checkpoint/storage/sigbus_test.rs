//! A bad page of one of our files is an error; a foreign one has the same effect as without us.

#![expect(unsafe_code, reason = "maps a file and has its pages go bad")]

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use memmap2::MmapOptions;

use super::*;
use crate::checkpoint::{RealStorage, Storage};

/// Set in a process that is to fault on a page that we do not guard.
const FOREIGN: &str = "THALWEG_TEST_FOREIGN_FAULT";

#[test]
fn a_file_cut_off_under_its_map_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = RealStorage::create(directory.path()).expect("made");
    let mut file = storage.create("file", 1 << 20).expect("created");
    file.append(&[&[1; 1000]]).expect("appended");
    let other = File::options()
        .write(true)
        .open(directory.path().join("file"));
    other.expect("there").set_len(0).expect("cut off");
    let error = file
        .append(&[&[2; 100_000]])
        .expect_err("its pages are gone");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    let again = storage.create("again", 1 << 20).expect("created");
    again
        .finish(crate::checkpoint::Durability::Synced)
        .expect("others are as good as ever");
}

#[test]
fn a_fault_outside_of_our_maps_is_handed_on() {
    if std::env::var_os(FOREIGN).is_some() {
        fault_on_a_foreign_page();
    }
    let this = std::env::current_exe().expect("a test runs");
    let name = "checkpoint::storage::sigbus::tests::a_fault_outside_of_our_maps_is_handed_on";
    let mut child = Command::new(this);
    let child = child
        .args(["--exact", name, "--test-threads=1"])
        .env(FOREIGN, "1");
    let output = child.output().expect("it was started");
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}

fn fault_on_a_foreign_page() {
    let file = tempfile::tempfile().expect("a file");
    file.set_len(4096).expect("made longer");
    // SAFETY: only this function has the file.
    let mut map = unsafe { MmapOptions::new().len(4096).map_mut(&file) }.expect("mapped");
    let others = [0u8; 16];
    let _guard = Guard::over(others.as_ptr_range()).expect("there are slots");
    file.set_len(0).expect("cut off");
    map[0] = 1;
    // The store is not optimised away: its value is read.
    assert_eq!(std::hint::black_box(map[0]), 1);
}

#[test]
fn guards_end_and_are_used_again() {
    let bytes = [0u8; 16];
    for _ in 0..3 * SLOT_COUNT {
        let guard = Guard::over(bytes.as_ptr_range());
        // Other tests run beside this one and may hold slots, but not all of them.
        guard
            .expect("a slot is free")
            .check()
            .expect("nothing happened");
    }
}
