//! What must not compile does not, and says why in the kernel's words.

/// With the default features: the compiler lists what else has a form, and that depends on them.
#[cfg(feature = "csv")]
#[test]
fn wrong_jobs_are_refused_by_the_compiler() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
