//! SHOW statements, the text of SHOW CREATE, and the virtual tables of `information_schema`.

mod create_table;
pub mod table_properties;

pub use create_table::{
    Flavour, column_text, create_table_text, create_view_text, distribution_text, index_text,
    partition_values_text, plain_name, sorted_partitions,
};

use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::{ResultSet, Session};
use crate::sql::Show;

/// Answers a SHOW statement.
pub fn run(cluster: &ClusterInner, session: &Session, show: &Show) -> SqlResult<ResultSet> {
    let _ = (cluster, session);
    Err(SqlError::general(format!("not supported: {show:?}")))
}

/// The rows of a table that exists only as an answer: `frontends()`, `backends()`,
/// `information_schema.tables`, `.schemata`, `.columns`, `.views`, `.partitions`. `None` when the name is
/// no such table.
pub fn virtual_table(cluster: &ClusterInner, session: &Session, name: &str) -> Option<ResultSet> {
    let _ = (cluster, session, name);
    None
}
