//! What each statement asks for, and the refusals.
//!
//! A session without an identity belongs to the process itself and may do everything. The checks stand before
//! the look-up of what the statement names, as in Doris, so that a stranger cannot tell what exists.

use std::collections::BTreeSet;

use super::{UserIdentity, Wanted};
use crate::error::{SqlError, SqlResult};
use crate::session::{ResultSet, Session};
use crate::sql::{
    AccountStatement, AlterOperation, AsyncViewStatement, GrantLevel, Granted, Recover, SetScope, Show,
    ShowKind, Statement, TableName,
};
use crate::state::FeState;

/// Databases that everyone may look into.
const OPEN_DATABASES: [&str; 2] = ["information_schema", "mysql"];

/// The account of the session; the process itself counts as `root`.
pub fn identity_of(session: &Session) -> UserIdentity {
    session.identity.clone().unwrap_or_else(|| UserIdentity::new("root", "%"))
}

/// Refuses with 1227 what needs a privilege everywhere.
pub fn globally(state: &FeState, session: &Session, wanted: Wanted) -> SqlResult<()> {
    match &session.identity {
        Some(identity) if !state.accounts.allows_globally(identity, wanted) => Err(needs(wanted)),
        Some(_) | None => Ok(()),
    }
}

/// Refuses with 1227 what needs a privilege on a database.
fn on_database(state: &FeState, session: &Session, db: &str, wanted: Wanted) -> SqlResult<()> {
    match &session.identity {
        Some(identity) if !state.accounts.allows_database(identity, db, wanted) => Err(needs(wanted)),
        Some(_) | None => Ok(()),
    }
}

/// Refuses with 1044 statements about a database.
fn database(state: &FeState, session: &Session, db: &str, wanted: Wanted) -> SqlResult<()> {
    match &session.identity {
        Some(identity) if !state.accounts.allows_database(identity, db, wanted) => {
            Err(no_access(identity, db))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses with 1044 to look into a database of which the account may see nothing.
pub fn entering(state: &FeState, session: &Session, db: &str) -> SqlResult<()> {
    if OPEN_DATABASES.iter().any(|open| open.eq_ignore_ascii_case(db)) {
        return Ok(());
    }
    match &session.identity {
        Some(identity) if !state.accounts.allows_within(identity, db, Wanted::SHOW) => {
            Err(no_access(identity, db))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses with 1142 a command on a table.
pub fn table(
    state: &FeState,
    session: &Session,
    db: &str,
    table: &str,
    wanted: Wanted,
    command: &str,
) -> SqlResult<()> {
    let Some(identity) = &session.identity else { return Ok(()) };
    if state.accounts.allows_table(identity, db, table, wanted) {
        return Ok(());
    }
    let host = session.address.as_deref().unwrap_or("127.0.0.1");
    let message =
        format!("{command} command denied to user '{}'@'{host}' for table '{db}: {table}'", identity.user);
    Err(SqlError { code: 1142, state: "42000", message })
}

/// What a session may read of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    All,
    Columns(BTreeSet<String>),
}

/// Refuses with 1142 to read a table of which the account may read nothing.
pub fn reading(state: &FeState, session: &Session, db: &str, name: &str) -> SqlResult<Readable> {
    let refusal = match table(state, session, db, name, Wanted::SELECT, "SELECT") {
        Ok(()) => return Ok(Readable::All),
        Err(refusal) => refusal,
    };
    let columns = state.accounts.readable_columns(&identity_of(session), db, name);
    if columns.is_empty() { Err(refusal) } else { Ok(Readable::Columns(columns)) }
}

/// The refusal to read a column.
pub fn column_denial(session: &Session, db: &str, table: &str, column: &str) -> String {
    format!(
        "Permission denied: user [{}] does not have privilege for [privilege predicate: OR, Admin_priv Select_priv] \
         command on [internal].[{db}].[{table}].[{column}]",
        identity_of(session)
    )
}

/// Refuses with 1227 what needs a privilege on a table.
fn on_table(state: &FeState, session: &Session, name: &TableName, wanted: Wanted) -> SqlResult<()> {
    let Some(identity) = &session.identity else { return Ok(()) };
    match db_of(session, name.db.as_deref()) {
        Some(db) if !state.accounts.allows_table(identity, db, &name.name, wanted) => Err(needs(wanted)),
        Some(_) | None => Ok(()),
    }
}

/// [`table`] for a name that may leave the database to the session. Without a database the statement fails
/// for that reason later.
fn named_table(
    state: &FeState,
    session: &Session,
    name: &TableName,
    wanted: Wanted,
    command: &str,
) -> SqlResult<()> {
    match db_of(session, name.db.as_deref()) {
        Some(db) => table(state, session, db, &name.name, wanted, command),
        None => Ok(()),
    }
}

fn db_of<'a>(session: &'a Session, db: Option<&'a str>) -> Option<&'a str> {
    db.or(session.database.as_deref())
}

fn needs(wanted: Wanted) -> SqlError {
    SqlError { code: 1227, state: "42000", message: denial(wanted) }
}

/// The text of 1227, which the thrift methods use as well.
pub fn denial(wanted: Wanted) -> String {
    format!("Access denied; you need (at least one of) the ({}) privilege(s) for this operation", wanted.name)
}

fn no_access(identity: &UserIdentity, db: &str) -> SqlError {
    let message = format!("Access denied for user '{}' to database '{db}'", identity.user);
    SqlError { code: 1044, state: "42000", message }
}

/// Whether the session may run the statement. Queries and loads check their tables where they find them.
pub fn statement(state: &FeState, session: &Session, statement: &Statement) -> SqlResult<()> {
    if session.identity.is_none() {
        return Ok(());
    }
    match statement {
        Statement::CreateDatabase { name, .. } => database(state, session, name, Wanted::CREATE),
        Statement::DropDatabase { name, .. } => database(state, session, name, Wanted::DROP),
        Statement::AlterDatabaseProperties { name, .. } | Statement::RenameDatabase { name, .. } => {
            database(state, session, name, Wanted::ALTER)
        }
        Statement::SetTransactionQuota { .. } => globally(state, session, Wanted::ADMIN),
        Statement::CreateTable(create) => on_table(state, session, &create.table, Wanted::CREATE),
        Statement::CreateTableLike(like) => {
            named_table(state, session, &like.source, Wanted::SELECT, "SELECT")?;
            on_table(state, session, &like.table, Wanted::CREATE)
        }
        Statement::DropTable { table, .. } => on_table(state, session, table, Wanted::DROP),
        Statement::DropView { view, .. } => on_table(state, session, view, Wanted::DROP),
        Statement::CreateView(create) => on_table(state, session, &create.view, Wanted::CREATE),
        Statement::AlterView(alter) => named_table(state, session, &alter.view, Wanted::ALTER, "ALTER VIEW"),
        // The table is known only from the query.
        Statement::CreateMaterializedView { name, .. } => match db_of(session, name.db.as_deref()) {
            Some(db) => on_database(state, session, db, Wanted::ALTER),
            None => Ok(()),
        },
        Statement::Truncate(truncate) => on_table(state, session, &truncate.table, Wanted::LOAD),
        Statement::AlterTable(alter) => {
            named_table(state, session, &alter.table, Wanted::ALTER, "ALTER TABLE")?;
            for operation in &alter.operations {
                if let AlterOperation::ReplaceTable { with, .. } = operation {
                    let other = TableName { db: alter.table.db.clone(), name: with.clone() };
                    named_table(state, session, &other, Wanted::ALTER, "ALTER TABLE")?;
                }
            }
            Ok(())
        }
        Statement::CancelJobs(cancel) => {
            named_table(state, session, &cancel.table, Wanted::ALTER, "CANCEL ALTER TABLE")
        }
        Statement::Recover(recover) => match recover {
            Recover::Database { name, .. } => database(state, session, name, Wanted::ALTER_CREATE),
            Recover::Table { table, .. } | Recover::Partition { table, .. } => {
                named_table(state, session, table, Wanted::ALTER_CREATE, "RECOVERY")
            }
        },
        Statement::AsyncView(statement) => about_view(state, session, statement),
        Statement::Backup(backup) => load_on(state, session, backup.db.as_deref()),
        Statement::CancelBackup { db } | Statement::CancelRestore { db } => {
            load_on(state, session, db.as_deref())
        }
        Statement::Restore(restore) => load_on(state, session, restore.db.as_deref()),
        Statement::CreateResource(_)
        | Statement::DropResource { .. }
        | Statement::Repository(_)
        | Statement::Function(_) => globally(state, session, Wanted::ADMIN),
        Statement::AdminSetFrontendConfig(_) => globally(state, session, Wanted::ADMIN),
        Statement::System(_) => globally(state, session, Wanted::OPERATOR),
        Statement::Account(account) => about_accounts(state, session, account),
        Statement::Accepted(words) => accepted(state, session, words),
        Statement::Use(db) => entering(state, session, db.strip_prefix("internal.").unwrap_or(db)),
        Statement::Show(wanted) => show(state, session, wanted),
        Statement::Set(items) => match items.iter().any(|item| item.scope == SetScope::Global) {
            true => globally(state, session, Wanted::ADMIN),
            false => Ok(()),
        },
        Statement::Sync
        | Statement::Begin { .. }
        | Statement::Commit
        | Statement::Rollback
        | Statement::Kill { .. }
        | Statement::Query(_) => Ok(()),
    }
}

fn about_view(state: &FeState, session: &Session, statement: &AsyncViewStatement) -> SqlResult<()> {
    match statement {
        AsyncViewStatement::Create(create) => on_table(state, session, &create.view, Wanted::CREATE),
        AsyncViewStatement::Drop { view, .. } => on_table(state, session, view, Wanted::DROP),
        AsyncViewStatement::Refresh { view, .. }
        | AsyncViewStatement::Pause(view)
        | AsyncViewStatement::Resume(view)
        | AsyncViewStatement::CancelTask { view, .. }
        | AsyncViewStatement::Rename { view, .. }
        | AsyncViewStatement::Reschedule { view, .. }
        | AsyncViewStatement::Set { view, .. } => on_table(state, session, view, Wanted::ALTER),
    }
}

fn load_on(state: &FeState, session: &Session, db: Option<&str>) -> SqlResult<()> {
    match db_of(session, db) {
        Some(db) => on_database(state, session, db, Wanted::LOAD),
        None => Ok(()),
    }
}

/// Statements about the cluster need ADMIN; those about tables that are only accepted need nothing.
fn accepted(state: &FeState, session: &Session, words: &str) -> SqlResult<()> {
    let mut words = words.split(' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let of_cluster = match first {
        "ADMIN" | "CLEAN" | "INSTALL" | "UNINSTALL" | "WARM" | "UNSET" => true,
        "CREATE" | "ALTER" | "DROP" => {
            ["RESOURCE", "STORAGE", "CATALOG", "WORKLOAD", "SYSTEM", "SQL_BLOCK_RULE", "ROLE"]
                .contains(&second)
        }
        _ => false,
    };
    if of_cluster { globally(state, session, Wanted::ADMIN) } else { Ok(()) }
}

fn about_accounts(state: &FeState, session: &Session, statement: &AccountStatement) -> SqlResult<()> {
    match statement {
        AccountStatement::AlterUser { user, .. } if *user == identity_of(session) => Ok(()),
        AccountStatement::SetPassword { user, .. }
            if user.as_ref().is_none_or(|user| *user == identity_of(session)) =>
        {
            Ok(())
        }
        // Who may grant on an object need not be able to grant everywhere.
        AccountStatement::Grant {
            granted: Granted::Privileges { on: GrantLevel::Database(db), .. }, ..
        } => on_database(state, session, db, Wanted::GRANT),
        AccountStatement::Grant {
            granted: Granted::Privileges { on: GrantLevel::Table(db, table), .. },
            ..
        } => on_table(state, session, &TableName::new(Some(db), table), Wanted::GRANT),
        AccountStatement::CreateUser { .. }
        | AccountStatement::AlterUser { .. }
        | AccountStatement::DropUser { .. }
        | AccountStatement::SetPassword { .. }
        | AccountStatement::CreateRole { .. }
        | AccountStatement::DropRole { .. }
        | AccountStatement::Grant { .. } => globally(state, session, Wanted::GRANT),
    }
}

fn show(state: &FeState, session: &Session, show: &Show) -> SqlResult<()> {
    let of_table = |name: &TableName, command| named_table(state, session, name, Wanted::SHOW, command);
    match &show.kind {
        ShowKind::Databases
        | ShowKind::Variables { .. }
        | ShowKind::ProcessList { .. }
        | ShowKind::Resources
        | ShowKind::StoragePolicies
        | ShowKind::Repositories
        | ShowKind::Constant { .. }
        | ShowKind::Grants { all: false, user: None } => Ok(()),
        ShowKind::Grants { user: Some(user), .. } if *user == identity_of(session) => Ok(()),
        ShowKind::Grants { .. } | ShowKind::Roles => globally(state, session, Wanted::GRANT),
        ShowKind::Tables { db, .. }
        | ShowKind::Views { db }
        | ShowKind::TableStatus { db }
        | ShowKind::Functions { db, .. }
        | ShowKind::AlterTable { db, .. }
        | ShowKind::DynamicPartitions { db }
        | ShowKind::BuildIndex { db } => match db_of(session, db.as_deref()) {
            Some(db) => entering(state, session, db),
            None => Ok(()),
        },
        ShowKind::CreateDatabase(db) => entering(state, session, db),
        ShowKind::Transaction { db } | ShowKind::Backup { db } | ShowKind::Restore { db, .. } => {
            match db_of(session, db.as_deref()) {
                Some(db) => database(state, session, db, Wanted::LOAD),
                None => Ok(()),
            }
        }
        ShowKind::CreateTable(name) => of_table(name, "SHOW CREATE TABLE"),
        ShowKind::CreateView(name) => of_table(name, "SHOW CREATE VIEW"),
        ShowKind::CreateMaterializedView { table, .. } => of_table(table, "SHOW CREATE MATERIALIZED VIEW"),
        ShowKind::CreateAsyncView(name) => of_table(name, "SHOW CREATE MATERIALIZED VIEW"),
        ShowKind::ViewsOf(name) => of_table(name, "SHOW VIEW"),
        ShowKind::Partitions { table, .. } => of_table(table, "SHOW PARTITIONS"),
        ShowKind::Tablets(name) => of_table(name, "SHOW TABLETS"),
        ShowKind::Columns { table, .. } => of_table(table, "SHOW COLUMNS"),
        ShowKind::Describe { table, .. } => of_table(table, "DESCRIBE"),
        ShowKind::Index(name) => of_table(name, "SHOW INDEX"),
        ShowKind::Data { table: Some(name) } => of_table(name, "SHOW DATA"),
        ShowKind::Data { table: None } => match session.database.as_deref() {
            Some(db) => entering(state, session, db),
            None => Ok(()),
        },
        ShowKind::Snapshot { .. } => globally(state, session, Wanted::LOAD),
        ShowKind::Frontends | ShowKind::Backends => globally(state, session, Wanted::NODE),
        ShowKind::CreateFunction(_)
        | ShowKind::CreateRepository(_)
        | ShowKind::TableById(_)
        | ShowKind::Tablet(_)
        | ShowKind::Proc(_)
        | ShowKind::CatalogRecycleBin
        | ShowKind::FrontendConfig
        | ShowKind::BackendConfig { .. } => globally(state, session, Wanted::ADMIN),
    }
}

/// Leaves out databases and tables that the session's account may not see. `db_column` and `table_column`
/// are the columns with their names.
pub fn retain_visible(
    state: &FeState,
    session: &Session,
    result: &mut ResultSet,
    db_of_row: impl Fn(&[Option<String>]) -> Option<String>,
    table_column: Option<usize>,
) {
    let Some(identity) = &session.identity else { return };
    result.rows.retain(|row| {
        let Some(db) = db_of_row(row) else { return true };
        if OPEN_DATABASES.contains(&db.as_str()) {
            return true;
        }
        match table_column.and_then(|at| row.get(at)?.as_deref()) {
            Some(table) => state.accounts.allows_table(identity, &db, table, Wanted::SHOW),
            None => state.accounts.allows_within(identity, &db, Wanted::SHOW),
        }
    });
}
