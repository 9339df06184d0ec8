//! Brings keys to another server: finds it, connects, sends and receives as far as the socket goes, and tries once more if a
//! connection from the cache turns out to be closed.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::vec;

use mio::{Registry, Token as PollToken};

use crate::base::wake::Wake;
use crate::command::error::CommandError;
use crate::keyspace::Keyspace;
use crate::net::lookup::Lookup;
use crate::net::stream::Stream;
use crate::storage::values::Serialization;

use crate::drive::migrate::protocol::{MigrateProtocol, Order};
use crate::net::outbound::{NO_DATABASE, Sockets};

/// Bytes sent in one step: others are waiting.
const STEP_BYTES: usize = 256 * 1024;
/// Bytes read in one go.
const READ_BYTES: usize = 16 * 1024;

/// What a step needs of the server.
pub struct MigrateEnv<'a> {
    pub keyspace: &'a mut Keyspace,
    pub serialization: &'a mut Serialization,
    pub compresses: bool,
    pub sockets: &'a mut Sockets,
    /// Where sockets are registered, and as what.
    pub registry: &'a Registry,
    pub token: PollToken,
    /// How the loop learns that a name was looked up; without it everybody waits for that.
    pub wake: Option<&'a Wake>,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing can be done until the socket is ready, or a name looked up.
    Waits,
    /// There is more to do at once.
    More,
    /// It is over.
    Done(Result<(), CommandError>),
}

/// Keys on their way.
pub struct MigrateClient {
    order: Order,
    transfer: MigrateProtocol,
    phase: Phase,
    /// Whether another attempt is to follow if this one fails before anything has come of it.
    may_retry: bool,
    /// Whether the last step got anywhere.
    has_moved: bool,
}

enum Phase {
    Setting,
    LookingUp(Lookup),
    Connecting(Stream, vec::IntoIter<SocketAddr>),
    Talking(Stream),
    Over,
}

/// Where a transfer came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Connecting,
    Writing,
    Reading,
}

impl Failure {
    fn error(self) -> CommandError {
        CommandError::fixed(match self {
            Failure::Connecting => "IOERR error or timeout connecting to the client",
            Failure::Writing => "IOERR error or timeout writing to target instance",
            Failure::Reading => "IOERR error or timeout reading to target instance",
        })
    }
}

impl MigrateClient {
    /// One who has yet to set out.
    pub fn new(order: Order) -> MigrateClient {
        MigrateClient {
            order,
            transfer: MigrateProtocol::default(),
            phase: Phase::Setting,
            may_retry: true,
            has_moved: false,
        }
    }

    /// The keys that are to be moved.
    pub fn keys(&self) -> &[Rc<[u8]>] {
        &self.order.keys
    }

    /// How long a step may take, in ms.
    pub fn timeout_ms(&self) -> u64 {
        self.order.timeout_ms
    }

    /// Whether anything was achieved since this was asked last.
    pub fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Goes on as far as can be without waiting, and no further than is fair.
    pub fn step(&mut self, scene: &mut MigrateEnv<'_>) -> Step {
        loop {
            let done = match &mut self.phase {
                Phase::Setting => self.set_out(scene),
                Phase::LookingUp(lookup) => match lookup.answer() {
                    None => return Step::Waits,
                    Some(addresses) => {
                        self.has_moved = true;
                        self.connect(scene, addresses.into_iter(), Failure::Connecting)
                    }
                },
                Phase::Connecting(stream, _) => match stream.is_connected() {
                    Ok(false) => return Step::Waits,
                    Ok(true) => self.begin_talk(),
                    Err(_) => self.connect_elsewhere(scene),
                },
                Phase::Talking(_) => match self.talk(scene) {
                    Ok(step) => return step,
                    Err(failure) => self.retry_after(scene, failure),
                },
                Phase::Over => return Step::Waits,
            };
            if let Err(failure) = done {
                return self.fail(scene, failure);
            }
        }
    }

    /// Gives up: the other side takes too long.
    pub fn time_out(&mut self, scene: &mut MigrateEnv<'_>) -> Result<(), CommandError> {
        let failure = match &self.phase {
            Phase::Talking(_) if self.transfer.is_sent(&self.order) => Failure::Reading,
            Phase::Talking(_) => Failure::Writing,
            _ => Failure::Connecting,
        };
        match self.fail(scene, failure) {
            Step::Done(result) => result,
            Step::Waits | Step::More => Ok(()),
        }
    }

    fn set_out(&mut self, scene: &mut MigrateEnv<'_>) -> Result<(), Failure> {
        let Order { host, port, .. } = &self.order;
        if let Some((mut stream, database)) = scene.sockets.take(host, *port)
            && stream.register(scene.registry, scene.token).is_ok()
        {
            self.transfer = MigrateProtocol::new(&self.order, database);
            self.phase = Phase::Talking(stream);
            return Ok(());
        }
        self.phase = Phase::LookingUp(match scene.wake {
            Some(wake) => Lookup::begin(host, *port, wake.clone()),
            None => Lookup::now(host, *port),
        });
        Ok(())
    }

    /// Tries these addresses, the first that does not refuse at once.
    fn connect(
        &mut self,
        scene: &mut MigrateEnv<'_>,
        mut addresses: vec::IntoIter<SocketAddr>,
        failure: Failure,
    ) -> Result<(), Failure> {
        let mut failure = failure;
        while let Some(address) = addresses.next() {
            let stream = Stream::connect(address).and_then(|mut stream| {
                stream.register(scene.registry, scene.token)?;
                Ok(stream)
            });
            if let Ok(stream) = stream {
                self.phase = Phase::Connecting(stream, addresses);
                return Ok(());
            }
            failure = Failure::Writing;
        }
        Err(failure)
    }

    /// One address has come to nothing. That nobody listens is called a failure to write, as in Redis, which learns of it then.
    fn connect_elsewhere(&mut self, scene: &mut MigrateEnv<'_>) -> Result<(), Failure> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Connecting(_, addresses) => self.connect(scene, addresses, Failure::Writing),
            _ => Err(Failure::Writing),
        }
    }

    fn begin_talk(&mut self) -> Result<(), Failure> {
        if let Phase::Connecting(stream, _) = std::mem::replace(&mut self.phase, Phase::Over) {
            self.transfer = MigrateProtocol::new(&self.order, NO_DATABASE);
            self.phase = Phase::Talking(stream);
            self.has_moved = true;
        }
        Ok(())
    }

    fn talk(&mut self, scene: &mut MigrateEnv<'_>) -> Result<Step, Failure> {
        let has_more = self.send(scene)?;
        self.receive(scene)?;
        if self.transfer.is_complete(&self.order) {
            return Ok(self.finish(scene));
        }
        Ok(match has_more {
            true => Step::More,
            false => Step::Waits,
        })
    }

    /// Sends until the socket takes no more; tells whether it might, though there was enough for now.
    fn send(&mut self, scene: &mut MigrateEnv<'_>) -> Result<bool, Failure> {
        let Phase::Talking(stream) = &mut self.phase else {
            return Ok(false);
        };
        let mut room = STEP_BYTES;
        loop {
            self.transfer.make_requests(&self.order, scene.keyspace, scene.serialization, scene.compresses);
            let pending = self.transfer.pending();
            if pending.is_empty() {
                return Ok(false);
            }
            if room == 0 {
                return Ok(true);
            }
            match stream.write(&pending[..pending.len().min(room)]) {
                Ok(count) => {
                    room -= count;
                    self.transfer.sent(count);
                    self.has_moved |= count > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Err(Failure::Writing),
            }
        }
    }

    fn receive(&mut self, scene: &mut MigrateEnv<'_>) -> Result<(), Failure> {
        let Phase::Talking(stream) = &mut self.phase else {
            return Ok(());
        };
        let failure = match self.transfer.is_sent(&self.order) {
            true => Failure::Reading,
            false => Failure::Writing,
        };
        let mut buffer = [0; READ_BYTES];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    self.has_moved = true;
                    let received = &buffer[..count];
                    if !self.transfer.receive(received, &self.order, scene.keyspace) {
                        return Err(Failure::Reading);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => break,
            }
        }
        // What came before the end may have been all.
        match self.transfer.is_complete(&self.order) {
            true => Ok(()),
            false => Err(failure),
        }
    }

    /// A connection has broken. One from the cache may have been closed long ago, so all begins anew, if nothing has come of it.
    fn retry_after(&mut self, scene: &mut MigrateEnv<'_>, failure: Failure) -> Result<(), Failure> {
        if !std::mem::take(&mut self.may_retry) || self.transfer.answered > 0 {
            return Err(failure);
        }
        self.let_go(scene);
        self.phase = Phase::Setting;
        Ok(())
    }

    fn let_go(&mut self, scene: &mut MigrateEnv<'_>) -> Option<Stream> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Connecting(mut stream, _) | Phase::Talking(mut stream) => {
                // It is closed, or registered anew when it is wanted again.
                let _ = stream.deregister(scene.registry);
                Some(stream)
            }
            Phase::Setting | Phase::LookingUp(_) | Phase::Over => None,
        }
    }

    fn fail(&mut self, scene: &mut MigrateEnv<'_>, failure: Failure) -> Step {
        self.let_go(scene);
        Step::Done(Err(match self.transfer.error.take() {
            Some(error) => refused(&error),
            None => failure.error(),
        }))
    }

    fn finish(&mut self, scene: &mut MigrateEnv<'_>) -> Step {
        let stream = self.let_go(scene);
        let error = self.transfer.error.take();
        if let Some(stream) = stream.filter(|_| self.transfer.is_clean()) {
            let database = match &error {
                None => self.order.target_database,
                Some(_) => NO_DATABASE,
            };
            let now_ms = scene.keyspace.now_ms;
            let Order { host, port, .. } = &self.order;
            scene.sockets.put(host, *port, stream, database, now_ms);
        }
        Step::Done(match error {
            None => Ok(()),
            Some(error) => Err(refused(&error)),
        })
    }
}

fn refused(error: &str) -> CommandError {
    CommandError::new(format!("ERR Target instance replied with error: {error}"))
}
