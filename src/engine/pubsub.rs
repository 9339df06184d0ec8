//! Publish and subscribe: who listens to which channels and patterns, and telling them.
//!
//! A message is encoded once for each protocol; the subscribers' replies get copies of a small one and share a large
//! one. A channel is looked up by its name. Of the patterns only those are tried whose beginning, up to the first
//! special character, is one of the channel: they stand in a table under that beginning.
//!
//! Never sends: what is told waits among the replies of each client until the loop sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;

use crate::collections::hash::{HashSeed, NumberMap, SeededMap};
use crate::engine::clients::Clients;
use crate::engine::session::Session;
use crate::net::token::Token;
use crate::resp::{Protocol, Reply};
use crate::text::glob::{Case, glob_match};

pub use crate::engine::subscriptions::{ChannelKind, Subscriptions};

/// Up to so many subscribers are searched one by one when one of them leaves.
const SEARCHED_MAX: usize = 16;

/// How many subscribers ahead memory is fetched.
const AHEAD: usize = 4;

/// The subscribers of one channel or pattern.
#[derive(Default)]
struct Members {
    list: Vec<Token>,
    /// Where each stands in the list, once they are many.
    places: NumberMap<Token, u32>,
}

impl Members {
    fn add(&mut self, token: Token) {
        self.list.push(token);
        if self.list.len() == SEARCHED_MAX + 1 {
            let places = self.list.iter().enumerate();
            self.places = places.map(|(at, token)| (*token, at as u32)).collect();
        } else if self.list.len() > SEARCHED_MAX {
            self.places.insert(token, self.list.len() as u32 - 1);
        }
    }

    fn remove(&mut self, token: Token) {
        let at = if self.places.is_empty() {
            self.list.iter().position(|member| *member == token)
        } else {
            self.places.remove(&token).map(|at| at as usize)
        };
        let Some(at) = at else {
            return;
        };
        self.list.swap_remove(at);
        if self.list.len() <= SEARCHED_MAX {
            self.places = NumberMap::default();
        } else if let Some(moved) = self.list.get(at) {
            self.places.insert(*moved, at as u32);
        }
    }
}

type Topics = SeededMap<Rc<[u8]>, Members>;

/// The patterns by what stands before their first special character.
struct Heads {
    patterns: SeededMap<Box<[u8]>, BTreeSet<Rc<[u8]>>>,
    /// How many heads there are of each length.
    lengths: BTreeMap<usize, usize>,
}

impl Heads {
    fn new(seed: &HashSeed) -> Heads {
        Heads { patterns: seed.map(), lengths: BTreeMap::new() }
    }

    fn head(pattern: &[u8]) -> &[u8] {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        let end = pattern.iter().position(is_special);
        &pattern[..end.unwrap_or(pattern.len())]
    }

    fn add(&mut self, pattern: &Rc<[u8]>) {
        let head = Heads::head(pattern);
        if let Some(patterns) = self.patterns.get_mut(head) {
            patterns.insert(pattern.clone());
            return;
        }
        let patterns = BTreeSet::from([pattern.clone()]);
        self.patterns.insert(head.into(), patterns);
        *self.lengths.entry(head.len()).or_default() += 1;
    }

    fn remove(&mut self, pattern: &[u8]) {
        let head = Heads::head(pattern);
        let Some(patterns) = self.patterns.get_mut(head) else {
            return;
        };
        patterns.remove(pattern);
        if patterns.is_empty() {
            self.patterns.remove(head);
            let left = self.lengths.entry(head.len()).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.lengths.remove(&head.len());
            }
        }
    }

    /// The patterns that match a channel.
    fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = &'a Rc<[u8]>> {
        let lengths = self.lengths.keys().take_while(|length| **length <= channel.len());
        let groups = lengths.filter_map(|length| self.patterns.get(&channel[..*length]));
        groups.flatten().filter(|pattern| glob_match(pattern, channel, Case::Sensitive))
    }
}

/// Every channel and pattern with subscribers.
pub struct PubSub {
    channels: Topics,
    patterns: Topics,
    shard_channels: Topics,
    heads: Heads,
    clients: usize,
}

impl PubSub {
    /// No subscribers yet.
    pub fn new(seed: &HashSeed) -> PubSub {
        PubSub {
            channels: seed.map(),
            patterns: seed.map(),
            shard_channels: seed.map(),
            heads: Heads::new(seed),
            clients: 0,
        }
    }

    fn topics(&self, topic: ChannelKind) -> &Topics {
        match topic {
            ChannelKind::Channel => &self.channels,
            ChannelKind::Pattern => &self.patterns,
            ChannelKind::ShardChannel => &self.shard_channels,
        }
    }

    fn topics_mut(&mut self, topic: ChannelKind) -> &mut Topics {
        match topic {
            ChannelKind::Channel => &mut self.channels,
            ChannelKind::Pattern => &mut self.patterns,
            ChannelKind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Has a client listen to something; nothing happens if it does already. O(log its subscriptions).
    pub fn subscribe(&mut self, session: &mut Session, topic: ChannelKind, name: &[u8]) {
        if session.subscriptions.is_none() {
            self.clients += 1;
        }
        let subscriptions = session.subscriptions.get_or_insert_default();
        if subscriptions.of(topic).contains(name) {
            return;
        }
        let (name, is_new) = match self.topics(topic).get_key_value(name) {
            Some((name, _)) => (name.clone(), false),
            None => (Rc::from(name), true),
        };
        if is_new && topic == ChannelKind::Pattern {
            self.heads.add(&name);
        }
        let members = self.topics_mut(topic).entry(name.clone()).or_default();
        members.add(session.token);
        subscriptions.of_mut(topic).insert(name);
    }

    /// Has a client listen to something no longer. O(log its subscriptions).
    pub fn unsubscribe(&mut self, session: &mut Session, topic: ChannelKind, name: &[u8]) {
        let Some(subscriptions) = &mut session.subscriptions else {
            return;
        };
        if !subscriptions.of_mut(topic).remove(name) {
            return;
        }
        if subscriptions.is_empty() {
            session.subscriptions = None;
            self.clients -= 1;
        }
        self.leave(session.token, topic, name);
    }

    fn leave(&mut self, token: Token, topic: ChannelKind, name: &[u8]) {
        let topics = self.topics_mut(topic);
        let Some(members) = topics.get_mut(name) else {
            return;
        };
        members.remove(token);
        if members.list.is_empty() {
            topics.remove(name);
            if topic == ChannelKind::Pattern {
                self.heads.remove(name);
            }
        }
    }

    /// A client listens to nothing any more. O(its subscriptions).
    pub fn remove(&mut self, session: &mut Session) {
        let Some(subscriptions) = session.subscriptions.take() else {
            return;
        };
        self.clients -= 1;
        for topic in [ChannelKind::Channel, ChannelKind::Pattern, ChannelKind::ShardChannel] {
            for name in subscriptions.of(topic) {
                self.leave(session.token, topic, name);
            }
        }
    }

    /// Whether there are no subscribers but those of sharded channels.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Number of channels or patterns with subscribers.
    pub fn len(&self, topic: ChannelKind) -> usize {
        self.topics(topic).len()
    }

    /// Number of clients that listen to anything.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Number of clients that listen to this very channel or pattern.
    pub fn listeners(&self, topic: ChannelKind, name: &[u8]) -> usize {
        let members = self.topics(topic).get(name);
        members.map_or(0, |members| members.list.len())
    }

    /// The clients that listen to this very channel or pattern.
    pub fn subscribers(&self, topic: ChannelKind, name: &[u8]) -> &[Token] {
        self.topics(topic).get(name).map_or(&[], |members| &members.list)
    }

    /// The channels with subscribers, filtered by a pattern if there is one. In an order that follows from the seed.
    pub fn names<'a>(&'a self, topic: ChannelKind, pattern: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        let names = self.topics(topic).keys().map(|name| &**name);
        names.filter(move |name| pattern.is_none_or(|pattern| glob_match(pattern, name, Case::Sensitive)))
    }

    /// Sends a message to the subscribers of a channel and of the patterns that match it; gives the number of messages.
    pub fn publish(&self, clients: &mut Clients, channel: &[u8], message: &Payload<'_>) -> usize {
        let mut told = 0;
        if let Some(members) = self.channels.get(channel) {
            told += members.list.len();
            fan_out(clients, &members.list, |reply| {
                write_message(reply, b"message", channel, message);
            });
        }
        if self.patterns.is_empty() {
            return told;
        }
        for pattern in self.heads.matching(channel) {
            if let Some(members) = self.patterns.get(pattern) {
                told += members.list.len();
                fan_out(clients, &members.list, |reply| {
                    reply.push(4);
                    reply.bulk(b"pmessage");
                    reply.bulk(pattern);
                    reply.bulk(channel);
                    message.write(reply);
                });
            }
        }
        told
    }

    /// Sends a message to the subscribers of a shard's channel; gives their number.
    pub fn publish_to_shard(&self, clients: &mut Clients, channel: &[u8], message: &Payload<'_>) -> usize {
        let Some(members) = self.shard_channels.get(channel) else {
            return 0;
        };
        fan_out(clients, &members.list, |reply| {
            write_message(reply, b"smessage", channel, message);
        });
        members.list.len()
    }
}

/// What is published.
pub enum Payload<'a> {
    Small(&'a [u8]),
    /// To be shared rather than copied.
    Large(Bytes),
}

impl Payload<'_> {
    fn write(&self, reply: &mut Reply) {
        match self {
            Payload::Small(bytes) => reply.bulk(bytes),
            Payload::Large(bytes) => reply.bulk_shared(bytes),
        }
    }
}

fn write_message(reply: &mut Reply, kind: &[u8], channel: &[u8], message: &Payload<'_>) {
    reply.push(3);
    reply.bulk(kind);
    reply.bulk(channel);
    message.write(reply);
}

/// Tells each of the clients what `write` writes, which is written once for each protocol if there are several.
fn fan_out(clients: &mut Clients, members: &[Token], write: impl Fn(&mut Reply)) {
    if let [token] = members {
        return clients.push(*token, write);
    }
    let mut forms: [Option<Reply>; 2] = [None, None];
    for (index, token) in members.iter().enumerate() {
        // Sessions and their buffers lie scattered: each is fetched while some before it are written to.
        if let Some(ahead) = members.get(index + 2 * AHEAD) {
            clients.prefetch(*ahead);
        }
        if let Some(ahead) = members.get(index + AHEAD) {
            clients.prefetch_reply(*ahead);
        }
        clients.push(*token, |reply| {
            let protocol = reply.protocol();
            let form = &mut forms[usize::from(protocol == Protocol::Resp3)];
            let form = form.get_or_insert_with(|| {
                let mut form = Reply::new(protocol);
                write(&mut form);
                form
            });
            reply.append(form);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(heads: &Heads, channel: &[u8]) -> Vec<String> {
        let mut found: Vec<String> =
            heads.matching(channel).map(|pattern| String::from_utf8_lossy(pattern).into_owned()).collect();
        found.sort();
        found
    }

    #[test]
    fn patterns_are_found_by_their_heads() {
        let patterns = ["", "*", "n*", "news.*", "news.[ab]*", "news", "n\\ews", "?ews", "o*"];
        let patterns: Vec<Rc<[u8]>> = patterns.iter().map(|text| text.as_bytes().into()).collect();
        let mut heads = Heads::new(&HashSeed::from_seed(1));
        patterns.iter().for_each(|pattern| heads.add(pattern));
        assert_eq!(matching(&heads, b"news.art"), ["*", "n*", "news.*", "news.[ab]*"]);
        assert_eq!(matching(&heads, b"news"), ["*", "?ews", "n*", "n\\ews", "news"]);
        assert_eq!(matching(&heads, b""), [""]);
        patterns.iter().for_each(|pattern| heads.remove(pattern));
        assert!(heads.patterns.is_empty() && heads.lengths.is_empty());
    }

    #[test]
    fn members_leave_in_any_order() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut members = Members::default();
        let mut model: Vec<Token> = Vec::new();
        for step in 0..2_000u32 {
            let grows = step % 400 < 200;
            if grows && random.u32(..4) > 0 || model.is_empty() {
                let token = Token { slot: step, generation: 1 };
                members.add(token);
                model.push(token);
            } else {
                let token = model.swap_remove(random.usize(..model.len()));
                members.remove(token);
            }
            let mut left = members.list.clone();
            left.sort_by_key(|token| token.slot);
            model.sort_by_key(|token| token.slot);
            assert_eq!(left, model);
        }
    }
}
