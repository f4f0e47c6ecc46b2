//! `Channels`: the rings of one exchange, as identified in checkpoints.

use crate::graph::Partitioning;
use crate::operator::{ChannelId, Edge};

use super::wiring;

/// An exchange whose in-flight data can be kept in checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    /// Identifies the state of the exchange.
    pub(crate) edge: Edge,
    /// Whether barriers may overtake that data. Not in a cycle, though what an earlier checkpoint has kept is read
    /// there, too: the barrier with which a receiver waits for the others might be its own, on its way round.
    pub(crate) overtakes: bool,
    partitioning: Partitioning,
    senders: u32,
    receivers: u32,
}

impl Channels {
    /// The channels of an exchange between these numbers of subtasks; `None` if its in-flight data is never kept. That
    /// of a forward or broadcast edge could not be redistributed at another parallelism (Flink's rule), and what a
    /// user's partitioner would do with it then is unknown.
    pub(crate) fn of(
        edge: Edge,
        partitioning: Partitioning,
        (senders, receivers): (u32, u32),
        is_in_cycle: bool,
    ) -> Option<Self> {
        let stays_in_line = matches!(
            partitioning,
            Partitioning::Forward | Partitioning::Broadcast | Partitioning::Custom
        );
        (!stays_in_line).then_some(Channels {
            edge,
            overtakes: !is_in_cycle,
            partitioning,
            senders,
            receivers,
        })
    }

    fn channel(&self, sender: u32, receiver: u32) -> ChannelId {
        ChannelId {
            senders: self.senders,
            receivers: self.receivers,
            sender,
            receiver,
        }
    }

    /// The receivers of a sender, in the order of its channels.
    fn receivers_of(&self, sender: u32) -> Vec<u32> {
        wiring::channels(self.partitioning, sender, self.senders, self.receivers)
    }

    /// The channels of a sender, in their order.
    pub(crate) fn of_sender(&self, sender: u32) -> Vec<ChannelId> {
        let receivers = self.receivers_of(sender).into_iter();
        receivers
            .map(|receiver| self.channel(sender, receiver))
            .collect()
    }

    /// The channels of a receiver, in their order.
    pub(crate) fn of_receiver(&self, receiver: u32) -> Vec<ChannelId> {
        (0..self.senders)
            .filter(|sender| self.receivers_of(*sender).contains(&receiver))
            .map(|sender| self.channel(sender, receiver))
            .collect()
    }

    /// Whether a channel of a checkpoint is one of these, that is, the exchange had as many senders and receivers.
    pub(crate) fn has(&self, channel: ChannelId) -> bool {
        (channel.senders, channel.receivers) == (self.senders, self.receivers)
    }
}
