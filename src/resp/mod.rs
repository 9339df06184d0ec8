//! The wire protocol, sans I/O: request parser and reply writer. Never touches a socket.
