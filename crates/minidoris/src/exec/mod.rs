//! Execution of DDL: check, change the catalogue, journal; all of it under the frontend's lock.
//!
//! One file per family of statements. Every change ends with its journal entry, whose id is the commit seq
//! of the binlog when the statement has one.

mod alter_table;
pub mod auto_partition;
mod columns;
mod context;
mod create_table;
mod database;
mod default_value;
mod drop;
pub mod dynamic;
pub mod function;
mod index;
mod index_job;
pub mod job;
mod light;
pub mod partition;
pub mod partition_items;
mod properties;
mod qualify;
pub mod records;
mod recover;
pub mod recycle_bin;
mod rename;
pub mod replace;
mod resource;
mod rollup;
#[cfg(test)]
mod round_trip;
mod state;
mod sync_view;
mod table_property;
#[cfg(test)]
pub(crate) mod tests;
mod truncate;
mod view;

pub use context::{check_normal, check_own, database_id};
pub use create_table::create_async_view;
pub use database::config as binlog_config;
pub use drop::{async_view as drop_async_view, temporary_tables as drop_temporary_tables};
pub use function::Function;
pub use recycle_bin::{Recycled, RecycledObject};
pub use resource::Resource;
pub use state::{AlterJob, BuildIndexJob, DdlState};
pub use view::tables as qualify_tables;

use crate::access;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::{Answer, Session};
use crate::snapshot;
use crate::sql::{CancelledJobs, Statement};

/// Runs a DDL or ADMIN statement. Errors carry Doris's codes and texts. Statements that are not DDL
/// (queries, SHOW, SET, USE, BACKUP…) belong to other parts and are refused.
pub fn run(cluster: &ClusterInner, session: &mut Session, statement: &Statement) -> SqlResult<Answer> {
    let outcome = execute(cluster, session, statement);
    if outcome.is_ok() {
        cluster.changed.notify_waiters();
    }
    outcome.map(|()| Answer::ok())
}

fn execute(cluster: &ClusterInner, session: &mut Session, statement: &Statement) -> SqlResult<()> {
    let state = &mut *cluster.fe.lock();
    match statement {
        Statement::CreateDatabase { name, if_not_exists, properties } => {
            database::create(state, name, *if_not_exists, properties)
        }
        Statement::DropDatabase { name, if_exists, force } => {
            database::drop(cluster, state, session, name, *if_exists, *force)
        }
        Statement::AlterDatabaseProperties { name, properties } => {
            database::set_properties(cluster, state, name, properties)
        }
        Statement::SetTransactionQuota { name, quota } => {
            database::set_transaction_quota(state, name, *quota)
        }
        Statement::RenameDatabase { name, new_name } => database::rename(state, name, new_name),
        Statement::CreateTable(create) => create_table::create(cluster, state, session, create),
        Statement::CreateTableLike(like) => create_table::create_like(cluster, state, session, like),
        Statement::DropTable { table, if_exists, force } => {
            drop::table(cluster, state, session, table, *if_exists, *force)
        }
        Statement::CreateView(create) => view::create(cluster, state, session, create),
        Statement::AlterView(alter) => view::alter(cluster, state, session, alter),
        Statement::DropView { view, if_exists } => drop::view(cluster, state, session, view, *if_exists),
        Statement::Truncate(truncate) => truncate::run(cluster, state, session, truncate),
        Statement::AlterTable(alter) => alter_table::run(cluster, state, session, alter),
        Statement::Recover(wanted) => recover::run(cluster, state, session, wanted),
        Statement::AdminSetFrontendConfig(settings) => {
            for (key, value) in settings {
                state.set_config(key, value);
            }
            state.journal();
            Ok(())
        }
        Statement::Account(account) => access::statement::run(state, session, account),
        Statement::Accepted(_) => {
            state.journal();
            Ok(())
        }
        Statement::CancelJobs(cancel) => match cancel.jobs {
            CancelledJobs::Alter(kind) => {
                job::cancel(cluster, state, session, kind, &cancel.table, &cancel.ids)
            }
            CancelledJobs::BuildIndex => {
                index_job::cancel(cluster, state, session, &cancel.table, &cancel.ids)
            }
        },
        Statement::CreateResource(create) => resource::create(state, create),
        Statement::DropResource { kind, name, if_exists } => resource::drop(state, *kind, name, *if_exists),
        Statement::Function(statement) => function::run(state, session, statement),
        Statement::Repository(repository) => {
            snapshot::repository::run(state, repository, cluster.clock.now_ms())
        }
        Statement::CreateMaterializedView { name, if_not_exists, query, text } => {
            let planned = sync_view::plan(cluster, state, session, name, *if_not_exists, query, text)?;
            if let Some((ids, index)) = planned {
                job::submit::sync_view(cluster, state, ids, index);
            }
            Ok(())
        }
        Statement::Show(_)
        | Statement::System(_)
        | Statement::Use(_)
        | Statement::Set(_)
        | Statement::Kill { .. }
        | Statement::Backup(_)
        | Statement::Restore(_)
        | Statement::AsyncView(_)
        | Statement::CancelBackup { .. }
        | Statement::CancelRestore { .. }
        | Statement::Sync
        | Statement::Begin { .. }
        | Statement::Commit
        | Statement::Rollback
        | Statement::Query(_) => Err(SqlError::general("the statement is not supported here")),
    }
}
