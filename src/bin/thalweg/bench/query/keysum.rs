//! Running sums: the smallest keyed state, touched once per record.

use thalweg::state::Sum;

use crate::bench::draft::Draft;
use crate::bench::input::KeyValue;

/// For every record, its key and the sum of the key's values so far, for `keys` different keys.
pub(super) fn keysum(draft: &Draft<'_>, file: &str, keys: usize) {
    draft
        .keys(file)
        .key_by(|record| record.key)
        .expected_keys(keys)
        .aggregate_with(Sum::of(|record: &KeyValue| record.value), |key, sum| {
            [*key, sum]
        })
        .sink("rows", draft.rows());
}
