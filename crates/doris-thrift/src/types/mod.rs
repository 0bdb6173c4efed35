//! The structs and enums of the services, under their IDL names with snake-case fields.
//!
//! One table per group of methods. `req` fields are required on the wire and plain, `opt` fields are
//! `Option`. `String` is text (invalid UTF-8 is a decode error), `Vec<u8>` is binary. `Debug` hides
//! passwords and tokens.

pub(crate) mod backend;
pub(crate) mod binlog;
pub(crate) mod common;
pub(crate) mod meta;
pub(crate) mod snapshot;
pub(crate) mod txn;

pub use backend::*;
pub use binlog::*;
pub use common::*;
pub use meta::*;
pub use snapshot::*;
pub use txn::*;
