//! Where a request's keys are, from the declarations of its command.
