//! The columns that unique tables have and SELECT * leaves out, unless `show_hidden_columns` is set: the sign of
//! deleted rows, which are shown then, and the version that wrote a row.

use crate::data::merge::HiddenRow;
use crate::data::{TabletSchema, Value, complex};
use crate::model::{Column, DataType, DefaultValue};
use crate::session::Session;

const VARIABLE: &str = "show_hidden_columns";

/// Whether the session sees what is hidden.
pub fn are_shown(session: &Session) -> bool {
    session.variables.get(VARIABLE).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
}

/// The session as a statement reads that changes rows: those that are deleted stay so.
pub fn unseen(session: &Session) -> Session {
    let mut session = session.clone();
    session.variables.remove(VARIABLE);
    session
}

/// Puts the hidden columns where Doris has them: behind what can be seen, before the sequence column.
pub fn add_columns(columns: &mut Vec<Column>) {
    let at = place(columns);
    let hidden = [("__DORIS_DELETE_SIGN__", DataType::TinyInt), ("__DORIS_VERSION_COL__", DataType::BigInt)];
    let column = |(name, data_type): (&str, DataType)| Column {
        name: name.to_owned(),
        nullable: false,
        default: Some(DefaultValue::Literal("0".to_owned())),
        visible: false,
        ..complex::element(&data_type)
    };
    columns.splice(at..at, hidden.map(column));
}

fn place(columns: &[Column]) -> usize {
    columns.iter().position(|column| !column.visible).unwrap_or(columns.len())
}

/// The values of a row under a schema with the hidden columns.
pub fn with_signs(schema: &TabletSchema, row: HiddenRow) -> Vec<Value> {
    let HiddenRow { mut values, deleted, version } = row;
    let at = place(&schema.columns);
    values.splice(at..at, [Value::Int(i128::from(deleted)), Value::Int(i128::from(version))]);
    values
}
