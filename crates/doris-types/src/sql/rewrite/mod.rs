//! Recorded statements made fit for another cluster.
//!
//! A statement in a binlog record names the source database, storage settings the target must not take over,
//! and sometimes lacks a clause. Each function here finds the tokens that matter by the statement's grammar
//! and replaces exactly those bytes; everything else, comments and literals included, stays as written.

mod add_partition;
mod alter;
mod alter_view;
mod create;
mod edit;
mod error;
mod partition;
mod properties;
mod view;

pub use add_partition::{add_partition_range, add_partition_sql, add_partition_sql_with};
pub use alter::retarget_alter_table;
pub use alter_view::{ViewChange, view_comment};
pub use create::{CreateRewrite, REMOVED_PROPERTIES, STORAGE_MEDIUM, rewrite_create_table};
pub use error::RewriteError;
pub use partition::{drop_partition_sql, truncate_sql_tail};
pub use properties::{is_replicated_property, set_properties_sql};
pub use view::rewrite_view_query;
