//! Loads that compute: columns from expressions over the fields, conditions over the columns.
//!
//! The fields of all rows are texts; expressions over them run in the query engine, as do conditions over the
//! finished rows. Columns that the cluster fills, numbered or generated, are computed here too.

use std::collections::BTreeMap;

use super::load_options::{LoadOptions, Merge};
use super::load_text::{Fields, TextLoad};
use crate::cluster::ClusterInner;
use crate::data::schema::SEQUENCE_COLUMN;
use crate::data::{Value, cast};
use crate::model::{Column, DataType};
use crate::query::insert::complete_rows;
use crate::query::now;
use crate::query::run::{parse_query, run_over};
use crate::query::target::LoadTarget;
use crate::query::writer::Writer;
use crate::session::{ResultSet, Session};

/// The name of the rows in the queries over them.
const ROWS: &str = "stream_load_rows()";

/// Rows ready to be written.
#[derive(Debug, Default)]
pub(super) struct Computed {
    /// With whether the row deletes its key.
    rows: Vec<(Vec<Value>, bool)>,
    pub total: u64,
    pub filtered: u64,
    pub unselected: u64,
    pub first_error: Option<String>,
}

/// Whether a load needs more than the conversion of fields into columns.
pub(super) fn is_needed(options: &LoadOptions, columns: &[Column]) -> bool {
    !options.expressions.is_empty()
        || options.condition.is_some()
        || options.sequence.is_some()
        || matches!(options.merge, Merge::DeleteWhere(_))
        || columns.iter().any(|column| column.auto_increment.is_some() || column.generated.is_some())
}

/// Reads and computes all rows. The error is about the load, not about single rows.
pub(super) fn compute(
    cluster: &ClusterInner,
    target: &LoadTarget,
    options: &LoadOptions,
    body: &[u8],
) -> Result<Computed, String> {
    let session = Session { database: Some(target.db.clone()), ..Session::default() };
    let columns = &target.schema.columns;
    let text = TextLoad::new(columns, options, now(cluster));
    let names = text.field_names();
    let mut computed = Computed::default();
    let mut fields = Vec::new();
    for row in text.fields(body)? {
        computed.total += 1;
        match row {
            Ok(row) => fields.push(row),
            Err(error) => computed.filter(error),
        }
    }
    let expressions = expressions(options, columns, &names)?;
    let values = evaluate(cluster, &session, &names, &fields, &expressions)?;
    let mut rows = Vec::with_capacity(fields.len());
    for (at, fields) in fields.iter().enumerate() {
        match assemble(&text, columns, &names, fields, &expressions, values.get(at)) {
            Ok(row) => rows.push(row),
            Err(error) => computed.filter(error),
        }
    }
    complete_rows(cluster, &session, target, &mut rows).map_err(|error| error.to_string())?;
    let selected = conditions(cluster, &session, columns, &rows, options.condition.as_deref())?;
    let deleted = match &options.merge {
        Merge::Append => vec![false; rows.len()],
        Merge::Delete => vec![true; rows.len()],
        Merge::DeleteWhere(condition) => conditions(cluster, &session, columns, &rows, Some(condition))?,
    };
    for ((row, selected), deleted) in rows.into_iter().zip(selected).zip(deleted) {
        if selected {
            computed.rows.push((row, deleted));
        } else {
            computed.unselected += 1;
        }
    }
    Ok(computed)
}

impl Computed {
    fn filter(&mut self, error: String) {
        self.filtered += 1;
        self.first_error.get_or_insert(error);
    }

    /// Hands all rows to a writer; how many have no place, and why the first has none.
    pub fn write(&self, writer: &mut Writer<'_>) -> (u64, Option<String>) {
        let (mut count, mut first) = (0, None);
        for (row, deleted) in &self.rows {
            if let Err(error) = writer.add(row, *deleted) {
                count += 1;
                first.get_or_insert(error.to_string());
            }
        }
        (count, first)
    }
}

/// The position of a column and the expression that fills it.
type Expression = (usize, String);

fn expressions(
    options: &LoadOptions,
    columns: &[Column],
    names: &[String],
) -> Result<Vec<Expression>, String> {
    let position = |name: &str| {
        columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("[ANALYSIS_ERROR]errCode = 2, detailMessage = Unknown column '{name}'"))
    };
    let mut all = Vec::new();
    for (name, expression) in &options.expressions {
        all.push((position(name)?, expression.clone()));
    }
    let sequence = columns.iter().position(|column| column.name == SEQUENCE_COLUMN);
    match (&options.sequence, sequence) {
        (Some(field), Some(at)) => {
            let known = names.iter().chain(options.expressions.iter().map(|(name, _)| name));
            if !known.into_iter().any(|name| name.eq_ignore_ascii_case(field)) {
                return Err(format!(
                    "[ANALYSIS_ERROR]errCode = 2, detailMessage = There is no sequence column in the columnDescs: {field}"
                ));
            }
            all.push((at, format!("`{field}`")));
        }
        (Some(_), None) => {
            return Err(
                "[ANALYSIS_ERROR]errCode = 2, detailMessage = There is no sequence column in the table"
                    .to_owned(),
            );
        }
        (None, _) => {}
    }
    Ok(all)
}

/// The values of the expressions, row by row; empty without expressions.
fn evaluate(
    cluster: &ClusterInner,
    session: &Session,
    names: &[String],
    fields: &[Fields],
    expressions: &[Expression],
) -> Result<Vec<Vec<Value>>, String> {
    if expressions.is_empty() || fields.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<String> = expressions.iter().map(|(_, text)| format!("({text})")).collect();
    query(cluster, session, names, fields.to_vec(), &format!("SELECT {} FROM {ROWS}", texts.join(", ")))
}

fn query(
    cluster: &ClusterInner,
    session: &Session,
    names: &[String],
    rows: Vec<Fields>,
    sql: &str,
) -> Result<Vec<Vec<Value>>, String> {
    let failed = |error: crate::error::SqlError| format!("[ANALYSIS_ERROR]{error}");
    let query = parse_query(sql).map_err(failed)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let given = ResultSet { rows, ..ResultSet::new(&names) };
    let given = BTreeMap::from([(ROWS.to_owned(), given)]);
    let found = run_over(cluster, session, given, |compiler| compiler.query(None, &query)).map_err(failed)?;
    Ok(found.rows)
}

/// A row of the table; the error filters it.
fn assemble(
    text: &TextLoad<'_>,
    columns: &[Column],
    names: &[String],
    fields: &Fields,
    expressions: &[Expression],
    values: Option<&Vec<Value>>,
) -> Result<Vec<Value>, String> {
    let mut row = vec![Value::Null; columns.len()];
    let mut is_set = vec![false; columns.len()];
    for ((at, _), value) in expressions.iter().zip(values.into_iter().flatten()) {
        row[*at] = cast::coerce(value.clone(), &columns[*at]).map_err(|error| error.to_string())?;
        is_set[*at] = true;
    }
    for (name, field) in names.iter().zip(fields) {
        let Some(at) = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)) else {
            continue;
        };
        if is_set[at] {
            continue;
        }
        let column = &columns[at];
        row[at] = match field {
            Some(field) => text.convert(field, column)?,
            None if column.auto_increment.is_some() => Value::Null,
            None => cast::coerce(Value::Null, column).map_err(|error| error.to_string())?,
        };
        is_set[at] = true;
    }
    for (at, column) in columns.iter().enumerate().filter(|(at, _)| !is_set[*at]) {
        // What the cluster fills stays NULL for now.
        if column.auto_increment.is_none() && column.generated.is_none() && column.visible {
            row[at] = text.defaults[at].clone()?;
        }
    }
    Ok(row)
}

/// Which rows meet a condition over the columns of the table.
fn conditions(
    cluster: &ClusterInner,
    session: &Session,
    columns: &[Column],
    rows: &[Vec<Value>],
    condition: Option<&str>,
) -> Result<Vec<bool>, String> {
    let Some(condition) = condition.filter(|_| !rows.is_empty()) else { return Ok(vec![true; rows.len()]) };
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let typed: Vec<String> = columns
        .iter()
        .map(|column| match &column.data_type {
            DataType::Boolean
            | DataType::TinyInt
            | DataType::SmallInt
            | DataType::Int
            | DataType::BigInt
            | DataType::LargeInt
            | DataType::Float
            | DataType::Double
            | DataType::Decimal { .. }
            | DataType::Date
            | DataType::DateTime { .. } => {
                format!("CAST(`{0}` AS {1}) AS `{0}`", column.name, column.data_type)
            }
            // Compared as text.
            DataType::Char { .. }
            | DataType::Varchar { .. }
            | DataType::String
            | DataType::Json
            | DataType::Variant
            | DataType::Hll
            | DataType::Bitmap
            | DataType::QuantileState
            | DataType::Complex(_) => format!("`{}`", column.name),
        })
        .collect();
    let texts = rows.iter().map(|row| row.iter().map(|value| value.to_sql_text(6)).collect()).collect();
    let sql = format!("SELECT ({condition}) FROM (SELECT {} FROM {ROWS}) AS loaded", typed.join(", "));
    let found = query(cluster, session, &names, texts, &sql)?;
    let holds = |row: Vec<Value>| match row.into_iter().next() {
        Some(Value::Bool(flag)) => flag,
        Some(Value::Int(number)) => number != 0,
        Some(_) | None => false,
    };
    Ok(found.into_iter().map(holds).collect())
}
