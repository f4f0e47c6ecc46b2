//! The number of rows and the sum of their hashes, computed according to the specification.

use serde_json::Value;

/// The combined result of a query's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: u64,
    checksum: u64,
}

impl Tally {
    /// What the program reported about a run.
    pub(super) fn reported(run: &Value) -> Tally {
        let checksum = run["checksum"].as_str().expect("text");
        Tally {
            rows: run["rows"].as_u64().expect("a number"),
            checksum: u64::from_str_radix(checksum, 16).expect("16 digits"),
        }
    }

    /// The tally of an oracle's rows.
    pub(super) fn of<const N: usize>(rows: impl IntoIterator<Item = [u64; N]>) -> Tally {
        let mut tally = Tally::default();
        for row in rows {
            tally.rows += 1;
            tally.checksum = tally.checksum.wrapping_add(hash(&row));
        }
        tally
    }
}

fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The hash of a row; if there are more than four fields, the hash of the first four becomes the first of the rest.
fn hash(row: &[u64]) -> u64 {
    let factors = [
        0x9E37_79B1_85EB_CA87,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
        0x85EB_CA77_C2B2_AE63_u64,
    ];
    if row.len() > 4 {
        let mut rest = vec![hash(&row[..4])];
        rest.extend(&row[4..]);
        return hash(&rest);
    }
    let mut sum = 0_u64;
    for (field, factor) in row.iter().zip(factors) {
        sum = sum.wrapping_add(field.wrapping_mul(factor));
    }
    mix(sum)
}
