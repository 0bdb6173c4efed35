//! Results of queries: text values found by column name, because column sets differ between versions.

use std::sync::Arc;

/// A result set.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub columns: Arc<[String]>,
    pub rows: Vec<Row>,
}

/// One row. Values are text; SQL NULL is `None`.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<String>>,
}

impl Row {
    pub fn new(columns: Arc<[String]>, values: Vec<Option<String>>) -> Self {
        Self { columns, values }
    }

    /// The value of a column, whose name is compared without regard to case; `None` when it is NULL or there
    /// is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.values.get(index)?.as_deref()
    }

    /// As [`Row::get`], with an empty text for NULL.
    pub fn text(&self, column: &str) -> String {
        self.get(column).unwrap_or_default().to_owned()
    }

    pub fn values(&self) -> &[Option<String>] {
        &self.values
    }
}
