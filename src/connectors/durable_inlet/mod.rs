//! A durable inlet: input for programs that cannot resend records, which logs everything it accepts.
//!
//! ```text
//! program ─ push* ─ sync ─► log on the disk ─► the job, from its last checkpoint
//!                     └──► acknowledged            └─ what a complete checkpoint covers is removed
//! ```

mod error;
mod frame;
mod group;
mod inlet;
mod log;
#[cfg(test)]
mod power_loss_test;
mod source;
#[cfg(test)]
mod tests;

pub use error::DurableInletError;
pub use inlet::{DurableInlet, durable_inlet, durable_inlet_in};
pub use source::{DurableInletReader, DurableInletSource};
