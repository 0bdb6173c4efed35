//! SHOW statements.
