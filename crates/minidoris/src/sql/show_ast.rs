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
    /// WHERE.
    pub predicate: Option<Predicate>,
    pub order_by: Vec<OrderBy>,
    /// Offset and count.
    pub limit: Option<(usize, usize)>,
}

/// A condition on the cells of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare(Condition),
    In { column: String, values: Vec<String>, negated: bool },
    IsNull { column: String, negated: bool },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub operator: Operator,
    pub value: String,
    /// Whether the value was written in quotes.
    pub is_text: bool,
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
    CreateAsyncView(TableName),
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
    ProcessList {
        full: bool,
    },
    Grants {
        all: bool,
        /// `None`: one's own.
        user: Option<UserIdentity>,
    },
    Roles,
    /// Statements that always answer the same, most of them nothing: the columns they have in Doris, and rows.
    Constant {
        columns: Vec<&'static str>,
        rows: Vec<Vec<&'static str>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterJobKind {
    Column,
    Rollup,
    MaterializedView,
}

impl ShowFilter {
    /// The comparisons of a WHERE that holds nothing but these, joined by AND; none without WHERE.
    pub fn comparisons(&self) -> Option<Vec<&Condition>> {
        fn of(predicate: &Predicate) -> Option<Vec<&Condition>> {
            match predicate {
                Predicate::Compare(condition) => Some(vec![condition]),
                Predicate::All(parts) => {
                    parts.iter().map(of).collect::<Option<Vec<_>>>().map(|parts| parts.concat())
                }
                Predicate::Any(_) | Predicate::Not(_) | Predicate::In { .. } | Predicate::IsNull { .. } => {
                    None
                }
            }
        }
        self.predicate.as_ref().map_or_else(|| Some(Vec::new()), of)
    }
}

impl Predicate {
    /// The names of the columns that it looks at.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().flat_map(Predicate::columns).collect()
            }
            Predicate::Not(part) => part.columns(),
            Predicate::Compare(condition) => vec![&condition.column],
            Predicate::In { column, .. } | Predicate::IsNull { column, .. } => vec![column],
        }
    }

    /// The value that a column must equal as one part of a conjunction, and what is left of the condition.
    pub fn split_equal(&self, column: &str) -> (Option<String>, Option<Predicate>) {
        match self {
            Predicate::Compare(condition)
                if condition.operator == Operator::Equal && condition.column.eq_ignore_ascii_case(column) =>
            {
                (Some(condition.value.clone()), None)
            }
            Predicate::All(parts) => {
                let mut found = None;
                let mut left = Vec::new();
                for part in parts {
                    let (value, rest) = part.split_equal(column);
                    found = found.or(value);
                    left.extend(rest);
                }
                (found, (!left.is_empty()).then_some(Predicate::All(left)))
            }
            Predicate::Any(_)
            | Predicate::Not(_)
            | Predicate::Compare(_)
            | Predicate::In { .. }
            | Predicate::IsNull { .. } => (None, Some(self.clone())),
        }
    }
}
