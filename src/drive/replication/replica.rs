//! The replica's side: following a primary.
