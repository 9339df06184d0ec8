//! Checks of packed collections that come from outside: after them no later use finds anything that it does not expect.

use std::cmp::Ordering;

use crate::collections::intset;
use crate::collections::listpack::{self, Element, Listpack};
use crate::resp::number;
use crate::types::slot::PackedForm;

use super::error::{Checked, Fault, ensure};
use super::{EXPIRY_MAX_MS, SanitizeLevel};

/// Checks that bytes are a collection of this form; returns how many elements it has (fields, for a hash). O(n), O(n
/// log n) with full scrutiny.
pub(crate) fn check(form: PackedForm, bytes: &[u8], scrutiny: SanitizeLevel) -> Checked<usize> {
    let width = match form {
        PackedForm::IntSet => return check_intset(bytes),
        PackedForm::List | PackedForm::Set => 1,
        PackedForm::Hash | PackedForm::SortedSet => 2,
        PackedForm::HashExpiring => 3,
    };
    let count = listpack::validate(bytes, true).map_err(listpack_fault)?;
    ensure(count % width == 0, "a listpack ends within a pair")?;
    let elements = Listpack::new(bytes);
    match form {
        PackedForm::HashExpiring => check_times(elements)?,
        PackedForm::SortedSet => check_scores(elements, scrutiny)?,
        _ => {}
    }
    if form != PackedForm::List && scrutiny == SanitizeLevel::Full {
        check_unique(elements, width, count)?;
    }
    Ok(count / width)
}

pub(crate) fn listpack_fault(error: listpack::Error) -> Fault {
    Fault::Corrupt(match error {
        listpack::Error::TooShort => "a listpack is too short",
        listpack::Error::WrongTotal => "a listpack has another length than it says",
        listpack::Error::NoEnd => "a listpack does not end",
        listpack::Error::BadEntry => "a listpack has an entry that is none",
        listpack::Error::WrongBackLength => "a listpack has an entry with a wrong back length",
        listpack::Error::WrongCount => "a listpack has another number of elements than it says",
    })
}

/// An intset must be in order, or searches would miss; an empty one is never written.
fn check_intset(bytes: &[u8]) -> Checked<usize> {
    let count = intset::validate(bytes, true);
    let count = count.map_err(|_| Fault::Corrupt("an intset is damaged or not in order"))?;
    ensure(count > 0, "an intset without integers")?;
    Ok(count)
}

/// The first of every `width` elements must occur once. Sorts them: no hash that an adversary could aim at.
fn check_unique(elements: Listpack<'_>, width: usize, count: usize) -> Checked {
    let mut keys: Vec<(Option<i64>, &[u8])> = Vec::with_capacity(count / width);
    keys.extend(elements.iter().step_by(width).map(sort_key));
    keys.sort_unstable();
    let unique = keys.windows(2).all(|pair| pair[0] != pair[1]);
    ensure(unique, "a listpack with dup elements")
}

/// Equal for elements that stand for the same string.
fn sort_key(element: Element<'_>) -> (Option<i64>, &[u8]) {
    match (element.integer(), element) {
        (None, Element::Text(text)) => (None, text),
        (integer, _) => (integer, b""),
    }
}

/// The elements, `N` at a time. The caller has seen that they come out even.
fn tuples<'a, const N: usize>(elements: Listpack<'a>) -> impl Iterator<Item = [Element<'a>; N]> {
    let mut elements = elements.iter();
    std::iter::from_fn(move || {
        let mut tuple = [Element::Integer(0); N];
        for place in &mut tuple {
            *place = elements.next()?;
        }
        Some(tuple)
    })
}

/// Expiry times are numbers in ascending order, and then come the fields without one.
fn check_times(elements: Listpack<'_>) -> Checked {
    let mut before = 1;
    for [_, _, time] in tuples(elements) {
        let Element::Integer(time_ms) = time else {
            return Err(Fault::Corrupt("a field's expiry time is not a number"));
        };
        ensure((0..=EXPIRY_MAX_MS).contains(&time_ms), "a field's expiry time is out of range")?;
        let rank = if time_ms == 0 { i64::MAX } else { time_ms };
        ensure(rank >= before, "a hash's expiry times are not in order")?;
        before = rank;
    }
    Ok(())
}

fn check_scores(elements: Listpack<'_>, scrutiny: SanitizeLevel) -> Checked {
    let mut before: Option<(f64, Element<'_>)> = None;
    for [member, score] in tuples(elements) {
        let score = match score {
            Element::Integer(integer) => Some(integer as f64),
            Element::Text(text) => number::parse_f64(text),
        };
        let score = score.ok_or(Fault::Corrupt("a score is not a number"))?;
        if scrutiny == SanitizeLevel::Full
            && let Some((earlier_score, earlier)) = before
        {
            let order = earlier_score.partial_cmp(&score);
            let order = order.map(|order| order.then_with(|| compare(earlier, member)));
            ensure(order != Some(Ordering::Greater), "a sorted set is not in order")?;
        }
        before = Some((score, member));
    }
    Ok(())
}

fn compare(one: Element<'_>, other: Element<'_>) -> Ordering {
    one.with_bytes(|one| other.with_bytes(|other| one.cmp(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::listpack::Builder;

    fn checked(form: PackedForm, elements: &[&str], scrutiny: SanitizeLevel) -> Result<usize, &'static str> {
        let mut builder = Builder::new();
        for element in elements {
            builder.push_bytes(element.as_bytes());
        }
        reason(check(form, &builder.finish(), scrutiny))
    }

    fn reason(checked: Checked<usize>) -> Result<usize, &'static str> {
        checked.map_err(|fault| match fault {
            Fault::Corrupt(reason) => reason,
            _ => "another fault",
        })
    }

    #[test]
    fn elements_come_in_tuples() {
        let full = SanitizeLevel::Full;
        assert_eq!(checked(PackedForm::List, &["a", "a"], full), Ok(2));
        assert_eq!(checked(PackedForm::Set, &["a", "b"], full), Ok(2));
        assert_eq!(checked(PackedForm::Hash, &["a", "b"], full), Ok(1));
        let odd = Err("a listpack ends within a pair");
        assert_eq!(checked(PackedForm::Hash, &["a"], full), odd);
        assert_eq!(checked(PackedForm::SortedSet, &["a"], full), odd);
        assert_eq!(checked(PackedForm::HashExpiring, &["a", "b"], SanitizeLevel::Structure), odd);
        assert_eq!(checked(PackedForm::Set, &[], full), Ok(0));
    }

    #[test]
    fn what_must_be_unique_is() {
        let twice = Err("a listpack with dup elements");
        assert_eq!(checked(PackedForm::Set, &["a", "1", "b", "a"], SanitizeLevel::Full), twice);
        assert_eq!(checked(PackedForm::Set, &["a", "a"], SanitizeLevel::Structure), Ok(2));
        assert_eq!(checked(PackedForm::Hash, &["a", "x", "b", "x"], SanitizeLevel::Full), Ok(2));
        assert_eq!(checked(PackedForm::Hash, &["a", "x", "a", "y"], SanitizeLevel::Full), twice);
        // The same string as an integer and, as no server writes it, as text.
        let mut builder = Builder::new();
        builder.push_integer(7);
        builder.push(&Element::Text(b"7"));
        assert_eq!(reason(check(PackedForm::Set, &builder.finish(), SanitizeLevel::Full)), twice);
    }

    #[test]
    fn scores_are_numbers_in_order() {
        let set = |elements: &[&str]| checked(PackedForm::SortedSet, elements, SanitizeLevel::Full);
        assert_eq!(set(&["z", "-inf", "b", "1", "c", "1", "a", "1.5", "x", "inf"]), Ok(5));
        assert_eq!(set(&["a", "nan"]), Err("a score is not a number"));
        assert_eq!(set(&["a", ""]), Err("a score is not a number"));
        assert_eq!(set(&["a", "2", "b", "1"]), Err("a sorted set is not in order"));
        assert_eq!(set(&["b", "1", "a", "1"]), Err("a sorted set is not in order"));
        let loose = checked(PackedForm::SortedSet, &["a", "2", "b", "1"], SanitizeLevel::Structure);
        assert_eq!(loose, Ok(2));
    }

    #[test]
    fn expiry_times_are_numbers_in_order() {
        let hash = |elements: &[&str]| checked(PackedForm::HashExpiring, elements, SanitizeLevel::Structure);
        assert_eq!(hash(&["a", "x", "5", "b", "x", "5", "c", "x", "0"]), Ok(3));
        assert_eq!(hash(&["a", "x", "y"]), Err("a field's expiry time is not a number"));
        assert_eq!(hash(&["a", "x", "-1"]), Err("a field's expiry time is out of range"));
        let order = Err("a hash's expiry times are not in order");
        assert_eq!(hash(&["a", "x", "5", "b", "x", "4"]), order);
        assert_eq!(hash(&["a", "x", "0", "b", "x", "4"]), order);
    }

    #[test]
    fn intsets_are_sorted_and_not_empty() {
        let mut bytes = intset::create();
        let set = |bytes: &[u8]| reason(check(PackedForm::IntSet, bytes, SanitizeLevel::Structure));
        assert_eq!(set(&bytes), Err("an intset without integers"));
        intset::insert(&mut bytes, 5);
        intset::insert(&mut bytes, 3);
        assert_eq!(set(&bytes), Ok(2));
        bytes.swap(8, 10);
        assert_eq!(set(&bytes), Err("an intset is damaged or not in order"));
    }

    #[test]
    fn every_fault_of_a_listpack_has_a_reason() {
        let good = listpack::create();
        let set = |bytes: &[u8]| reason(check(PackedForm::Set, bytes, SanitizeLevel::Structure));
        assert_eq!(set(&good[..3]), Err("a listpack is too short"));
        assert_eq!(set(&[8, 0, 0, 0, 0, 0, 255]), Err("a listpack has another length than it says"));
        assert_eq!(set(&[7, 0, 0, 0, 0, 0, 0]), Err("a listpack does not end"));
        assert_eq!(set(&[8, 0, 0, 0, 1, 0, 0x81, 255]), Err("a listpack has an entry that is none"));
        let back = Err("a listpack has an entry with a wrong back length");
        assert_eq!(set(&[9, 0, 0, 0, 1, 0, 1, 2, 255]), back);
        let count = Err("a listpack has another number of elements than it says");
        assert_eq!(set(&[9, 0, 0, 0, 2, 0, 1, 1, 255]), count);
    }
}
