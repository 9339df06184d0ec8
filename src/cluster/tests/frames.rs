//! Frames of genuine servers, arbitrary valid frames, and frames of an attacker.

use proptest::prelude::*;

use crate::cluster::message::framing::{BrokenStream, FrameReader, PLAIN_FRAME_MAX_BYTES};
use crate::cluster::message::{
    Body, Extension, Flags, Gossip, GossipEntry, HEADER_BYTES, Header, Invalid, Kind, Packet, decode, encode,
};
use crate::cluster::node_id::NodeId;
use crate::cluster::slot::SlotSet;

/// Frames that servers of these versions sent to a listener posing as a node.
const GENUINE: &[(&str, &[u8])] = &[
    ("ping 7.0", include_bytes!("frames/redis-7.0-ping.bin")),
    ("fail 7.0", include_bytes!("frames/redis-7.0-fail.bin")),
    ("publish 7.0", include_bytes!("frames/redis-7.0-publish.bin")),
    ("vote request 7.0", include_bytes!("frames/redis-7.0-vote-request.bin")),
    ("vote 7.0", include_bytes!("frames/redis-7.0-vote.bin")),
    ("update 7.0", include_bytes!("frames/redis-7.0-update.bin")),
    ("ping 8.0", include_bytes!("frames/redis-8.0-ping-forgotten.bin")),
    ("ping Valkey 8.1", include_bytes!("frames/valkey-8.1-ping-forgotten.bin")),
    ("meet Valkey 8.1", include_bytes!("frames/valkey-8.1-meet.bin")),
];
const LIGHT_PUBLISH: &[u8] = include_bytes!("frames/valkey-8.1-light-publish.bin");

fn genuine(name: &str) -> (Header, Body) {
    let (_, frame) = GENUINE.iter().find(|(known, _)| *known == name).expect("it is there");
    match decode(frame) {
        Ok(Packet::Full(header, body)) => (*header, body),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn frames_of_genuine_servers_are_read_and_written_as_they_were() {
    for (name, frame) in GENUINE {
        let (header, body) = genuine(name);
        let written = encode(&header, &body);
        if *name == "ping 8.0" {
            // The secret is not repeated.
            assert_eq!(written.len() + 48, frame.len());
        } else {
            let place = written.iter().zip(*frame).position(|(ours, theirs)| ours != theirs);
            assert_eq!((place, written.len()), (None, frame.len()), "{name}");
        }
    }
}

#[test]
fn what_genuine_servers_say_is_understood() {
    let (header, body) = genuine("ping 7.0");
    assert!(header.flags.has(Flags::PRIMARY) && !header.is_down && header.primary.is_none());
    assert!(
        matches!(body, Body::Ping(gossip) if gossip.entries.len() == 2 && gossip.entries[0].address == "127.0.0.1")
    );
    let (header, body) = genuine("vote request 7.0");
    assert_eq!(
        (body, header.slots.to_string(), header.config_epoch, header.current_epoch),
        (Body::VoteRequest, "0-5460".to_string(), 1, 51)
    );
    assert!(header.flags.has(Flags::REPLICA) && header.primary.is_some());
    let (header, body) = genuine("vote 7.0");
    assert_eq!((body, header.slots.to_string(), header.current_epoch), (Body::Vote, "10922-16383".to_string(), 50));
    let (_, body) = genuine("update 7.0");
    assert!(matches!(body, Body::Update { config_epoch: 1, slots, .. } if slots.to_string() == "0-5460"));
    let (_, body) = genuine("fail 7.0");
    assert!(matches!(body, Body::Fail(_)));
    let (_, body) = genuine("publish 7.0");
    assert_eq!(body, Body::Publish { channel: b"chan".to_vec(), message: b"light".to_vec() });
}

#[test]
fn extensions_of_each_kind_of_server_are_told_apart() {
    let Body::Ping(redis) = genuine("ping 8.0").1 else { panic!("a ping") };
    let Body::Ping(valkey) = genuine("ping Valkey 8.1").1 else { panic!("a ping") };
    assert_eq!(redis.extensions[0], Extension::Hostname("host.example".into()));
    assert_eq!(redis.extensions[1], Extension::HumanName("alpha".into()));
    assert!(matches!(redis.extensions[2], Extension::Forgotten { ttl_s: 60, .. }));
    assert!(matches!(redis.extensions[3], Extension::ShardId(_)));
    assert_eq!(redis.extensions[4], Extension::RedisSecret);
    assert_eq!(valkey.extensions.len(), 4);
    assert_eq!(valkey.extensions[..2], redis.extensions[..2]);
}

#[test]
fn light_headers_are_understood() {
    let body = Body::Publish { channel: b"chan".to_vec(), message: b"light".to_vec() };
    assert_eq!(decode(LIGHT_PUBLISH), Ok(Packet::Light(body)));
    let mut vote = LIGHT_PUBLISH.to_vec();
    vote[13] = Kind::Vote as u8;
    assert_eq!(decode(&vote), Err(Invalid::Kind(6)), "a vote needs a sender");
}

/// One frame with such an extension crashes Redis 8.2.
#[test]
fn lengths_beyond_the_frame_are_refused() {
    let frame = GENUINE.iter().find(|(name, _)| *name == "ping Valkey 8.1").expect("it is there").1;
    let with = |place: usize, bytes: &[u8]| {
        let mut frame = frame.to_vec();
        frame[place..place + bytes.len()].copy_from_slice(bytes);
        decode(&frame)
    };
    let first = HEADER_BYTES;
    assert_eq!(with(first, &u32::MAX.to_be_bytes()), Err(Invalid::Padding));
    assert_eq!(with(first, &(u32::MAX - 7).to_be_bytes()), Err(Invalid::Length));
    assert_eq!(with(first, &0u32.to_be_bytes()), Err(Invalid::Length), "shorter than its own head");
    assert_eq!(with(14, &u16::MAX.to_be_bytes()), Err(Invalid::Length), "more gossip than there is");
    assert_eq!(with(2214, &u16::MAX.to_be_bytes()), Err(Invalid::Length), "more extensions than there are");
    assert_eq!(with(2214, &3u16.to_be_bytes()), Err(Invalid::Length), "fewer extensions than there are");
    assert_eq!(with(8, &2u16.to_be_bytes()), Err(Invalid::Version));
    assert_eq!(with(12, &11u16.to_be_bytes()), Err(Invalid::Kind(11)));
    assert_eq!(with(40, &[0; 40]), Err(Invalid::Id));
    assert_eq!(with(2168, b"1.2.3.4 evil"), Err(Invalid::Address), "it would break nodes.conf");
    let mut message = GENUINE[2].1.to_vec();
    message[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&[0xff; 8]);
    assert_eq!(decode(&message), Err(Invalid::Length));
}

/// The frames that a reader finds in bytes that arrive in pieces.
fn cut(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Result<(), BrokenStream>, usize) {
    let mut reader = FrameReader::new(1 << 30);
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        let result = reader.receive(piece, |frame| {
            frames.push(frame.to_vec());
            true
        });
        assert!(reader.buffered() <= bytes.len());
        if result.is_err() {
            return (frames, result, reader.buffered());
        }
    }
    let buffered = reader.buffered();
    (frames, Ok(()), buffered)
}

#[test]
fn a_stream_is_cut_into_frames_however_it_comes() {
    let all: Vec<u8> =
        GENUINE.iter().flat_map(|(_, frame)| frame.iter().copied()).chain(LIGHT_PUBLISH.to_vec()).collect();
    for piece in [1, 3, 15, 16, 100, 2255, 2256, 2257, 5000, all.len()] {
        let (frames, result, buffered) = cut(&all, piece);
        assert_eq!((result, buffered, frames.len()), (Ok(()), 0, GENUINE.len() + 1), "{piece}");
        assert!(frames.iter().zip(GENUINE).all(|(frame, (_, genuine))| frame == genuine));
    }
}

#[test]
fn what_is_no_frame_breaks_the_link_at_once() {
    assert_eq!(cut(b"PING\r\n", 1).1, Err(BrokenStream::Signature));
    let head = |length: u32, kind: u16| {
        [b"RCmb".as_slice(), &length.to_be_bytes(), &[0, 1, 0, 0], &kind.to_be_bytes()].concat()
    };
    assert_eq!(cut(&head(2255, 0), 100).1, Err(BrokenStream::Length(2255)));
    assert_eq!(cut(&head(15, 0x8004), 100).1, Err(BrokenStream::Length(15)));
    assert_eq!(cut(&head(u32::MAX, 0), 100).1, Err(BrokenStream::Length(u64::from(u32::MAX))));
    assert_eq!(cut(&head(u32::MAX, 4), 100).1, Err(BrokenStream::Length(u64::from(u32::MAX))));
    // A message may be long; memory grows only as its bytes arrive.
    assert_eq!(cut(&head(1 << 30, 4), 100), (Vec::new(), Ok(()), 14));
    const { assert!(PLAIN_FRAME_MAX_BYTES < 1 << 24) };
}

fn id() -> impl Strategy<Value = NodeId> {
    any::<u64>().prop_map(|seed| NodeId::random(&mut fastrand::Rng::with_seed(seed)))
}

fn slots() -> impl Strategy<Value = SlotSet> {
    proptest::collection::vec(any::<(u16, u8)>(), 0..6).prop_map(|ranges| {
        ranges.into_iter().flat_map(|(start, length)| start..start.saturating_add(length.into())).collect()
    })
}

fn header() -> impl Strategy<Value = Header> {
    let address = prop_oneof![Just(None), Just(Some("10.1.2.3".to_string())), Just(Some("fe80::1%eth0".to_string()))];
    let numbers = any::<(u64, u64, u64, u16, u16, u16, u16)>();
    (id(), proptest::option::of(id()), slots(), address, numbers, any::<[bool; 4]>()).prop_map(
        |(sender, primary, slots, address, numbers, bits)| Header {
            sender,
            current_epoch: numbers.0,
            config_epoch: numbers.1,
            offset: numbers.2,
            slots,
            primary,
            address,
            base_port: numbers.3,
            other_port: numbers.4,
            bus_port: numbers.5,
            flags: Flags(numbers.6),
            is_down: bits[0],
            is_paused: bits[1],
            is_forced: bits[2],
            has_extensions: bits[3],
        },
    )
}

fn extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        "[a-z0-9.-]{0,60}".prop_map(Extension::Hostname),
        "[a-z0-9._/+-]{0,60}".prop_map(Extension::HumanName),
        (id(), any::<u64>()).prop_map(|(id, ttl_s)| Extension::Forgotten { id, ttl_s }),
        id().prop_map(Extension::ShardId),
    ]
}

fn gossip() -> impl Strategy<Value = Gossip> {
    let entry = (id(), any::<(u32, u32, u16, u16, u16, u16)>()).prop_map(|(id, numbers)| GossipEntry {
        id,
        ping_sent_s: numbers.0,
        pong_received_s: numbers.1,
        address: "127.0.0.1".into(),
        base_port: numbers.2,
        other_port: numbers.3,
        bus_port: numbers.4,
        flags: Flags(numbers.5),
    });
    let entries = proptest::collection::vec(entry, 0..5);
    let extensions = proptest::collection::vec(extension(), 0..5);
    (entries, extensions).prop_map(|(entries, extensions)| Gossip { entries, extensions })
}

fn body() -> impl Strategy<Value = Body> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        gossip().prop_map(Body::Ping),
        gossip().prop_map(Body::Pong),
        gossip().prop_map(Body::Meet),
        id().prop_map(Body::Fail),
        (bytes(), bytes()).prop_map(|(channel, message)| Body::Publish { channel, message }),
        (bytes(), bytes()).prop_map(|(channel, message)| Body::PublishShard { channel, message }),
        Just(Body::VoteRequest),
        Just(Body::Vote),
        (id(), any::<u64>(), slots()).prop_map(|(id, config_epoch, slots)| Body::Update { id, config_epoch, slots }),
        Just(Body::ManualFailoverStart),
        Just(Body::Module),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_frame_is_read_as_it_was_written(mut header in header(), body in body()) {
        if let Body::Ping(gossip) | Body::Pong(gossip) | Body::Meet(gossip) = &body {
            header.has_extensions |= !gossip.extensions.is_empty();
        }
        let frame = encode(&header, &body);
        prop_assert_eq!(decode(&frame), Ok(Packet::Full(Box::new(header), body)));
    }

    /// Decoding neither panics nor accepts a frame with a wrong length.
    #[test]
    fn damaged_frames_do_no_harm(
        header in header(),
        body in body(),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut frame = encode(&header, &body);
        let whole = frame.clone();
        for (place, byte) in &damages {
            // Half of the damage hits the body, which has most of the lengths.
            let last = frame.len() - 1;
            let place = if byte % 2 == 0 { place.index(last) } else { last - place.index(last.min(200)) };
            frame[place] = *byte;
        }
        let _ = decode(&frame);
        let cut_off = &whole[..end.index(whole.len())];
        prop_assert!(decode(cut_off).is_err());
        let (_, _, buffered) = cut(&frame, 700);
        prop_assert!(buffered <= frame.len());
    }

    #[test]
    fn any_bytes_do_no_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..6000),
        kind in 0u16..12,
        light in any::<bool>(),
    ) {
        let _ = decode(&bytes);
        let _ = cut(&bytes, 100);
        if bytes.len() >= 16 {
            let length = u32::try_from(bytes.len()).expect("it is short");
            bytes[..4].copy_from_slice(b"RCmb");
            bytes[4..8].copy_from_slice(&length.to_be_bytes());
            bytes[8..10].copy_from_slice(&[0, 1]);
            bytes[12..14].copy_from_slice(&(kind | if light { 0x8000 } else { 0 }).to_be_bytes());
            let _ = decode(&bytes);
            let _ = cut(&bytes, 100);
        }
    }
}
