//! When a node is suspected, failed and healthy again; which links and addresses are used meanwhile.

use crate::cluster::member::{Effect, Member, Settings};
use crate::cluster::message::{Body, Flags, Gossip, GossipEntry, Header, encode};
use crate::cluster::node::{Health, LinkId};
use crate::cluster::nodes_file::read_file;
use crate::cluster::tests::cast::{Cast, FIRST, SECOND, SIBLING, THIRD, closes, entry, frames, node};
use crate::cluster::tests::peers::{NOW, end, header, id, later};

const TIMEOUT_MS: u64 = 15_000;
const ALL: [u64; 4] = [FIRST, SECOND, THIRD, SIBLING];

/// The member is a primary with slots, and knows the nodes of the cast.
fn voter() -> Cast {
    let mut cast = Cast::new(Settings::default(), &ALL);
    cast.member.add_slots(&[0].into_iter().collect()).expect_err("it is the first node's");
    let third = Header { slots: (10_001..16_384).collect(), ..node(THIRD) };
    cast.says(THIRD, &third, Body::Ping(Gossip::default()));
    cast.member.del_slots(&[10_000].into_iter().collect()).expect("it had an owner");
    cast.member.add_slots(&[10_000].into_iter().collect()).expect("it is free");
    cast.turn();
    cast
}

/// The time at which a node is suspected.
fn suspected_ms(cast: &mut Cast, seed: u64, for_ms: u64, mut each_tick: impl FnMut(&mut Cast)) -> Option<u64> {
    let alive: Vec<u64> = ALL.into_iter().filter(|other| *other != seed).collect();
    let begun_ms = cast.now.steady_ms;
    while cast.now.steady_ms < begun_ms + for_ms {
        cast.pass(100, &alive, |_, _| {});
        if !cast.known(seed).is_ok() {
            return Some(cast.now.steady_ms - begun_ms);
        }
        each_tick(cast);
    }
    None
}

/// The connection to this node that a turn requests.
fn connection(released: &crate::cluster::member::Released, seed: u64) -> Option<LinkId> {
    released.effects.iter().find_map(|effect| match effect {
        Effect::Connect { link, port, .. } if *port == node(seed).bus_port => Some(*link),
        _ => None,
    })
}

#[test]
fn a_node_that_does_not_answer_for_a_timeout_is_suspected() {
    // The node is pinged at most half a timeout after its last answer.
    let ms = suspected_ms(&mut voter(), FIRST, 60_000, |_| {}).expect("it does not answer");
    assert!((TIMEOUT_MS..=TIMEOUT_MS * 3 / 2 + 300).contains(&ms), "{ms}");
    assert_eq!(suspected_ms(&mut voter(), FIRST, 60_000, |cast| cast.answers(FIRST)), None);
    // Other frames prove that the node is alive.
    let talks = |cast: &mut Cast| {
        let header = node(FIRST);
        cast.says(FIRST, &header, Body::Publish { channel: Vec::new(), message: Vec::new() });
    };
    assert_eq!(suspected_ms(&mut voter(), FIRST, 60_000, talks), None);
}

#[test]
fn a_node_that_refuses_connections_is_suspected_a_timeout_later() {
    let mut cast = voter();
    let (link, now) = (cast.outbound(FIRST), cast.now);
    cast.member.on_closed(link, now);
    let ms = suspected_ms(&mut cast, FIRST, 60_000, |cast| {
        // The connection that the tick has requested fails.
        let attempt = cast.known(FIRST).outbound.expect("it tries at every tick");
        cast.member.on_closed(attempt, cast.now);
    });
    assert!(ms.is_some_and(|ms| (TIMEOUT_MS..=TIMEOUT_MS + 400).contains(&ms)), "{ms:?}");
}

#[test]
fn links_that_open_and_close_give_no_new_time() {
    let mut cast = voter();
    let (link, now) = (cast.outbound(FIRST), cast.now);
    cast.member.on_closed(link, now);
    let ms = suspected_ms(&mut cast, FIRST, 60_000, |cast| {
        let attempt = cast.known(FIRST).outbound.expect("it tries at every tick");
        cast.member.on_connected(attempt, "10.9.9.9", cast.now);
        cast.member.on_closed(attempt, cast.now);
    });
    assert!(ms.is_some_and(|ms| (TIMEOUT_MS..=TIMEOUT_MS + 400).contains(&ms)), "{ms:?}");
}

#[test]
fn a_link_on_which_nothing_comes_is_opened_anew_once_in_a_timeout() {
    let mut cast = voter();
    let mut closed = Vec::new();
    let mut link = cast.outbound(FIRST);
    for _ in 0..400 {
        let mut next = None;
        cast.pass(100, &[SECOND, THIRD, SIBLING], |ms, released| {
            closed.extend(closes(released, link).then_some(ms));
            next = connection(released, FIRST);
        });
        if let Some(opened) = next {
            link = opened;
            cast.member.on_connected(link, "10.9.9.9", cast.now);
        }
    }
    assert!(
        matches!(closed[..], [first, second, ..] if second - first > TIMEOUT_MS && first > TIMEOUT_MS),
        "{closed:?}"
    );
    // A link is kept while data arrives on the other one.
    let mut cast = voter();
    let link = cast.outbound(FIRST);
    for _ in 0..400 {
        cast.pass(100, &[SECOND, THIRD, SIBLING], |_, released| assert!(!closes(released, link)));
        let header = node(FIRST);
        cast.says(FIRST, &header, Body::Publish { channel: Vec::new(), message: Vec::new() });
    }
}

/// The first node is suspected by the member, without a report of another node.
fn suspicious() -> Cast {
    let mut cast = voter();
    suspected_ms(&mut cast, FIRST, 60_000, |_| {}).expect("it does not answer");
    cast
}

#[test]
fn a_node_has_failed_when_a_majority_of_the_voters_suspects_it() {
    // Four vote: three are a majority.
    let mut cast = suspicious();
    let other = cast.outbound(SIBLING);
    cast.gossips(SECOND, FIRST, Flags::SUSPECTED);
    cast.gossips(SIBLING, FIRST, Flags::SUSPECTED);
    assert_eq!((cast.known(FIRST).health, cast.reports(FIRST)), (Health::Suspected, 1), "a replica has no say");
    assert!(!frames(&cast.turn(), other).contains(&(node(SIBLING), Body::Fail(id(FIRST)))));
    cast.gossips(THIRD, FIRST, Flags::FAILED);
    assert!(cast.known(FIRST).is_failed());
    let said = frames(&cast.turn(), other);
    assert!(said.iter().any(|(_, body)| *body == Body::Fail(id(FIRST))), "all are told");
    // The member's own suspicion is needed too.
    let mut cast = voter();
    for seed in [SECOND, THIRD, SIBLING] {
        cast.gossips(seed, FIRST, Flags::SUSPECTED);
    }
    assert_eq!((cast.known(FIRST).health, cast.reports(FIRST)), (Health::Ok, 2));
}

#[test]
fn a_report_counts_for_two_timeouts_unless_it_is_taken_back_or_renewed() {
    let mut cast = voter();
    cast.gossips(SECOND, FIRST, Flags::SUSPECTED);
    cast.gossips(THIRD, FIRST, Flags::SUSPECTED);
    assert_eq!(cast.reports(FIRST), 2);
    cast.gossips(THIRD, FIRST, Flags::default());
    assert_eq!(cast.reports(FIRST), 1);
    cast.now = later(20_000);
    cast.gossips(SECOND, FIRST, Flags::SUSPECTED);
    cast.now = later(50_000);
    assert_eq!(cast.reports(FIRST), 1);
    cast.now = later(50_100);
    assert_eq!(cast.reports(FIRST), 0);
}

/// A reporter that has been replaced no longer counts, but its successor does.
#[test]
fn a_primary_that_has_lost_its_slots_has_no_say() {
    let mut cast = voter();
    cast.gossips(SECOND, FIRST, Flags::SUSPECTED);
    cast.gossips(THIRD, FIRST, Flags::SUSPECTED);
    assert_eq!(cast.reports(FIRST), 2);
    let replaced = Header { primary: Some(id(THIRD)), flags: Flags::REPLICA, ..node(THIRD) };
    cast.says(SECOND, &Header { sender: id(SECOND), ..replaced }, Body::Ping(Gossip::default()));
    assert_eq!(cast.reports(FIRST), 1);
}

#[test]
fn a_judgement_of_a_peer_is_obeyed_but_not_one_about_this_member() {
    let mut cast = voter();
    let own = cast.member.table().myself().id;
    cast.says(SIBLING, &node(SIBLING), Body::Fail(own));
    assert!(cast.member.table().myself().is_ok());
    cast.says(SIBLING, &node(SIBLING), Body::Fail(id(FIRST)));
    assert!(cast.known(FIRST).is_failed());
    let link = cast.outbound(SECOND);
    assert!(!frames(&cast.turn(), link).iter().any(|(_, body)| matches!(body, Body::Fail(_))), "it is not repeated");
}

#[test]
fn a_node_that_answers_is_healthy_again_but_an_owner_of_slots_only_after_two_timeouts() {
    let mut cast = suspicious();
    cast.says(FIRST, &node(FIRST), Body::Pong(Gossip::default()));
    assert_eq!(cast.known(FIRST).health, Health::Suspected, "no ping asked for that pong");
    cast.answers(FIRST);
    assert_eq!(cast.known(FIRST).health, Health::Ok);
    for seed in [FIRST, SIBLING] {
        cast.says(SECOND, &node(SECOND), Body::Fail(id(seed)));
        cast.answers(seed);
    }
    assert_eq!((cast.known(FIRST).is_failed(), cast.known(SIBLING).health), (true, Health::Ok));
    let failed_ms = cast.now.steady_ms - NOW.steady_ms;
    cast.now = later(failed_ms + 2 * TIMEOUT_MS);
    cast.answers(FIRST);
    assert!(cast.known(FIRST).is_failed());
    cast.now = later(failed_ms + 2 * TIMEOUT_MS + 1);
    cast.answers(FIRST);
    assert_eq!(cast.known(FIRST).health, Health::Ok);
}

fn pong_of(ahead_s: u32) -> GossipEntry {
    let told = entry(FIRST, Flags::default());
    GossipEntry { pong_received_s: told.pong_received_s + ahead_s, ..told }
}

#[test]
fn pongs_that_others_had_count_unless_there_is_a_doubt() {
    let pong_ms = |cast: &Cast| cast.known(FIRST).pong_received_ms.expect("it has answered") - NOW.steady_ms;
    let mut cast = voter();
    cast.now = later(5000);
    cast.tells(SECOND, pong_of(4));
    assert_eq!(pong_ms(&cast), 4000);
    cast.tells(SECOND, pong_of(3));
    assert_eq!(pong_ms(&cast), 4000, "it is older");
    cast.gossips(THIRD, FIRST, Flags::SUSPECTED);
    cast.tells(SECOND, pong_of(5));
    assert_eq!(pong_ms(&cast), 4000, "another node suspects it");
    // A ping of this member is unanswered.
    let mut cast = voter();
    cast.pass(8000, &[SECOND, THIRD, SIBLING], |_, _| {});
    assert!(cast.known(FIRST).ping_sent_ms.is_some());
    cast.tells(SECOND, pong_of(7));
    assert!(pong_ms(&cast) < 7000);
}

#[test]
fn a_suspected_node_is_looked_for_where_others_reach_it() {
    let moved = GossipEntry { address: "10.0.7.7".into(), ..entry(FIRST, Flags::default()) };
    let mut cast = voter();
    cast.tells(SECOND, moved.clone());
    assert_ne!(cast.known(FIRST).address.ip, "10.0.7.7", "it is well where it is");
    let mut cast = suspicious();
    let flags = Flags(moved.flags.0 | Flags::SUSPECTED.0);
    cast.tells(SECOND, GossipEntry { flags, ..moved.clone() });
    assert_ne!(cast.known(FIRST).address.ip, "10.0.7.7", "it is not well there either");
    cast.tells(SECOND, moved);
    assert_eq!(cast.known(FIRST).address.ip, "10.0.7.7");
    let mut connects = false;
    cast.pass(200, &[], |_, released| {
        connects |=
            released.effects.iter().any(|effect| matches!(effect, Effect::Connect { ip, .. } if ip == "10.0.7.7"));
    });
    assert!(connects);
}

#[test]
fn a_node_is_followed_to_the_address_that_it_pings_from() {
    let mut cast = Cast::replica(Settings::default());
    let link = cast.member.on_accepted("10.0.7.7", "10.9.9.9", cast.now);
    let (before, old) = (cast.inbound(FIRST), cast.outbound(FIRST));
    cast.member.receive(link, &encode(&node(FIRST), &Body::Ping(Gossip::default())), cast.now);
    let released = cast.turn();
    assert_eq!(cast.known(FIRST).address.ip, "10.0.7.7");
    assert!(closes(&released, old), "the link to the old address");
    assert!(closes(&released, before), "a node has one link to this member");
    let to = |effect: &Effect| match effect {
        Effect::Connect { ip, .. } => ip == "10.0.7.7",
        Effect::Follow { address, .. } => address.ip == "10.0.7.7",
        _ => false,
    };
    assert_eq!(released.effects.iter().filter(|effect| to(effect)).count(), 2, "{:?}", released.effects);
}

/// Later pings of the primary come from the already known address, so they change nothing.
#[test]
fn a_replica_follows_its_failed_primary_to_the_address_that_others_name() {
    let mut cast = Cast::replica(Settings::default());
    cast.says(SECOND, &node(SECOND), Body::Fail(id(FIRST)));
    cast.turn();
    cast.tells(SECOND, GossipEntry { address: "10.0.7.7".into(), ..entry(FIRST, Flags::default()) });
    let mut follows = cast.turn().effects.into_iter().filter_map(|effect| match effect {
        Effect::Follow { id, address } => Some((id, address.ip)),
        _ => None,
    });
    assert_eq!(follows.next(), Some((id(FIRST), "10.0.7.7".to_string())));
}

#[test]
fn a_node_whose_address_is_anothers_has_none_and_fails_like_any_other() {
    let mut cast = voter();
    let link = cast.outbound(FIRST);
    cast.member.receive(link, &encode(&header(id(50)), &Body::Pong(Gossip::default())), cast.now);
    assert!(cast.known(FIRST).has_no_address && cast.known(FIRST).address.ip.is_empty());
    assert!(closes(&cast.turn(), link));
    assert!(cast.member.table().find(&id(50)).is_none());
    let ms = suspected_ms(&mut cast, FIRST, 60_000, |_| {}).expect("no node can reach it");
    assert!(ms <= TIMEOUT_MS * 3 / 2 + 300, "{ms}");
    cast.gossips(SECOND, FIRST, Flags::SUSPECTED);
    cast.gossips(THIRD, FIRST, Flags::SUSPECTED);
    assert!(cast.known(FIRST).is_failed());
    let is_told = (0..50).any(|_| told(&mut cast).iter().any(|entry| entry.id == id(FIRST)));
    assert!(is_told, "members that have missed it hear that it has failed");
    // The same holds after a restart with a file that has `noaddr`.
    let own = format!("{} 10.0.0.1:6379@16379,,tls-port=0 myself,master - 0 0 3 connected 0-100", id(8));
    let other = format!("{} :0@0,,tls-port=0 master,noaddr - 0 0 1 disconnected 101-16383", id(FIRST));
    let text = format!("{own}\n{other}\nvars currentEpoch 3 lastVoteEpoch 0\n");
    let (table, epochs) = read_file(&text, false, NOW, || id(9)).expect("a good file");
    let mut member = Member::resume(Settings::default(), fastrand::Rng::with_seed(1), table, epochs);
    for tick in 0..250 {
        member.tick(later(tick * 100));
        let _ = end(&mut member, later(tick * 100));
    }
    let key = member.table().find(&id(FIRST)).expect("it is known");
    assert!(member.table().get(key).is_some_and(|node| !node.is_ok()));
}

/// The gossip with which the member answers the second node.
fn told(cast: &mut Cast) -> Vec<GossipEntry> {
    let link = cast.inbound(SECOND);
    cast.says(SECOND, &node(SECOND), Body::Ping(Gossip::default()));
    match frames(&cast.turn(), link).pop() {
        Some((_, Body::Pong(gossip))) => gossip.entries,
        other => panic!("{other:?}"),
    }
}

#[test]
fn gossip_is_about_others_a_tenth_of_them_and_all_that_are_suspected() {
    let mut cast = Cast::new(Settings::default(), &ALL);
    let own = cast.member.table().myself().id;
    cast.member.meet("10.0.8.8", 6379, None, cast.now).expect("an address");
    cast.pass(100, &[], |_, _| {});
    let handshake = cast.member.table().iter().find(|(_, node)| node.is_in_handshake()).map(|(_, node)| node.id);
    for _ in 0..50 {
        let said = told(&mut cast);
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|entry| entry.id != own && entry.id != id(SECOND) && Some(entry.id) != handshake));
    }
    for seed in 100..155 {
        cast.gossips(FIRST, seed, Flags::default());
    }
    let links = (0..2).flat_map(|_| {
        cast.member.tick(cast.now);
        cast.turn().effects
    });
    assert!(links.filter(|effect| matches!(effect, Effect::Connect { .. })).count() >= 55);
    assert_eq!(told(&mut cast).len(), 6, "a tenth of 61");
    // Seven of the suspected nodes are new: their flags are adopted.
    for seed in 160..167 {
        cast.gossips(FIRST, seed, Flags::SUSPECTED);
    }
    let said = told(&mut cast);
    let suspected = said.iter().filter(|entry| entry.flags.has(Flags::SUSPECTED)).count();
    assert_eq!((suspected, said.len()), (7, 13));
}

#[test]
fn the_cluster_is_up_when_all_slots_are_served_or_need_not_be() {
    let is_ok = |settings: Settings, change: &dyn Fn(&mut Cast)| {
        let mut cast = Cast::new(settings, &[FIRST, SECOND, THIRD]);
        change(&mut cast);
        cast.pass(3000, &[], |_, _| {});
        cast.member.is_ok()
    };
    let partial = Settings { requires_full_coverage: false, ..Settings::default() };
    let lacks = |cast: &mut Cast| cast.member.del_slots(&[77].into_iter().collect()).expect("it had an owner");
    let fails = |cast: &mut Cast| cast.says(SECOND, &node(SECOND), Body::Fail(id(FIRST)));
    let most_fail = |cast: &mut Cast| {
        for seed in [FIRST, SECOND] {
            cast.says(THIRD, &node(THIRD), Body::Fail(id(seed)));
        }
    };
    assert!(is_ok(Settings::default(), &|_| {}));
    assert!(!is_ok(Settings::default(), &lacks));
    assert!(!is_ok(Settings::default(), &fails));
    assert!(is_ok(partial.clone(), &lacks));
    assert!(is_ok(partial.clone(), &fails));
    assert!(!is_ok(partial, &most_fail), "a minority serves nothing");
}

#[test]
fn an_introduction_takes_a_timeout_at_most_and_is_made_once() {
    let mut cast = Cast::new(Settings::default(), &[FIRST]);
    let stranger = Header { bus_port: 9000, ..header(id(60)) };
    for _ in 0..20 {
        let link = cast.member.on_accepted("10.0.6.6", "10.9.9.9", cast.now);
        cast.member.receive(link, &encode(&stranger, &Body::Meet(Gossip::default())), cast.now);
        cast.member.meet("10.0.6.6", 6379, Some(9000), cast.now).expect("an address");
    }
    assert_eq!(cast.member.table().handshakes(), 1);
    cast.says(FIRST, &node(FIRST), Body::Meet(Gossip::default()));
    assert_eq!(cast.member.table().handshakes(), 1, "that one is known");
    cast.pass(TIMEOUT_MS, &[FIRST], |_, _| {});
    assert_eq!(cast.member.table().handshakes(), 1);
    cast.pass(200, &[FIRST], |_, _| {});
    assert_eq!(cast.member.table().handshakes(), 0);
}

#[test]
fn a_node_stays_forgotten_for_as_long_as_the_settings_say() {
    let mut cast = Cast::new(Settings { forgotten_for_ms: 2_000, ..Settings::default() }, &[FIRST, SECOND]);
    cast.member.forget(id(FIRST).as_str(), cast.now).expect("it is known");
    let until_ms = cast.now.steady_ms + 2_000;
    assert_eq!(cast.member.table().forgotten().collect::<Vec<_>>(), [(id(FIRST), until_ms)]);
}

#[test]
fn a_report_tells_since_when_a_node_is_suspected() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND, THIRD]);
    let suspect = cast.member.table().find(&id(FIRST)).expect("it is known");
    let ages = |cast: &Cast| {
        let now_ms = cast.now.steady_ms;
        let reports: Vec<_> = cast.member.reports(cast.now).collect();
        assert!(reports.iter().all(|(about, _)| *about == suspect));
        reports.iter().map(|(_, report)| (now_ms - report.since_ms, now_ms - report.at_ms)).collect::<Vec<_>>()
    };
    cast.gossips(SECOND, FIRST, Flags::PRIMARY.with(Flags::SUSPECTED, true));
    assert_eq!(ages(&cast), [(0, 0)]);
    cast.pass(4_000, &[FIRST, SECOND, THIRD], |_, _| {});
    cast.gossips(SECOND, FIRST, Flags::PRIMARY.with(Flags::SUSPECTED, true));
    let told = ages(&cast);
    assert!(matches!(told[..], [(since_ms, 0)] if since_ms >= 4_000), "{told:?}");
    // Reports are repeated by each ping; one that is not does not count for ever.
    cast.pass(31_000, &[FIRST, SECOND, THIRD], |_, _| {});
    assert_eq!(ages(&cast), []);
}
