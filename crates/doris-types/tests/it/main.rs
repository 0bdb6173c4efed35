//! The crate seen from outside: records and statements as Doris writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod create;
mod records;
