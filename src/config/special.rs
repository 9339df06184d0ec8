//! The directives whose values have a syntax of their own.
