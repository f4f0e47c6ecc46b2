//! Partitioners: which downstream subtask of an exchange receives a record (Flink's `StreamPartitioner`s).
//!
//! A [`Partitioner`] is a description; each sending subtask creates its own [`Route`] from it, which may
//! hold a counter or random state. All of them choose among the channels of the *sender*: all
//! downstream subtasks for an all-to-all exchange, the sender's own few for a pointwise one.

use std::borrow::Borrow;

use crate::record::{KeyGroup, KeyHasher, KeySelector};

use super::{Deep, Depth, OperatorError, raise};

/// Where a record goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// To one channel.
    One(usize),
    /// To every channel.
    All,
}

/// What a route is created from.
#[derive(Clone, Copy, Debug)]
pub struct RouteContext {
    /// The sending subtask's index.
    pub sender: u32,
    /// How many channels the sender has.
    pub channels: usize,
    /// Hashes keys; knows the number of key groups.
    pub hasher: KeyHasher,
}

/// Distributes records of type `V` over channels: a description, held by the graph.
pub trait Partitioner<V: ?Sized>: Clone + Send + 'static {
    /// The channel chooser of one sender.
    type Route: Route<V>;
    /// The depth after such an exchange: an exchange that merely spreads records does not count.
    type Behind<Before: Depth>: Depth;

    /// Creates the route of one sender.
    fn route(&self, cx: &RouteContext) -> Self::Route;
}

/// Chooses channels for one sender.
pub trait Route<V: ?Sized>: Send + 'static {
    /// Returns where `record` goes.
    fn target(&mut self, record: &V) -> Target;

    /// Returns the channel to which `record` goes, if the record alone decides that: it may be asked in advance.
    #[inline(always)]
    fn channel(&self, _record: &V) -> Option<usize> {
        None
    }
}

/// Round robin over the channels: `rebalance` starts at any channel, `rescale` and `forward` at the first.
#[derive(Clone, Copy, Debug)]
pub struct RoundRobin {
    /// Whether senders start at different channels.
    pub spread: bool,
}

/// The route of [`RoundRobin`].
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    next: usize,
    channels: usize,
}

impl<V: ?Sized> Partitioner<V> for RoundRobin {
    type Route = Turn;
    type Behind<Before: Depth> = Before;

    fn route(&self, cx: &RouteContext) -> Turn {
        let mut random = Random::seeded(cx.sender);
        let next = if self.spread {
            random.below(cx.channels)
        } else {
            0
        };
        Turn {
            next,
            channels: cx.channels,
        }
    }
}

impl<V: ?Sized> Route<V> for Turn {
    #[inline(always)]
    fn target(&mut self, _record: &V) -> Target {
        let target = self.next;
        self.next = if target + 1 == self.channels {
            0
        } else {
            target + 1
        };
        Target::One(target)
    }
}

/// To a channel chosen uniformly at random.
#[derive(Clone, Copy, Debug)]
pub struct Shuffle;

/// The route of [`Shuffle`]. Seeded by the sender, so that a run is repeatable.
#[derive(Clone, Copy, Debug)]
pub struct Lottery {
    random: Random,
    channels: usize,
}

impl<V: ?Sized> Partitioner<V> for Shuffle {
    type Route = Lottery;
    type Behind<Before: Depth> = Before;

    fn route(&self, cx: &RouteContext) -> Lottery {
        Lottery {
            random: Random::seeded(cx.sender),
            channels: cx.channels,
        }
    }
}

impl<V: ?Sized> Route<V> for Lottery {
    #[inline(always)]
    fn target(&mut self, _record: &V) -> Target {
        Target::One(self.random.below(self.channels))
    }
}

/// To every channel.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast;

impl<V: ?Sized> Partitioner<V> for Broadcast {
    type Route = Broadcast;
    type Behind<Before: Depth> = Deep;

    fn route(&self, _cx: &RouteContext) -> Broadcast {
        Broadcast
    }
}

impl<V: ?Sized> Route<V> for Broadcast {
    #[inline(always)]
    fn target(&mut self, _record: &V) -> Target {
        Target::All
    }
}

/// To the first channel.
#[derive(Clone, Copy, Debug)]
pub struct Global;

impl<V: ?Sized> Partitioner<V> for Global {
    type Route = Global;
    type Behind<Before: Depth> = Deep;

    fn route(&self, _cx: &RouteContext) -> Global {
        Global
    }
}

impl<V: ?Sized> Route<V> for Global {
    #[inline(always)]
    fn target(&mut self, _record: &V) -> Target {
        Target::One(0)
    }
}

/// To the channel that a user's function returns: `(record, channels) → channel`.
#[derive(Clone, Copy, Debug)]
pub struct Custom<F>(pub F);

/// The route of [`Custom`].
#[derive(Clone, Copy, Debug)]
pub struct CustomRoute<F> {
    choose: F,
    channels: usize,
}

impl<V, F> Partitioner<V> for Custom<F>
where
    V: ?Sized,
    F: Fn(&V, usize) -> usize + Clone + Send + 'static,
{
    type Route = CustomRoute<F>;
    type Behind<Before: Depth> = Deep;

    fn route(&self, cx: &RouteContext) -> CustomRoute<F> {
        CustomRoute {
            choose: self.0.clone(),
            channels: cx.channels,
        }
    }
}

impl<V, F> Route<V> for CustomRoute<F>
where
    V: ?Sized,
    F: Fn(&V, usize) -> usize + Send + 'static,
{
    #[inline(always)]
    fn target(&mut self, record: &V) -> Target {
        let (channel, channels) = ((self.choose)(record, self.channels), self.channels);
        if channel >= channels {
            raise(OperatorError::NoSuchChannel { channel, channels });
        }
        Target::One(channel)
    }
}

/// To the subtask that owns the key group of the record's key.
#[derive(Clone, Debug)]
pub struct KeyGroups<S>(pub S);

/// The route of [`KeyGroups`].
#[derive(Clone, Debug)]
pub struct KeyGroupRoute<S> {
    selector: S,
    hasher: KeyHasher,
    owners: Owners,
}

/// Which channel owns a hash.
#[derive(Clone, Debug)]
enum Owners {
    /// Each of this many channels owns equally many key groups, and so an equal share of all hashes.
    Even(u32),
    /// The owner of every key group.
    Table(Box<[u16]>),
}

impl<V: ?Sized, S: KeySelector<V>> Partitioner<V> for KeyGroups<S> {
    type Route = KeyGroupRoute<S>;
    type Behind<Before: Depth> = Deep;

    fn route(&self, cx: &RouteContext) -> KeyGroupRoute<S> {
        let (groups, channels) = (cx.hasher.max_parallelism(), cx.channels as u32);
        let owner = |group| groups.subtask(KeyGroup(group as u16), channels) as u16;
        KeyGroupRoute {
            selector: self.0.clone(),
            hasher: cx.hasher,
            owners: if groups.get().is_multiple_of(channels) {
                Owners::Even(channels)
            } else {
                Owners::Table((0..groups.get()).map(owner).collect())
            },
        }
    }
}

impl<V: ?Sized, S: KeySelector<V>> Route<V> for KeyGroupRoute<S> {
    #[inline(always)]
    fn target(&mut self, record: &V) -> Target {
        Target::One(self.owner(record))
    }

    #[inline(always)]
    fn channel(&self, record: &V) -> Option<usize> {
        Some(self.owner(record))
    }
}

impl<S> KeyGroupRoute<S> {
    #[inline(always)]
    fn owner<V: ?Sized>(&self, record: &V) -> usize
    where
        S: KeySelector<V>,
    {
        let hash = self.hasher.hash(self.selector.key(record).borrow());
        match &self.owners {
            // Cutting into groups and these into shares yields the same boundaries as cutting into shares directly.
            Owners::Even(channels) => ((u128::from(hash.0) * u128::from(*channels)) >> 64) as usize,
            Owners::Table(owners) => {
                let group = self.hasher.max_parallelism().key_group(hash);
                usize::from(owners[usize::from(group.0)])
            }
        }
    }
}

/// A small random number generator (SplitMix64): repeatable, good enough to spread load.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn seeded(seed: u32) -> Self {
        Random(u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[inline(always)]
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{KeyGroupAssignment, MaxParallelism, OwnedSelector};

    #[test]
    fn a_record_goes_to_the_owner_of_its_key_group_whether_or_not_all_own_equally_many() {
        for assignment in [KeyGroupAssignment::Hash, KeyGroupAssignment::Flink] {
            for (groups, channels) in [(128, 1), (128, 2), (128, 3), (129, 3), (6, 6), (7, 5)] {
                let groups = MaxParallelism::new(groups).expect("legal");
                let hasher = KeyHasher::new(assignment, groups);
                let mut route = KeyGroups(OwnedSelector(|key: &u64| *key)).route(&RouteContext {
                    sender: 0,
                    channels,
                    hasher,
                });
                for key in (0..5000).chain(u64::MAX - 5000..=u64::MAX) {
                    let group = groups.key_group(hasher.hash(&key));
                    let owner = groups.subtask(group, channels as u32) as usize;
                    assert_eq!(route.target(&key), Target::One(owner));
                }
            }
        }
    }
}
