//! SHOW statements and their filters.

use super::ast::TableName;
use super::function::FunctionName;
use crate::access::UserIdentity;

#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    pub kind: ShowKind,
    pub filter: ShowFilter,
}

/// What narrows the rows of a SHOW statement, applied to its finished rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowFilter {
    pub like: Option<String>,
    /// Joined by AND.
    pub conditions: Vec<Condition>,
    /// Joined by OR; none when empty.
    pub alternatives: Vec<Condition>,
    pub order_by: Vec<OrderBy>,
    /// Offset and count.
    pub limit: Option<(usize, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub operator: Operator,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy {
    pub column: String,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ShowKind {
    Databases,
    Tables {
        full: bool,
        db: Option<String>,
    },
    Views {
        db: Option<String>,
    },
    TableById(i64),
    TableStatus {
        db: Option<String>,
    },
    CreateDatabase(String),
    CreateTable(TableName),
    CreateView(TableName),
    CreateMaterializedView {
        view: String,
        table: TableName,
    },
    /// The views that read a table.
    ViewsOf(TableName),
    Partitions {
        temporary: bool,
        table: TableName,
    },
    Tablets(TableName),
    Tablet(i64),
    Columns {
        full: bool,
        table: TableName,
    },
    Describe {
        table: TableName,
        all: bool,
    },
    Index(TableName),
    Data {
        table: Option<TableName>,
    },
    Frontends,
    Backends,
    Proc(String),
    AlterTable {
        kind: AlterJobKind,
        db: Option<String>,
    },
    BuildIndex {
        db: Option<String>,
    },
    Resources,
    StoragePolicies,
    DynamicPartitions {
        db: Option<String>,
    },
    Transaction {
        db: Option<String>,
    },
    Backup {
        db: Option<String>,
    },
    Restore {
        db: Option<String>,
        brief: bool,
    },
    Functions {
        is_global: bool,
        is_full: bool,
        db: Option<String>,
    },
    CreateFunction(FunctionName),
    Repositories,
    CreateRepository(String),
    Snapshot {
        repository: String,
    },
    CatalogRecycleBin,
    Variables {
        global: bool,
    },
    FrontendConfig,
    BackendConfig {
        backend: Option<i64>,
    },
    ProcessList,
    Grants {
        all: bool,
        /// `None`: one's own.
        user: Option<UserIdentity>,
    },
    Roles,
    /// Statements that answer an empty set here, with the columns they have in Doris.
    Empty {
        columns: Vec<&'static str>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterJobKind {
    Column,
    Rollup,
    MaterializedView,
}
