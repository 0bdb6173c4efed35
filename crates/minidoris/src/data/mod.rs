//! Values and rows.

use crate::model::{Column, IndexSchema, KeysType, OlapTable};

/// What a tablet knows of its index.
#[derive(Debug, Clone, PartialEq)]
pub struct TabletSchema {
    pub columns: Vec<Column>,
    pub keys_type: KeysType,
}

impl TabletSchema {
    /// The schema of one index of a table.
    pub fn of(_table: &OlapTable, index: &IndexSchema) -> Self {
        Self { columns: index.columns.clone(), keys_type: index.keys_type }
    }
}
