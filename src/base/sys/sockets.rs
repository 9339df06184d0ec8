//! What the system answers about sockets.

use std::io;

/// Whether this says that a connection is on its way: the socket tells later what has become of it.
pub fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}
