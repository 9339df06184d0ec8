//! Configuration directives, from one table. Never knows what a directive does to the running server.
