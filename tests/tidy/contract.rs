//! Every operator is run through the contract harness.

use super::Offences;
use crate::lexer::{code_only, words};
use crate::tree::Tree;

/// Implementations of `Operator` that are not operators of their own: ends of chains, fan-outs to several chains,
/// ports of an operator that has a contract.
const NO_CONTRACT: &[&str] = &[
    "BoxedChain",
    "FarForm",
    "First",
    "Nothing",
    "Outputs",
    "Recorder",
    "Second",
    "SideOutputs",
    "SinkOperator",
    "TypedChain",
];

/// Operators that no contract mentions.
pub(crate) fn contracts(tree: &Tree) -> Offences {
    let contracts: String = tree
        .rust("tests/it/operator_contracts")
        .map(|(_, text)| code_only(text))
        .collect();
    let named: Vec<&str> = words(&contracts).map(|(_, word)| word).collect();
    let mut offences = Vec::new();
    for (path, text) in tree.rust("src/operator/") {
        if path.ends_with("_test.rs") || path.ends_with("/tests.rs") || path.contains("/tests/") {
            continue;
        }
        for operator in operators(text) {
            if !NO_CONTRACT.contains(&&*operator) && !named.contains(&&*operator) {
                offences.push(format!("{path}: no contract for `{operator}`"));
            }
        }
    }
    offences
}

/// The types in a file that implement `Operator`, on one line or split by the formatter.
fn operators(text: &str) -> Vec<String> {
    let code = code_only(text);
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.match_indices("Operator for ")
        .filter(|(at, _)| flat[..*at].ends_with(' '))
        .map(|(at, found)| {
            flat[at + found.len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}
