//! A key has an owned form, in which state tables and checkpoints keep it.

use thalweg::record::{Key, KeyHash};

#[derive(PartialEq, Eq)]
struct Customer(u64);

impl Key for Customer {
    type Stored = Customer;

    fn key_hash(&self) -> KeyHash {
        self.0.key_hash()
    }

    fn to_stored(&self) -> Customer {
        Customer(self.0)
    }

    fn java_hash(&self) -> i32 {
        self.0.java_hash()
    }
}

fn main() {}
