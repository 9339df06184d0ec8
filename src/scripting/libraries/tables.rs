//! The functions of `table` that take long where there are many elements: Lua's own could not be stopped there.

use crate::scripting::lua::{Kind, Outcome, Raise, Stack};

use super::{Pace, arguments, check_len};

fn integer(stack: &Stack, index: i32) -> Result<i32, Raise> {
    arguments::integer(stack, index).map(|number| number as i32)
}

/// `table.insert` of a value into the midst of others.
pub fn insert(stack: &mut Stack) -> Outcome {
    let end = (stack.length(1) as i32).wrapping_add(1);
    let position = integer(stack, 2)?;
    let mut pace = Pace::default();
    for place in (i64::from(position) + 1..=i64::from(end)).rev() {
        let place = place as i32;
        stack.push_element(1, place.wrapping_sub(1));
        stack.set_element(1, place);
        pace.step(stack)?;
    }
    stack.truncate(3);
    stack.set_element(1, position);
    Ok(0)
}

/// `table.remove` of one of the first of many values.
pub fn remove(stack: &mut Stack) -> Outcome {
    let end = stack.length(1) as i32;
    let position = integer(stack, 2)?;
    if !(1..=end).contains(&position) {
        return Ok(0);
    }
    stack.push_element(1, position);
    let mut pace = Pace::default();
    for place in position..end {
        stack.push_element(1, place + 1);
        stack.set_element(1, place);
        pace.step(stack)?;
    }
    stack.push_nil();
    stack.set_element(1, end);
    Ok(1)
}

/// `table.concat` of many values.
pub fn concat(stack: &mut Stack) -> Outcome {
    let separator = match stack.kind(2) {
        Kind::Absent | Kind::Nil => Vec::new(),
        _ => arguments::text(stack, 2)?.into_owned(),
    };
    let first = arguments::optional_integer(stack, 3)?.unwrap_or(1) as i32;
    let last = match arguments::optional_integer(stack, 4)? {
        Some(last) => last as i32,
        None => stack.length(1) as i32,
    };
    let mut out = Vec::new();
    let mut pace = Pace::default();
    for place in first..=last {
        stack.push_element(1, place);
        match stack.kind(-1) {
            Kind::String => out.extend_from_slice(stack.bytes(-1).unwrap_or_default()),
            Kind::Number => out.extend_from_slice(&arguments::text(stack, -1)?),
            kind => {
                let kind = kind.name();
                let text = format!("invalid value ({kind}) at index {place} in table for 'concat'");
                return Err(Raise::Text(text));
            }
        }
        stack.pop(1);
        if place < last {
            out.extend_from_slice(&separator);
        }
        check_len(stack, &out)?;
        pace.step(stack)?;
    }
    stack.push_bytes(&out);
    Ok(1)
}
