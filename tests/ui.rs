//! Incorrect jobs do not compile, and the error messages are the kernel's.

/// Requires the default features: the compiler lists other types that have a form, and those depend on the features.
#[cfg(feature = "csv")]
#[test]
fn wrong_jobs_are_refused_by_the_compiler() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
