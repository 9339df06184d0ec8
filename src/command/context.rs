//! What a handler works with.

use crate::instance::Instance;
use crate::keyspace::Keyspace;
use crate::resp::Reply;
use crate::session::Session;

use super::CommandId;

/// The server, the calling client and where its reply goes, for the time of one command.
pub struct Context<'a> {
    pub instance: &'a mut Instance,
    pub session: &'a mut Session,
    pub reply: &'a mut Reply,
    /// The command that runs (the subcommand, not its container).
    pub command: CommandId,
}

impl Context<'_> {
    /// The full name of the command that runs, for error texts.
    pub fn command_name(&self) -> &str {
        &self.instance.commands.get(self.command).full_name
    }

    /// The keyspace, the client's database in it, and the reply: what most handlers need.
    #[inline]
    pub fn parts(&mut self) -> (&mut Keyspace, usize, &mut Reply) {
        (
            &mut self.instance.keyspace,
            self.session.database,
            self.reply,
        )
    }
}
