//! `oneloop replay --serve PORT`: a server on the state that a recording has led to, for redis-cli and other clients.
//!
//! Clients may change what they find; nothing of it is kept. The date stands still.

use std::io::Write;

use crate::base::tape;
use crate::reactor::event_loop::EventLoop;

/// Takes the tape off, and serves until the server is ended.
///
/// Errors: the text for the user.
pub fn serve(event_loop: &mut EventLoop, port: u16, out: &mut dyn Write) -> Result<(), String> {
    let (turns, ticks) = (tape::replayed_turns(), tape::last_ticks());
    tape::remove();
    event_loop.reopen(port, ticks)?;
    // Where nobody reads it, the port was given.
    let _ = writeln!(out, "The state after turn {turns} is served on 127.0.0.1:{port}, until SHUTDOWN or a signal.");
    let _ = out.flush();
    event_loop.run().map_err(|error| error.to_string())
}
