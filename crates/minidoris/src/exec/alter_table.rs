//! ALTER TABLE: sorts the operations to their families.

use super::{context, partition};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::Session;
use crate::sql::{AlterOperation, AlterTable};
use crate::state::FeState;

pub fn run(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    alter: &AlterTable,
) -> SqlResult<()> {
    let ids = context::olap_ids(state, session, &alter.table)?;
    context::check_normal(context::olap(state, ids.0, ids.1))?;
    for operation in &alter.operations {
        match operation {
            AlterOperation::AddPartition { temporary, partition, distribution } => {
                partition::add(cluster, state, ids, *temporary, partition, distribution.as_ref())?;
            }
            AlterOperation::DropPartition { temporary, if_exists, name, force } => {
                partition::drop(cluster, state, ids, *temporary, *if_exists, name, *force)?;
            }
            other => return Err(SqlError::general(format!("not supported: {other:?}"))),
        }
    }
    Ok(())
}
