//! Pure values and their operations. Never knows of clients, replies, the clock or I/O.

pub mod long_double;
