//! The statements that the emulator understands, as the parser hands them on.
//!
//! Values stay as written; what they mean for a table is decided where the statement is executed.

use indexmap::IndexMap;

use super::account_ast::AccountStatement;
use super::async_view::AsyncViewStatement;
use super::function::FunctionStatement;
use super::repository::RepositoryStatement;
use super::show_ast::{AlterJobKind, Show};
use super::system_ast::SystemStatement;
use crate::model::{AggregateKind, DataType, DefaultValue, Distribution, KeysType, PartitionValue};

/// Property names and values in the order written.
pub type Properties = IndexMap<String, String>;

/// A table, possibly qualified by its database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    pub db: Option<String>,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    CreateDatabase {
        name: String,
        if_not_exists: bool,
        properties: Properties,
    },
    DropDatabase {
        name: String,
        if_exists: bool,
        force: bool,
    },
    AlterDatabaseProperties {
        name: String,
        properties: Properties,
    },
    SetTransactionQuota {
        name: String,
        quota: i64,
    },
    RenameDatabase {
        name: String,
        new_name: String,
    },
    CreateTable(Box<CreateTable>),
    CreateTableLike(CreateTableLike),
    DropTable {
        table: TableName,
        if_exists: bool,
        force: bool,
    },
    CreateView(CreateView),
    /// A synchronous one: a rollup with a query.
    CreateMaterializedView {
        name: TableName,
        if_not_exists: bool,
        query: String,
        /// The whole statement.
        text: String,
    },
    AlterView(CreateView),
    DropView {
        view: TableName,
        if_exists: bool,
    },
    Truncate(Truncate),
    AlterTable(AlterTable),
    Recover(Recover),
    Show(Show),
    Use(String),
    Set(Vec<SetItem>),
    /// KILL [CONNECTION | QUERY] n.
    Kill {
        id: u32,
        only_query: bool,
    },
    AdminSetFrontendConfig(Properties),
    System(SystemStatement),
    Backup(SnapshotStatement),
    Restore(SnapshotStatement),
    CancelBackup {
        db: Option<String>,
    },
    CancelRestore {
        db: Option<String>,
    },
    /// CANCEL ALTER TABLE, CANCEL BUILD INDEX.
    CancelJobs(CancelJobs),
    CreateResource(CreateResource),
    DropResource {
        kind: ResourceKind,
        name: String,
        if_exists: bool,
    },
    Repository(RepositoryStatement),
    Function(FunctionStatement),
    AsyncView(AsyncViewStatement),
    /// Users, roles, GRANT and REVOKE.
    Account(AccountStatement),
    /// Accepted and journalled, without an effect that replication could see (ANALYZE, catalogs, workload groups…). Holds the leading keywords.
    Accepted(String),
    Sync,
    /// BEGIN, START TRANSACTION.
    Begin {
        label: Option<String>,
    },
    Commit,
    Rollback,
    /// SELECT, INSERT, DELETE, UPDATE, WITH, EXPLAIN…, left to the query engine.
    Query(Query),
}

/// A statement whose text is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub kind: QueryKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    /// SELECT, WITH, VALUES or a parenthesised query.
    Select,
    Insert,
    Delete,
    Update,
    Explain,
}

/// CREATE RESOURCE, CREATE STORAGE POLICY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateResource {
    pub kind: ResourceKind,
    pub name: String,
    pub if_not_exists: bool,
    pub properties: Properties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    Resource,
    StoragePolicy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelJobs {
    pub jobs: CancelledJobs,
    pub table: TableName,
    /// Empty: all running jobs of the table.
    pub ids: Vec<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledJobs {
    Alter(AlterJobKind),
    BuildIndex,
}

/// One assignment of a SET statement; the value as the text behind `=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetItem {
    pub scope: SetScope,
    pub name: String,
    pub value: String,
    /// The value was written in quotes, which are left out.
    pub is_text: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetScope {
    Session,
    Global,
    /// `@name`.
    User,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    pub table: TableName,
    /// Ends with the session.
    pub temporary: bool,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDef>,
    pub indexes: Vec<IndexDef>,
    /// `None` when the text has no key clause.
    pub keys: Option<(KeysType, Vec<String>)>,
    pub cluster_by: Vec<String>,
    pub comment: String,
    pub partitioning: Option<Partitioning>,
    /// `None` without a DISTRIBUTED BY clause.
    pub distribution: Option<Distribution>,
    pub rollups: Vec<RollupDef>,
    pub properties: Properties,
    /// The query of CREATE TABLE … AS SELECT.
    pub as_select: Option<String>,
    /// Names for the columns of that query, when given.
    pub select_names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTableLike {
    pub table: TableName,
    pub if_not_exists: bool,
    pub source: TableName,
    /// `None`: no rollups; an empty list: all of them.
    pub with_rollups: Option<Vec<String>>,
}

/// A column as written; what was left out is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    pub name: String,
    pub data_type: DataType,
    /// `KEY` behind the type.
    pub is_key: bool,
    pub aggregate: Option<AggregateKind>,
    pub nullable: Option<bool>,
    pub default: Option<DefaultValue>,
    pub auto_increment: Option<i64>,
    pub generated: Option<String>,
    pub on_update: Option<String>,
    pub comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDef {
    pub name: String,
    pub if_not_exists: bool,
    pub columns: Vec<String>,
    /// `INVERTED` unless named otherwise.
    pub kind: String,
    pub properties: Properties,
    pub comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupDef {
    pub name: String,
    pub columns: Vec<String>,
    /// DUPLICATE KEY columns, empty when not given.
    pub keys: Vec<String>,
    /// `FROM base`, when given.
    pub base: Option<String>,
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioning {
    pub is_list: bool,
    pub is_auto: bool,
    pub columns: Vec<String>,
    /// The expression of an auto partition, as printed: ``date_trunc(`c`, 'day')``.
    pub auto_expr: Option<String>,
    pub partitions: Vec<PartitionDef>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDef {
    /// Empty for `FROM … TO … INTERVAL`, which names its partitions itself.
    pub name: String,
    pub if_not_exists: bool,
    pub values: PartitionValues,
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionValues {
    /// No VALUES clause: the default partition of a list, or a partition of an unpartitioned table.
    None,
    /// An upper bound; the lower one is the upper bound of the partition before.
    LessThan(Vec<PartitionValue>),
    Fixed {
        lower: Vec<PartitionValue>,
        upper: Vec<PartitionValue>,
    },
    /// `FROM (a) TO (b) INTERVAL n [unit]`.
    Step {
        from: Vec<PartitionValue>,
        to: Vec<PartitionValue>,
        interval: i64,
        unit: Option<String>,
    },
    In(Vec<Vec<PartitionValue>>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    pub view: TableName,
    pub if_not_exists: bool,
    pub or_replace: bool,
    /// Name and comment; empty when the query names the columns.
    pub columns: Vec<(String, String)>,
    pub comment: String,
    /// `None` for ALTER VIEW … MODIFY COMMENT.
    pub query: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    pub table: TableName,
    /// `None`: the whole table.
    pub partitions: Option<Vec<String>>,
    pub force: bool,
}

/// `RECOVER DATABASE | TABLE | PARTITION x [id] [AS new] [FROM t]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recover {
    Database { name: String, id: Option<i64>, new_name: Option<String> },
    Table { table: TableName, id: Option<i64>, new_name: Option<String> },
    Partition { partition: String, id: Option<i64>, new_name: Option<String>, table: TableName },
}

/// `BACKUP SNAPSHOT … TO …` and `RESTORE SNAPSHOT … FROM …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotStatement {
    pub db: Option<String>,
    pub label: String,
    pub repository: String,
    /// Tables of the ON clause with their partitions.
    pub tables: Option<Vec<BackupTable>>,
    /// Tables of the EXCLUDE clause.
    pub exclude: Vec<String>,
    pub properties: Properties,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupTable {
    pub name: String,
    pub partitions: Option<Vec<String>>,
    /// `AS x`, which a backup refuses.
    pub alias: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterTable {
    pub table: TableName,
    pub operations: Vec<AlterOperation>,
}

/// Where a column goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPosition {
    Last,
    First,
    After(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterOperation {
    AddPartition {
        temporary: bool,
        partition: PartitionDef,
        distribution: Option<Distribution>,
    },
    DropPartition {
        temporary: bool,
        if_exists: bool,
        name: String,
        force: bool,
    },
    ReplacePartition {
        partitions: Vec<String>,
        temp_partitions: Vec<String>,
        force: bool,
        properties: Properties,
    },
    ModifyPartition {
        partitions: Vec<String>,
        all: bool,
        properties: Properties,
    },
    AddColumn {
        column: ColumnDef,
        position: ColumnPosition,
        rollup: Option<String>,
        properties: Properties,
    },
    AddColumns {
        columns: Vec<ColumnDef>,
        rollup: Option<String>,
        properties: Properties,
    },
    DropColumn {
        name: String,
        rollup: Option<String>,
        properties: Properties,
    },
    ModifyColumn {
        column: ColumnDef,
        position: Option<ColumnPosition>,
        rollup: Option<String>,
        properties: Properties,
    },
    OrderBy {
        columns: Vec<String>,
        rollup: Option<String>,
    },
    AddRollup {
        rollups: Vec<RollupDef>,
    },
    DropRollup {
        names: Vec<String>,
        if_exists: bool,
    },
    AddIndex(IndexDef),
    DropIndex {
        name: String,
        if_exists: bool,
    },
    BuildIndex {
        name: String,
        partitions: Option<Vec<String>>,
    },
    Rename {
        new_name: String,
    },
    RenameRollup {
        from: String,
        to: String,
    },
    RenamePartition {
        from: String,
        to: String,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    ReplaceTable {
        with: String,
        swap: bool,
        force: bool,
    },
    SetProperties(Properties),
    ModifyComment(String),
    ModifyColumnComment {
        column: String,
        comment: String,
    },
    ModifyDistribution(Distribution),
    EnableFeature {
        name: String,
        properties: Properties,
    },
}

impl TableName {
    pub fn new(db: Option<&str>, name: &str) -> Self {
        Self { db: db.map(str::to_owned), name: name.to_owned() }
    }
}
