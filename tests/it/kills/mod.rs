//! The program is killed with SIGKILL at random moments and started again, at other parallelisms, until it has
//! finished: nothing is lost, nothing is doubled, and nothing that was acknowledged is taken back.
//!
//! `THALWEG_KILLS` says how often, `THALWEG_KILLS_SEED` in which manner: `perf-scripts/kills` sets both.

mod delays;
mod soak;
mod trial;
