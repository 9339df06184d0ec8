//! Keyspace events: what happens to keys, published to the clients that listen.

use crate::config::EventClass;
use crate::engine::pubsub::Payload;
use crate::engine::state::ServerState;

/// Publishes an event on the key's channel and on the event's own, as far as `notify-keyspace-events` asks for them.
pub fn publish(state: &mut ServerState, event: &str, database: usize, key: &[u8]) {
    let ServerState { config, pubsub, clients, .. } = state;
    if pubsub.is_empty() {
        return;
    }
    let setting = config.notify_keyspace_events;
    if setting.contains(EventClass::Keyspace) {
        let mut channel = format!("__keyspace@{database}__:").into_bytes();
        channel.extend_from_slice(key);
        pubsub.publish(clients, &channel, &Payload::Small(event.as_bytes()));
    }
    if setting.contains(EventClass::Keyevent) {
        let channel = format!("__keyevent@{database}__:{event}");
        pubsub.publish(clients, channel.as_bytes(), &Payload::Small(key));
    }
}
