//! The orders that the page sends: one line of words, quoted as in a configuration file.
//!
//! | order | does |
//! |---|---|
//! | `reset LESSON` | sets the stage for a lesson |
//! | `next` | has the next act happen: bytes arrive, a client leaves, the disk is done |
//! | `event` | a turn for the first event alone that is due |
//! | `request` | a turn for one request of one client |
//! | `turn [COUNT]` | so many turns |
//! | `set KNOB VALUE` | turns a knob |
//! | `send CLIENT BYTES` | a client of the lesson sends something |

use crate::text::quoting::split_arguments;

use super::knobs::{KNOBS, Knob};
use super::lessons::{LESSONS, Lesson};

/// Turns that one order may take.
const TURNS_MAX: u32 = 200;

/// What the page asks for.
pub(super) enum Order {
    Reset(&'static Lesson),
    Next,
    Event,
    Request,
    Turns(u32),
    Set(&'static Knob, u64),
    Send(String, Vec<u8>),
}

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(line: &[u8]) -> Result<Order, String> {
        let words = split_arguments(line).ok_or("The order has a quote that is not closed.")?;
        let texts: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let names: Vec<&str> = texts.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["reset", name] => {
                let lesson = LESSONS.iter().find(|lesson| lesson.name == *name);
                lesson.map(Order::Reset).ok_or_else(|| "There is no such lesson.".to_string())
            }
            ["next"] => Ok(Order::Next),
            ["event"] => Ok(Order::Event),
            ["request"] => Ok(Order::Request),
            ["turn"] => Ok(Order::Turns(1)),
            ["turn", count] => {
                let count = count.parse().ok().filter(|count| (1..=TURNS_MAX).contains(count));
                count.map(Order::Turns).ok_or_else(|| format!("The number of turns is from 1 to {TURNS_MAX}."))
            }
            ["set", name, value] => {
                let knob = KNOBS.iter().find(|knob| knob.name == *name).ok_or("There is no such knob.")?;
                let value = knob.parse(value).ok_or_else(|| knob.expectation())?;
                Ok(Order::Set(knob, value))
            }
            ["send", client, _] => Ok(Order::Send(client.to_string(), words[2].clone())),
            _ => Err("An order is one of: reset LESSON, next, event, request, turn [COUNT], set KNOB VALUE, \
                      send CLIENT BYTES."
                .to_string()),
        }
    }
}
