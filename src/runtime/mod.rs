//! Execution: subtasks on workers, the rings between them, and the job that owns them.
//!
//! A [`Deployment`] turns an execution graph and typed [`Pipe`]s into subtasks. Each subtask is driven by
//! *heads* (sources and input gates) in bounded turns; a *worker* is a pinned thread that runs its subtasks in turn;
//! the job master, an unpinned thread, supervises the workers. Nothing blocks a worker but a sink's close,
//! which waits for its commits: one separate thread writes checkpoints, another performs the commits of sinks.

mod affinity;
mod batch;
mod channels;
mod checkpoint_coordinator;
mod checkpoint_event;
mod checkpoint_request;
mod checkpoint_writer;
mod checkpointer;
mod checkpoints;
mod config;
mod deployment;
#[cfg(test)]
mod endless_head;
mod error;
mod gate_channels;
mod head;
mod input_gate;
mod input_log;
mod job;
mod job_master;
mod job_status;
mod mailbox;
mod origin;
mod output_channel;
mod pace;
mod pipe;
mod replay;
mod report;
mod restart;
mod result_partition;
mod running;
mod runs;
mod source_head;
mod stepped_checkpoints;
mod stepper;
mod subtask;
mod subtask_snapshot;
mod wiring;
mod worker;
mod workers;
mod writer_handle;

pub use batch::BatchSize;
pub use checkpoint_event::CheckpointEvent;
pub use checkpoint_writer::CheckpointSize;
pub use checkpoints::{Checkpoints, RestoreFrom, Retention};
pub use deployment::Deployment;
pub use error::JobError;
pub use job::{JobHandle, JobResult};
pub use job_status::JobStatus;
pub use pipe::Pipe;
pub use report::SubtaskReport;
pub use restart::RestartStrategy;
pub use stepper::{Step, Stepper};

pub(crate) use affinity::core_count;
pub(crate) use config::Config;
pub(crate) use deployment::{Attempt, Blueprint, ForkId, SenderParts, WorkerParts};
pub(crate) use input_gate::InputGate;
pub(crate) use job_master::start;
pub(crate) use pipe::Terminal;
pub(crate) use replay::Restoring;
pub(crate) use result_partition::ResultPartition;
pub(crate) use source_head::{SourceHead, restored_positions};
