//! Functions of scripts that need nothing of the server: the log, and random numbers, the same sequence for
//! every script.

use crate::scripting::failure;
use crate::scripting::lua::{Outcome, Raise, Stack};
use crate::scripting::numbers::{self, Random48, truncate};

/// Of what a script logs at once no more strings are shown than this.
const LOG_LINE_MAX_BYTES: usize = 1 << 20;

/// `redis.log`: a line in the server's log.
pub fn log(stack: &mut Stack) -> Outcome {
    if stack.len() < 2 {
        return failure::misuse(stack, "redis.log() requires two arguments or more.");
    }
    let Some(level) = stack.to_number(1) else {
        return failure::misuse(stack, "First argument must be a number (log level).");
    };
    let level = match truncate(level) as i32 {
        0 => log::Level::Trace,
        1 => log::Level::Debug,
        2 => log::Level::Info,
        3 => log::Level::Warn,
        _ => return failure::misuse(stack, "Invalid log level."),
    };
    let mut words = Vec::new();
    let mut room = LOG_LINE_MAX_BYTES;
    for index in 2..=stack.len() {
        match (stack.bytes(index), stack.number(index)) {
            (Some(bytes), _) => {
                let shown = &bytes[..bytes.len().min(room)];
                room -= shown.len();
                words.push(failure::lossy(shown));
            }
            (None, Some(number)) => words.push(numbers::format_short(number)),
            (None, None) => {}
        }
    }
    log::log!(target: "oneloop::script", level, "{}", words.join(" "));
    Ok(0)
}

/// `math.random` on a generator with the same sequence for every script.
pub fn random(random: &mut Random48, stack: &mut Stack) -> Outcome {
    let fraction = random.fraction();
    let bound = |index: i32| {
        let number = stack.to_number(index).ok_or_else(|| {
            let got = stack.kind(index).name();
            Raise::Argument(index, format!("number expected, got {got}"))
        });
        number.map(|number| f64::from(truncate(number) as i32))
    };
    let empty = |index| Err(Raise::Argument(index, "interval is empty".to_string()));
    let result = match stack.len() {
        0 => fraction,
        1 => {
            let upper = bound(1)?;
            if upper < 1.0 {
                return empty(1);
            }
            (fraction * upper).floor() + 1.0
        }
        2 => {
            let (lower, upper) = (bound(1)?, bound(2)?);
            if lower > upper {
                return empty(2);
            }
            // As in C the number of integers is cut down to 32 bits.
            let count = (upper as i32).wrapping_sub(lower as i32).wrapping_add(1);
            (fraction * f64::from(count)).floor() + lower
        }
        _ => return Err(Raise::Text("wrong number of arguments".to_string())),
    };
    stack.push_number(result);
    Ok(1)
}

/// `math.randomseed`.
pub fn random_seed(random: &mut Random48, stack: &mut Stack) -> Outcome {
    let Some(seed) = stack.to_number(1) else {
        let got = stack.kind(1).name();
        return Err(Raise::Argument(1, format!("number expected, got {got}")));
    };
    *random = Random48::new(truncate(seed) as i32);
    Ok(0)
}
