//! How a replica replaces its primary, and which votes it needs.

use crate::cluster::member::state::Settings;
use crate::cluster::member::{Effect, FailoverMode, Member, Released, Replication};
use crate::cluster::message::{Body, Flags, Gossip, Header};
use crate::cluster::node::{Health, Now, Role};
use crate::cluster::nodes_file::read_file;
use crate::cluster::slot::SlotSet;
use crate::cluster::tests::cast::{Cast, FIRST, SECOND, SIBLING, THIRD, frames, node};
use crate::cluster::tests::peers::{NOW, end, id, later};

/// A replica whose primary has failed.
fn orphan(settings: Settings) -> Cast {
    let mut cast = Cast::replica(settings);
    cast.says(SECOND, &node(SECOND), Body::Fail(id(FIRST)));
    cast
}

/// Lets time pass. Returns the first request for votes, and the time when it was sent.
fn request(cast: &mut Cast, for_ms: u64) -> Option<(u64, Header)> {
    let link = cast.outbound(SECOND);
    let mut request = None;
    cast.pass(for_ms, &[SECOND, THIRD, SIBLING], |ms, released| {
        let found = frames(released, link).into_iter().find(|(_, body)| *body == Body::VoteRequest);
        request = request.take().or(found.map(|(header, _)| (ms, header)));
    });
    request
}

fn vote(cast: &mut Cast, voter: u64, epoch: u64) {
    cast.says(voter, &Header { current_epoch: epoch, ..node(voter) }, Body::Vote);
}

fn sibling_at(offset: u64) -> Header {
    Header { offset, ..node(SIBLING) }
}

fn is_promoted(released: &Released) -> bool {
    released.effects.contains(&Effect::Promote)
}

#[test]
fn the_more_data_a_replica_has_the_sooner_it_asks() {
    let asked_ms = |sibling: Header| {
        let mut cast = orphan(Settings::default());
        cast.says(SIBLING, &sibling, Body::Ping(Gossip::default()));
        request(&mut cast, 5000).expect("it asks").0
    };
    assert!((500..1200).contains(&asked_ms(sibling_at(50))), "it has most");
    assert!((500..1200).contains(&asked_ms(sibling_at(100))), "as much as another");
    assert!((1500..2200).contains(&asked_ms(sibling_at(150))), "another one has more");
    let flags = Flags(Flags::REPLICA.0 | Flags::NO_FAILOVER.0);
    assert!((500..1200).contains(&asked_ms(Header { flags, ..sibling_at(150) })), "that one never takes over");
}

#[test]
fn a_replica_that_hears_of_better_data_while_it_waits_waits_longer() {
    let mut cast = orphan(Settings::default());
    assert_eq!(request(&mut cast, 300), None);
    cast.says(SIBLING, &sibling_at(150), Body::Pong(Gossip::default()));
    let (ms, _) = request(&mut cast, 5000).expect("it asks");
    assert!((1500..2200).contains(&ms), "{ms}");
}

#[test]
fn siblings_hear_how_far_a_replica_is_when_it_begins_to_wait() {
    let mut cast = orphan(Settings::default());
    let (sibling, other) = (cast.outbound(SIBLING), cast.outbound(SECOND));
    let mut told = Vec::new();
    cast.pass(100, &[], |_, released| {
        told.extend(frames(released, sibling).into_iter().map(|(header, body)| (header.offset, body.kind().name())));
        assert!(frames(released, other).iter().all(|(_, body)| !matches!(body, Body::Pong(_))));
    });
    assert!(told.contains(&(100, "pong")), "{told:?}");
}

#[test]
fn a_request_has_a_new_epoch_that_is_saved_and_the_claim_of_the_primary() {
    let mut cast = orphan(Settings::default());
    // The epoch of a claim may be higher than the current epoch in its owner's header.
    cast.says(THIRD, &Header { config_epoch: 50, ..node(THIRD) }, Body::Ping(Gossip::default()));
    let (_, header) = request(&mut cast, 2000).expect("it asks");
    assert_eq!((header.current_epoch, header.config_epoch, header.is_forced), (51, FIRST, false));
    assert_eq!((header.slots, header.primary), (node(FIRST).slots, Some(id(FIRST))));
    let mut cast = orphan(Settings::default());
    let mut saved = None;
    while saved.is_none() {
        cast.now = later(cast.now.steady_ms + 100 - NOW.steady_ms);
        cast.member.tick(cast.now);
        let link = cast.outbound(THIRD);
        let (file, released) = cast.synced();
        let asks = frames(&released, link).iter().any(|(_, body)| *body == Body::VoteRequest);
        saved = asks.then(|| file.expect("the epoch is saved before the request leaves"));
    }
    assert!(saved.is_some_and(|text| text.contains("vars currentEpoch 8 ")));
}

#[test]
fn votes_count_once_for_their_election_and_from_voters_only() {
    let mut cast = orphan(Settings::default());
    // This epoch is known from now on, so the election has the next one.
    vote(&mut cast, SECOND, 8);
    request(&mut cast, 2000).expect("it asks");
    vote(&mut cast, SIBLING, 9);
    vote(&mut cast, THIRD, 8);
    vote(&mut cast, THIRD, 7);
    for _ in 0..3 {
        vote(&mut cast, SECOND, 9);
    }
    assert!(!is_promoted(&cast.turn()), "two of three primaries are a majority, not one");
    vote(&mut cast, THIRD, 9);
    let others = [SECOND, THIRD, SIBLING].map(|seed| cast.outbound(seed));
    let (file, released) = cast.synced();
    assert!(is_promoted(&released));
    let file = file.expect("the claim is saved before it leaves");
    let own = file.lines().find(|line| line.contains("myself,master")).expect("its line");
    assert!(own.contains(" 9 connected 0-4999"), "{own}");
    for link in others {
        let said = frames(&released, link);
        let (header, _) = said.iter().find(|(_, body)| matches!(body, Body::Pong(_))).expect("all are told");
        assert_eq!((header.config_epoch, header.primary, &header.slots), (9, None, &node(FIRST).slots));
    }
}

#[test]
fn a_vote_of_a_node_that_was_forgotten_is_void() {
    let mut cast = orphan(Settings::default());
    request(&mut cast, 2000).expect("it asks");
    cast.join(6);
    cast.says(
        6,
        &Header { slots: [1].into_iter().collect(), config_epoch: 7, ..node(6) },
        Body::Ping(Gossip::default()),
    );
    vote(&mut cast, 6, 8);
    assert!(!is_promoted(&cast.turn()));
    cast.member.forget(id(6).as_str(), cast.now).expect("it is known");
    vote(&mut cast, SECOND, 8);
    assert!(!is_promoted(&cast.turn()));
    vote(&mut cast, THIRD, 8);
    assert!(is_promoted(&cast.turn()));
}

#[test]
fn an_election_without_a_majority_ends_and_another_one_begins() {
    let mut cast = orphan(Settings::default());
    let (ms, _) = request(&mut cast, 2000).expect("it asks");
    vote(&mut cast, SECOND, 8);
    assert_eq!(request(&mut cast, 31_000), None);
    // The election is over: the vote arrives too late.
    vote(&mut cast, THIRD, 8);
    assert!(!is_promoted(&cast.turn()));
    let (again_ms, header) = request(&mut cast, 40_000).expect("it asks again");
    assert_eq!(header.current_epoch, 9);
    assert!((60_000..62_500).contains(&(again_ms - ms)), "{again_ms}");
    vote(&mut cast, SECOND, 9);
    vote(&mut cast, THIRD, 8);
    assert!(!is_promoted(&cast.turn()));
    vote(&mut cast, THIRD, 9);
    assert!(is_promoted(&cast.turn()));
}

#[test]
fn an_election_ends_when_the_primary_is_back() {
    let mut cast = orphan(Settings::default());
    request(&mut cast, 2000).expect("it asks");
    vote(&mut cast, SECOND, 8);
    cast.now = later(40_000);
    cast.answers(FIRST);
    assert_eq!(cast.known(FIRST).health, Health::Ok);
    cast.pass(100, &[SECOND, THIRD], |_, _| {});
    vote(&mut cast, THIRD, 8);
    assert!(!is_promoted(&cast.turn()));
}

#[test]
fn old_data_and_a_directive_keep_a_replica_from_asking() {
    let asks = |settings: Settings, data_age_ms: Option<u64>| {
        let mut cast = orphan(settings);
        cast.replication.data_age_ms = data_age_ms;
        request(&mut cast, 2000).is_some()
    };
    // 10 s, ten timeouts, and one timeout for the detection of the failure.
    assert!(asks(Settings::default(), Some(175_000)));
    assert!(!asks(Settings::default(), Some(176_000)));
    assert!(!asks(Settings::default(), None), "it has never had any");
    assert!(asks(Settings { replica_validity_factor: 0, ..Settings::default() }, None));
    let never = Settings { replica_never_fails_over: true, ..Settings::default() };
    assert!(!asks(never.clone(), Some(0)));
    let mut cast = orphan(never);
    cast.replication.data_age_ms = None;
    cast.member.failover(FailoverMode::Force, cast.now).expect("it is a replica");
    assert!(request(&mut cast, 500).is_some_and(|(_, header)| header.is_forced), "an administrator wants it");
}

/// The largest values that the directives allow.
#[test]
fn the_longest_timeout_does_not_overflow() {
    let settings =
        Settings { node_timeout_ms: i64::MAX as u64, replica_validity_factor: i32::MAX as u64, ..Settings::default() };
    assert!(request(&mut orphan(settings), 2000).is_some());
}

/// A primary that replicas ask for votes.
struct Voter {
    cast: Cast,
}

impl Voter {
    fn new() -> Voter {
        let mut cast = Cast::new(Settings::default(), &[FIRST, SIBLING]);
        cast.member.add_slots(&(5000..10_000).collect()).expect("they are free");
        cast.says(SIBLING, &node(SIBLING), Body::Fail(id(FIRST)));
        cast.turn();
        Voter { cast }
    }

    fn ask(&mut self, header: &Header) -> Option<u64> {
        self.cast.says(SIBLING, header, Body::VoteRequest);
        let link = self.cast.outbound(SIBLING);
        let (file, released) = self.cast.synced();
        let said = frames(&released, link);
        let epoch = said.iter().find(|(_, body)| *body == Body::Vote).map(|(header, _)| header.current_epoch)?;
        let saved = file.expect("a vote is saved before it leaves");
        assert!(saved.ends_with(&format!("vars currentEpoch {epoch} lastVoteEpoch {epoch}\n")), "{saved}");
        Some(epoch)
    }
}

fn candidate(epoch: u64) -> Header {
    Header { current_epoch: epoch, ..node(SIBLING) }
}

#[test]
fn a_shard_gets_one_vote_in_two_timeouts_and_an_epoch_one_vote() {
    let mut voter = Voter::new();
    assert_eq!(voter.ask(&candidate(8)), Some(8));
    assert_eq!(voter.ask(&candidate(8)), None);
    voter.cast.now = later(29_900);
    assert_eq!(voter.ask(&candidate(9)), None, "a moment ago another one got a vote");
    voter.cast.now = later(30_000);
    assert_eq!(voter.ask(&candidate(7)), None, "an epoch that is over");
    assert_eq!(voter.ask(&candidate(9)), Some(9));
    voter.cast.now = later(90_000);
    assert_eq!(voter.ask(&candidate(9)), None);
    assert_eq!(voter.ask(&candidate(12)), Some(12));
}

#[test]
fn a_vote_is_remembered_by_the_file() {
    let mut voter = Voter::new();
    voter.cast.says(SIBLING, &candidate(8), Body::VoteRequest);
    let (file, _) = voter.cast.synced();
    let (table, epochs) =
        read_file(&file.expect("it is saved"), false, NOW, || id(9)).expect("a file that was written is read");
    assert_eq!((epochs.current, epochs.last_vote), (8, 8));
    let mut member = Member::resume(Settings::default(), fastrand::Rng::with_seed(2), table, epochs);
    let link = member.on_accepted("10.0.0.106", "10.9.9.9", NOW);
    member.tick(NOW);
    let mut connects = end(&mut member, NOW).effects.into_iter().filter_map(|effect| match effect {
        Effect::Connect { link, port: 105, .. } => Some(link),
        _ => None,
    });
    let outbound = connects.next_back().expect("it connects to the candidate");
    member.on_connected(outbound, "10.9.9.9", NOW);
    let ask = |member: &mut Member, epoch: u64, now: Now| {
        let frame = crate::cluster::message::encode(&candidate(epoch), &Body::VoteRequest);
        member.receive(link, &frame, now);
        frames(&end(member, now), outbound).iter().any(|(_, body)| *body == Body::Vote)
    };
    assert!(!ask(&mut member, 8, later(100_000)), "a second vote in an epoch");
    assert!(ask(&mut member, 9, later(100_000)));
}

#[test]
fn a_claim_that_is_older_than_an_owners_gets_no_vote_unless_the_slot_was_given_up() {
    let taken: SlotSet = [1].into_iter().collect();
    let mut voter = Voter::new();
    voter.cast.join(6);
    let newer = Header { slots: taken.clone(), config_epoch: 6, ..node(6) };
    voter.cast.says(6, &newer, Body::Ping(Gossip::default()));
    assert_eq!(voter.ask(&candidate(8)), None);
    // The slot's new owner no longer claims it.
    voter.cast.says(6, &Header { slots: SlotSet::default(), ..newer }, Body::Ping(Gossip::default()));
    assert_eq!(voter.ask(&candidate(8)), Some(8));
}

#[test]
fn a_manual_failover_waits_for_the_offset_that_the_paused_primary_names() {
    let mut cast = Cast::replica(Settings::default());
    cast.member.failover(FailoverMode::Plain, cast.now).expect("its primary is up");
    let primary = cast.outbound(FIRST);
    assert!(frames(&cast.turn(), primary).iter().any(|(_, body)| *body == Body::ManualFailoverStart));
    let says = |cast: &mut Cast, offset, is_paused| {
        let header = Header { offset, is_paused, ..node(FIRST) };
        cast.says(FIRST, &header, Body::Ping(Gossip::default()));
    };
    says(&mut cast, 100, false);
    assert_eq!(request(&mut cast, 300), None, "it may write on");
    says(&mut cast, 150, true);
    assert_eq!(request(&mut cast, 300), None, "there is more to come");
    // Later frames of the primary change nothing.
    says(&mut cast, 100, true);
    assert_eq!(request(&mut cast, 300), None);
    cast.replication.offset = 150;
    let (_, header) = request(&mut cast, 300).expect("it asks without delay");
    assert!(header.is_forced && !cast.known(FIRST).is_failed());
    let mut cast = Cast::replica(Settings::default());
    cast.member.failover(FailoverMode::Plain, cast.now).expect("its primary is up");
    assert_eq!(request(&mut cast, 5200), None);
    says(&mut cast, 100, true);
    assert_eq!(request(&mut cast, 1000), None, "it is given up");
    // Late votes are void, even before a tick has ended the failover: the primary may accept writes again.
    let mut cast = Cast::replica(Settings::default());
    cast.member.failover(FailoverMode::Plain, cast.now).expect("its primary is up");
    says(&mut cast, 100, true);
    let (ms, header) = request(&mut cast, 300).expect("it asks without delay");
    cast.now = later(ms + 5100);
    vote(&mut cast, SECOND, header.current_epoch);
    vote(&mut cast, THIRD, header.current_epoch);
    assert!(!is_promoted(&cast.turn()));
}

/// Offsets from before the pause takes effect are not final: clients may still write in the same turn.
#[test]
fn a_primary_names_its_offset_only_after_the_turn_in_which_it_has_paused_writes() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SIBLING]);
    cast.member.add_slots(&(5000..10_000).collect()).expect("they are free");
    let own = cast.member.table().myself().id;
    let replica = Header { primary: Some(own), ..node(SIBLING) };
    cast.says(SIBLING, &replica, Body::Ping(Gossip::default()));
    cast.turn();
    let (inbound, outbound) = (cast.inbound(SIBLING), cast.outbound(SIBLING));
    // A node that is not one of its replicas cannot pause it.
    cast.says(FIRST, &node(FIRST), Body::ManualFailoverStart);
    assert!(!cast.turn().effects.iter().any(|effect| matches!(effect, Effect::PauseWrites { .. })));
    cast.says(SIBLING, &replica, Body::ManualFailoverStart);
    cast.says(SIBLING, &replica, Body::Ping(Gossip::default()));
    // A client writes before the turn is over.
    cast.replication.offset = 170;
    let released = cast.turn();
    assert!(released.effects.iter().any(|effect| matches!(effect, Effect::PauseWrites { .. })));
    let marked = |released: &Released, link| {
        let said = frames(released, link).into_iter().filter(|(header, _)| header.is_paused);
        said.map(|(header, _)| header.offset).collect::<Vec<u64>>()
    };
    assert_eq!(marked(&released, inbound), [] as [u64; 0]);
    cast.says(SIBLING, &replica, Body::Ping(Gossip::default()));
    assert_eq!(marked(&cast.turn(), inbound), [170]);
    // The replica gets a ping at every tick, until the failover times out at the primary.
    let (mut pings, mut resumed) = (0, Vec::new());
    cast.pass(6000, &[], |ms, released| {
        pings += marked(released, outbound).len();
        resumed.extend(released.effects.contains(&Effect::ResumeWrites).then_some(ms));
    });
    assert!((45..52).contains(&pings), "{pings}");
    assert!(matches!(resumed[..], [ms] if (5000..5300).contains(&ms)), "{resumed:?}");
}

#[test]
fn a_manual_failover_may_take_as_long_as_the_settings_say() {
    let mut cast = Cast::new(Settings { manual_timeout_ms: 1_000, ..Settings::default() }, &[SIBLING]);
    cast.member.add_slots(&(5000..10_000).collect()).expect("they are free");
    let own = cast.member.table().myself().id;
    let replica = Header { primary: Some(own), ..node(SIBLING) };
    cast.says(SIBLING, &replica, Body::Ping(Gossip::default()));
    cast.says(SIBLING, &replica, Body::ManualFailoverStart);
    let until_ms = cast.now.steady_ms + 2_000;
    assert!(cast.turn().effects.contains(&Effect::PauseWrites { until_ms }));
    let mut resumed = Vec::new();
    cast.pass(3000, &[], |ms, released| {
        resumed.extend(released.effects.contains(&Effect::ResumeWrites).then_some(ms));
    });
    assert!(matches!(resumed[..], [ms] if (1000..1300).contains(&ms)), "{resumed:?}");
}

#[test]
fn a_primary_that_is_replaced_takes_writes_as_a_replica_does() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SIBLING]);
    cast.member.add_slots(&(5000..10_000).collect()).expect("they are free");
    let own = cast.member.table().myself().id;
    cast.says(SIBLING, &Header { primary: Some(own), ..node(SIBLING) }, Body::Ping(Gossip::default()));
    cast.says(SIBLING, &Header { primary: Some(own), ..node(SIBLING) }, Body::ManualFailoverStart);
    cast.turn();
    let winner = Header { primary: None, config_epoch: 8, current_epoch: 8, ..node(SIBLING) };
    let winner = Header { slots: (5000..10_000).collect(), flags: Flags::PRIMARY, ..winner };
    cast.says(SIBLING, &winner, Body::Pong(Gossip::default()));
    let effects = cast.turn().effects;
    assert!(effects.contains(&Effect::ResumeWrites));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Follow { id: followed, .. } if *followed == id(SIBLING)))
    );
}

#[test]
fn a_manual_failover_counts_no_votes_that_were_given_before() {
    let mut cast = orphan(Settings::default());
    request(&mut cast, 2000).expect("it asks");
    vote(&mut cast, SECOND, 8);
    cast.member.failover(FailoverMode::Force, cast.now).expect("it is a replica");
    let (_, header) = request(&mut cast, 500).expect("it asks again, without delay");
    assert_eq!((header.current_epoch, header.is_forced), (9, true));
    vote(&mut cast, THIRD, 8);
    vote(&mut cast, THIRD, 9);
    assert!(!is_promoted(&cast.turn()), "one vote of three");
    vote(&mut cast, SECOND, 9);
    assert!(is_promoted(&cast.turn()));
}

#[test]
fn a_takeover_has_an_unused_epoch() {
    let mut cast = Cast::replica(Settings::default());
    cast.member.failover(FailoverMode::Takeover, cast.now).expect("it is a replica");
    let link = cast.outbound(SECOND);
    let (file, released) = cast.synced();
    assert!(file.is_some_and(|text| text.contains(" 8 connected 0-4999")));
    let said = frames(&released, link);
    assert_eq!(said.iter().map(|(header, _)| header.config_epoch).collect::<Vec<_>>(), [8]);
    assert_eq!(cast.member.table().myself().role, Role::Primary);
    assert!(cast.known(FIRST).slots.is_empty());
}

#[test]
fn a_replica_follows_once_more_when_replication_was_taken_away() {
    let mut cast = Cast::replica(Settings::default());
    cast.replication = Replication { is_following: false, ..cast.replication };
    cast.turn();
    let mut follows = 0;
    cast.pass(100, &[], |_, released| {
        follows += released.effects.iter().filter(|effect| matches!(effect, Effect::Follow { .. })).count();
    });
    assert_eq!(follows, 1);
}
