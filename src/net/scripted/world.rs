//! The scripted world: its sockets and listeners, and the events that a poll reports.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::socket::{Connecting, Mask, Registration, Socket};
use crate::base::clock::Clock;
use crate::base::sys::signals::{ScriptedSignals, Signal};
use crate::base::wake::Wake;
use crate::net::address::Address;
use crate::net::poll_target::PollTarget;
use crate::net::readiness::Readiness;

/// What events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A socket, by its number.
    Socket(usize),
    /// A listener, by its number.
    Listener(usize),
    /// Signals.
    Signals,
    /// Helper threads.
    Waker,
}

/// A listening socket.
struct Listener {
    port: u16,
    /// Connections that wait to be accepted, or an error that accepting one gives.
    backlog: VecDeque<io::Result<(usize, Address)>>,
    registration: Option<Registration>,
}

/// A name that the server has asked for.
struct AskedName {
    host: String,
    port: u16,
    answer: Sender<Vec<SocketAddr>>,
}

/// What happens where a poll finds that nothing has happened.
type Script = Box<dyn FnMut(&World)>;

struct Outside {
    clock: Clock,
    sockets: Vec<Socket>,
    listeners: Vec<Listener>,
    pollers: u32,
    /// What has events to report, in the order in which they came up.
    due: Vec<Source>,
    /// What the next poll reports, in this order; all that is due where the test does not say.
    chosen: Option<Vec<Source>>,
    /// Whether only what has become possible is reported, instead of all that is possible.
    reports_edges_alone: bool,
    /// What the next poll reports first, whatever is due.
    untimely: Vec<Readiness>,
    signals: ScriptedSignals,
    woken: Arc<AtomicBool>,
    names: Vec<AskedName>,
    /// Sockets by which the server has begun to connect, and where to.
    connecting: VecDeque<(usize, SocketAddr)>,
    script: Option<Script>,
    events_reported: u64,
}

/// The outside of one server. A clone is the same world.
#[derive(Clone)]
pub struct World(Rc<RefCell<Outside>>);

impl World {
    /// A world in which nobody has connected yet. Where a poll waits, this virtual clock moves on.
    pub fn new(clock: Clock) -> World {
        World(Rc::new(RefCell::new(Outside {
            clock,
            sockets: Vec::new(),
            listeners: Vec::new(),
            pollers: 0,
            due: Vec::new(),
            chosen: None,
            reports_edges_alone: false,
            untimely: Vec::new(),
            signals: ScriptedSignals::default(),
            woken: Arc::default(),
            names: Vec::new(),
            connecting: VecDeque::new(),
            script: None,
            events_reported: 0,
        })))
    }

    fn outside(&self) -> RefMut<'_, Outside> {
        self.0.borrow_mut()
    }

    /// Whether a poll reports only what has become possible: bytes that come say nothing of room, and the other way
    /// round. Else, as with epoll, an event tells all that is possible at that moment.
    pub fn report_edges_alone(&self, alone: bool) {
        self.outside().reports_edges_alone = alone;
    }

    /// What happens whenever a poll finds that nothing has happened: peers that answer while the loop cannot return.
    pub fn set_script(&self, script: impl FnMut(&World) + 'static) {
        self.outside().script = Some(Box::new(script));
    }

    /// What has events to report, in the order in which they came up.
    pub fn due(&self) -> Vec<Source> {
        let mut outside = self.outside();
        outside.note_wake();
        outside.due.clone()
    }

    /// Has the next poll report events of these alone, in this order; the others stay due.
    pub fn choose(&self, sources: &[Source]) {
        self.outside().chosen = Some(sources.to_vec());
    }

    /// Has the next poll report this first, though nothing has happened: an event that the kernel had ready before its
    /// socket was closed.
    pub fn report_untimely(&self, readiness: Readiness) {
        self.outside().untimely.push(readiness);
    }

    /// Events that polls have reported in all.
    pub fn events_reported(&self) -> u64 {
        self.outside().events_reported
    }

    /// Sockets that the server has open and in which it has left something. While the loop is idle there may be none
    /// whose bytes it wants.
    pub fn undrained(&self) -> Vec<Source> {
        let outside = self.outside();
        let open = outside.sockets.iter().enumerate().filter(|(_, socket)| !socket.is_closed);
        open.filter(|(_, socket)| socket.mask().readable).map(|(number, _)| Source::Socket(number)).collect()
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        let mut outside = self.outside();
        outside.signals.send(signal);
        outside.make_due(Source::Signals);
    }

    /// Where the server takes signals from.
    pub fn signals(&self) -> ScriptedSignals {
        self.outside().signals.clone()
    }

    /// How helper threads wake the loop.
    pub fn wake(&self) -> Wake {
        let woken = Arc::clone(&self.outside().woken);
        Wake::Scripted(Arc::new(move || woken.store(true, Ordering::SeqCst)))
    }

    /// A new poller; gives its number.
    pub fn add_poller(&self) -> u32 {
        let mut outside = self.outside();
        outside.pollers += 1;
        outside.pollers
    }

    /// Reports what is due for a poller. Where nothing is, the script has its turn, and then the time passes.
    #[cold]
    #[inline(never)]
    pub fn poll(&self, poller: u32, timeout: Option<Duration>, ready: &mut Vec<Readiness>) {
        ready.clear();
        self.outside().report(poller, ready);
        if ready.is_empty() {
            self.run_script();
            self.outside().report(poller, ready);
        }
        if let (true, Some(timeout)) = (ready.is_empty(), timeout) {
            self.outside().clock.advance_virtual_by(timeout);
        }
    }

    fn run_script(&self) {
        let script = self.outside().script.take();
        if let Some(mut script) = script {
            script(self);
            self.outside().script.get_or_insert(script);
        }
    }

    /// A name that the server wants the addresses of.
    pub(in crate::net) fn ask_name(&self, host: &str, port: u16) -> Receiver<Vec<SocketAddr>> {
        let (answer, receiver) = channel();
        self.outside().names.push(AskedName { host: host.to_string(), port, answer });
        receiver
    }

    /// Names that were asked for and not answered.
    pub fn asked_names(&self) -> Vec<String> {
        self.outside().names.iter().map(|name| name.host.clone()).collect()
    }

    /// Answers for a name, to all who have asked for it.
    pub fn answer_name(&self, host: &str, addresses: &[std::net::IpAddr]) {
        let mut outside = self.outside();
        let (answered, others) = std::mem::take(&mut outside.names).into_iter().partition(|name| name.host == host);
        outside.names = others;
        for AskedName { port, answer, .. } in answered {
            // The answer is there before the loop is woken.
            let _ = answer.send(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect());
            outside.make_due(Source::Waker);
        }
    }

    /// A socket that the server begins to connect.
    pub(super) fn connect_out(&self, address: SocketAddr) -> usize {
        let number = self.add_socket(Connecting::UnderWay);
        self.outside().connecting.push_back((number, address));
        number
    }

    /// The next socket that the server has begun to connect, and where to.
    pub(super) fn take_connecting(&self) -> Option<(usize, SocketAddr)> {
        self.outside().connecting.pop_front()
    }

    pub(super) fn add_socket(&self, connecting: Connecting) -> usize {
        let mut outside = self.outside();
        outside.sockets.push(Socket::new(connecting));
        outside.sockets.len() - 1
    }

    /// Works on a socket, and notes the edges that come of it.
    pub(super) fn with_socket<T>(&self, number: usize, work: impl FnOnce(&mut Socket) -> T) -> T {
        let mut outside = self.outside();
        let result = work(&mut outside.sockets[number]);
        outside.note_edges(number);
        result
    }

    /// Registers a socket. What is possible already is an edge.
    pub(super) fn register(&self, number: usize, registration: Option<Registration>) {
        self.with_socket(number, |socket| {
            socket.registration = registration;
            socket.edges = if registration.is_some() { socket.mask() } else { Mask::default() };
        });
    }

    pub(super) fn add_listener(&self, port: u16) -> usize {
        let mut outside = self.outside();
        outside.listeners.push(Listener { port, backlog: VecDeque::new(), registration: None });
        outside.listeners.len() - 1
    }

    pub(super) fn register_listener(&self, number: usize, registration: Option<Registration>) {
        let mut outside = self.outside();
        let listener = &mut outside.listeners[number];
        listener.registration = registration;
        if !listener.backlog.is_empty() {
            outside.make_due(Source::Listener(number));
        }
    }

    pub(super) fn port_of(&self, number: usize) -> u16 {
        self.outside().listeners[number].port
    }

    pub(super) fn accept(&self, number: usize) -> io::Result<(usize, Address)> {
        let waiting = self.outside().listeners[number].backlog.pop_front();
        waiting.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    /// A connection, or what goes wrong with it, waits at the listener of a port; 0: at that of the Unix socket. Says
    /// whether there is one.
    pub(super) fn queue_connection(&self, port: u16, connection: io::Result<(usize, Address)>) -> bool {
        let mut outside = self.outside();
        let mut listeners = outside.listeners.iter_mut().enumerate();
        let is_open = |listener: &Listener| listener.port == port && listener.registration.is_some();
        let Some((number, listener)) = listeners.find(|(_, listener)| is_open(listener)) else {
            return false;
        };
        listener.backlog.push_back(connection);
        outside.make_due(Source::Listener(number));
        true
    }

    /// Accepting a connection at the listener of a port fails once.
    pub fn fail_accepting(&self, port: u16, kind: io::ErrorKind) {
        self.queue_connection(port, Err(kind.into()));
    }
}

impl Outside {
    fn make_due(&mut self, source: Source) {
        if !self.due.contains(&source) {
            self.due.push(source);
        }
    }

    fn note_edges(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.registration.is_none() {
            socket.edges = Mask::default();
        } else if !socket.edges.is_empty() {
            self.make_due(Source::Socket(number));
        }
    }

    fn note_wake(&mut self) {
        if self.woken.swap(false, Ordering::SeqCst) {
            self.make_due(Source::Waker);
        }
    }

    fn report(&mut self, poller: u32, ready: &mut Vec<Readiness>) {
        self.note_wake();
        ready.append(&mut self.untimely);
        let sources = self.chosen.take().unwrap_or_else(|| self.due.clone());
        for source in sources {
            if self.due.contains(&source) {
                self.report_source(source, poller, ready);
            }
        }
        self.events_reported += ready.len() as u64;
    }

    fn report_source(&mut self, source: Source, poller: u32, ready: &mut Vec<Readiness>) {
        let readable = Mask { readable: true, ..Mask::default() };
        let (registration, mask) = match source {
            Source::Socket(number) => {
                let socket = &mut self.sockets[number];
                let possible = socket.mask();
                let mask = if self.reports_edges_alone { possible.and(socket.edges) } else { possible };
                (socket.registration, mask)
            }
            Source::Listener(number) => (self.listeners[number].registration, readable),
            // The loop's poller is the first; those that others make have neither.
            Source::Signals => (Some((1, PollTarget::Signals)), readable),
            Source::Waker => (Some((1, PollTarget::Waker)), readable),
        };
        if registration.is_some_and(|(of, _)| of != poller) {
            return;
        }
        self.due.retain(|due| *due != source);
        if let Source::Socket(number) = source {
            self.sockets[number].edges = Mask::default();
        }
        let Some((_, target)) = registration.filter(|_| !mask.is_empty()) else {
            return;
        };
        ready.push(Readiness { target, readable: mask.readable, writable: mask.writable, closed: mask.closed });
    }
}
