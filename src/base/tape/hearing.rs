//! What passes through the sockets of a replay, for tools that listen to it.

use std::cell::{Cell, RefCell};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Client,
    Http,
    /// A connection to another server.
    Outbound,
    /// One that another node of the cluster has made.
    Bus,
}

/// What is heard of a socket. What is encrypted is heard as plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    Opened(Purpose),
    Received(&'a [u8]),
    Sent(&'a [u8]),
    /// The server closes it.
    Closed,
}

/// Is told the socket's number, too.
pub type Listener = Box<dyn FnMut(u64, Heard<'_>)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    static SOCKETS: Cell<u64> = const { Cell::new(0) };
}

/// Tells the listener what passes through the sockets of this thread's replay from now on.
pub fn listen(listener: Listener) {
    LISTENER.set(Some(listener));
}

/// The number of the next socket of this thread's replay: they are counted in the order in which they come up.
pub fn next_socket() -> u64 {
    SOCKETS.replace(SOCKETS.get() + 1)
}

/// Tells the listener, if there is one.
#[cold]
pub fn tell(socket: u64, heard: Heard<'_>) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(listener) = listener {
            listener(socket, heard);
        }
    });
}
