//! What the system answers about sockets, and a lone request's two calls to it.
//!
//! The C library makes a thread that reads or writes cancellable for the time of the call, which takes two atomic
//! operations; the loop's thread is never cancelled. These calls go to the kernel directly.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

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

/// How long the kernel asks the network card for packets of this socket before it waits, in microseconds.
///
/// Errors: the system's, `PermissionDenied` where it is more than the system's own setting.
pub fn set_busy_poll(socket: impl AsFd, time_us: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(time_us).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the length are those of `value`, which outlives the call.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BUSY_POLL,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether this says that a connection is on its way: the socket tells later what has become of it.
pub fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}
