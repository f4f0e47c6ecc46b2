//! Bugs that are put in on purpose, to see that a test finds them.
//!
//! Only a build with `--cfg seeded_bugs` has them, and there at most one: the one that `THALWEG_SEEDED_BUG` names.
//! In every other build [`seeded`] is a constant, and nothing is left of what it guards. `perf-scripts/seeded-bugs`
//! lists them, each with the test that has to fail.

/// Whether the bug of this name is in.
#[cfg(not(seeded_bugs))]
#[inline(always)]
pub(crate) const fn seeded(_bug: &str) -> bool {
    false
}

/// Whether the bug of this name is in.
#[cfg(seeded_bugs)]
pub(crate) fn seeded(bug: &str) -> bool {
    use std::sync::OnceLock;
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var("THALWEG_SEEDED_BUG").ok());
    named.as_deref() == Some(bug)
}
