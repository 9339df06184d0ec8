//! Single stories, each named after what once went wrong.
