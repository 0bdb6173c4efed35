//! CREATE TABLE … AS SELECT: a table with the columns of the query, then a load of its rows.

use std::sync::Arc;

use doris_types::sql::qualified_name;

use super::compile::{ColumnOrigin, Compiled};
use super::run::{describe, parse_query};
use super::types::Type;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec;
use crate::model::DataType;
use crate::session::{Answer, Session};
use crate::sql::{ColumnDef, CreateTable, Statement};

const MAX_VARCHAR: u32 = 65_533;

pub async fn run(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    create: &CreateTable,
    query: &str,
) -> SqlResult<Answer> {
    let db = match (&create.table.db, &session.database) {
        (Some(db), _) | (None, Some(db)) => db.clone(),
        (None, None) => {
            let message = "No database selected".to_owned();
            return Err(SqlError { code: 1046, state: "3D000", message });
        }
    };
    let exists =
        cluster.fe.lock().database_named(&db).is_some_and(|db| db.table_named(&create.table.name).is_some());
    if exists && create.if_not_exists {
        return Ok(Answer::ok());
    }
    let mut plain = create.clone();
    plain.columns = columns(&create.select_names, &describe(cluster, session, &parse_query(query)?)?)?;
    plain.as_select = None;
    exec::run(cluster, session, &Statement::CreateTable(Box::new(plain)))?;
    let insert = format!("INSERT INTO {} {query}", qualified_name(&db, &create.table.name));
    // Boxed as this is itself part of the way that statements take.
    match Box::pin(super::run(cluster, session, &insert)).await {
        Ok(answer) => Ok(answer),
        Err(error) => {
            let undo = Statement::DropTable { table: create.table.clone(), if_exists: true, force: true };
            // The first error says what went wrong.
            let _ = exec::run(cluster, session, &undo);
            Err(error)
        }
    }
}

pub fn columns(names: &[String], query: &Compiled) -> SqlResult<Vec<ColumnDef>> {
    if !names.is_empty() && names.len() != query.columns.len() {
        return Err(SqlError::general(
            "The number of column aliases does not match the number of columns in the query",
        ));
    }
    let column = |(at, (name, ty)): (usize, &(String, Type))| {
        let origin = query.origins.get(at).and_then(Option::as_deref);
        Ok(ColumnDef {
            name: names.get(at).cloned().unwrap_or_else(|| output_name(name, at)),
            data_type: data_type(*ty, origin, at)?,
            is_key: false,
            aggregate: None,
            nullable: Some(origin.is_none_or(|origin| origin.nullable)),
            default: None,
            auto_increment: None,
            generated: None,
            on_update: None,
            comment: String::new(),
        })
    };
    query.columns.iter().enumerate().map(column).collect()
}

/// Expressions without an alias are called after their function and position: `__count_1`.
pub fn output_name(name: &str, at: usize) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.to_owned();
    }
    let function: String = name.chars().take_while(|c| is_plain(*c)).collect();
    let function = match name.strip_prefix(function.as_str()) {
        Some(rest) if rest.starts_with('(') && !function.is_empty() => function.to_lowercase(),
        _ => "expr".to_owned(),
    };
    format!("__{function}_{at}")
}

/// A column of a table keeps its type, and a text that comes first becomes a varchar, as it may be a key.
pub fn data_type(ty: Type, origin: Option<&ColumnOrigin>, at: usize) -> SqlResult<DataType> {
    let text = DataType::Varchar { length: MAX_VARCHAR };
    if let Some(origin) = origin {
        let is_text =
            matches!(origin.data_type, DataType::Char { .. } | DataType::Varchar { .. } | DataType::String);
        return Ok(if at == 0 && is_text { text } else { origin.data_type.clone() });
    }
    Ok(match ty {
        Type::Null | Type::TinyInt => DataType::TinyInt,
        Type::Bool => DataType::Boolean,
        Type::SmallInt => DataType::SmallInt,
        Type::Int => DataType::Int,
        Type::BigInt => DataType::BigInt,
        Type::Float => DataType::Float,
        Type::Double => DataType::Double,
        Type::Decimal { scale } | Type::Wide { scale, is_large: false } => {
            DataType::Decimal { precision: 38, scale }
        }
        Type::Wide { is_large: true, .. } => DataType::LargeInt,
        Type::Date => DataType::Date,
        Type::DateTime { scale } => DataType::DateTime { scale },
        Type::Text => text,
        Type::Json => DataType::Json,
        Type::Object => {
            return Err(SqlError::general(
                "the type of a column of the query cannot be stored in a new table",
            ));
        }
    })
}
