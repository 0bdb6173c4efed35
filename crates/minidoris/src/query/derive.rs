//! How the rows of a synchronous materialised view come from the rows of its table.
//!
//! Columns that are columns of the table are copied. The others, and the condition, are computed by SQLite
//! with the query compiler's translation, a row at a time: the row's values are the parameters.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};
use sqlparser::ast::Expr;

use super::compile::{Compiler, Relation, Scope, Typed, parser, quote_name, syntax_error};
use super::types::{Type, from_cell, to_cell};
use super::{engine, now};
use crate::cluster::ClusterInner;
use crate::data::{Value, cast};
use crate::error::{SqlError, SqlResult};
use crate::model::{Column, IndexSchema, OlapTable};
use crate::session::Session;
use crate::state::FeState;

/// The compiled definitions of a view.
#[derive(Debug)]
pub struct Derivation {
    /// Of the table, in the order of its rows.
    inputs: Vec<Column>,
    outputs: Vec<Output>,
    /// One SELECT with a result for every computed column and then the condition, if there is one.
    sql: Option<String>,
    has_filter: bool,
}

#[derive(Debug)]
struct Output {
    column: Column,
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// A column of the table by position.
    Copied(usize),
    /// A result of the SELECT.
    Computed(usize, Type),
    /// The default, as the table no longer has the column.
    Missing,
}

/// A [`Derivation`] at work.
#[derive(Debug)]
pub struct Deriver<'a> {
    derivation: &'a Derivation,
    /// Absent when nothing is computed.
    connection: Option<Connection>,
}

/// The type of an expression over the columns of a table.
pub fn type_of(cluster: &ClusterInner, state: &FeState, table: &OlapTable, expr: &Expr) -> SqlResult<Type> {
    compile(cluster, state, table.columns(), expr).map(|typed| typed.ty)
}

impl Derivation {
    /// That of an index; `None` for an index that holds plain columns of its table only.
    pub fn of(
        cluster: &ClusterInner,
        state: &FeState,
        table: &OlapTable,
        index: &IndexSchema,
    ) -> SqlResult<Option<Self>> {
        let Some(view) = &index.view else { return Ok(None) };
        let base = table.columns();
        let (mut outputs, mut computed) = (Vec::new(), Vec::new());
        for column in &index.columns {
            let name = column.plain_source().unwrap_or(&column.name);
            let source = match base.iter().position(|known| known.name.eq_ignore_ascii_case(name)) {
                Some(at) => Source::Copied(at),
                None => match &column.define {
                    None => Source::Missing,
                    Some(define) => {
                        let typed = compile(cluster, state, base, &parse(define)?)?;
                        computed.push(typed.sql);
                        Source::Computed(computed.len() - 1, typed.ty)
                    }
                },
            };
            outputs.push(Output { column: column.clone(), source });
        }
        if let Some(filter) = &view.filter {
            computed.push(compile(cluster, state, base, &parse(filter)?)?.sql);
        }
        let sql = (!computed.is_empty()).then(|| {
            let parameters = base.iter().enumerate();
            let parameters: Vec<String> = parameters
                .map(|(at, column)| format!("?{} AS {}", at + 1, quote_name(&column.name)))
                .collect();
            format!("SELECT {} FROM (SELECT {}) AS \"row\"", computed.join(", "), parameters.join(", "))
        });
        Ok(Some(Self { inputs: base.to_vec(), outputs, sql, has_filter: view.filter.is_some() }))
    }

    pub fn start(&self) -> SqlResult<Deriver<'_>> {
        let connection = match self.sql {
            None => None,
            Some(_) => Some(engine::open().map_err(|error| failed(&error))?),
        };
        Ok(Deriver { derivation: self, connection })
    }
}

impl Deriver<'_> {
    /// The view's row for a row of the table; `None` when the view leaves the row out.
    pub fn derive(&self, row: &[Value]) -> SqlResult<Option<Vec<Value>>> {
        let Some(results) = self.compute(row)? else { return Ok(None) };
        let value = |output: &Output| {
            let value = match output.source {
                Source::Copied(at) => row.get(at).cloned().unwrap_or(Value::Null),
                Source::Computed(at, _) => results.get(at).cloned().unwrap_or(Value::Null),
                Source::Missing => return Ok(cast::default_value(&output.column)),
            };
            if value.is_null() && !output.column.nullable {
                // An empty bitmap or HLL; nothing else is without NULL that can be one.
                return Ok(cast::default_value(&output.column));
            }
            cast::coerce(value, &output.column).map_err(|error| SqlError::general(error.to_string()))
        };
        self.derivation.outputs.iter().map(value).collect::<SqlResult<_>>().map(Some)
    }

    /// The computed columns; `None` when the condition is not met.
    fn compute(&self, row: &[Value]) -> SqlResult<Option<Vec<Value>>> {
        let (Some(connection), Some(sql)) = (&self.connection, &self.derivation.sql) else {
            return Ok(Some(Vec::new()));
        };
        let cells = row.iter().zip(&self.derivation.inputs).map(|(value, column)| to_cell(value, column));
        let types = self.derivation.outputs.iter().filter_map(|output| match output.source {
            Source::Computed(_, ty) => Some(ty),
            Source::Copied(_) | Source::Missing => None,
        });
        let types: Vec<Type> = types.collect();
        let read = |results: &rusqlite::Row<'_>| {
            if self.derivation.has_filter && !results.get::<_, Option<bool>>(types.len())?.unwrap_or(false) {
                return Ok(None);
            }
            let values = types.iter().enumerate();
            values
                .map(|(at, ty)| Ok(from_cell(results.get_ref(at)?, *ty)))
                .collect::<Result<_, _>>()
                .map(Some)
        };
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params_from_iter(cells), read))
            .map_err(|error| failed(&error))
    }
}

fn failed(error: &rusqlite::Error) -> SqlError {
    SqlError::general(match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    })
}

fn parse(text: &str) -> SqlResult<Expr> {
    parser(text)?.parse_expr().map_err(|error| syntax_error(&error))
}

fn compile(cluster: &ClusterInner, state: &FeState, base: &[Column], expr: &Expr) -> SqlResult<Typed> {
    let (session, no_rows) = (Session::default(), BTreeMap::new());
    let mut compiler = Compiler::new(state, &session, now(cluster), &no_rows);
    let columns = base.iter().map(|column| (column.name.as_str(), Type::of(&column.data_type), true));
    let scope = Scope { relations: vec![Relation::of_columns("row", columns)], ..Scope::default() };
    compiler.expression(&scope, expr)
}
