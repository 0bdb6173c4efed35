//! What belongs to one client connection, and what a statement answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::UserIdentity;
use crate::model::DataType;
use crate::query::{Cancel, Explicit};

/// The state of one SQL connection.
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub user: String,
    /// The account; `None` for the process itself, which may do everything.
    pub identity: Option<UserIdentity>,
    /// Where the client comes from, as far as it is known.
    pub address: Option<String>,
    /// What `connection_id()` answers; 0 inside the process.
    pub connection_id: u32,
    /// Number of the frontend that the client is connected to.
    pub frontend: usize,
    pub database: Option<String>,
    pub variables: BTreeMap<String, String>,
    /// What `SET @name = …` set, by name in lower case.
    pub user_variables: BTreeMap<String, UserValue>,
    /// Set from BEGIN to COMMIT or ROLLBACK.
    pub transaction: Option<Explicit>,
    /// By which KILL ends what runs; all copies of the session share it.
    pub cancel: Arc<Cancel>,
    /// Database and table ids of what CREATE TEMPORARY TABLE made.
    pub temporary_tables: Vec<(i64, i64)>,
}

/// The value of a user variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserValue {
    /// `None` is NULL.
    pub text: Option<String>,
    pub is_number: bool,
}

/// What one statement answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done { affected_rows: u64, info: String },
    Rows(ResultSet),
}

/// Rows as text; `None` is SQL NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultSet {
    pub columns: Vec<String>,
    /// One per column, or empty when every column is text, as in SHOW.
    pub types: Vec<ColumnType>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// The type that a column definition announces; values are always sent as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// CHAR, VARCHAR, STRING, LARGEINT, complex types.
    Text,
    /// Also BOOLEAN.
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Decimal,
    Date,
    DateTime,
    Json,
}

impl Answer {
    pub fn ok() -> Self {
        Answer::Done { affected_rows: 0, info: String::new() }
    }
}

impl ResultSet {
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }
}

impl From<&DataType> for ColumnType {
    fn from(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean | DataType::TinyInt => ColumnType::TinyInt,
            DataType::SmallInt => ColumnType::SmallInt,
            DataType::Int => ColumnType::Int,
            DataType::BigInt => ColumnType::BigInt,
            DataType::Float => ColumnType::Float,
            DataType::Double => ColumnType::Double,
            DataType::Decimal { .. } => ColumnType::Decimal,
            DataType::Date => ColumnType::Date,
            DataType::DateTime { .. } => ColumnType::DateTime,
            DataType::Json => ColumnType::Json,
            DataType::LargeInt
            | DataType::Char { .. }
            | DataType::Varchar { .. }
            | DataType::String
            | DataType::Variant
            | DataType::Hll
            | DataType::Bitmap
            | DataType::QuantileState
            | DataType::Complex(_) => ColumnType::Text,
        }
    }
}
