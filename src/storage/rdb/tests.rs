//! Values of every kind, most as genuine servers wrote them, whole, in parts, and damaged.

use proptest::prelude::*;

use super::*;
use crate::collections::listpack::{self, Builder, Element, Listpack};
use crate::config::RdbVersionCheck;
use crate::text::lzf::Compressor;
use crate::types::slot::PackedForm;

const STRICT: RdbVersionCheck = RdbVersionCheck::Strict;

/// Payloads that DUMP of genuine servers made, and the pieces that they are made of.
const GENUINE: &[(&str, &str)] = &[
    // Redis 7.0.15
    ("120102151500000004008161020101f290eefe0482626303ff0a009c5558d0260c35db", "List[a 1 -70000 bc]"),
    ("1202020e0e000000020083616263040201ff02090900000001000301ff0a0090d93e54479c30bc", "List[abc 2] List[3]"),
    ("0b140400000003000000fdffffff05000000701101000a009db067c236a65f3f", "IntSet of 20 bytes"),
    ("02030161c04d01620a0041803d6ee506ee6b", "a 77 b"),
    ("101a1a0000000400816602817602816e02f4351cdcdf0200000009ff0a004295aea17ef0f9cb", "Hash[f v n 12345678901]"),
    (
        "111d1d0000000600816302dffe0281610283312e350481620283696e6604ff0a006d8ea46ad5a7ed90",
        "SortedSet[c -2 a 1.5 b inf]",
    ),
    ("0402016e0b3132333435363738393031016601760a0051e53b525c297685", "n=12345678901 f=v"),
    ("05020162000000000000f07f0161000000000000f83f0a001343ce1a14f007a4", "b:inf a:1.5"),
    (
        "00c30a405002616261e042010161620a00949d5f0eb1dea445",
        "text abababababababababababababababababababababababababababababababababababababababab",
    ),
    (
        "130110000000000000000500000000000000013f3f0000001800020101010101816602000102010001000181760204010301\
         00010101817702040100010201dfff0202018167028178028168028179020801ff0207000501050203000a001d5939281cbf\
         a29a",
        "node 5-1 of 63 bytes; 2 entries of 3 to 7-0, deleted 5-2",
    ),
    // Redis 8.2
    ("140f0f00000003008161028162024d01ff0c001b8c3956c0678345", "Set[a b 77]"),
    (
        "19ff1f4aa9d10100001f1f0000000600816702817702f4ff1f4aa9d1010000098166028176020001ff0c006068221ba9dd0a\
         e3",
        "HashExpiring[g w 1999999999999 f v 0]",
    ),
    (
        "18f61f4aa9d10100000301016b01750a0167017700016601760c003e820e2cc1915822",
        "k=u@1999999999990 g=w@1999999999999 f=v",
    ),
    (
        "1501100000000000000005000000000000000134340000001300020100010101816602000102010001000181760204010001\
         0201dfff0202018167028178028168028179020801ff02070005010000020202673105010101000000000000000500000000\
         000000010068e5cf8b010000030203626f6273afaf07a201000073afaf07a201000001000000000000000500000000000000\
         010469646c6572afaf07a2010000ffffffffffffffff00026732060081ffffffffffffffff00000c000ec411794a4fe35e",
        "node 5-1 of 52 bytes; 2 entries of 2 to 7-0, deleted 0-0; group g1 at 5-1 Known(1); \
         pending 5-1 since 1700000000000, 3 times; consumer bob 1795425283955 1795425283955; \
         owns 5-1; consumer idle 1795425283954 -1; group g2 at 6-0 Unknown",
    ),
    // Valkey 9.1
    ("160201660176ffffffffffffffff01670177ff1f4aa9d10100005000b4c000d01c652c77", "f=v g=w@1999999999999"),
];

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2);
    let digits = digits.map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

/// A value of this kind with a footer, as if DUMP had made it.
fn payload(number: u8, version: u16, value: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut compressor = Compressor::new();
    let mut writer = Writer::new(vec![number], Some(&mut compressor));
    value(&mut writer);
    writer.footer(version);
    writer.into_bytes()
}

/// All pieces of a payload, as text.
fn decode(payload: &[u8], scrutiny: SanitizeLevel) -> Result<String, FormatError> {
    let payload = Payload::verify(payload, STRICT, true).expect("a payload with a right footer");
    let (mut decoder, mut reader) = payload.open(1 << 30, scrutiny)?;
    let mut pieces = Vec::new();
    while let Some(piece) = decoder.next(&mut reader)? {
        pieces.push(shown(&piece));
    }
    assert_eq!(reader.remaining(), 0, "the value is all that there is");
    assert_eq!(decoder.next(&mut reader), Ok(None));
    Ok(joined(pieces))
}

fn joined(pieces: Vec<String>) -> String {
    let of_stream = pieces.first().is_some_and(|piece| piece.starts_with("node"));
    pieces.join(if of_stream { "; " } else { " " })
}

fn fault(payload: &[u8]) -> Fault {
    decode(payload, SanitizeLevel::Full).expect_err("a damaged payload").fault
}

fn show(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn shown(piece: &Piece<'_>) -> String {
    match piece {
        Piece::Text(text) => format!("text {}", show(text)),
        Piece::Block(PackedForm::IntSet, bytes) => format!("IntSet of {} bytes", bytes.len()),
        Piece::Block(form, bytes) => {
            let elements = Listpack::new(bytes).iter();
            let elements: Vec<String> = elements.map(|element| show(&element.to_vec())).collect();
            format!("{form:?}[{}]", elements.join(" "))
        }
        Piece::Element(text) => show(text),
        Piece::Scored(member, score) => format!("{}:{score}", show(member)),
        Piece::Field { field, value, expiry_ms } => {
            let expiry = expiry_ms.map_or(String::new(), |time_ms| format!("@{time_ms}"));
            format!("{}={}{expiry}", show(field), show(value))
        }
        Piece::Stream(piece) => shown_of_stream(piece),
    }
}

fn shown_of_stream(piece: &StreamPiece<'_>) -> String {
    let show_id = |id: &StreamId| format!("{}-{}", id.0, id.1);
    match piece {
        StreamPiece::Node { id, listpack } => {
            format!("node {} of {} bytes", show_id(id), listpack.len())
        }
        StreamPiece::Summary { length, last_id, entries_added, max_deleted_id } => {
            format!("{length} entries of {entries_added} to {}, deleted {}", show_id(last_id), show_id(max_deleted_id))
        }
        StreamPiece::Group { name, last_id, entries_read } => {
            format!("group {} at {} {entries_read:?}", show(name), show_id(last_id))
        }
        StreamPiece::Pending { id, delivery_time_ms, delivery_count } => {
            format!("pending {} since {delivery_time_ms}, {delivery_count} times", show_id(id))
        }
        StreamPiece::Consumer { name, seen_time_ms, active_time_ms } => {
            format!("consumer {} {seen_time_ms} {active_time_ms}", show(name))
        }
        StreamPiece::ConsumerPending { id } => format!("owns {}", show_id(id)),
    }
}

/// A ziplist of these strings, as Redis made it: integers in their shortest form.
pub(crate) fn ziplist(elements: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    let (mut last, mut before) = (10, 0);
    for text in elements {
        last = bytes.len();
        if before < 254 {
            bytes.push(before as u8);
        } else {
            bytes.push(0xfe);
            bytes.extend_from_slice(&(before as u32).to_le_bytes());
        }
        match Element::of(text) {
            Element::Integer(integer) => push_integer(integer, &mut bytes),
            Element::Text(text) => push_text(text, &mut bytes),
        }
        before = bytes.len() - last;
    }
    bytes.push(0xff);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    let count = elements.len().min(0xffff) as u16;
    bytes[8..10].copy_from_slice(&count.to_le_bytes());
    bytes
}

fn push_integer(integer: i64, bytes: &mut Vec<u8>) {
    let wide = integer.to_le_bytes();
    let (encoding, width) = match integer {
        0..=12 => (0xf1 + integer as u8, 0),
        -128..=127 => (0xfe, 1),
        -32768..=32767 => (0xc0, 2),
        -8_388_608..=8_388_607 => (0xf0, 3),
        -2_147_483_648..=2_147_483_647 => (0xd0, 4),
        _ => (0xe0, 8),
    };
    bytes.push(encoding);
    bytes.extend_from_slice(&wide[..width]);
}

fn push_text(text: &[u8], bytes: &mut Vec<u8>) {
    match text.len() {
        short @ 0..64 => bytes.push(short as u8),
        middle @ 64..16384 => bytes.extend_from_slice(&(0x4000 | middle as u16).to_be_bytes()),
        long => {
            bytes.push(0x80);
            bytes.extend_from_slice(&(long as u32).to_be_bytes());
        }
    }
    bytes.extend_from_slice(text);
}

/// A block of elements given as text.
pub(crate) fn block(elements: &str) -> Vec<u8> {
    let mut builder = Builder::new();
    for element in elements.split_whitespace() {
        builder.push_bytes(element.as_bytes());
    }
    builder.finish()
}

#[test]
fn genuine_payloads_are_understood() {
    for (hexadecimal, expected) in GENUINE {
        let payload = bytes_of(hexadecimal);
        assert_eq!(decode(&payload, SanitizeLevel::Full).as_deref(), Ok(*expected), "{hexadecimal}");
        assert_eq!(decode(&payload, SanitizeLevel::Structure).as_deref(), Ok(*expected));
    }
}

/// With every byte of a value arriving on its own, the pieces are the same.
#[test]
fn values_are_read_from_parts() {
    for (hexadecimal, expected) in GENUINE {
        let payload = bytes_of(hexadecimal);
        let value = &payload[1..payload.len() - 10];
        let version = payload[payload.len() - 10];
        let kind = ValueKind::of(payload[0], u16::from(version)).expect("a known type");
        let mut decoder = ValueDecoder::new(kind, SanitizeLevel::Full);
        let (mut pieces, mut start, mut end) = (Vec::new(), 0, 0);
        loop {
            let mut reader = Reader::new(&value[start..end], start as u64, 1 << 30);
            match decoder.next(&mut reader) {
                Ok(Some(piece)) => {
                    pieces.push(shown(&piece));
                    start += reader.position();
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(error.fault, Fault::Truncated { .. }), "{error}");
                    start += reader.position();
                    end += 1;
                    assert!(end <= value.len(), "{expected}");
                }
            }
        }
        assert_eq!(joined(pieces), *expected);
        assert_eq!(end, value.len());
    }
}

#[test]
fn old_kinds_become_new_ones() {
    let old = |number, block: &[u8]| {
        let payload = payload(number, 6, |writer| writer.string(block));
        decode(&payload, SanitizeLevel::Structure)
    };
    let pairs = ziplist(&[b"a", b"1", b"b", b"2.5"]);
    assert_eq!(old(10, &pairs).as_deref(), Ok("List[a 1 b 2.5]"));
    assert_eq!(old(12, &pairs).as_deref(), Ok("SortedSet[a 1 b 2.5]"));
    assert_eq!(old(13, &pairs).as_deref(), Ok("Hash[a 1 b 2.5]"));
    assert_eq!(old(9, b"\x01\x01f\x02\x00vv\xff").as_deref(), Ok("Hash[f vv]"));
    let several = payload(14, 7, |writer| {
        writer.length(3);
        writer.string(&ziplist(&[b"a"]));
        writer.string(&ziplist(&[]));
        writer.string(&ziplist(&[b"b", b"c"]));
    });
    assert_eq!(decode(&several, SanitizeLevel::Full).as_deref(), Ok("List[a] List[b c]"));
    let scores = payload(3, 7, |writer| {
        writer.length(2);
        writer.string(b"a");
        writer.bytes(b"\x031.5");
        writer.string(b"b");
        writer.bytes(b"\xff");
    });
    assert_eq!(decode(&scores, SanitizeLevel::Full).as_deref(), Ok("a:1.5 b:-inf"));
    let elements = payload(1, 1, |writer| {
        writer.length(2);
        writer.string(b"a");
        writer.string(b"-7");
    });
    assert_eq!(decode(&elements, SanitizeLevel::Full).as_deref(), Ok("a -7"));
    let early = payload(22, 12, |writer| {
        writer.length(2);
        writer.bytes(b"\x00\x01f\x01v\x05\x01g\x01w");
    });
    assert_eq!(decode(&early, SanitizeLevel::Full).as_deref(), Ok("f=v g=w@5"));
}

/// The first kind of stream: no counts of entries, no times of activity.
#[test]
fn streams_of_redis_5_are_read() {
    let entries = block("1 0 1 f 0 2 0 0 v 4");
    let old = payload(15, 9, |writer| {
        writer.length(1);
        writer.string(&9u128.to_be_bytes());
        writer.string(&entries);
        for number in [1, 0, 9, 1] {
            writer.length(number);
        }
        writer.string(b"group");
        writer.length(0);
        writer.length(4);
        writer.length(0);
        writer.length(1);
        writer.string(b"reader");
        writer.time_ms(77);
        writer.length(0);
    });
    let expected = "node 0-9 of 29 bytes; 1 entries of 1 to 0-9, deleted 0-0; \
                    group group at 0-4 Estimate; consumer reader 77 77";
    assert_eq!(decode(&old, SanitizeLevel::Full).as_deref(), Ok(expected));
}

#[test]
fn empty_collections_are_told_apart_from_damage() {
    for number in [1, 2, 3, 4, 5, 14, 18, 22] {
        assert_eq!(fault(&payload(number, 11, |writer| writer.length(0))), Fault::Empty);
    }
    let empty = listpack::create();
    for number in [16, 17, 20, 23] {
        assert_eq!(fault(&payload(number, 11, |writer| writer.string(&empty))), Fault::Empty);
    }
    for number in [10, 12, 13] {
        let block = ziplist(&[]);
        assert_eq!(fault(&payload(number, 11, |writer| writer.string(&block))), Fault::Empty);
    }
    let blocks = payload(18, 11, |writer| {
        writer.length(1);
        writer.length(2);
        writer.string(&empty);
    });
    assert_eq!(fault(&blocks), Fault::Empty);
}

#[test]
fn what_no_server_writes_is_refused() {
    let reason = |number, value: &[u8]| match fault(&payload(number, 11, |writer| writer.bytes(value))) {
        Fault::Corrupt(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(18, b"\x01\x03\x01a"), "a list has a block of an unknown form");
    assert_eq!(reason(18, b"\x01\x01\x00"), "a list has a large element that is empty");
    assert_eq!(reason(5, b"\x01\x01a\0\0\0\0\0\0\xf8\x7f"), "a score is not a number");
    assert_eq!(reason(3, b"\x01\x01a\xfd"), "a score is not a number");
    assert_eq!(reason(24, &[0xff; 9]), "a field's expiry time is out of range");
    assert_eq!(
        reason(24, b"\x01\0\0\0\0\0\0\0\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\0\0"),
        "a field's expiry time is out of range"
    );
    assert_eq!(reason(21, b"\x01\x01a"), "a stream's block has an ID of a wrong length");
    assert_eq!(reason(21, &[0, 1, 0, 0, 0, 0, 0, 0, 0]), "a stream has no blocks for its entries");
    assert_eq!(fault(&payload(7, 11, |writer| writer.length(5))), Fault::ModuleValue(5));
    assert_eq!(fault(&payload(8, 11, |_| {})), Fault::UnknownType(8));
    assert_eq!(fault(&payload(250, 11, |_| {})), Fault::UnknownType(250));
    assert_eq!(fault(&payload(1, 11, |writer| writer.length(1 << 60))), Fault::Truncated { missing: 1 });
    let beyond = payload(19, 11, |writer| {
        writer.length(1);
        writer.string(b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01");
        writer.string(&block("1 0 1 f 0 2 0 0 v 4"));
        for number in [1, 5, 0, 5, 1, 0, 0, 1, 0] {
            writer.length(number);
        }
    });
    assert_eq!(fault(&beyond), Fault::Corrupt("a stream has entries beyond its last ID"));
}

#[test]
fn footers_are_verified() {
    let good = payload(0, 11, |writer| writer.string(b"text"));
    assert!(Payload::verify(&good, STRICT, true).is_some());
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(Payload::verify(&bytes, STRICT, true).is_none());
        assert!(Payload::verify(&good[..at], STRICT, true).is_none());
        // The last eight bytes are the checksum, and those before the version.
        let version_is_wrong = at == good.len() - 9;
        assert_eq!(Payload::verify(&bytes, STRICT, false).is_none(), version_is_wrong);
    }
    for (version, readable) in [(0, false), (1, true), (12, true), (13, false), (79, false), (80, true), (81, false)] {
        let bytes = payload(0, version, |writer| writer.string(b"text"));
        assert_eq!(Payload::verify(&bytes, STRICT, true).is_some(), readable, "{version}");
        assert_eq!(Payload::verify(&bytes, RdbVersionCheck::Relaxed, true).is_some(), version > 0, "{version}");
    }
}

#[test]
fn errors_say_where_and_why() {
    let (mut decoder, mut reader) =
        (ValueDecoder::new(ValueKind::List, SanitizeLevel::Full), Reader::new(b"\x02\x01a\x05", 1000, 100));
    assert!(decoder.next(&mut reader).is_ok());
    let error = decoder.next(&mut reader).expect_err("a part is missing");
    let expected = "at byte 1004: the data ends early, 5 bytes or more are missing";
    assert_eq!(error.to_string(), expected);
    let shown = |fault| {
        let (offset, check) = (7, None);
        let error = FormatError { offset, fault, check };
        error.to_string()
    };
    assert_eq!(shown(Fault::Empty), "at byte 7: a collection without elements");
    assert_eq!(shown(Fault::UnknownType(9)), "at byte 7: no type of value has number 9");
    assert_eq!(shown(Fault::Unsupported("it")), "at byte 7: it cannot be loaded");
    assert_eq!(shown(Fault::Corrupt("reason")), "at byte 7: reason");
    let damaged = payload(13, 6, |writer| writer.string(b"damaged"));
    let error = decode(&damaged, SanitizeLevel::Full).expect_err("it is damaged");
    let expected = "at byte 9: Hash ziplist integrity check failed: a ziplist is too short";
    assert_eq!(error.to_string(), expected);
}

proptest! {
    /// However a payload is damaged, it is refused, or what comes out is sound.
    #[test]
    fn damage_does_no_harm(
        which in 0..GENUINE.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        full: bool,
    ) {
        let mut payload = bytes_of(GENUINE[which].0);
        for (at, byte) in changes {
            let at = at.index(payload.len() - 10);
            payload[at] = byte;
        }
        let scrutiny = if full { SanitizeLevel::Full } else { SanitizeLevel::Structure };
        let payload = Payload::verify(&payload, STRICT, false).expect("the version is as it was");
        if let Ok((mut decoder, mut reader)) = payload.open(1 << 30, scrutiny) {
            while let Ok(Some(piece)) = decoder.next(&mut reader) {
                shown(&piece);
            }
        }
    }
}
