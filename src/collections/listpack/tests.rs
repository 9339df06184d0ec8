//! Tests of the listpack: against a vector of strings, against a genuine server, and with hostile bytes. Never asks a
//! server: what one gave is written down here.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn listpack_of<T: AsRef<[u8]>>(texts: &[T]) -> Vec<u8> {
    let mut builder = Builder::new();
    for text in texts {
        builder.push_bytes(text.as_ref());
    }
    assert_eq!(builder.len(), texts.len());
    assert_eq!(builder.is_empty(), texts.is_empty());
    let byte_len = builder.byte_len();
    let bytes = builder.finish();
    assert_eq!(bytes.len(), byte_len);
    bytes
}

fn elements<T: AsRef<[u8]>>(texts: &[T]) -> Vec<Element<'_>> {
    texts.iter().map(|text| Element::of(text.as_ref())).collect()
}

fn texts(bytes: &[u8]) -> Vec<Vec<u8>> {
    Listpack::new(bytes).iter().map(|element| element.to_vec()).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hex")).collect()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (any::<i64>(), 0..64u32).prop_map(|(integer, shift)| (integer >> shift).to_string().into_bytes()),
        4 => prop::collection::vec(b'a'..=b'c', 0..4),
        2 => prop::collection::vec(any::<u8>(), 0..150),
        1 => (0..20_000usize).prop_map(|length| vec![b'l'; length]),
    ]
}

/// An edit, with places that are brought within the listpack when it is made.
#[derive(Clone, Debug)]
enum Edit {
    PushBack(Vec<Vec<u8>>),
    PushFront(Vec<Vec<u8>>),
    InsertBefore(Index, Vec<Vec<u8>>),
    InsertAfter(Index, Vec<Vec<u8>>),
    Replace(Index, Vec<u8>),
    ReplaceRun(Index, usize, Vec<Vec<u8>>),
    Remove(Index, usize),
    RemoveRange(i64, usize),
    AppendAll(Vec<Vec<u8>>),
    SplitAndRejoin(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let some = || prop::collection::vec(text(), 0..4);
    prop_oneof![
        some().prop_map(Edit::PushBack),
        some().prop_map(Edit::PushFront),
        (any::<Index>(), some()).prop_map(|(at, texts)| Edit::InsertBefore(at, texts)),
        (any::<Index>(), some()).prop_map(|(at, texts)| Edit::InsertAfter(at, texts)),
        (any::<Index>(), text()).prop_map(|(at, text)| Edit::Replace(at, text)),
        (any::<Index>(), 0..4usize, some()).prop_map(|(at, count, texts)| Edit::ReplaceRun(at, count, texts)),
        (any::<Index>(), 0..4usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (-12..12i64, 0..4usize).prop_map(|(index, count)| Edit::RemoveRange(index, count)),
        some().prop_map(Edit::AppendAll),
        (0..12usize).prop_map(Edit::SplitAndRejoin),
    ]
}

/// The index in the listpack, or its length where the end is allowed, and the position there.
fn place(bytes: &[u8], at: &Index, end_too: bool) -> Option<(usize, Position)> {
    let listpack = Listpack::new(bytes);
    let choices = listpack.len() + usize::from(end_too);
    let index = (choices > 0).then(|| at.index(choices))?;
    let position = listpack.seek(index as i64).unwrap_or(listpack.end());
    Some((index, position))
}

/// Makes the edit in both.
fn make(edit: &Edit, packed: &mut Vec<u8>, model: &mut Vec<Vec<u8>>) {
    match edit {
        Edit::PushBack(texts) => {
            push_back(packed, &elements(texts));
            model.extend_from_slice(texts);
        }
        Edit::PushFront(texts) => {
            push_front(packed, &elements(texts));
            model.splice(0..0, texts.iter().cloned());
        }
        Edit::InsertBefore(at, texts) => {
            if let Some((index, position)) = place(packed, at, true) {
                insert_before(packed, position, &elements(texts));
                model.splice(index..index, texts.iter().cloned());
            }
        }
        Edit::InsertAfter(at, texts) => {
            if let Some((index, position)) = place(packed, at, false) {
                let inserted = insert_after(packed, position, &elements(texts));
                model.splice(index + 1..=index, texts.iter().cloned());
                let expected = Listpack::new(packed).seek(index as i64 + 1);
                assert_eq!(inserted, expected.unwrap_or(Listpack::new(packed).end()));
            }
        }
        Edit::Replace(at, text) => {
            if let Some((index, position)) = place(packed, at, false) {
                replace(packed, position, &Element::of(text));
                model[index].clone_from(text);
            }
        }
        Edit::ReplaceRun(at, count, texts) => {
            if let Some((index, position)) = place(packed, at, true) {
                replace_run(packed, position, *count, &elements(texts));
                let end = model.len().min(index + count);
                model.splice(index..end, texts.iter().cloned());
            }
        }
        Edit::Remove(at, count) => {
            if let Some((index, position)) = place(packed, at, true) {
                let end = model.len().min(index + count);
                assert_eq!(remove(packed, position, *count), end - index);
                model.drain(index..end);
            }
        }
        Edit::RemoveRange(index, count) => {
            let length = model.len() as i64;
            let start = if *index < 0 { index + length } else { *index };
            let range = if (0..length).contains(&start) {
                start as usize..model.len().min(start as usize + count)
            } else {
                0..0
            };
            assert_eq!(remove_range(packed, *index, *count), range.len());
            model.drain(range);
        }
        Edit::AppendAll(texts) => {
            append_all(packed, Listpack::new(&listpack_of(texts)));
            model.extend_from_slice(texts);
        }
        Edit::SplitAndRejoin(index) => {
            let tail = split_at(packed, *index);
            let index = (*index).min(model.len());
            assert_eq!(*packed, listpack_of(&model[..index]));
            assert_eq!(tail, listpack_of(&model[index..]));
            append_all(packed, Listpack::new(&tail));
        }
    }
}

/// A listpack answers every query as the model does.
fn check(bytes: &[u8], model: &[Vec<u8>]) {
    assert_eq!(bytes, listpack_of(model));
    assert_eq!(validate(bytes, true), Ok(model.len()));
    assert_eq!(validate(bytes, false), Ok(model.len()));
    let listpack = Listpack::new(bytes);
    assert_eq!((listpack.len(), listpack.is_empty()), (model.len(), model.is_empty()));
    let sizes: usize = elements(model).iter().map(encoded_size).sum();
    assert_eq!(listpack.byte_len(), EMPTY.len() + sizes);
    assert_eq!(listpack.iter().collect::<Vec<_>>(), elements(model));
    let mut back: Vec<_> = listpack.iter_back().collect();
    back.reverse();
    assert_eq!(back, elements(model));

    let mut position = listpack.first();
    let length = model.len() as i64;
    for (index, text) in model.iter().enumerate() {
        let here = position.expect("an element");
        assert_eq!(listpack.seek(index as i64), Some(here));
        assert_eq!(listpack.seek(index as i64 - length), Some(here));
        assert!(listpack.at(here).eq_bytes(text));
        assert_eq!(listpack.iter_from(here).nth(1), listpack.get(index as i64 + 1));
        assert_eq!(listpack.iter_back_from(here).count(), index + 1);
        position = listpack.next(here);
        assert_eq!(listpack.previous(position.unwrap_or(listpack.end())), Some(here));
    }
    assert_eq!(position, None);
    assert_eq!(listpack.last(), listpack.seek(-1));
    assert_eq!(listpack.seek(length), None);
    assert_eq!(listpack.seek(-length - 1), None);
}

proptest! {
    #[test]
    fn edits_are_those_of_a_vector(edits in prop::collection::vec(edit(), 1..12)) {
        let (mut packed, mut model) = (create(), Vec::new());
        for edit in &edits {
            make(edit, &mut packed, &mut model);
            check(&packed, &model);
        }
    }

    #[test]
    fn a_search_finds_the_first_of_those_it_looks_at(
        model in prop::collection::vec(text(), 0..40), other in text(), start: Index, stride in 0..3usize,
    ) {
        let bytes = listpack_of(&model);
        let listpack = Listpack::new(&bytes);
        let start = start.index(model.len() + 1);
        let from = listpack.seek(start as i64).unwrap_or(listpack.end());
        for needle in model.iter().chain([&other]) {
            let expected = (start..model.len()).step_by(stride + 1).find(|&index| model[index] == *needle);
            let found = listpack.find(needle, from, stride);
            prop_assert_eq!(found, expected.and_then(|index| listpack.seek(index as i64)));
        }
    }

    #[test]
    fn what_a_deep_check_lets_pass_is_safe_to_use(
        model in prop::collection::vec(text(), 0..8), changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        edits in prop::collection::vec(edit(), 0..4),
    ) {
        let mut bytes = listpack_of(&model);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        use_if_valid(bytes, &edits);
    }

    #[test]
    fn any_entries_that_a_deep_check_lets_pass_are_safe_to_use(
        entries in prop::collection::vec(any::<u8>(), 0..24), edits in prop::collection::vec(edit(), 0..4),
    ) {
        let mut bytes = [&EMPTY[..6], &entries, &[0xFF]].concat();
        write_header(&mut bytes, usize::from(COUNT_UNKNOWN));
        use_if_valid(bytes, &edits);
    }

    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes: Vec<u8>) {
        let _ = (validate(&bytes, true), validate(&bytes, false));
    }
}

fn use_if_valid(mut bytes: Vec<u8>, edits: &[Edit]) {
    let _ = validate(&bytes, false);
    let Ok(count) = validate(&bytes, true) else {
        return;
    };
    let mut model = texts(&bytes);
    assert_eq!(model.len(), count);
    let listpack = Listpack::new(&bytes);
    assert_eq!(listpack.len(), count);
    assert_eq!(listpack.iter_back().count(), count);
    for (index, text) in model.iter().enumerate() {
        let position = listpack.seek(index as i64).expect("an element");
        assert_eq!(listpack.seek(index as i64 - count as i64), Some(position));
        let found = listpack.find(text, listpack.first().expect("an element"), 0);
        assert!(found.is_some_and(|found| found <= position), "{text:?}");
    }
    for edit in edits {
        // Joining anew what was split would need the same unusual bytes in the model.
        if !matches!(edit, Edit::SplitAndRejoin(_)) {
            make(edit, &mut bytes, &mut model);
        }
        assert_eq!(texts(&bytes), model);
        assert_eq!(validate(&bytes, true), Ok(model.len()));
    }
}

/// What `DUMP` of Redis 7.0.15 gives for a list, a hash and a sorted set, but for what is around the listpack.
#[test]
fn the_bytes_are_those_of_a_genuine_server() {
    let list: Vec<Vec<u8>> = [
        "",
        "a",
        "hello world",
        "0",
        "127",
        "128",
        "-1",
        "4095",
        "-4096",
        "4096",
        "-4097",
        "32767",
        "-32768",
        "32768",
        "8388607",
        "-8388608",
        "8388608",
        "2147483647",
        "-2147483648",
        "2147483648",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-0",
        "01",
        "+1",
        "1.5",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([vec![b'x'; 63], vec![b'y'; 64], vec![b'z'; 130]])
    .collect();
    let genuine = [
        "a80100001e0080018161028b68656c6c6f20776f726c640c00017f01c08002dfff02cfff02d00002f1001003f1ffef03f1ff7f03",
        "f1008003f200800004f2ffff7f04f200008004f30000800005f3ffffff7f05f30000008005f4000000800000000009f4ffffffff",
        "ffffff7f09f4000000000000008009933932323333373230333638353437373538303814822d300382303103822b310383312e35",
        "04bf",
        &"78".repeat(63),
        "40e040",
        &"79".repeat(64),
        "42e082",
        &"7a".repeat(130),
        "0184ff",
    ]
    .concat();
    let genuine = unhex(&genuine);
    check(&genuine, &list);

    let mut hash = create();
    push_back(&mut hash, &elements(&["name", "Oneloop"]));
    push_back(&mut hash, &elements(&["port", "6379"]));
    push_back(&mut hash, &elements(&["ratio", "0.5"]));
    let port = Listpack::new(&hash).seek(3).expect("the port");
    replace(&mut hash, port, &Element::of(b"-70000"));
    push_back(&mut hash, &elements(&["1", "2"]));
    assert_eq!(remove_range(&mut hash, 4, 2), 2);
    assert_eq!(hash, unhex("250000000600846e616d6505874f6e656c6f6f700884706f727405f290eefe0401010201ff"));

    let sorted_set = listpack_of(&["d", "-3", "a", "1", "b", "2", "c", "2.5"]);
    assert_eq!(sorted_set, unhex("1f0000000800816402dffd028161020101816202020181630283322e3504ff"));

    let mut edited = listpack_of(&["-300", "a", "b", "c", "d", "5"]);
    let c = Listpack::new(&edited).seek(3).expect("the c");
    insert_before(&mut edited, c, &elements(&["new one"]));
    let a = Listpack::new(&edited).seek(1).expect("the a");
    replace(&mut edited, a, &Element::of(b"1000"));
    assert_eq!(remove_range(&mut edited, -2, 1), 1);
    assert_eq!(edited, unhex("1e0000000600ded402c3e802816202876e6577206f6e65088163020501ff"));
}

/// As Redis 7.0.15 has them, too: the lengths of long texts and their back lengths.
#[test]
fn long_texts_are_those_of_a_genuine_server() {
    let cases = [
        (4095, 4106, "0a1000000100efff", "2081ff"),
        (4096, 4110, "0e1000000100f000100000", "2085ff"),
        (16_377, 16_391, "074000000100f0f93f0000", "7ffeff"),
        (16_378, 16_393, "094000000100f0fa3f0000", "00ffffff"),
        (16_379, 16_394, "0a4000000100f0fb3f0000", "018080ff"),
    ];
    for (length, total, start, end) in cases {
        let text = vec![b'q'; length];
        let bytes = listpack_of(&[&text]);
        assert_eq!(bytes.len(), total);
        let expected = [&unhex(start)[..], &text, &unhex(end)].concat();
        assert!(bytes == expected, "{length}");
    }
}

#[test]
fn a_count_of_65535_and_more_is_unknown() {
    let mut packed = create();
    let ones = vec![Element::Integer(1); 65_534];
    push_back(&mut packed, &ones);
    assert_eq!(packed[4..6], [0xFE, 0xFF]);
    assert_eq!(Listpack::new(&packed).len(), 65_534);
    push_back(&mut packed, &[Element::Integer(2), Element::Integer(3)]);
    assert_eq!(packed[4..6], [0xFF, 0xFF]);
    assert_eq!(validate(&packed, true), Ok(65_536));
    assert_eq!(validate(&packed, false), Ok(65_536));
    let listpack = Listpack::new(&packed);
    assert_eq!(listpack.len(), 65_536);
    let get = |index| listpack.get(index).and_then(|element| element.integer());
    assert_eq!([65_535, 65_534, 0, -1, -65_536].map(get), [Some(3), Some(2), Some(1), Some(3), Some(1)]);
    assert_eq!([65_536, -65_537, i64::MIN, i64::MAX].map(get), [None; 4]);

    let mut copy = packed.clone();
    append_all(&mut copy, Listpack::new(&packed));
    assert_eq!(Listpack::new(&copy).len(), 2 * 65_536);
    let tail = split_at(&mut copy, 65_536);
    assert_eq!(tail, packed);
    assert_eq!(copy, packed);
    let tail = split_at(&mut copy, 65_534);
    assert_eq!(tail, listpack_of(&["2", "3"]), "the count of both is known again");
    assert_eq!(copy[4..6], [0xFE, 0xFF]);

    assert_eq!(remove_range(&mut packed, 0, 65_535), 65_535);
    assert_eq!(packed[4..6], [0xFF, 0xFF], "it remains unknown");
    assert_eq!(Listpack::new(&packed).len(), 1);
    assert_eq!(validate(&packed, true), Ok(1));
}

#[test]
fn digits_that_are_stored_as_a_text_are_found() {
    for (entry, needle) in [
        (&b"\x8212\x03"[..], &b"12"[..]),
        (b"\xE0\x0212\x04", b"12"),
        (b"\xF0\x02\0\0\x0012\x07", b"12"),
        (b"\xC0\x05\x02", b"5"),
        (b"\xF4\x05\0\0\0\0\0\0\0\x09", b"5"),
        (b"\xE0\x01a\x03", b"a"),
        (b"\xF0\x01\0\0\0a\x06", b"a"),
    ] {
        let mut bytes = [&EMPTY[..6], b"\x01\x01", entry, b"\xFF"].concat();
        write_header(&mut bytes, 2);
        assert_eq!(validate(&bytes, true), Ok(2));
        let listpack = Listpack::new(&bytes);
        let first = listpack.first().expect("an element");
        assert_eq!(listpack.find(needle, first, 0), listpack.last(), "{entry:?}");
        assert_eq!(listpack.find(b"13", first, 0), None);
    }
}

#[test]
fn each_fault_is_named() {
    let good = listpack_of(&["a", "1000", "bcd"]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        validate(&bytes, true)
    };
    assert_eq!(validate(&good, true), Ok(3));
    assert_eq!(validate(&good[..6], true), Err(Error::TooShort));
    assert_eq!(validate(&good[..good.len() - 1], false), Err(Error::WrongTotal));
    assert_eq!(with(good.len() - 1, 0xFE), Err(Error::NoEnd));
    assert_eq!(with(6, 0xF7), Err(Error::BadEntry));
    assert_eq!(with(6, 0xFF), Err(Error::BadEntry), "the end comes too early");
    assert_eq!(with(6, 0xBF), Err(Error::BadEntry), "it reaches beyond the end");
    assert_eq!(with(6, 0xF0), Err(Error::BadEntry), "its length does so");
    assert_eq!(with(8, 3), Err(Error::WrongBackLength));
    assert_eq!(with(4, 2), Err(Error::WrongCount));
    let messages: std::collections::HashSet<String> =
        [Error::TooShort, Error::WrongTotal, Error::NoEnd, Error::BadEntry, Error::WrongBackLength, Error::WrongCount]
            .iter()
            .map(Error::to_string)
            .collect();
    assert_eq!(messages.len(), 6);
}

#[test]
fn a_listpack_may_grow_to_its_limit() {
    assert!(may_grow(7, BYTES_MAX - 7));
    assert!(!may_grow(7, BYTES_MAX - 6));
    assert!(!may_grow(7, usize::MAX));
}

#[test]
fn a_builder_takes_over_elements_of_a_listpack() {
    let source = listpack_of(&["a", "2", "c"]);
    let source = Listpack::new(&source);
    let mut builder = Builder::with_capacity(16);
    builder.push_integer(-5);
    builder.push_run(source, source.seek(1).expect("the 2"), 9);
    builder.push_run(source, source.first().expect("the a"), 2);
    assert_eq!(builder.finish(), listpack_of(&["-5", "2", "c", "a", "2"]));
}

#[test]
fn an_iterator_knows_its_place() {
    let bytes = listpack_of(&["a", "b"]);
    let listpack = Listpack::new(&bytes);
    let mut iter = listpack.into_iter();
    assert_eq!(Some(iter.position()), listpack.first());
    iter.next();
    assert_eq!(Some(iter.position()), listpack.last());
    iter.next();
    assert_eq!((iter.position(), iter.next()), (listpack.end(), None));
    let mut back = listpack.iter_back();
    assert_eq!(back.position(), listpack.last());
    assert_eq!(back.by_ref().count(), 2);
    assert_eq!(back.position(), None);
    assert_eq!(listpack.end().offset(), bytes.len() - 1);
}
