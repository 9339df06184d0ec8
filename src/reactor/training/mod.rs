//! The lessons of a training instance: a second loop, in a scripted world, which the page steps.
//!
//! ```text
//! order  (POST /training)     reset · next · event · request · turn · set · send
//!    ↓
//! Stage   the inner loop (the whole server, with data of its own) and the echo loop, each in a world of its own;
//!         the clients of a lesson, which do the same in both; acts, which are what happens to them next
//!    ↓
//! view    how both are now, as JSON: the page draws it, and finds the answers to its questions in it
//! ```
//!
//! `lessons` are the scenes, `stage` plays one, `echo` is the echo loop, `orders` reads what the page sends, `view`
//! writes what it gets.
//!
//! Never touches the data or the clients of the server that it runs in, nor a socket, a file or a thread.

mod client;
mod echo;
mod knobs;
mod lessons;
mod orders;
mod stage;
mod step;
mod view;

use crate::base::entropy::Entropy;
use crate::base::logging;
use crate::reactor::http::{Trainer, Training};

use lessons::LESSONS;
use orders::Order;
use stage::Stage;

/// Bytes of the token that orders show.
const TOKEN_BYTES: usize = 16;

/// The lessons, one of them on the stage.
struct Lessons {
    stage: Stage,
}

/// A training instance that begins with the first lesson. Its token follows from the entropy.
///
/// # Errors
///
/// The text for the log.
pub fn training(entropy: &Entropy) -> Result<Training, String> {
    let token = entropy.secret()[..TOKEN_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    let stage = logging::quietly(|| Stage::set(&LESSONS[0]))?;
    let trainer = Box::new(Lessons { stage });
    Ok(Training { token, trainer })
}

impl Trainer for Lessons {
    fn state(&mut self) -> String {
        view::state(&mut self.stage)
    }

    fn obey(&mut self, order: &[u8]) -> Result<(), String> {
        let order = Order::parse(order)?;
        // The log is that of the server around it.
        logging::quietly(|| self.carry_out(order))
    }
}

impl Lessons {
    fn carry_out(&mut self, order: Order) -> Result<(), String> {
        match order {
            Order::Reset(lesson) => self.stage = Stage::set(lesson)?,
            Order::Next => self.stage.play_act()?,
            Order::Turns(count) => self.stage.turn(count)?,
            Order::Event => self.stage.turn_for_one_event()?,
            Order::Request => self.stage.turn_for_one_request()?,
            Order::Set(knob, value) => self.stage.set_knob(knob, value)?,
            Order::Send(client, bytes) => self.stage.send(&client, &bytes)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
