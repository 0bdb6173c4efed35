//! One statement text in, one answer per statement out.
//!
//! Sorts parsed statements to the parts that run them. Frontends share the catalogue, so a follower runs
//! every statement itself, as if it had forwarded it and waited for the journal; what Doris forwards to
//! the master needs a living master here too.

mod assign;
mod kind;
pub mod variables;

use std::sync::Arc;

pub use kind::kind;

use crate::cluster::{Cluster, ClusterInner};
use crate::error::{SqlError, SqlResult};
use crate::query::transaction;
use crate::session::{Answer, Session};
use crate::sql::{self, ShowKind, Statement};
use crate::{access, exec, mv, query, show, snapshot};

/// Databases that every cluster has and that hold no replicated table.
const SYSTEM_DATABASES: [&str; 3] = ["information_schema", "mysql", "__internal_schema"];

/// Runs the statements of `sql` in order as a client of frontend `fe`, and stops after the first error.
pub async fn execute(
    cluster: &Arc<ClusterInner>,
    fe: usize,
    session: &mut Session,
    sql: &str,
) -> Vec<SqlResult<Answer>> {
    let mut answers = Vec::new();
    for statement in sql::split_statements(sql) {
        let answer = run(cluster, fe, session, statement).await;
        let failed = answer.is_err();
        answers.push(answer);
        if failed {
            break;
        }
    }
    answers
}

/// Runs one statement.
pub async fn run(
    cluster: &Arc<ClusterInner>,
    fe: usize,
    session: &mut Session,
    text: &str,
) -> SqlResult<Answer> {
    session.frontend = fe;
    if let Some(result) = variables::select(cluster, session, text) {
        return result.map(Answer::Rows);
    }
    let statement = sql::parse(text)?;
    if needs_master(&statement) && cluster.master().is_none() {
        return Err(SqlError::general("Node catalog is not ready, please wait for a while."));
    }
    if session.transaction.is_some() {
        transaction::check_allowed(&statement)?;
    }
    access::check::statement(&cluster.fe.lock(), session, &statement)?;
    tracing::debug!(cluster = %cluster.name, fe, statement = kind(text), "running");
    match &statement {
        Statement::Set(items) => assign::run(cluster, session, items).await.map(|()| Answer::ok()),
        Statement::Kill { id, only_query } => {
            cluster.clients.kill(&cluster.fe.lock(), session, *id, *only_query).map(|()| Answer::ok())
        }
        Statement::Use(name) => use_database(cluster, session, name).map(|()| Answer::ok()),
        Statement::Show(wanted) => show::run(cluster, session, wanted).map(Answer::Rows),
        // Every change is visible on all frontends at once.
        Statement::Sync => Ok(Answer::ok()),
        Statement::Begin { label } => Ok(transaction::begin(session, label.as_deref())),
        Statement::Commit => transaction::commit(cluster, session).await,
        Statement::Rollback => {
            transaction::rollback(cluster, session, "rolled back by the user");
            Ok(Answer::ok())
        }
        Statement::Query(wanted) => query::run(cluster, session, &wanted.text).await,
        Statement::Backup(backup) => {
            let db = named_or_current(backup.db.as_deref(), session)?;
            snapshot::wait_to_submit(cluster).await?;
            snapshot::submit_backup(cluster, &db, backup).map(|()| Answer::ok())
        }
        Statement::Restore(restore) => {
            let db = named_or_current(restore.db.as_deref(), session)?;
            snapshot::wait_to_submit(cluster).await?;
            snapshot::restore_from_repository(cluster, &db, restore).map(|()| Answer::ok())
        }
        Statement::AsyncView(statement) => mv::run(cluster, session, statement),
        Statement::CancelBackup { db } => {
            let db = named_or_current(db.as_deref(), session)?;
            snapshot::cancel_backup(cluster, &db).map(|()| Answer::ok())
        }
        Statement::CancelRestore { db } => {
            let db = named_or_current(db.as_deref(), session)?;
            snapshot::cancel_restore(cluster, &db).map(|()| Answer::ok())
        }
        Statement::System(system) => {
            let running =
                Cluster::of(cluster).ok_or_else(|| SqlError::general("the cluster has no nodes"))?;
            running.alter_system(system).await.map(|()| Answer::ok())
        }
        Statement::CreateTable(create) if create.as_select.is_some() => {
            let query = create.as_select.as_deref().unwrap_or_default();
            query::create_as_select::run(cluster, session, create, query).await
        }
        Statement::CreateDatabase { .. }
        | Statement::DropDatabase { .. }
        | Statement::AlterDatabaseProperties { .. }
        | Statement::SetTransactionQuota { .. }
        | Statement::RenameDatabase { .. }
        | Statement::CreateTable(_)
        | Statement::CreateTableLike(_)
        | Statement::DropTable { .. }
        | Statement::CreateView(_)
        | Statement::CreateMaterializedView { .. }
        | Statement::AlterView(_)
        | Statement::DropView { .. }
        | Statement::Truncate(_)
        | Statement::AlterTable(_)
        | Statement::Recover(_)
        | Statement::AdminSetFrontendConfig(_)
        | Statement::CancelJobs(_)
        | Statement::CreateResource(_)
        | Statement::DropResource { .. }
        | Statement::Repository(_)
        | Statement::Function(_)
        | Statement::Account(_)
        | Statement::Accepted(_) => exec::run(cluster, session, &statement),
    }
}

/// Makes `name` the session's database; `catalog.db` is understood.
pub fn use_database(cluster: &ClusterInner, session: &mut Session, name: &str) -> SqlResult<()> {
    let name = name.strip_prefix("internal.").unwrap_or(name);
    access::check::entering(&cluster.fe.lock(), session, name)?;
    let known = SYSTEM_DATABASES.iter().any(|system| system.eq_ignore_ascii_case(name))
        || cluster.fe.lock().database_named(name).is_some();
    if !known {
        return Err(SqlError::unknown_database(name));
    }
    session.database = Some(name.to_owned());
    Ok(())
}

fn named_or_current(db: Option<&str>, session: &Session) -> SqlResult<String> {
    let db = db.or(session.database.as_deref());
    db.map(str::to_owned).ok_or_else(|| SqlError {
        code: 1046,
        state: "3D000",
        message: "No database selected".to_owned(),
    })
}

/// What a follower forwards. Reads of the own catalogue and session statements stay local.
fn needs_master(statement: &Statement) -> bool {
    match statement {
        Statement::Set(_) | Statement::Use(_) | Statement::Kill { .. } => false,
        Statement::Query(query) => match query.kind {
            sql::QueryKind::Select | sql::QueryKind::Explain => false,
            sql::QueryKind::Insert | sql::QueryKind::Delete | sql::QueryKind::Update => true,
        },
        Statement::Show(wanted) => {
            matches!(wanted.kind, ShowKind::Proc(_) | ShowKind::Backup { .. } | ShowKind::Restore { .. })
        }
        Statement::CreateDatabase { .. }
        | Statement::DropDatabase { .. }
        | Statement::AlterDatabaseProperties { .. }
        | Statement::SetTransactionQuota { .. }
        | Statement::RenameDatabase { .. }
        | Statement::CreateTable(_)
        | Statement::CreateTableLike(_)
        | Statement::DropTable { .. }
        | Statement::CreateView(_)
        | Statement::CreateMaterializedView { .. }
        | Statement::AlterView(_)
        | Statement::DropView { .. }
        | Statement::Truncate(_)
        | Statement::AlterTable(_)
        | Statement::Recover(_)
        | Statement::AdminSetFrontendConfig(_)
        | Statement::System(_)
        | Statement::Backup(_)
        | Statement::Restore(_)
        | Statement::CancelBackup { .. }
        | Statement::CancelRestore { .. }
        | Statement::CancelJobs(_)
        | Statement::CreateResource(_)
        | Statement::DropResource { .. }
        | Statement::Repository(_)
        | Statement::Function(_)
        | Statement::AsyncView(_)
        | Statement::Account(_)
        | Statement::Accepted(_)
        | Statement::Sync
        | Statement::Begin { .. }
        | Statement::Commit
        | Statement::Rollback => true,
    }
}
