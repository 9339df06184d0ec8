//! Atomic migration of slots: MIGRATESLOTS, CANCELSLOTMIGRATIONS, GETSLOTMIGRATIONS, SYNCSLOTS.

use crate::cluster::migration::{Job, JobName, Message, SlotRanges};
use crate::cluster::node::NodeKey;
use crate::cluster::node_id::ID_BYTES;
use crate::cluster::{Member, NodeId};
use crate::command::error::{CommandError, CommandResult};
use crate::commands::cluster::slots::parse_slot;
use crate::commands::cluster::{known, text};
use crate::drive::cluster::migration::{export, import};
use crate::engine::context::Context;
use crate::engine::origin::Origin;
use crate::resp::number::parse_i64;
use crate::resp::{Args, Reply};

/// Ranges as a command names them.
struct Named {
    ranges: SlotRanges,
    owner: NodeKey,
    /// The argument behind them.
    next: usize,
}

/// Reads ranges of slots that one node has, up to the first word that is no number.
fn parse_ranges(member: &Member, args: Args<'_>, first: usize) -> Result<Named, CommandError> {
    let (mut ranges, mut owner, mut next) = (SlotRanges::default(), None, first);
    while let Some(word) = args.get(next).filter(|word| parse_i64(word).is_some()) {
        let start = parse_slot(word)?;
        let end = args.get(next + 1).ok_or(CommandError::fixed("ERR No end slot for final slot range"))?;
        let end = parse_slot(end)?;
        if start > end {
            return Err(CommandError::new(format!(
                "ERR Start slot number {start} is greater than end slot number {end}."
            )));
        }
        for slot in start..=end {
            let found = member.table().owner(slot);
            let found = found.ok_or_else(|| CommandError::new(format!("ERR Slot {slot} has no node served.")))?;
            if *owner.get_or_insert(found) != found {
                return Err(CommandError::fixed("ERR Requested slots span multiple shards"));
            }
        }
        ranges.add(start, end).map_err(|other| {
            let (first, last) = (other.start(), other.end());
            CommandError::new(format!("ERR Slot range {start}-{end} overlaps with previous range {first}-{last}."))
        })?;
        next += 2;
    }
    let owner = owner.ok_or(CommandError::fixed("ERR No slot ranges specified"))?;
    Ok(Named { ranges, owner, next })
}

/// Why this node can neither give slots away nor get any.
fn check_can_start(member: &Member) -> CommandResult {
    let table = member.table();
    let refusal = if !table.myself().is_primary() {
        "ERR Slot migration can only be used on primary nodes."
    } else if !table.importing.is_empty() {
        "ERR Slots are being manually imported"
    } else if !table.migrating.is_empty() {
        "ERR Slots are being manually migrated"
    } else {
        return Ok(());
    };
    Err(CommandError::fixed(refusal))
}

pub(super) fn migrate_slots(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let member = &known(context)?.member;
    check_can_start(member)?;
    let mut wanted: Vec<(SlotRanges, NodeId)> = Vec::new();
    let mut index = 2;
    while let Some(word) = args.get(index) {
        if !word.eq_ignore_ascii_case(b"slotsrange") {
            return Err(CommandError::SYNTAX);
        }
        let named = parse_ranges(member, args, index + 1)?;
        if named.owner != member.table().my_key() {
            return Err(CommandError::fixed("ERR Slots are not served by this node."));
        }
        let slots = named.ranges.slots();
        if let Some(slot) = export::first_exporting(context.state, &slots) {
            return Err(CommandError::new(format!("ERR I am already migrating slot {slot}.")));
        }
        if wanted.iter().any(|(other, _)| other.slots().intersection(&slots).next().is_some()) {
            return Err(CommandError::fixed("ERR Slot ranges in migrations overlap"));
        }
        let is_node = args.get(named.next).is_some_and(|word| word.eq_ignore_ascii_case(b"node"));
        if !is_node || named.next + 1 >= args.len() {
            return Err(CommandError::SYNTAX);
        }
        wanted.push((named.ranges, parse_target(member, args, named.next + 1)?));
        index = named.next + 2;
    }
    for (ranges, target) in wanted {
        export::begin(context.state, ranges, target);
    }
    context.reply.ok();
    Ok(())
}

fn parse_target(member: &Member, args: Args<'_>, index: usize) -> Result<NodeId, CommandError> {
    let name = text(args, index);
    if args.at(index).len() != ID_BYTES {
        return Err(CommandError::new(format!("ERR Invalid node name: {name}")));
    }
    let id = NodeId::parse(args.at(index)).filter(|id| member.table().find(id).is_some());
    let id = id.ok_or_else(|| CommandError::new(format!("ERR Unknown node name: {name}")))?;
    if id == member.table().myself().id {
        return Err(CommandError::fixed("ERR Target node can not be this node."));
    }
    Ok(id)
}

pub(super) fn cancel(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    known(context)?;
    export::cancel_all(context.state)?;
    context.reply.ok();
    Ok(())
}

pub(super) fn list(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    known(context)?;
    let Context { state, reply, .. } = context;
    let jobs = state.cluster.as_ref().map(|cluster| cluster.slot_migrations.jobs()).unwrap_or_default();
    reply.array(jobs.len());
    jobs.into_iter().for_each(|job| write_job(reply, job));
    Ok(())
}

fn write_job(reply: &mut Reply, job: &Job) {
    let nodes = [("target_node", job.target), ("source_node", job.source)];
    let nodes = nodes.iter().filter_map(|(name, node)| Some((*name, (*node)?)));
    reply.map(10 + nodes.clone().count());
    let ranges = job.ranges.to_string();
    let operation = if job.is_import() { "IMPORT" } else { "EXPORT" };
    let mut word = |name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    word("name", job.name.as_str());
    word("operation", operation);
    word("slot_ranges", &ranges);
    for (name, node) in nodes {
        word(name, node.as_str());
    }
    let mut number = |name: &str, value: u64| {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
    };
    number("create_time", job.created_s);
    number("last_update_time", job.updated_s);
    number("last_ack_time", job.acked_s);
    for (name, value) in [("state", job.state.name()), ("message", job.message.as_str())] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    for (name, value) in [("cow_size", job.copied_bytes), ("remaining_repl_size", job.pending_bytes)] {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

pub(super) fn sync(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    let word = args.at(2).to_ascii_lowercase();
    match word.as_slice() {
        b"establish" => return establish(context, args),
        b"finish" => return finish(context, args),
        _ if context.session.origin == Origin::Primary => return Ok(()),
        // A peer of another version names its abilities; this version knows none of them.
        b"capa" => return Ok(()),
        _ => {}
    }
    let source = (context.session.origin == Origin::SlotSource).then_some(context.session.token);
    match (Message::from_word(&word), source) {
        (Some(message), Some(source)) => import::take_message(context.state, source, message),
        (Some(message), None) => {
            return Err(CommandError::new(format!(
                "ERR CLUSTER SYNCSLOTS {} should only be used by slot migration clients",
                message.word()
            )));
        }
        (None, Some(source)) => import::refuse(context.state, source, "Unknown SYNCSLOTS subcommand used"),
        (None, None) => return Err(CommandError::SYNTAX),
    }
    Ok(())
}

/// The arguments of ESTABLISH.
#[derive(Default)]
struct Wish {
    source: Option<NodeId>,
    name: Option<JobName>,
    slots: Option<(SlotRanges, NodeKey)>,
}

/// Whether the command comes from the primary or from the append-only file: another node imports, or has.
fn is_told(context: &Context<'_>) -> bool {
    matches!(context.session.origin, Origin::Primary | Origin::Replay)
}

fn establish(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let is_told = is_told(context);
    let member = &known(context)?.member;
    if !is_told {
        check_can_start(member)?;
    }
    let wish = parse_wish(context, args, is_told)?;
    let (Some(name), Some((ranges, owner))) = (wish.name, wish.slots) else { return Err(CommandError::SYNTAX) };
    if is_told {
        import::track(context.state, name, ranges);
    } else {
        let source = wish.source.ok_or(CommandError::SYNTAX)?;
        if known(context)?.member.table().find(&source) != Some(owner) {
            return Err(CommandError::fixed("ERR Target node does not agree about current slot ownership"));
        }
        import::begin(context.state, context.session, name, ranges, source);
    }
    let words: Vec<&[u8]> = args.iter().collect();
    context.state.keyspace.changes.propagation.add(0, &words);
    context.tell_caller(Reply::ok);
    Ok(())
}

fn parse_wish(context: &Context<'_>, args: Args<'_>, is_told: bool) -> Result<Wish, CommandError> {
    let cluster = known(context)?;
    let (member, mut wish, mut index) = (&cluster.member, Wish::default(), 3);
    while index < args.len() {
        let value = args.get(index + 1).filter(|value| value.len() == ID_BYTES);
        match args.at(index).to_ascii_lowercase().as_slice() {
            b"source" if wish.source.is_none() => {
                let id = NodeId::parse(value.ok_or(CommandError::SYNTAX)?);
                wish.source = if is_told { None } else { Some(check_source(member, id)?) };
                index += 2;
            }
            b"name" if wish.name.is_none() => {
                wish.name = Some(NodeId::parse(value.ok_or(CommandError::SYNTAX)?).ok_or(CommandError::SYNTAX)?);
                index += 2;
            }
            b"slotsrange" if wish.slots.is_none() => {
                let named = parse_ranges(member, args, index + 1)?;
                if named.ranges.slots().iter().any(|slot| cluster.slot_migrations.is_importing(slot)) {
                    return Err(CommandError::fixed(
                        "ERR Slot is already being imported on the target by a different migration",
                    ));
                }
                index = named.next;
                wish.slots = Some((named.ranges, named.owner));
            }
            _ => return Err(CommandError::SYNTAX),
        }
    }
    Ok(wish)
}

fn check_source(member: &Member, id: Option<NodeId>) -> Result<NodeId, CommandError> {
    let id = id.filter(|id| member.table().find(id).is_some());
    let id = id.ok_or(CommandError::fixed("ERR Target node does not know the source node"))?;
    match id == member.table().myself().id {
        true => Err(CommandError::fixed("ERR Source node is target node itself")),
        false => Ok(id),
    }
}

fn finish(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (mut name, mut outcome, mut message) = (None, None, None);
    for index in (3..args.len()).step_by(2) {
        let value = args.get(index + 1).ok_or(CommandError::SYNTAX)?;
        let place = match args.at(index).to_ascii_lowercase().as_slice() {
            b"name" if value.len() == ID_BYTES => &mut name,
            b"state" => &mut outcome,
            b"message" => &mut message,
            _ => return Err(CommandError::SYNTAX),
        };
        if place.replace(value).is_some() {
            return Err(CommandError::SYNTAX);
        }
    }
    let (Some(name), Some(outcome)) = (name, outcome) else { return Err(CommandError::SYNTAX) };
    const UNKNOWN: CommandError = CommandError::fixed("ERR No such slot migration job");
    let name = NodeId::parse(name).ok_or(UNKNOWN)?;
    if known(context)?.slot_migrations.import_named(&name).is_none() {
        return Err(UNKNOWN);
    }
    let is_success = match outcome.to_ascii_lowercase().as_slice() {
        b"success" => true,
        b"failed" => false,
        _ => return Err(CommandError::SYNTAX),
    };
    if !is_told(context) {
        // Only the primary and the append-only file say so: a client could show keys that are not this node's.
        return Err(UNKNOWN);
    }
    let message = String::from_utf8_lossy(message.unwrap_or_default()).into_owned();
    import::take_finish(context.state, &name, is_success, message);
    let words: Vec<&[u8]> = args.iter().collect();
    context.state.keyspace.changes.propagation.add(0, &words);
    context.reply.ok();
    Ok(())
}
