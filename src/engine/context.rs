//! What a handler works with.

use crate::engine::blocking::{BlockKind, BlockRequest};
use crate::engine::clients::Rank;
use crate::engine::session::{Blocked, ReplyMode};
use crate::keyspace::Keyspace;
use crate::resp::Reply;

use crate::resp::Args;

pub use crate::engine::state::program::Context;

impl Context<'_> {
    /// The full name of the command that runs, for error texts.
    pub fn command_name(&self) -> &str {
        &self.state.commands.get(self.command).full_name
    }

    /// The keyspace, the client's database in it, and the reply: what most handlers need.
    #[inline]
    pub fn parts(&mut self) -> (&mut Keyspace, usize, &mut Reply) {
        (&mut self.state.keyspace, self.session.database, self.reply)
    }

    /// Has the command passed on in this form, if it changes something: with the same effect whenever and wherever it
    /// is run.
    pub fn propagate_as(&mut self, arguments: &[&[u8]]) {
        self.state.keyspace.changes.propagation.replace(arguments);
    }

    /// Whether the command's changes are propagated.
    #[inline]
    pub fn propagates(&self) -> bool {
        self.state.keyspace.changes.propagation.is_on()
    }

    /// Tells the caller something that is no reply to be left out when it wants none.
    pub fn tell_caller(&mut self, write: impl FnMut(&mut Reply)) {
        let mut write = write;
        match self.session.reply_mode {
            ReplyMode::On | ReplyMode::SkipNext => write(self.reply),
            ReplyMode::Off | ReplyMode::Skipping => {
                let clients = &mut self.state.clients;
                clients.defer_push(self.session.token, Rank::Message, write);
            }
        }
    }

    /// Whether the command may wait. If not it replies at once what it finds: it is one of several that run as a unit.
    pub fn may_block(&self) -> bool {
        !self.session.deny_blocking
    }

    /// Has the client wait for one of these keys, until the deadline (in ms since the epoch; none: for ever). For a
    /// handler that has found nothing, written nothing, and may wait: it returns after this, and is called again with
    /// `request` when one of the keys has become what `kind` says. If it then finds nothing again it asks for the same
    /// again, and the client keeps its place and its deadline. O(keys).
    pub fn block_on_keys<'k>(
        &mut self,
        request: Args<'_>,
        keys: impl IntoIterator<Item = &'k [u8]>,
        kind: BlockKind,
        deadline_ms: Option<i64>,
    ) {
        self.session.blocked = Some(Blocked::Keys);
        if self.session.waiting.is_some() {
            return;
        }
        let wish = BlockRequest {
            database: self.session.database,
            keys,
            kind,
            request: request.to_owned(),
            command: self.command,
            deadline_ms,
        };
        let Context { state, session, .. } = self;
        state.blocking.add(&mut state.keyspace.changes, session, wish);
    }

    /// Has the client wait until more is on the disk: then its request runs again, and it does so a last time at the
    /// deadline (in ms since the epoch), when it may no longer wait.
    pub fn block_on_disk(&mut self, request: Args<'_>, deadline_ms: Option<i64>) {
        let is_new = self.session.waiting.is_none();
        self.block_on_keys(request, [], BlockKind::Disk, deadline_ms);
        if is_new {
            let Context { state, session, .. } = self;
            state.blocking.wait_for_disk(session);
        }
    }

    /// Has the client wait until the sizes of all keys are known, as they are now or will be; then its request runs
    /// again.
    pub fn block_on_key_sizes(&mut self, request: Args<'_>) {
        self.block_on_keys(request, [], BlockKind::KeySizes, None);
        self.state.blocking.key_sizes.wait((self.session.token, self.command));
    }

    /// Has the request of the client, which waits for keys, run again at this time (in ms since the epoch) as well: for
    /// a handler that may find something though no key has changed. It has to be asked for each time.
    pub fn look_again_at(&mut self, look_ms: i64) {
        let Context { state, session, .. } = self;
        state.blocking.look_again_at(session, Some(look_ms));
    }
}
