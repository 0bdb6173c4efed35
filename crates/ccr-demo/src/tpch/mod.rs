//! The TPC-H benchmark as the demo uses it: tables, data, queries.

mod data;
mod queries;
mod schema;

pub use data::{Batch, Generator};
pub use queries::queries;
pub use schema::{YEARS_ADDED, add_partition, initial_tables, late_table};
