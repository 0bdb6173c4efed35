//! SHOW statements, the text of SHOW CREATE, and the virtual tables of `information_schema`.

use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Database, OlapTable, View};
use crate::session::{ResultSet, Session};
use crate::sql::Show;

/// Whether a CREATE TABLE text is meant for people or for a downstream cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// SHOW CREATE TABLE.
    User,
    /// CREATE_TABLE binlogs: `is_being_synced` is true, auto buckets are marked, rollups are listed.
    Sync,
}

/// Answers a SHOW statement.
pub fn run(cluster: &ClusterInner, session: &Session, show: &Show) -> SqlResult<ResultSet> {
    let _ = (cluster, session);
    Err(SqlError::general(format!("not supported: {show:?}")))
}

/// The CREATE TABLE statement of a table. `feature_binlog` is the FE setting `enable_feature_binlog`,
/// without which the binlog properties are not printed.
pub fn create_table_text(db: &Database, table: &OlapTable, flavour: Flavour, feature_binlog: bool) -> String {
    let _ = (db, flavour, feature_binlog);
    table.name.clone()
}

/// The CREATE VIEW statement of a view.
pub fn create_view_text(view: &View) -> String {
    view.name.clone()
}

/// The rows of a table that exists only as an answer: `frontends()`, `backends()`,
/// `information_schema.tables`, `.schemata`, `.columns`, `.views`, `.partitions`. `None` when the name is
/// no such table.
pub fn virtual_table(cluster: &ClusterInner, session: &Session, name: &str) -> Option<ResultSet> {
    let _ = (cluster, session, name);
    None
}
