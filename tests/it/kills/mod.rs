//! The program is killed with SIGKILL at random moments and restarted, at different parallelisms, until it has
//! finished: nothing is lost, nothing is duplicated, and nothing acknowledged is taken back.
//!
//! `THALWEG_KILLS` sets the number of kills, `THALWEG_KILLS_SEED` the random seed: `perf-scripts/kills` sets both.

mod delays;
mod soak;
mod trial;
