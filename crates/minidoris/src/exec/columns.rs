//! Column definitions turned into columns: keys, nullability, aggregation.

use super::default_value;
use crate::error::{SqlError, SqlResult};
use crate::model::{AggregateKind, Column, DataType, DefaultValue, KeysType};
use crate::sql::lexer::{TokenKind, tokenize};
use crate::sql::{ColumnDef, CreateTable};

/// Columns in the order written, the key model, and whether the text will have a key clause.
#[derive(Debug)]
pub struct TableColumns {
    pub columns: Vec<Column>,
    pub keys_type: KeysType,
    pub has_key_clause: bool,
}

const SHORT_KEY_COLUMNS: usize = 3;
const SHORT_KEY_BYTES: usize = 36;
/// Holds the order in which rows of one key replace each other.
pub const SEQUENCE_COLUMN: &str = "__DORIS_SEQUENCE_COL__";

pub fn build(create: &CreateTable) -> SqlResult<TableColumns> {
    check_duplicates(create.columns.iter().map(|column| column.name.as_str()))?;
    let (keys_type, keys) = keys(create)?;
    for (at, key) in keys.iter().enumerate() {
        let Some(position) = create.columns.iter().position(|column| column.name.eq_ignore_ascii_case(key))
        else {
            return Err(SqlError::general(format!("Key column[{key}] doesn't exist.")));
        };
        if position != at {
            return Err(SqlError::general("Key columns should be a ordered prefix of the schema."));
        }
        check_key_type(&create.columns[position])?;
    }
    let mut columns = Vec::with_capacity(create.columns.len());
    for (at, def) in create.columns.iter().enumerate() {
        let unique_id = i32::try_from(at).unwrap_or(i32::MAX);
        columns.push(column(def, at < keys.len(), keys_type, unique_id)?);
    }
    if keys_type == KeysType::Aggregate && keys.is_empty() {
        return Err(SqlError::general("The number of key columns should be more than 0"));
    }
    Ok(TableColumns { columns, keys_type, has_key_clause: !keys.is_empty() })
}

/// A column of a table of that key model.
pub fn column(def: &ColumnDef, is_key: bool, keys_type: KeysType, unique_id: i32) -> SqlResult<Column> {
    let mut aggregate = def.aggregate;
    if is_key && aggregate.is_some() {
        return Err(SqlError::general(format!("Key column {} can not set aggregation type", def.name)));
    }
    match keys_type {
        KeysType::Aggregate if !is_key && aggregate.is_none() => {
            if def.data_type.primitive_name() != "AGG_STATE" {
                return Err(SqlError::general(format!(
                    "AGG_KEYS table should specify aggregate type for non-key column[{}]",
                    def.name
                )));
            }
            aggregate = Some(AggregateKind::Generic);
        }
        KeysType::Duplicate | KeysType::Unique if aggregate.is_some() => {
            return Err(SqlError::general(format!(
                "{}_KEYS table should not specify aggregate type for non-key column[{}]",
                keys_type.keyword(),
                def.name
            )));
        }
        KeysType::Aggregate | KeysType::Duplicate | KeysType::Unique => {}
    }
    if let Some(kind) = aggregate
        && !suits(kind, &def.data_type)
    {
        return Err(SqlError::general(format!(
            "Aggregate type {} is not compatible with primitive type {}",
            kind.keyword(),
            def.data_type.primitive_name()
        )));
    }
    let never_null = matches!(def.data_type, DataType::Hll | DataType::Bitmap | DataType::QuantileState);
    let mut default = def.default.clone();
    if def.data_type == DataType::Bitmap && default.is_none() {
        default = Some(DefaultValue::Function("BITMAP_EMPTY".to_owned()));
    }
    let nullable = def.nullable.unwrap_or(!never_null) && !never_null;
    if !nullable && default == Some(DefaultValue::Null) {
        return Err(SqlError::general(format!(
            "Can not set null default value to non nullable column: {}",
            def.name
        )));
    }
    default_value::check(def)?;
    if def.auto_increment.is_some() && def.data_type != DataType::BigInt {
        return Err(SqlError::general("auto increment type must be bigint"));
    }
    Ok(Column {
        name: def.name.clone(),
        data_type: def.data_type.clone(),
        is_key,
        nullable: nullable && def.auto_increment.is_none(),
        aggregate,
        default,
        comment: def.comment.clone(),
        unique_id,
        visible: true,
        auto_increment: def.auto_increment,
        generated: def.generated.clone(),
        on_update: def.on_update.clone(),
        define: None,
    })
}

/// Whether values of the type can be aggregated so.
fn suits(kind: AggregateKind, data_type: &DataType) -> bool {
    let is_number = data_type.is_integer()
        || matches!(data_type, DataType::Float | DataType::Double | DataType::Decimal { .. });
    match kind {
        AggregateKind::Sum => is_number,
        AggregateKind::Max | AggregateKind::Min => {
            is_number || data_type.is_text() || data_type.is_date() || *data_type == DataType::Boolean
        }
        AggregateKind::HllUnion => *data_type == DataType::Hll,
        AggregateKind::BitmapUnion => *data_type == DataType::Bitmap,
        AggregateKind::QuantileUnion => *data_type == DataType::QuantileState,
        AggregateKind::Replace | AggregateKind::ReplaceIfNotNull | AggregateKind::Generic => true,
    }
}

/// The hidden column that carries the sequence of a unique table.
pub fn sequence_column(data_type: DataType, unique_id: i32) -> Column {
    Column {
        name: SEQUENCE_COLUMN.to_owned(),
        data_type,
        is_key: false,
        nullable: true,
        aggregate: None,
        default: None,
        comment: "sequence column hidden column".to_owned(),
        unique_id,
        visible: false,
        auto_increment: None,
        generated: None,
        on_update: None,
        define: None,
    }
}

pub fn check_duplicates<'a>(names: impl Iterator<Item = &'a str>) -> SqlResult<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name.to_ascii_lowercase()) {
            let message = format!("Duplicate column name '{name}'");
            return Err(SqlError { code: 1060, state: "42S21", message });
        }
    }
    Ok(())
}

/// Key model and key columns; chosen from the columns when the text does not name them.
fn keys(create: &CreateTable) -> SqlResult<(KeysType, Vec<String>)> {
    if let Some((keys_type, keys)) = &create.keys {
        return Ok((*keys_type, keys.clone()));
    }
    let names =
        |columns: &mut dyn Iterator<Item = &ColumnDef>| columns.map(|column| column.name.clone()).collect();
    if create.columns.iter().any(|column| column.aggregate.is_some()) {
        let keys = names(&mut create.columns.iter().filter(|column| column.aggregate.is_none()));
        return Ok((KeysType::Aggregate, keys));
    }
    if create.columns.iter().any(|column| column.is_key) {
        return Ok((
            KeysType::Duplicate,
            names(&mut create.columns.iter().take_while(|column| column.is_key)),
        ));
    }
    let keyless = create.properties.get("enable_duplicate_without_keys_by_default");
    if keyless.is_some_and(|value| value == "true") {
        return Ok((KeysType::Duplicate, Vec::new()));
    }
    let keys = short_keys(create.columns.iter().map(|column| &column.data_type));
    Ok((KeysType::Duplicate, names(&mut create.columns.iter().take(keys))))
}

/// How many of the first columns are keys when nobody says it: as many as fit a short key.
pub fn short_keys<'a>(types: impl Iterator<Item = &'a DataType>) -> usize {
    let mut keys = 0;
    let mut bytes = 0;
    for data_type in types {
        bytes += index_size(data_type);
        if keys >= SHORT_KEY_COLUMNS || bytes > SHORT_KEY_BYTES {
            return if keys == 0 && data_type.is_text() && *data_type != DataType::String { 1 } else { keys };
        }
        if !may_be_key(data_type) || *data_type == DataType::String {
            return keys;
        }
        keys += 1;
        if matches!(data_type, DataType::Varchar { .. }) {
            return keys;
        }
    }
    keys
}

fn may_be_key(data_type: &DataType) -> bool {
    key_type_error(data_type, "").is_none()
}

fn index_size(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean | DataType::TinyInt => 1,
        DataType::SmallInt => 2,
        DataType::Int | DataType::Float | DataType::Date => 4,
        DataType::BigInt | DataType::Double | DataType::DateTime { .. } => 8,
        DataType::Decimal { precision: 0..=9, .. } => 4,
        DataType::Decimal { precision: 10..=18, .. } => 8,
        DataType::Decimal { precision: 19..=38, .. } => 16,
        DataType::Decimal { .. } => 32,
        DataType::LargeInt => 16,
        DataType::Char { length } => *length as usize,
        DataType::Varchar { .. }
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Hll
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Complex(_) => 16,
    }
}

/// The generated columns that are computed from a column.
pub fn computed_from<'a>(columns: &'a [Column], name: &str) -> Vec<&'a str> {
    let reads = |column: &&Column| {
        let tokens = column.generated.as_deref().and_then(|expression| tokenize(expression).ok());
        tokens.into_iter().flatten().any(|token| match &token.kind {
            TokenKind::Word(word) | TokenKind::Quoted(word) => word.eq_ignore_ascii_case(name),
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => false,
        })
    };
    columns.iter().filter(reads).map(|column| column.name.as_str()).collect()
}

pub fn check_key_type(column: &ColumnDef) -> SqlResult<()> {
    key_type_error(&column.data_type, &column.name).map_or(Ok(()), Err)
}

pub fn key_type_error(data_type: &DataType, name: &str) -> Option<SqlError> {
    match data_type {
        DataType::Float | DataType::Double => {
            Some(SqlError::general("Float or double can not used as a key, use decimal instead."))
        }
        DataType::Json
        | DataType::Variant
        | DataType::Hll
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Complex(_) => Some(SqlError::general(format!(
            "{} type should not be used in key column[{name}].",
            data_type.primitive_name()
        ))),
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Decimal { .. }
        | DataType::Date
        | DataType::DateTime { .. }
        | DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::String => None,
    }
}
