//! Execution of DDL: check, change the catalogue, journal; all of it under the frontend's lock.

mod state;

pub use state::{AlterJob, DdlState, Recycled, RecycledObject};

use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::{Answer, Session};
use crate::sql::Statement;

/// Runs a DDL statement, USE, SET or ADMIN SET. Errors carry Doris's codes and texts.
pub fn run(cluster: &ClusterInner, session: &mut Session, statement: &Statement) -> SqlResult<Answer> {
    let _ = (cluster, session);
    Err(SqlError::general(format!("not supported: {statement:?}")))
}
