//! SUBSCRIBE, PUBLISH and their kin: messages to subscribers.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Channels, Flag, Group, KeySpec, NO_KEY};
use crate::engine::clients::Clients;
use crate::engine::cluster::Published;
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::pubsub::{ChannelKind, Payload, PubSub};
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Targets;
use crate::resp::Args;
use crate::resp::Reply;

/// Messages of this size or more are shared between their receivers, in bytes.
const SHARED_BYTES: usize = 16 * 1024;

/// The flags of what changes subscriptions.
const SUBSCRIBING: &[Flag] = &[Flag::PubSub, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::WhileSubscribed];

/// While writes are paused messages wait as well, so that replicas get both in order.
const PUBLISHING: &[Flag] = &[Flag::PubSub, Flag::Loading, Flag::Stale, Flag::Fast, Flag::MayReplicate];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("subscribe", -2, Group::PubSub, "2.0.0", subscribe)
        .flags(SUBSCRIBING)
        .channels(Channels::All)
        .complexity("O(N) where N is the number of channels.")
        .summary("Listens to channels.")
        .arguments("channel..."),
    CommandSpec::new("unsubscribe", -1, Group::PubSub, "2.0.0", unsubscribe)
        .flags(SUBSCRIBING)
        .complexity("O(N) where N is the number of channels.")
        .summary("Stops listening to channels, or to all of them.")
        .arguments("[channel...]"),
    CommandSpec::new("psubscribe", -2, Group::PubSub, "2.0.0", psubscribe)
        .flags(SUBSCRIBING)
        .channels(Channels::AllPatterns)
        .complexity("O(N) where N is the number of patterns.")
        .summary("Listens to the channels that match patterns.")
        .arguments("pattern:pattern..."),
    CommandSpec::new("punsubscribe", -1, Group::PubSub, "2.0.0", punsubscribe)
        .flags(SUBSCRIBING)
        .complexity("O(N) where N is the number of patterns.")
        .summary("Stops listening to patterns, or to all of them.")
        .arguments("[pattern:pattern...]"),
    CommandSpec::new("publish", 3, Group::PubSub, "2.0.0", publish)
        .flags(PUBLISHING)
        .channels(Channels::First)
        .complexity(
            "O(N+M) where N is the number of the channel's listeners and M that of the patterns that begin as the \
             channel does.",
        )
        .summary("Sends a message to those who listen to a channel.")
        .arguments("channel message"),
    CommandSpec::new("ssubscribe", -2, Group::PubSub, "7.0.0", ssubscribe)
        .flags(SUBSCRIBING)
        .keys(&[KeySpec::range(NO_KEY, 1, -1, 1)])
        .channels(Channels::Declared)
        .complexity("O(N) where N is the number of shard channels.")
        .summary("Listens to shard channels.")
        .arguments("shardchannel..."),
    CommandSpec::new("sunsubscribe", -1, Group::PubSub, "7.0.0", sunsubscribe)
        .flags(SUBSCRIBING)
        .keys(&[KeySpec::range(NO_KEY, 1, -1, 1)])
        .complexity("O(N) where N is the number of shard channels.")
        .summary("Stops listening to shard channels, or to all of them.")
        .arguments("[shardchannel...]"),
    CommandSpec::new("spublish", 3, Group::PubSub, "7.0.0", spublish)
        .flags(PUBLISHING)
        .keys(&[KeySpec::one(NO_KEY, 1)])
        .channels(Channels::Declared)
        .complexity("O(N) where N is the number of the shard channel's listeners.")
        .summary("Sends a message to those who listen to a shard channel.")
        .arguments("shardchannel message"),
    CommandSpec::container("pubsub", Group::PubSub, "2.8.0")
        .complexity("That of the subcommand.")
        .summary("What is listened to.")
        .subcommands(&[
            CommandSpec::new("channels", -2, Group::PubSub, "2.8.0", channels)
                .flags(&[Flag::PubSub, Flag::Loading, Flag::Stale])
                .complexity("O(N) where N is the number of channels.")
                .summary("Names the channels that somebody listens to.")
                .arguments("[pattern:pattern]"),
            help::subcommand(Group::PubSub, "6.2.0"),
            CommandSpec::new("numpat", 2, Group::PubSub, "2.8.0", numpat)
                .flags(&[Flag::PubSub, Flag::Loading, Flag::Stale])
                .summary("Counts the patterns that somebody listens to."),
            CommandSpec::new("numsub", -2, Group::PubSub, "2.8.0", numsub)
                .flags(&[Flag::PubSub, Flag::Loading, Flag::Stale])
                .complexity("O(N) where N is the number of channels asked for.")
                .summary("Counts the listeners of channels.")
                .arguments("[channel...]"),
            CommandSpec::new("shardchannels", -2, Group::PubSub, "7.0.0", shardchannels)
                .flags(&[Flag::PubSub, Flag::Loading, Flag::Stale])
                .complexity("O(N) where N is the number of shard channels.")
                .summary("Names the shard channels that somebody listens to.")
                .arguments("[pattern:pattern]"),
            CommandSpec::new("shardnumsub", -2, Group::PubSub, "7.0.0", shardnumsub)
                .flags(&[Flag::PubSub, Flag::Loading, Flag::Stale])
                .complexity("O(N) where N is the number of shard channels asked for.")
                .summary("Counts the listeners of shard channels.")
                .arguments("[shardchannel...]"),
        ]),
];

fn subscribe(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args, ChannelKind::Channel, b"subscribe")
}

fn unsubscribe(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove(context, args, ChannelKind::Channel, b"unsubscribe")
}

fn psubscribe(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args, ChannelKind::Pattern, b"psubscribe")
}

fn punsubscribe(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove(context, args, ChannelKind::Pattern, b"punsubscribe")
}

fn ssubscribe(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if !context.may_block() {
        return Err(CommandError::fixed("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    add(context, args, ChannelKind::ShardChannel, b"ssubscribe")
}

fn sunsubscribe(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    remove(context, args, ChannelKind::ShardChannel, b"sunsubscribe")
}

fn add(context: &mut Context<'_>, args: Args<'_>, topic: ChannelKind, kind: &[u8]) -> CommandResult {
    for name in args.iter().skip(1) {
        let pubsub = &mut context.state.pubsub;
        pubsub.subscribe(context.session, topic, name);
        confirm(context, topic, kind, Some(name));
    }
    Ok(())
}

fn remove(context: &mut Context<'_>, args: Args<'_>, topic: ChannelKind, kind: &[u8]) -> CommandResult {
    for name in args.iter().skip(1) {
        let pubsub = &mut context.state.pubsub;
        pubsub.unsubscribe(context.session, topic, name);
        confirm(context, topic, kind, Some(name));
    }
    if args.len() > 1 {
        return Ok(());
    }
    let subscriptions = context.session.subscriptions.as_ref();
    let names = subscriptions.map(|subscriptions| subscriptions.of(topic).clone());
    let names = names.unwrap_or_default();
    for name in &names {
        let pubsub = &mut context.state.pubsub;
        pubsub.unsubscribe(context.session, topic, name);
        confirm(context, topic, kind, Some(name));
    }
    if names.is_empty() {
        confirm(context, topic, kind, None);
    }
    Ok(())
}

/// Tells how many subscriptions the client has now. It is a message like those to come: a client that wants no replies
/// gets it.
fn confirm(context: &mut Context<'_>, topic: ChannelKind, kind: &[u8], name: Option<&[u8]>) {
    let subscriptions = context.session.subscriptions.as_ref();
    let count = subscriptions.map_or(0, |subscriptions| subscriptions.count(topic));
    context.tell_caller(|reply| {
        reply.push(3);
        reply.bulk(kind);
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.integer(count as i64);
    });
}

fn publish(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let told = tell(context.state, |pubsub, clients| pubsub.publish(clients, args.at(1), &payload(args)));
    pass_on(context.state, args, false);
    context.reply.integer(told as i64);
    Ok(())
}

fn spublish(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let told = tell(context.state, |pubsub, clients| pubsub.publish_to_shard(clients, args.at(1), &payload(args)));
    slot_stats::count_messages(context.state, args.at(1), args.at(2).len(), told);
    pass_on(context.state, args, true);
    context.reply.integer(told as i64);
    Ok(())
}

/// Passes a message on to subscribers of other servers: by the stream of the replicas, or in a cluster by its bus. A
/// node that has not joined yet, because it is still loading, has no links to other nodes.
fn pass_on(state: &mut ServerState, args: Args<'_>, is_sharded: bool) {
    let Some(cluster) = &mut state.cluster else {
        return state.keyspace.changes.propagation.force(Targets::REPLICAS);
    };
    if !state.is_sandboxed && cluster.has_joined {
        let (channel, message) = (args.at(1).to_vec(), args.at(2).to_vec());
        cluster.outgoing.push(Published { is_sharded, channel, message });
    }
}

/// Publishes to all listeners, or only counts them if the message is discarded.
fn tell(state: &mut ServerState, publish: impl FnOnce(&PubSub, &mut Clients) -> usize) -> usize {
    if state.is_sandboxed {
        return publish(&state.pubsub, &mut Clients::default());
    }
    publish(&state.pubsub, &mut state.clients)
}

fn payload(args: Args<'_>) -> Payload<'_> {
    match args.at(2) {
        large if large.len() >= SHARED_BYTES => Payload::Large(args.bytes(2)),
        small => Payload::Small(small),
    }
}

fn channels(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    list(context, args, ChannelKind::Channel)
}

fn numpat(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let count = context.state.pubsub.len(ChannelKind::Pattern);
    context.reply.integer(count as i64);
    Ok(())
}

fn numsub(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count(context, args, ChannelKind::Channel)
}

fn shardchannels(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    list(context, args, ChannelKind::ShardChannel)
}

fn shardnumsub(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count(context, args, ChannelKind::ShardChannel)
}

fn list(context: &mut Context<'_>, args: Args<'_>, topic: ChannelKind) -> CommandResult {
    if args.len() > 3 {
        let subcommand = String::from_utf8_lossy(args.at(1));
        return Err(CommandError::new(format!(
            "ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try PUBSUB HELP."
        )));
    }
    let Context { state, reply, .. } = context;
    let place = reply.begin_deferred();
    let mut count = 0;
    for name in state.pubsub.names(topic, args.get(2)) {
        reply.bulk(name);
        count += 1;
    }
    reply.end_deferred_array(place, count);
    Ok(())
}

fn count(context: &mut Context<'_>, args: Args<'_>, topic: ChannelKind) -> CommandResult {
    let reply: &mut Reply = context.reply;
    reply.array(2 * (args.len() - 2));
    for name in args.iter().skip(2) {
        reply.bulk(name);
        reply.integer(context.state.pubsub.listeners(topic, name) as i64);
    }
    Ok(())
}
