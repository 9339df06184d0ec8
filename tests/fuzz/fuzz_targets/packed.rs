//! Any bytes that are said to be a listpack or an intset are refused, or can be read and edited.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneloop::collections::{intset, listpack};

fuzz_target!(|data: &[u8]| {
    use_listpack(data.to_vec());
    // Most bytes fail at the frame: give them a right one.
    let mut framed = listpack::create();
    framed.splice(6..6, data.iter().copied());
    let total = (framed.len() as u32).to_le_bytes();
    framed[..4].copy_from_slice(&total);
    framed[4..6].fill(0xFF);
    use_listpack(framed);
    use_intset(data.to_vec());
});

fn use_listpack(mut bytes: Vec<u8>) {
    let _ = listpack::validate(&bytes, false);
    let Ok(count) = listpack::validate(&bytes, true) else { return };
    let reader = listpack::Listpack::new(&bytes);
    assert_eq!(reader.iter().count(), count);
    assert_eq!(reader.iter_back().count(), count);
    let middle = reader.seek(count as i64 / 2).unwrap_or(reader.end());
    if count > 0 {
        let element = reader.at(middle);
        let first = reader.first().expect("an element");
        let found = element.with_bytes(|bytes| reader.find(bytes, first, 0));
        assert!(found.is_some_and(|found| found <= middle));
    }
    let element = listpack::Element::of(b"another");
    listpack::insert_before(&mut bytes, middle, &[element, listpack::Element::Integer(7)]);
    let removed = listpack::remove_range(&mut bytes, 0, 1);
    assert_eq!(listpack::validate(&bytes, true), Ok(count + 2 - removed));
    let tail = listpack::split_at(&mut bytes, count / 2);
    let kept = listpack::validate(&bytes, true).expect("a listpack");
    assert_eq!(listpack::validate(&tail, true), Ok(count + 2 - removed - kept));
}

fn use_intset(mut bytes: Vec<u8>) {
    let _ = intset::validate(&bytes, false);
    let Ok(count) = intset::validate(&bytes, true) else { return };
    let reader = intset::IntSet::new(&bytes);
    assert!(reader.iter().all(|integer| reader.contains(integer)));
    let added = intset::insert(&mut bytes, i64::MAX);
    let removed = intset::remove(&mut bytes, 0);
    let expected = count + usize::from(added) - usize::from(removed);
    assert_eq!(intset::validate(&bytes, true), Ok(expected));
}
