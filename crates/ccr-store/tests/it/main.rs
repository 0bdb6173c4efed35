//! Tests of the stores.

// The lint spares test functions only, not the helpers they call.
#![allow(clippy::unwrap_used)]

mod conformance;
mod sample;
mod sqlite;
