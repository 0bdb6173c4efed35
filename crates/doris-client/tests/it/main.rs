//! The clients over real sockets: against scripted servers for every way a call can fail, and against an
//! emulated cluster for the whole.

// Helpers outside of test functions unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod backend;
mod calls;
mod emulated;
mod rounds;
mod sql;
mod support;
