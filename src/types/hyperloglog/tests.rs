//! HyperLogLog against itself: both forms hold the same, whatever was added, and made-up strings do no harm.

use proptest::prelude::*;

use super::*;

const SPARSE_MAX: usize = 3000;

fn values(bytes: &[u8]) -> Registers {
    let mut registers = Registers::default();
    let sketch = Sketch::of(bytes).expect("a proper header");
    sketch.merge_into(&mut registers).expect("a proper HyperLogLog");
    registers
}

fn count(bytes: &[u8]) -> u64 {
    let sketch = Sketch::of(bytes).expect("a proper header");
    sketch.count().expect("a proper HyperLogLog")
}

#[test]
fn counts_come_near_the_truth() {
    let mut bytes = empty();
    let mut seen = 0;
    for number in 0u32..100_000 {
        add(&mut bytes, Place::of(&number.to_le_bytes()), SPARSE_MAX).expect("not corrupted");
        if matches!(number + 1, 1 | 10 | 100 | 1000 | 10_000 | 100_000) {
            let estimate = count(&bytes) as f64;
            let truth = f64::from(number + 1);
            assert!((estimate - truth).abs() <= (truth * 0.03).ceil(), "{truth}");
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
    assert_eq!(bytes.len(), dense::TOTAL_BYTES);
}

#[test]
fn registers_do_not_touch_each_other() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = dense::empty(&empty()[..HEADER_BYTES]);
    let expected: Vec<u8> = (0..REGISTERS).map(|_| random.u8(..64)).collect();
    let mut order: Vec<usize> = (0..REGISTERS).collect();
    random.shuffle(&mut order);
    for index in order {
        dense::set(&mut bytes[HEADER_BYTES..], index, expected[index]);
    }
    let one_by_one = (0..REGISTERS).all(|index| dense::get(&bytes[HEADER_BYTES..], index) == expected[index]);
    assert!(one_by_one);
    let registers = values(&bytes);
    assert_eq!(registers.values()[..], expected[..]);
    let mut packed = dense::empty(&empty()[..HEADER_BYTES]);
    dense::pack(registers.values(), &mut packed);
    assert_eq!(packed, bytes);
}

/// The cursor saves the way from the start; what it leaves behind is the same.
#[test]
fn the_cursor_changes_nothing() {
    let mut random = fastrand::Rng::with_seed(2);
    for round in 0..200 {
        let width = random.usize(1..400);
        let mut base = empty();
        for _ in 0..random.usize(..100) {
            let index = random.usize(..width);
            let rank = random.u8(1..5);
            add(&mut base, Place { index, rank }, usize::MAX).expect("not corrupted");
        }
        let mut registers = values(&base);
        for _ in 0..random.usize(..200) {
            let value = &mut registers.0[random.usize(..width)];
            *value = (*value).max(random.u8(1..5));
        }
        let mut quick = base.clone();
        registers.write_to(&mut quick, false, usize::MAX).expect("not corrupted");
        for (index, &rank) in registers.0.iter().enumerate() {
            add(&mut base, Place { index, rank }, usize::MAX).expect("not corrupted");
        }
        forget_count(&mut base);
        assert_eq!(quick, base, "round {round}");
    }
}

#[test]
fn a_half_opcode_is_not_split() {
    let mut bytes = empty();
    bytes.truncate(HEADER_BYTES);
    bytes.extend([0x3f, 0x3f, 0x3f, 0x3e, 0x7f]);
    assert_eq!(count(&bytes), 0);
    let (index, rank) = (5000, 3);
    let added = add(&mut bytes, Place { index, rank }, SPARSE_MAX);
    assert_eq!(added, Err(Corrupted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_forms_agree(
        places in proptest::collection::vec((0..REGISTERS, 1u8..40), 0..300),
        narrow in any::<bool>(),
        size_max in 18usize..2000,
    ) {
        let mut sparse = empty();
        let mut dense = Sketch::of(&sparse).expect("a sketch").to_dense().expect("not corrupted");
        for (index, rank) in places {
            let place = Place { index: if narrow { index % 50 } else { index }, rank };
            let would = Sketch::of(&sparse).expect("a sketch").would_change(place);
            let changed = add(&mut sparse, place, size_max);
            prop_assert_eq!(would, changed);
            prop_assert_eq!(changed, add(&mut dense, place, size_max));
            prop_assert!(sparse.len() <= size_max || sparse.len() == dense::TOTAL_BYTES);
        }
        let same = values(&sparse).values() == values(&dense).values();
        prop_assert!(same);
        prop_assert_eq!(count(&sparse), count(&dense));
        prop_assert_eq!(count(&sparse), values(&dense).count());
    }

    #[test]
    fn made_up_strings_do_no_harm(
        is_sparse in any::<bool>(),
        cached in any::<[u8; 8]>(),
        body in proptest::collection::vec(any::<u8>(), 0..60),
        places in proptest::collection::vec((0..REGISTERS, 1u8..52), 0..20),
    ) {
        let mut bytes = empty();
        bytes[COUNT_AT..HEADER_BYTES].copy_from_slice(&cached);
        bytes.truncate(HEADER_BYTES);
        if is_sparse {
            bytes.extend(body);
        } else {
            bytes[ENCODING_AT] = 0;
            bytes.extend(body.iter().cycle().take(dense::TOTAL_BYTES - HEADER_BYTES));
        }
        let Some(sketch) = Sketch::of(&bytes) else { return Ok(()) };
        let _ = sketch.cached_count();
        let _ = sketch.count();
        let _ = sketch.to_dense();
        let _ = sparse::describe(&bytes);
        let mut registers = Registers::default();
        let merged = sketch.merge_into(&mut registers);
        for (index, rank) in places {
            let _ = add(&mut bytes, Place { index, rank }, SPARSE_MAX);
        }
        if merged.is_ok() {
            let _ = registers.write_to(&mut bytes, false, SPARSE_MAX);
        }
    }
}
