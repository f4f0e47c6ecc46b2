//! Any bytes as a segment.

#![no_main]

#[path = "../../tests/it/checkpoints/forge.rs"]
#[allow(dead_code, reason = "each target forges one kind of file")]
mod forge;

use libfuzzer_sys::fuzz_target;
use thalweg::checkpoint::{SimulatedStorage, inspect};

const NAME: &str = "segment-0000000001";

fuzz_target!(|bytes: &[u8]| {
    let storage = SimulatedStorage::new(1);
    for bytes in [bytes.to_vec(), forge::segment(bytes.to_vec())] {
        storage.put(NAME, bytes);
        let _ = inspect::segment(&storage, NAME);
    }
});
