//! Client and server over real sockets.

// Helpers outside of test functions unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod calls;
mod failures;
mod support;
