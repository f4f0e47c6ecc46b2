//! What a key points to is not among its bytes.

use thalweg::prelude::*;

#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
struct Customer(String);

impl Record for Customer {
    type Form = Archived;
}

thalweg::plain_key!(Customer);

fn main() {}
