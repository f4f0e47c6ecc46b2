//! Properties of the source text itself: floors, lengths, justified `unsafe`, no leftovers, and a contract for every
//! operator. Each rule is a function of the text, with a test that shows it failing.

#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/tree.rs"]
mod tree;

use rules::{Offences, check};
use tree::Tree;

/// Runs one rule over the repository.
fn hold(rule: fn(&Tree) -> Offences) {
    let offences = rule(&Tree::of_this_repository());
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

/// Runs one rule over a made-up repository.
fn offences(rule: fn(&Tree) -> Offences, files: &[(&str, &str)]) -> Offences {
    rule(&Tree::of(files))
}

#[test]
fn floors_import_downward_only() {
    hold(check::floors);
    let upward = "use crate::{\n    record::{Frame, Header},\n    ring::Producer,\n};\n";
    let found = offences(check::floors, &[("src/record/form.rs", upward)]);
    assert_eq!(
        found,
        ["src/record/form.rs:3: record names ring, a floor above"]
    );
    let on_no_floor = offences(check::floors, &[("src/gadgets.rs", "")]);
    assert_eq!(on_no_floor, ["src/gadgets.rs: `gadgets` is on no floor"]);
    let through_the_root = "fn now() { crate::Clock::now() }";
    assert_eq!(
        offences(check::floors, &[("src/ring/mod.rs", through_the_root)]).len(),
        1
    );
    let narrow = "use crate::runtime::Pipe;";
    let found = offences(check::floors, &[("src/connectors/print.rs", narrow)]);
    assert_eq!(
        found,
        ["src/connectors/print.rs:1: connectors may not name runtime"]
    );
    let climbing = "use super::super::ring::Producer;";
    assert_eq!(
        offences(check::floors, &[("src/record/form.rs", climbing)]).len(),
        1
    );
    let down = "use crate::time::Timestamp;\nuse super::Frame;\n// crate::runtime\n";
    assert!(offences(check::floors, &[("src/record/form.rs", down)]).is_empty());
}

#[test]
fn files_and_functions_fit_a_reader() {
    hold(check::lengths);
    let long = "\n".repeat(501);
    assert_eq!(
        offences(check::lengths, &[("src/ring/mod.rs", &long)]),
        ["src/ring/mod.rs: 501 lines, over 500"]
    );
    let body = "    step();\n".repeat(69);
    let function = format!("fn long<T>(x: [u8; 2]) -> T\nwhere T: Copy {{\n{body}}}\n");
    assert_eq!(
        offences(check::lengths, &[("src/ring/mod.rs", &function)]),
        ["src/ring/mod.rs:1: `long` has 72 lines, over 70"]
    );
    let declared = "trait A { fn short(&self); }\nconst BRACE: char = '{';\n".to_owned();
    let short = declared + &"// a comment\n".repeat(100);
    assert!(offences(check::lengths, &[("src/ring/mod.rs", &short)]).is_empty());
}

#[test]
fn unsafe_stays_where_it_is_argued() {
    hold(check::unsafe_code);
    let bare = "fn f() { unsafe { g() } }";
    assert_eq!(
        offences(check::unsafe_code, &[("src/graph/plan.rs", bare)]),
        ["src/graph/plan.rs:1: unsafe outside the list"]
    );
    assert_eq!(
        offences(check::unsafe_code, &[("src/record/raw.rs", bare)]),
        ["src/record/raw.rs: unsafe without `#![expect(unsafe_code, reason = …)]`"]
    );
    let named = "// unsafe\nconst A: &str = \"unsafe\";\nfn unsafe_code() {}";
    assert!(offences(check::unsafe_code, &[("src/graph/plan.rs", named)]).is_empty());
}

#[test]
fn nothing_is_left_over() {
    hold(check::leftovers);
    for leftover in [
        "// TO\u{44}O: mend",
        "fn f() { to\u{64}o!() }",
        "    // let x = 1;",
    ] {
        let found = offences(check::leftovers, &[("benches/ring.rs", leftover)]);
        assert_eq!(found.len(), 1, "{leftover}");
    }
    let fine = "// What is to be done is done here.\n//! let x = 1;\n";
    assert!(offences(check::leftovers, &[("benches/ring.rs", fine)]).is_empty());
}

#[test]
fn files_are_named_after_what_they_hold() {
    hold(check::names);
    for name in [
        "src/ring/utils.rs",
        "src/common/mod.rs",
        "tests/it/helpers.rs",
    ] {
        assert_eq!(offences(check::names, &[(name, "")]).len(), 1, "{name}");
    }
    assert!(offences(check::names, &[("src/operator/context.rs", "")]).is_empty());
}

#[test]
fn every_file_is_reached() {
    hold(check::reached);
    let tree = [
        ("src/lib.rs", "pub mod ring;"),
        ("src/ring/mod.rs", "mod consumer;\n// mod forgotten;\n"),
        (
            "src/ring/consumer.rs",
            "#[cfg(test)]\n#[path = \"consumer_test.rs\"]\nmod tests;",
        ),
        ("src/ring/consumer_test.rs", ""),
        ("src/ring/forgotten.rs", ""),
    ];
    assert_eq!(
        offences(check::reached, &tree),
        ["src/ring/forgotten.rs: no `mod` names it"]
    );
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    hold(check::machine_paths);
    let path = format!("see {}design.md", concat!("/wo", "rk/"));
    let found = offences(check::machine_paths, &[("README.md", &path)]);
    assert_eq!(found.len(), 1);
}

#[test]
fn every_operator_has_a_contract() {
    hold(check::contracts);
    let operator = "impl<F, D: Operator> Operator for Twice<F, D> {}\n";
    let contract = "//! Contracts.\nfn twice() { Contract::new(); Twice::new() }";
    let files = [
        ("src/operator/twice.rs", operator),
        ("tests/it/operator_contracts/one_input.rs", contract),
    ];
    assert!(offences(check::contracts, &files).is_empty());
    assert_eq!(
        offences(check::contracts, &files[..1]),
        ["src/operator/twice.rs: no contract for `Twice`"]
    );
}
