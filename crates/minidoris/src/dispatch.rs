//! One statement text in, one answer per statement out.

use std::sync::Arc;

use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::{Answer, Session};

/// Runs the statements of `sql` in order as a client of frontend `fe`, and stops after the first error.
pub async fn execute(
    cluster: &Arc<ClusterInner>,
    fe: usize,
    session: &mut Session,
    sql: &str,
) -> Vec<SqlResult<Answer>> {
    let _ = (cluster, fe, session);
    vec![Err(SqlError::general(format!("not supported: {sql}")))]
}
