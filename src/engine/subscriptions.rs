//! What one client listens to.

use std::collections::BTreeSet;
use std::rc::Rc;

/// What a client can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    Channel,
    Pattern,
    /// A channel of a shard: in a cluster its messages stay within the shard.
    ShardChannel,
}

/// What one client listens to. A client that listens to nothing has none.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: BTreeSet<Rc<[u8]>>,
    patterns: BTreeSet<Rc<[u8]>>,
    shard_channels: BTreeSet<Rc<[u8]>>,
}

impl Subscriptions {
    /// The names subscribed to, in order.
    pub fn of(&self, topic: ChannelKind) -> &BTreeSet<Rc<[u8]>> {
        match topic {
            ChannelKind::Channel => &self.channels,
            ChannelKind::Pattern => &self.patterns,
            ChannelKind::ShardChannel => &self.shard_channels,
        }
    }

    pub(super) fn of_mut(&mut self, topic: ChannelKind) -> &mut BTreeSet<Rc<[u8]>> {
        match topic {
            ChannelKind::Channel => &mut self.channels,
            ChannelKind::Pattern => &mut self.patterns,
            ChannelKind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Whether it listens to nothing.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }

    /// The number that replies about this kind of subscription tell: channels and patterns count together.
    pub fn count(&self, topic: ChannelKind) -> usize {
        match topic {
            ChannelKind::Channel | ChannelKind::Pattern => self.channels.len() + self.patterns.len(),
            ChannelKind::ShardChannel => self.shard_channels.len(),
        }
    }

    /// Memory held, in bytes, apart from the names, which are shared.
    pub fn memory(&self) -> usize {
        let names = self.channels.len() + self.patterns.len() + self.shard_channels.len();
        size_of::<Subscriptions>() + names * size_of::<Rc<[u8]>>()
    }
}
