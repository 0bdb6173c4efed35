//! What belongs to one client connection, and what a statement answers.

use std::collections::BTreeMap;

/// The state of one SQL connection.
#[derive(Debug, Clone, Default)]
pub struct Session {
    pub user: String,
    pub database: Option<String>,
    pub variables: BTreeMap<String, String>,
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
    pub rows: Vec<Vec<Option<String>>>,
}

impl Answer {
    pub fn ok() -> Self {
        Answer::Done { affected_rows: 0, info: String::new() }
    }
}

impl ResultSet {
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }
}
