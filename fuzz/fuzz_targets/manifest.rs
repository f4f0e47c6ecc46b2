//! Any bytes as a manifest.

#![no_main]

#[path = "../../tests/it/checkpoints/forge.rs"]
#[allow(dead_code, reason = "each target forges one kind of file")]
mod forge;

use libfuzzer_sys::fuzz_target;
use thalweg::checkpoint::{SimulatedStorage, inspect, open_savepoint};

const NAME: &str = "manifest-0000000001";

fuzz_target!(|bytes: &[u8]| {
    let storage = SimulatedStorage::new(1);
    for bytes in [bytes.to_vec(), forge::manifest(bytes.to_vec())] {
        storage.put(NAME, bytes);
        let listed = inspect::list(&storage).expect("listed");
        assert_eq!(listed.len(), 1);
        let _ = open_savepoint(&storage);
    }
});
