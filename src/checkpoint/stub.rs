#![allow(
    missing_docs,
    dead_code,
    missing_debug_implementations,
    clippy::all,
    unused
)]
use super::*;
use crate::record::KeyHasher;
use std::io;
use std::sync::Arc;
pub trait Storage: Send + Sync + std::fmt::Debug {}
#[derive(Debug)]
pub struct RealStorage;
impl Storage for RealStorage {}
impl RealStorage {
    pub fn create(_: &std::path::Path) -> io::Result<Self> {
        todo()
    }
    pub fn existing(_: &std::path::Path) -> io::Result<Self> {
        todo()
    }
}
fn todo() -> ! {
    panic!()
}
#[derive(Default)]
pub struct StoreOptions {
    pub retained: usize,
    pub hasher: KeyHasher,
    pub x: u8,
}
pub struct Contents {
    pub parent: Option<u64>,
    pub is_savepoint: bool,
    pub started_ms: u64,
    pub completed_ms: u64,
    pub operators: Vec<OperatorInfo>,
    pub reports: Vec<SubtaskReport>,
}
pub struct OperatorInfo {
    pub uid: Arc<str>,
    pub parallelism: u32,
    pub max_parallelism: u32,
}
pub struct SubtaskReport {
    pub subtask: u32,
    pub states: Vec<StateReport>,
}
pub struct CheckpointStore;
pub struct Pending;
pub struct Completed;
pub struct FoldTask;
pub struct Folded;
pub struct Export;
type R<T> = Result<T, CheckpointError>;
impl Pending {
    pub fn append(&mut self, _: &Piece) -> R<()> {
        todo()
    }
}
impl FoldTask {
    pub fn run(self) -> R<Folded> {
        todo()
    }
}
impl Export {
    pub fn to(self, _: Arc<dyn Storage>) -> R<()> {
        todo()
    }
}
impl CheckpointStore {
    pub fn open(_: Arc<dyn Storage>, _: StoreOptions) -> R<Self> {
        todo()
    }
    pub fn newest(&self) -> Option<u64> {
        todo()
    }
    pub fn next_checkpoint(&self) -> u64 {
        todo()
    }
    pub fn begin(&mut self, _: u64) -> R<Pending> {
        todo()
    }
    pub fn complete(&mut self, _: Pending, _: Contents) -> R<Completed> {
        todo()
    }
    pub fn abandon(&mut self, _: Pending) {
        todo()
    }
    pub fn restore_newest(&mut self) -> R<Option<Restored>> {
        todo()
    }
    pub fn plan_fold(&mut self) -> Option<FoldTask> {
        todo()
    }
    pub fn attach(&mut self, _: Folded) {
        todo()
    }
    pub fn export(&mut self, _: u64) -> R<Export> {
        todo()
    }
    pub fn discard_all(&mut self) -> R<()> {
        todo()
    }
}
pub fn open_savepoint(_: Arc<dyn Storage>) -> R<Restored> {
    todo()
}
