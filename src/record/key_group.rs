//! Key groups: the unit in which keyed state is owned, checkpointed and moved.
//!
//! A key group is a contiguous range of the 64-bit key hash, and a subtask owns a contiguous range of key groups, so
//! everything ordered by hash is also ordered by key group. There are two assignments: [`KeyGroupAssignment::Hash`]
//! divides the stable hash itself; [`KeyGroupAssignment::Flink`] computes Flink's murmur key group and *prefixes* the
//! hash with it, so that the range property holds there as well. Ranges and subtasks follow Flink's formulas
//! (`KeyGroupRangeAssignment`): `subtask = kg · p / max`, `range(i) = [⌈i·max/p⌉, ⌈(i+1)·max/p⌉ − 1]`.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use super::key::Key;
use super::key_hash::KeyHash;

/// The largest number of key groups, as in Flink.
pub const MAX_PARALLELISM_LIMIT: u32 = 32_768;

/// The number of a key group, from 0 to the job's max parallelism.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyGroup(pub u16);

/// How many key groups a job has: 1 to 32,768. Fixed by the first checkpoint that holds state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxParallelism(u32);

/// An invalid parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParallelismError {
    /// The max parallelism is not between 1 and 32,768.
    #[error("max parallelism {0} is not between 1 and {MAX_PARALLELISM_LIMIT}")]
    MaxOutOfRange(u32),
    /// There are fewer key groups than subtasks.
    #[error("parallelism {parallelism} is over the max parallelism {max}: raise `max_parallelism`")]
    OverMax {
        /// The requested parallelism.
        parallelism: u32,
        /// The number of key groups.
        max: u32,
    },
}

impl MaxParallelism {
    /// A number of key groups.
    ///
    /// # Errors
    /// [`ParallelismError::MaxOutOfRange`] outside 1 to 32,768.
    pub fn new(groups: u32) -> Result<Self, ParallelismError> {
        if (1..=MAX_PARALLELISM_LIMIT).contains(&groups) {
            Ok(MaxParallelism(groups))
        } else {
            Err(ParallelismError::MaxOutOfRange(groups))
        }
    }

    /// Flink's default for a parallelism: `clamp(roundUpPow2(p + p/2), 128, 32768)`.
    #[must_use]
    pub fn default_for(parallelism: u32) -> Self {
        let wanted = parallelism
            .saturating_add(parallelism / 2)
            .min(MAX_PARALLELISM_LIMIT);
        MaxParallelism(wanted.next_power_of_two().clamp(128, MAX_PARALLELISM_LIMIT))
    }

    /// Returns the number of key groups.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Checks that `parallelism` subtasks can divide the key groups among them.
    ///
    /// # Errors
    /// [`ParallelismError::OverMax`] if there are fewer key groups than subtasks.
    pub fn admit(self, parallelism: u32) -> Result<(), ParallelismError> {
        if parallelism <= self.0 {
            Ok(())
        } else {
            Err(ParallelismError::OverMax {
                parallelism,
                max: self.0,
            })
        }
    }

    /// The key group of a (possibly prefixed) hash: each group is an equal, contiguous part of the hash space.
    #[inline(always)]
    #[must_use]
    pub fn key_group(self, hash: KeyHash) -> KeyGroup {
        KeyGroup(((u128::from(hash.0) * u128::from(self.0)) >> 64) as u16)
    }

    /// The smallest hash of a key group; `2^64` for the group after the last.
    #[must_use]
    pub fn first_hash(self, group: u32) -> u128 {
        (u128::from(group) << 64).div_ceil(u128::from(self.0))
    }

    /// The hashes of a non-empty range of key groups.
    #[must_use]
    pub fn hashes(self, range: &KeyGroupRange) -> RangeInclusive<KeyHash> {
        let first = self.first_hash(range.groups.start) as u64;
        let last = (self.first_hash(range.groups.end.max(range.groups.start + 1)) - 1) as u64;
        KeyHash(first)..=KeyHash(last)
    }

    /// The subtask that owns `group` at `parallelism`.
    #[must_use]
    pub fn subtask(self, group: KeyGroup, parallelism: u32) -> u32 {
        u32::from(group.0) * parallelism / self.0
    }

    /// The key groups that `subtask` of `parallelism` owns.
    #[must_use]
    pub fn range(self, subtask: u32, parallelism: u32) -> KeyGroupRange {
        let bound = |i: u32| (i * self.0).div_ceil(parallelism);
        KeyGroupRange {
            groups: bound(subtask)..bound(subtask + 1),
        }
    }
}

/// A contiguous range of key groups, such as a subtask's share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyGroupRange {
    groups: Range<u32>,
}

impl KeyGroupRange {
    /// The range as numbers, excluding the end.
    #[must_use]
    pub fn groups(&self) -> Range<u32> {
        self.groups.clone()
    }

    /// Whether `group` is in the range.
    #[must_use]
    pub fn contains(&self, group: KeyGroup) -> bool {
        self.groups.contains(&u32::from(group.0))
    }
}

impl fmt::Display for KeyGroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.groups.start, self.groups.end)
    }
}

/// The function that assigns keys to key groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyGroupAssignment {
    /// Equal ranges of the stable key hash: the default.
    #[default]
    Hash,
    /// Flink's `murmur(hashCode) mod max parallelism`: a key goes to the same subtask index as in Flink, pitfalls
    /// included (the `Integer` keys 0 and 1 share subtask 1 of 2).
    Flink,
}

/// Computes the hash of keys under one assignment.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    assignment: KeyGroupAssignment,
    max_parallelism: MaxParallelism,
}

impl Default for KeyHasher {
    /// The default assignment, with Flink's default number of key groups.
    fn default() -> Self {
        KeyHasher::new(
            KeyGroupAssignment::default(),
            MaxParallelism::default_for(1),
        )
    }
}

impl KeyHasher {
    /// A hasher for a job with `max_parallelism` key groups.
    #[must_use]
    pub fn new(assignment: KeyGroupAssignment, max_parallelism: MaxParallelism) -> Self {
        KeyHasher {
            assignment,
            max_parallelism,
        }
    }

    /// The function that assigns keys to key groups.
    #[must_use]
    pub fn assignment(&self) -> KeyGroupAssignment {
        self.assignment
    }

    /// The number of key groups.
    #[must_use]
    pub fn max_parallelism(&self) -> MaxParallelism {
        self.max_parallelism
    }

    /// The hash of `key`, whose top bits are its key group.
    #[inline(always)]
    pub fn hash<K: Key + ?Sized>(&self, key: &K) -> KeyHash {
        match self.assignment {
            KeyGroupAssignment::Hash => key.key_hash(),
            KeyGroupAssignment::Flink => self.flink_hash(key.java_hash(), key.key_hash()),
        }
    }

    /// Takes hashes, not the key: a key whose address is passed elsewhere, even if only here, is written to memory for
    /// every record.
    #[cold]
    fn flink_hash(&self, java_hash: i32, hash: KeyHash) -> KeyHash {
        let groups = self.max_parallelism.get();
        let group = flink_murmur(java_hash) % groups;
        let first = self.max_parallelism.first_hash(group);
        let width = self.max_parallelism.first_hash(group + 1) - first;
        KeyHash((first + ((u128::from(hash.0) * width) >> 64)) as u64)
    }
}

/// Flink's `MathUtils.murmurHash`: never negative.
fn flink_murmur(code: i32) -> u32 {
    let mut h = (code as u32)
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593);
    h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    h ^= 4;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^= h >> 16;
    match h as i32 {
        i32::MIN => 0,
        code => code.unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flink_places_keys_0_and_1_in_groups_94_and_86() {
        assert_eq!((flink_murmur(0) % 128, flink_murmur(1) % 128), (94, 86));
        let hasher = KeyHasher::new(
            KeyGroupAssignment::Flink,
            MaxParallelism::new(128).expect("legal"),
        );
        for (key, group) in [(0i32, 94), (1, 86)] {
            let found = hasher.max_parallelism().key_group(hasher.hash(&key));
            assert_eq!(found, KeyGroup(group));
            assert_eq!(hasher.max_parallelism().subtask(found, 2), 1);
        }
    }

    #[test]
    fn key_group_ranges_cover_every_group_once_and_agree_with_the_owner() {
        for max in [1u32, 7, 128, 129, 32_768] {
            let groups = MaxParallelism::new(max).expect("legal");
            for parallelism in [1, 2, 3, 8, 127].into_iter().filter(|p| *p <= max) {
                let mut next = 0;
                for subtask in 0..parallelism {
                    let range = groups.range(subtask, parallelism);
                    assert_eq!(range.groups().start, next);
                    next = range.groups().end;
                    for group in range.groups() {
                        assert_eq!(groups.subtask(KeyGroup(group as u16), parallelism), subtask);
                    }
                }
                assert_eq!(next, max);
            }
        }
    }

    #[test]
    fn a_hash_lies_in_the_range_of_its_key_group() {
        let groups = MaxParallelism::new(129).expect("legal");
        for i in 0..10_000u64 {
            let hash = KeyHash::of_u64(i);
            let group = u32::from(groups.key_group(hash).0);
            assert!(groups.first_hash(group) <= u128::from(hash.0));
            let alone = KeyGroupRange {
                groups: group..group + 1,
            };
            assert!(groups.hashes(&alone).contains(&hash));
            assert!(u128::from(hash.0) < groups.first_hash(group + 1));
        }
    }

    #[test]
    fn as_many_small_keys_as_subtasks_have_a_subtask_each() {
        let groups = MaxParallelism::new(128).expect("legal");
        for parallelism in [2, 3, 4, 8] {
            let owner = |key| groups.subtask(groups.key_group(KeyHash::of_u64(key)), parallelism);
            let mut owners: Vec<u32> = (0..u64::from(parallelism)).map(owner).collect();
            owners.sort_unstable();
            assert_eq!(owners, (0..parallelism).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_default_max_parallelism_is_flinks() {
        let default = |p| MaxParallelism::default_for(p).get();
        assert_eq!(
            [default(1), default(85), default(86), default(30_000)],
            [128, 128, 256, 32_768]
        );
    }
}
