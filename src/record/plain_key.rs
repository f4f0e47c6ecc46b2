//! Keys of users' own types that are plain data.

/// Implements the key traits for types of plain data: those in the [`Pod`](crate::record::Pod) form whose equality is
/// that of their bytes, as the derived one is.
///
/// Such a key is hashed, stored and checkpointed as its bytes; with Flink's key groups its hash is that of a Java byte
/// array. Besides [`Record`](crate::record::Record) it needs `Clone`, `Ord` and `Debug`.
///
/// ```
/// use thalweg::prelude::*;
///
/// #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(transparent)]
/// struct UserId(u64);
///
/// #[derive(
///     Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bytemuck::NoUninit, bytemuck::CheckedBitPattern,
/// )]
/// #[repr(u8)]
/// enum Side { Buy, Sell }
///
/// impl Record for UserId { type Form = Pod; }
/// impl Record for Side { type Form = Pod; }
/// thalweg::plain_key!(UserId, Side);
///
/// let env = Environment::new();
/// let counts = Collected::new();
/// env.source("orders", Collection::of([UserId(3), UserId(4), UserId(3)]))
///     .key_by(|user| (*user, if user.0 == 3 { Side::Buy } else { Side::Sell }))
///     .aggregate_with(Count, |(user, side), count| format!("{user:?} {side:?} {count}"))
///     .sink("counts", counts.sink());
/// env.execute("orders per user and side")?;
///
/// let mut counts = counts.take();
/// counts.sort();
/// assert_eq!(counts, ["UserId(3) Buy 1", "UserId(3) Buy 2", "UserId(4) Sell 1"]);
/// # Ok::<(), JobError>(())
/// ```
#[macro_export]
macro_rules! plain_key {
    ($($type:ty),+ $(,)?) => { $(
        impl $crate::record::Key for $type {
            type Stored = $type;

            #[inline]
            fn key_hash(&self) -> $crate::record::KeyHash {
                $crate::record::KeyHash::of_bytes($crate::record::StoredKey::itself(self))
            }

            fn to_stored(&self) -> $type {
                ::std::clone::Clone::clone(self)
            }

            fn java_hash(&self) -> i32 {
                <[u8] as $crate::record::Key>::java_hash($crate::record::StoredKey::itself(self))
            }
        }

        impl $crate::record::StoredKey for $type {
            type Key = $type;

            const LENGTH: ::std::option::Option<usize> =
                <$type as $crate::record::StateValue>::LENGTH;
            const IN_PLACE: bool =
                <$crate::record::Pod as $crate::record::Form<$type>>::IN_PLACE;

            #[inline]
            fn key(&self) -> &$type {
                self
            }

            fn encode(&self, bytes: &mut ::std::vec::Vec<u8>) {
                bytes.extend_from_slice($crate::record::StoredKey::itself(self));
            }

            #[inline]
            fn itself(&self) -> &[u8] {
                <$type as $crate::record::StateValue>::itself(self)
            }

            fn decode(
                bytes: &[u8],
            ) -> ::std::result::Result<$type, $crate::record::FormError> {
                <$type as $crate::record::StateValue>::decode(bytes)
            }
        }
    )+ };
}

pub(crate) use plain_key;

#[cfg(test)]
mod tests {
    use crate::record::{Key, KeyHash, Pod, Record, StoredKey};

    #[derive(
        Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bytemuck::Pod, bytemuck::Zeroable,
    )]
    #[repr(C)]
    struct Route {
        from: u16,
        to: u16,
    }

    #[derive(
        Clone,
        Copy,
        PartialEq,
        Eq,
        PartialOrd,
        Ord,
        Debug,
        bytemuck::NoUninit,
        bytemuck::CheckedBitPattern,
    )]
    #[repr(u8)]
    enum Side {
        Buy = 1,
        Sell = 2,
    }

    impl Record for Route {
        type Form = Pod;
    }

    impl Record for Side {
        type Form = Pod;
    }

    plain_key!(Route, Side);

    #[test]
    fn a_plain_key_is_its_bytes() {
        let route = Route {
            from: 0x0102,
            to: 7,
        };
        let mut bytes = Vec::new();
        route.encode(&mut bytes);
        assert_eq!(bytes, bytemuck::bytes_of(&route));
        assert_eq!(route.itself(), bytes);
        assert_eq!(Route::LENGTH, Some(4));
        assert_eq!(Route::decode(&bytes).expect("a route"), route);
        assert!(Route::decode(&bytes[1..]).is_err());
        assert_eq!(route.key_hash(), KeyHash::of_bytes(&bytes));
        assert_eq!(route.java_hash(), bytes[..].java_hash());
        assert_ne!(
            route.key_hash(),
            Route {
                from: 7,
                to: 0x0102
            }
            .key_hash()
        );
    }

    #[test]
    fn bytes_that_are_no_value_are_no_key() {
        assert_eq!(Side::decode(&[2]).expect("a side"), Side::Sell);
        assert!(Side::decode(&[0]).is_err());
        assert_eq!(Side::Buy.itself(), [1]);
    }
}
