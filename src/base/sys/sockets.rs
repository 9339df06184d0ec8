//! What the system answers about sockets, and a lone request's two calls to it.
//!
//! The C library makes a thread that reads or writes cancellable for the time of the call, which takes two atomic
//! operations; the loop's thread is never cancelled. These calls go to the kernel directly.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, SendFlags};

/// Reads what a connected socket has, as far as the buffer takes it. 0: the other side sends no more.
///
/// Errors: the system's, `WouldBlock` among them.
#[inline]
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(count)
}

/// Writes to a connected socket; gives how much it took. No signal comes if the other side is gone.
///
/// Errors: the system's, `WouldBlock` among them.
#[inline]
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// Whether this says that a connection is on its way: the socket tells later what has become of it.
pub fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}
