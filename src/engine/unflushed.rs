//! Following what cannot be written at present, and the requests whose replies may tell of it.

use crate::command::registry::CommandId;
use crate::command::spec::Flag;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::resp::Args;
use crate::storage::aof::{AppendedReader, Found};

impl ServerState {
    /// Looks at what was gathered and cannot be written. O(bytes of that that are new).
    #[cold]
    pub fn note_unflushed(&mut self) {
        if self.aof.failure.is_none() {
            self.unflushed = None;
            return;
        }
        let mut unflushed = self.unflushed.take().unwrap_or_default();
        let bytes = self.aof.feeder.bytes();
        let mut reader = AppendedReader::default();
        reader.feed(bytes.get(unflushed.seen..).unwrap_or_default());
        // INVARIANT: whole commands were gathered.
        while let Ok(found) = reader.advance() {
            match found {
                Found::Incomplete => break,
                Found::Time(_) | Found::BadTime | Found::Annotation => {}
                Found::Command => {
                    let words: Vec<&[u8]> = reader.arguments().collect();
                    let args = Args::from_slices(&words);
                    if let Some(command) = self.commands.resolve(args.at(0), args.get(1)) {
                        unflushed.note(command, args);
                    }
                }
            }
        }
        unflushed.seen = bytes.len();
        self.unflushed = Some(unflushed);
    }

    /// A client makes a request: if the reply may tell of what cannot be written it is to wait for that.
    #[cold]
    pub fn note_dependence(&self, session: &mut Session, args: Args<'_>, resolved: Option<CommandId>) {
        let (Some(unflushed), Some(command)) = (&self.unflushed, resolved) else {
            return;
        };
        let command = self.commands.get(command);
        let is_queued = session.transaction.is_some() && !command.flags.has(Flag::RunsQueue);
        if !is_queued && unflushed.shows_in(command, args) {
            session.sees_unflushed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::registry::Registry;
    use crate::commands::FAMILIES;

    /// Whether the reply to the one request may tell of the change that the other made.
    fn shows(change: &str, request: &str) -> bool {
        let registry = Registry::new(FAMILIES);
        let mut unflushed = UnflushedKeys::default();
        let words = [change, request].map(|text| text.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let command = |at: usize| {
            let found = registry.resolve(words[at][0], words[at].get(1).copied());
            found.expect("there is such a command")
        };
        unflushed.note(command(0), Args::from_slices(&words[0]));
        unflushed.shows_in(command(1), Args::from_slices(&words[1]))
    }

    #[test]
    fn a_change_shows_where_its_key_is_read() {
        assert!(shows("set a 1", "get a"));
        assert!(!shows("set a 1", "get b"));
        assert!(shows("msetex 2 b 1 a 1", "get a"));
        assert!(shows("set a 1", "sort b by nosort get a"));
        assert!(shows("set STREAMS 1", "xread count 1 streams STREAMS 0"));
        assert!(!shows("set c 1", "xreadgroup group g c streams s >"));
    }
}
