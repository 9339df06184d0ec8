//! The whole loop in a scripted world, event by event: whatever the order in which bytes come and sockets take them,
//! each client gets its replies, nothing is forgotten, and the same seed gives the same bytes.

mod bench;
mod cuts;
mod determinism;
mod interleavings;
mod links;
mod patterns;
mod slow_replicas;
mod story;
