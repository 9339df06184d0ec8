//! Brings keys to another server: says what is to be sent, takes what comes, and tries once more if a connection that
//! was parked turns out to be closed. Moves no bytes itself: `net::outbound` does.

use std::rc::Rc;

use crate::command::error::{CommandError, CommandResult};
use crate::keyspace::Keyspace;
use crate::migrate::protocol::{MigrateProtocol, Order};
use crate::net::outbound::{Failure, LinkEvent, LinkOptions, LinkOwner, Outbounds, Progress};
use crate::net::token::Token;
use crate::storage::values::Serialization;

/// Replies that wait to be looked at: more than a step brings.
const INPUT_MAX_BYTES: usize = 64 * 1024;
/// The database of a connection of which it is not known. A request for a database of this number asks for none.
const NO_DATABASE: i64 = -1;

/// What an event needs of the server.
pub struct MigrateEnv<'a> {
    pub keyspace: &'a mut Keyspace,
    pub serialization: &'a mut Serialization,
    pub compresses: bool,
    pub outbounds: &'a mut Outbounds,
    pub owner: LinkOwner,
    /// The time by which connections are late, in ms.
    pub now_ms: i64,
}

/// Keys on their way.
pub struct MigrateClient {
    order: Order,
    transfer: MigrateProtocol,
    /// The connection that they go by.
    link: Token,
    /// The database that it has selected.
    selected: i64,
    /// Whether the other side has answered.
    is_connected: bool,
    /// Whether another attempt is to follow if this one fails before anything has come of it.
    may_retry: bool,
}

/// Where a transfer came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Writing,
    Reading,
}

impl Stage {
    fn error(self) -> CommandError {
        CommandError::fixed(match self {
            Stage::Connecting => "IOERR error or timeout connecting to the client",
            Stage::Writing => "IOERR error or timeout writing to target instance",
            Stage::Reading => "IOERR error or timeout reading to target instance",
        })
    }
}

impl MigrateClient {
    /// Sets out: by a parked connection if there is one.
    pub fn begin(order: Order, env: &mut MigrateEnv<'_>) -> MigrateClient {
        let (link, selected) = connect(&order, env);
        MigrateClient {
            order,
            transfer: MigrateProtocol::default(),
            link,
            selected,
            is_connected: false,
            may_retry: true,
        }
    }

    /// The keys that are to be moved.
    pub fn keys(&self) -> &[Rc<[u8]>] {
        &self.order.keys
    }

    /// Takes an event of its connection. Gives the result once there is one.
    pub fn take_event(&mut self, event: LinkEvent, env: &mut MigrateEnv<'_>) -> Option<CommandResult> {
        match event {
            LinkEvent::Connected => {
                self.is_connected = true;
                let (order, selected) = (&self.order, self.selected);
                let transfer = &mut self.transfer;
                env.outbounds
                    .write_with(self.link, |output| *transfer = MigrateProtocol::begin(order, selected, output));
            }
            LinkEvent::Received => {
                if !self.receive(env) {
                    return self.retry_after(Stage::Reading, env);
                }
            }
            LinkEvent::Flushed => {}
            LinkEvent::Failed(failure) => return self.retry_after(self.stage_of(failure, env), env),
            LinkEvent::TimedOut => {
                let stage = if self.is_connected { self.stage(env) } else { Stage::Connecting };
                return Some(Err(self.give_up(stage, env)));
            }
        }
        self.make_requests(env);
        self.transfer.is_complete(&self.order).then(|| self.finish(env))
    }

    fn make_requests(&mut self, env: &mut MigrateEnv<'_>) {
        let pending_bytes = env.outbounds.link(self.link).map_or(0, |link| link.pending_bytes());
        let MigrateEnv { keyspace, serialization, compresses, outbounds, .. } = env;
        let (order, transfer) = (&self.order, &mut self.transfer);
        outbounds.write_with(self.link, |output| {
            transfer.make_requests(order, pending_bytes, output, keyspace, serialization, *compresses);
        });
    }

    /// Takes what has come; tells whether it can be what was asked for.
    fn receive(&mut self, env: &mut MigrateEnv<'_>) -> bool {
        let Some(link) = env.outbounds.link(self.link) else {
            return false;
        };
        let received = link.input();
        let is_sound = self.transfer.receive(received, &self.order, env.keyspace);
        let count = received.len();
        env.outbounds.consume(self.link, count);
        is_sound
    }

    /// Whether it is requests or replies that are missing.
    fn stage(&self, env: &MigrateEnv<'_>) -> Stage {
        let is_sent = env.outbounds.link(self.link).is_none_or(|link| link.pending_bytes() == 0);
        match self.transfer.is_all_made(&self.order) && is_sent {
            true => Stage::Reading,
            false => Stage::Writing,
        }
    }

    /// A refused connection is called a failure to write, as in Redis, which meets it then.
    fn stage_of(&self, failure: Failure, env: &MigrateEnv<'_>) -> Stage {
        match failure {
            Failure::UnknownHost => Stage::Connecting,
            Failure::Unreachable(_) | Failure::Overflow => Stage::Writing,
            Failure::Broken(_) | Failure::Closed => self.stage(env),
        }
    }

    /// A connection has failed. A parked one may have been closed long ago, so all begins anew, if nothing has come of
    /// it.
    fn retry_after(&mut self, stage: Stage, env: &mut MigrateEnv<'_>) -> Option<CommandResult> {
        if !self.is_connected || self.transfer.answered > 0 || !std::mem::take(&mut self.may_retry) {
            return Some(Err(self.give_up(stage, env)));
        }
        env.outbounds.close(self.link);
        (self.link, self.selected) = connect(&self.order, env);
        self.is_connected = false;
        None
    }

    fn give_up(&mut self, stage: Stage, env: &mut MigrateEnv<'_>) -> CommandError {
        env.outbounds.close(self.link);
        match self.transfer.error.take() {
            Some(error) => refused(&error),
            None => stage.error(),
        }
    }

    fn finish(&mut self, env: &mut MigrateEnv<'_>) -> CommandResult {
        let error = self.transfer.error.take();
        let database = match &error {
            None => self.order.target_database,
            Some(_) => NO_DATABASE,
        };
        match self.transfer.is_clean() {
            true => {
                let Order { host, port, .. } = &self.order;
                env.outbounds.park(self.link, host, *port, database, env.now_ms);
            }
            false => env.outbounds.close(self.link),
        }
        match error {
            None => Ok(()),
            Some(error) => Err(refused(&error)),
        }
    }
}

fn connect(order: &Order, env: &mut MigrateEnv<'_>) -> (Token, i64) {
    let options = LinkOptions {
        connect_ms: order.timeout_ms,
        idle_ms: order.timeout_ms,
        progress: Progress::EitherWay,
        input_max_bytes: INPUT_MAX_BYTES,
        // Requests are made as they are sent: only a single large value goes beyond that.
        output_max_bytes: usize::MAX,
    };
    let (host, port, now_ms) = (order.host.as_str(), order.port, env.now_ms);
    match env.outbounds.reopen(host, port, options, env.owner, now_ms) {
        Some(reopened) => reopened,
        None => (env.outbounds.open(host, port, options, env.owner, now_ms), NO_DATABASE),
    }
}

fn refused(error: &str) -> CommandError {
    CommandError::new(format!("ERR Target instance replied with error: {error}"))
}
