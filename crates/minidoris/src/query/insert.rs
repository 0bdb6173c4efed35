//! INSERT.

use std::sync::Arc;

use sqlparser::ast::{Expr, SetExpr, UnaryOperator, Value as Literal};

use super::compile::{Compiled, Relation, Scope, Typed, parser, syntax_error};
use super::insert_head::{InsertHead, insert_head, quote_brackets};
use super::load;
use super::overwrite::overwrite;
use super::run::{Rows, parse_query, run_compiled, select};
use super::target::{LoadTarget, olap_table};
use super::transaction::done;
use super::types::Type;
use super::writer::Writer;
use super::{auto_partition, now};
use crate::access::{Wanted, check};
use crate::cluster::ClusterInner;
use crate::data::cast::{self, CastError};
use crate::data::{Value, cast::coerce};
use crate::error::{SqlError, SqlResult};
use crate::exec;
use crate::model::{Column, DefaultValue};
use crate::session::{Answer, Session};

pub async fn run(cluster: &Arc<ClusterInner>, session: &mut Session, sql: &str) -> SqlResult<Answer> {
    let head = insert_head(sql)?;
    let (db, table) = split_name(session, &head.table)?;
    check::table(&cluster.fe.lock(), session, &db, &table, Wanted::LOAD, "LOAD")?;
    let target = LoadTarget::plan(cluster, &db, &table, head.partitions.clone())?;
    exec::check_own(session, olap_table(&cluster.fe.lock(), &db, &table)?.1)?;
    let positions = positions(&target, &head)?;
    check_sequence(session, &target, &positions)?;
    let is_values = head.source.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("values"));
    let rows = if is_values {
        match values(cluster, session, &target, &positions, &head.source) {
            // Rows may say DEFAULT for generated columns, too.
            Err(error) if head.columns.is_none() && error == wrong_count() => {
                let visible = visible(&target).collect::<Vec<_>>();
                values(cluster, session, &target, &visible, &head.source)?
            }
            found => found?,
        }
    } else {
        let found = select(cluster, session, parse_query(&quote_brackets(&head.source))?).await?;
        if found.columns.len() != positions.len() {
            return Err(wrong_count());
        }
        if let Some(at) = positions.iter().find(|at| target.schema.columns[**at].generated.is_some()) {
            return Err(given_to_generated(&target, &target.schema.columns[*at]));
        }
        fill(cluster, &target, &positions, found)?
    };
    let strict =
        session.variables.get("enable_insert_strict").is_none_or(|value| value != "false" && value != "0");
    let rows = finish_rows(cluster, session, &target, rows, strict)?;
    if head.overwrite {
        return overwrite(cluster, session, target, &rows, head.label).await;
    }
    load_rows(cluster, session, target, &rows, false, head.label).await
}

/// Database and table of a dotted name.
pub fn split_name(session: &Session, parts: &[String]) -> SqlResult<(String, String)> {
    match parts {
        [table] => match &session.database {
            Some(db) => Ok((db.clone(), table.clone())),
            None => Err(SqlError { code: 1046, state: "3D000", message: "No database selected".to_owned() }),
        },
        [.., db, table] => Ok((db.clone(), table.clone())),
        [] => Err(SqlError::general("the statement names no table")),
    }
}

fn visible(target: &LoadTarget) -> impl Iterator<Item = usize> {
    let columns = &target.schema.columns;
    (0..columns.len()).filter(|at| columns[*at].visible)
}

/// Where the values of a source row go.
fn positions(target: &LoadTarget, head: &InsertHead) -> SqlResult<Vec<usize>> {
    let columns = &target.schema.columns;
    match &head.columns {
        None => Ok(visible(target).filter(|at| columns[*at].generated.is_none()).collect()),
        Some(names) => names
            .iter()
            .map(|name| {
                target.schema.position(name).ok_or_else(|| {
                    SqlError::general(format!("Unknown column '{name}' in target table '{}'", target.table))
                })
            })
            .collect(),
    }
}

pub fn given_to_generated(target: &LoadTarget, column: &Column) -> SqlError {
    SqlError::general(format!(
        "The value specified for generated column '{}' in table '{}' is not allowed.",
        column.name, target.table
    ))
}

/// Rows of a table with a sequence column say where in the sequence they are, unless the session does not
/// ask for it or the column fills itself.
fn check_sequence(session: &Session, target: &LoadTarget, positions: &[usize]) -> SqlResult<()> {
    let Some(sequence) = target.schema.sequence else { return Ok(()) };
    let is_off = |value: &String| value.eq_ignore_ascii_case("false") || value == "0";
    let fills_itself = matches!(
        &target.schema.columns[sequence].default,
        Some(DefaultValue::Function(function)) if function.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP")
    );
    if positions.contains(&sequence)
        || fills_itself
        || session.variables.get("require_sequence_in_insert").is_some_and(is_off)
    {
        return Ok(());
    }
    Err(SqlError::general(missing_sequence(&target.table)))
}

/// The refusal of a load without the sequence column.
pub fn missing_sequence(table: &str) -> String {
    format!("Table {table} has sequence column, need to specify the sequence column")
}

fn wrong_count() -> SqlError {
    SqlError::general("insert into cols should be corresponding to the query output")
}

/// One row of the table, or why it is none.
type RowResult = Result<Vec<Value>, CastError>;

fn values(
    cluster: &ClusterInner,
    session: &Session,
    target: &LoadTarget,
    positions: &[usize],
    source: &str,
) -> SqlResult<Vec<RowResult>> {
    let text = quote_brackets(source);
    let query = parse_query(&text)?;
    let SetExpr::Values(list) = *query.body else {
        return Err(SqlError::general("mismatched input: expecting VALUES"));
    };
    let columns = &target.schema.columns;
    let moment = now(cluster);
    let mut rows = Vec::with_capacity(list.rows.len());
    for expressions in &list.rows {
        if expressions.len() != positions.len() {
            return Err(wrong_count());
        }
        let mut row: Vec<Option<Value>> = vec![None; columns.len()];
        let mut failure = None;
        for (expr, position) in expressions.iter().zip(positions) {
            let column = &columns[*position];
            let value = match simple(expr, column) {
                Some(Given::Default) => continue,
                _ if column.generated.is_some() => return Err(given_to_generated(target, column)),
                Some(Given::Value(value)) => value,
                None => coerce(evaluate(cluster, session, expr)?, column),
            };
            match value {
                Ok(value) => row[*position] = Some(value),
                // Auto-increment columns take NULL as "the next number".
                Err(CastError::Null { .. }) if column.auto_increment.is_some() => {}
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        rows.push(match failure {
            Some(error) => Err(error),
            None => complete(columns, row, moment),
        });
    }
    Ok(rows)
}

enum Given {
    Default,
    Value(Result<Value, CastError>),
}

/// Literals without a detour through the query engine.
fn simple(expr: &Expr, column: &Column) -> Option<Given> {
    let value = match expr {
        Expr::Nested(inner) => return simple(inner, column),
        Expr::Identifier(name)
            if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default") =>
        {
            return Some(Given::Default);
        }
        Expr::Value(value) => match &value.value {
            Literal::Null => coerce(Value::Null, column),
            Literal::Boolean(flag) => coerce(Value::Bool(*flag), column),
            Literal::Number(text, _) => cast::from_text(text, column),
            Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => {
                cast::from_text(text, column)
            }
            _ => return None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Literal::Number(text, _) => cast::from_text(&format!("-{text}"), column),
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(Given::Value(value))
}

fn evaluate(cluster: &ClusterInner, session: &Session, expr: &Expr) -> SqlResult<Value> {
    let rows = run_compiled(cluster, session, |compiler| {
        let value = compiler.expression(&Scope::default(), expr)?;
        Ok(Compiled {
            sql: format!("SELECT {}", value.sql),
            columns: vec![(String::new(), value.ty)],
            origins: Vec::new(),
        })
    })?;
    Ok(rows.rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
}

fn fill(
    cluster: &ClusterInner,
    target: &LoadTarget,
    positions: &[usize],
    found: Rows,
) -> SqlResult<Vec<RowResult>> {
    let columns = &target.schema.columns;
    let moment = now(cluster);
    let row = |values: Vec<Value>| -> RowResult {
        let mut row: Vec<Option<Value>> = vec![None; columns.len()];
        for (value, position) in values.into_iter().zip(positions) {
            let column = &columns[*position];
            if !(value.is_null() && column.auto_increment.is_some()) {
                row[*position] = Some(coerce(value, column)?);
            }
        }
        complete(columns, row, moment)
    };
    Ok(found.rows.into_iter().map(row).collect())
}

/// Fills in defaults. Auto-increment and generated columns stay NULL for later.
fn complete(columns: &[Column], row: Vec<Option<Value>>, now: crate::data::date::DateTime) -> RowResult {
    row.into_iter()
        .zip(columns)
        .map(|(value, column)| match value {
            Some(value) => Ok(value),
            None if column.auto_increment.is_some() || column.generated.is_some() || !column.visible => {
                Ok(Value::Null)
            }
            None => cast::insert_default(column, now),
        })
        .collect()
}

/// Drops or reports rows that do not fit, numbers auto-increment columns and computes generated ones.
fn finish_rows(
    cluster: &ClusterInner,
    session: &Session,
    target: &LoadTarget,
    rows: Vec<RowResult>,
    strict: bool,
) -> SqlResult<Vec<Vec<Value>>> {
    let mut good = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(row) => good.push(row),
            Err(error) if strict => {
                return Err(SqlError::general(format!(
                    "[DATA_QUALITY_ERROR]Insert has filtered data in strict mode. first_error_msg: {error}"
                )));
            }
            Err(_) => {}
        }
    }
    complete_rows(cluster, session, target, &mut good)?;
    Ok(good)
}

/// Loads complete rows in one transaction; `deletes` makes them delete their keys.
pub async fn load_rows(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    mut target: LoadTarget,
    rows: &[Vec<Value>],
    deletes: bool,
    label: Option<String>,
) -> SqlResult<Answer> {
    if rows.is_empty() {
        return Ok(Answer::ok());
    }
    let mut attempts = 0;
    let (load, status) = loop {
        let mut writer = Writer::new(&target);
        for row in rows {
            writer.add(row, deletes).map_err(|error| {
                SqlError::general(format!(
                    "[DATA_QUALITY_ERROR]Insert has filtered data in strict mode. first_error_msg: {error}"
                ))
            })?;
        }
        if writer.missing.is_empty() {
            let stage = |load: &load::Load| Ok(writer.stage(cluster, load.txn_id, load.load_id)?.0);
            break load::run(cluster, session, &target, label, stage).await?;
        }
        attempts += 1;
        if attempts > 3 {
            return Err(SqlError::general("partitions of the rows keep disappearing"));
        }
        auto_partition::create(cluster, &target, &writer.missing)?;
        target = LoadTarget::plan(cluster, &target.db, &target.table, target.choice.clone())?;
    };
    Ok(done(rows.len() as u64, &load, status))
}

/// Numbers auto-increment columns and computes generated ones.
pub fn complete_rows(
    cluster: &ClusterInner,
    session: &Session,
    target: &LoadTarget,
    rows: &mut [Vec<Value>],
) -> SqlResult<()> {
    number_rows(cluster, session, target, rows)?;
    compute_generated(cluster, session, target, rows)
}

fn number_rows(
    cluster: &ClusterInner,
    session: &Session,
    target: &LoadTarget,
    rows: &mut [Vec<Value>],
) -> SqlResult<()> {
    let columns = &target.schema.columns;
    let Some(position) = columns.iter().position(|column| column.auto_increment.is_some()) else {
        return Ok(());
    };
    let missing = rows.iter().filter(|row| row[position].is_null()).count();
    if missing == 0 {
        return Ok(());
    }
    let start = columns[position].auto_increment.unwrap_or(1);
    let first = cluster.queries.numbers(target.table_id, missing as i64, || {
        // The first use after a start or restore goes on behind what is there.
        let text =
            format!("SELECT max(`{}`) FROM `{}`.`{}`", columns[position].name, target.db, target.table);
        let rows = super::run::run_query(cluster, session, &parse_query(&text)?)?;
        Ok(match rows.rows.first().and_then(|row| row.first()) {
            Some(Value::Int(highest)) => start.max(i64::try_from(highest + 1).unwrap_or(start)),
            _ => start,
        })
    })?;
    let empty = rows.iter_mut().filter(|row| row[position].is_null());
    for (row, number) in empty.zip(first..) {
        row[position] = Value::Int(i128::from(number));
    }
    Ok(())
}

fn compute_generated(
    cluster: &ClusterInner,
    session: &Session,
    target: &LoadTarget,
    rows: &mut [Vec<Value>],
) -> SqlResult<()> {
    let columns = &target.schema.columns;
    for (position, column) in columns.iter().enumerate() {
        let Some(text) = &column.generated else { continue };
        let expr = parser(text)?.parse_expr().map_err(|error| syntax_error(&error))?;
        for row in rows.iter_mut() {
            let found = run_compiled(cluster, session, |compiler| {
                let scope = Scope { relations: vec![constant_relation(columns, row)], ..Scope::default() };
                let value = compiler.expression(&scope, &expr)?;
                Ok(Compiled {
                    sql: format!("SELECT {}", value.sql),
                    columns: vec![(String::new(), value.ty)],
                    origins: Vec::new(),
                })
            })?;
            let value = found.rows.into_iter().flatten().next().unwrap_or(Value::Null);
            row[position] = coerce(value, column).map_err(|error| SqlError::general(error.to_string()))?;
        }
    }
    Ok(())
}

/// A row's values as columns of a relation.
fn constant_relation(columns: &[Column], row: &[Value]) -> Relation {
    let mut relation = Relation::of_columns("row", []);
    for (column, value) in columns.iter().zip(row) {
        let typed = match value.to_sql_text(6) {
            None => Typed::new("NULL", Type::of(&column.data_type)),
            Some(text) => super::compile::constant(&text, Type::of(&column.data_type)),
        };
        relation.columns.push(super::compile::RelationColumn {
            name: column.name.clone(),
            value: typed,
            visible: true,
            forbidden: None,
        });
    }
    relation
}
