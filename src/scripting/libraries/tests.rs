//! The libraries against each other and against what must not break them.
