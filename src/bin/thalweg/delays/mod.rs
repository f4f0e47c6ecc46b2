//! `thalweg delays`: how punctual flights were, hour by hour, from real data that is really out of order.

mod airline_names;
mod flight;
mod hourly_delays;
mod hourly_watermarks;
mod job;
mod options;
mod ordered_results;
mod progress;
mod summary;
mod worst_hours;

pub(crate) use job::run;
pub(crate) use options::{DelaysOptions, HELP};
