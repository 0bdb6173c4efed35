//! From Doris's SQL to SQLite's.
//!
//! The compiler walks the syntax tree with the type of every expression at hand, because SQLite has none
//! of Doris's: decimals become scaled integers, dates texts, and arithmetic, comparisons and functions are
//! spelled out accordingly. What it does not know it refuses; nothing is passed on unread.

mod agg_state;
mod alias;
mod convert;
mod dialect;
mod element;
mod expression;
mod function;
mod lateral;
mod matching;
mod nested;
mod scope;
mod select;
mod source;
mod temporal;
mod variable;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::parser::Parser;

use crate::data::date::DateTime;
use crate::error::{SqlError, SqlResult};
use crate::model::DataType;
use crate::session::{ResultSet, Session};
use crate::state::FeState;

use super::engine::TableSource;
use super::types::Type;

pub use agg_state::{domain, has_state};
pub use alias::alias_expression;
pub use expression::value_text;
pub use matching::text_matches;
pub use scope::{Relation, RelationColumn, Scope};

/// An SQLite expression and what Doris thinks it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    pub sql: String,
    pub ty: Type,
    /// The text of a literal, for conversion while compiling.
    pub literal: Option<String>,
    /// Set for a bare column of a table.
    pub column: Option<Arc<ColumnOrigin>>,
}

/// What is known of a column behind an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnOrigin {
    pub data_type: DataType,
    pub nullable: bool,
    /// See [`matching::text_parser`].
    pub text_parser: Option<String>,
    /// The id of its table, and its name there.
    pub source: Option<(i64, String)>,
}

/// A query ready to run, with its result columns.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub sql: String,
    pub columns: Vec<(String, Type)>,
    /// The columns that are passed on as they are; shorter than `columns` when nothing is known.
    pub origins: Vec<Option<Arc<ColumnOrigin>>>,
}

/// Compiles statements against one state of the catalogue and remembers which tables they read.
pub struct Compiler<'a> {
    pub state: &'a FeState,
    /// Whose privileges the tables ask for.
    pub session: &'a Session,
    pub database: Option<String>,
    pub now: DateTime,
    /// Rows of virtual tables by name (`frontends()`, `information_schema.tables`).
    pub virtual_rows: &'a BTreeMap<String, ResultSet>,
    /// Virtual tables that the statement names and `virtual_rows` lacks. They cannot be computed under the
    /// catalogue's lock, so the caller fetches them and compiles again.
    pub wanted: Vec<String>,
    pub tables: Vec<TableSource>,
    pub answers: Vec<(String, ResultSet)>,
    ctes: Vec<(String, sqlparser::ast::Cte)>,
    depth: usize,
    /// Above zero while the body of a view is compiled: a view is read with its own privileges.
    views: usize,
}

/// Views in views in subqueries; deeper is a mistake or an attack on the stack.
const MAX_DEPTH: usize = 64;

impl std::fmt::Debug for Compiler<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Compiler").field("database", &self.database).finish_non_exhaustive()
    }
}

impl<'a> Compiler<'a> {
    pub fn new(
        state: &'a FeState,
        session: &'a Session,
        now: DateTime,
        virtual_rows: &'a BTreeMap<String, ResultSet>,
    ) -> Self {
        Self {
            state,
            session,
            database: session.database.clone(),
            now,
            virtual_rows,
            wanted: Vec::new(),
            tables: Vec::new(),
            answers: Vec::new(),
            ctes: Vec::new(),
            depth: 0,
            views: 0,
        }
    }

    fn enter(&mut self) -> SqlResult<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(SqlError::general("the query is nested too deeply")) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }
}

impl Typed {
    pub fn new(sql: impl Into<String>, ty: Type) -> Self {
        Self { sql: sql.into(), ty, literal: None, column: None }
    }

    pub fn text_literal(text: &str) -> Self {
        Self { sql: quote_text(text), ty: Type::Text, literal: Some(text.to_owned()), column: None }
    }

    pub fn null() -> Self {
        Self::new("NULL", Type::Null)
    }
}

/// A parser in Doris's dialect.
pub fn parser(text: &str) -> SqlResult<Parser<'_>> {
    let parser = Parser::new(&dialect::DorisDialect).with_recursion_limit(80);
    parser.try_with_sql(&dialect::plain_partitions(text)).map_err(|error| syntax_error(&error))
}

pub fn syntax_error(error: &sqlparser::parser::ParserError) -> SqlError {
    use sqlparser::parser::ParserError;
    match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
            SqlError::general(mismatch(text))
        }
        ParserError::RecursionLimitExceeded => SqlError::general("the query is nested too deeply"),
    }
}

/// What is left of a text behind a complete query.
pub fn extraneous(found: impl std::fmt::Display) -> SqlError {
    SqlError::general(format!("extraneous input '{found}' expecting {{<EOF>, ';'}}"))
}

/// `Expected: x, found: y at Line: 1, Column: 8` in the words of Doris's parser.
fn mismatch(text: &str) -> String {
    let Some((expected, found)) =
        text.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: "))
    else {
        return format!("mismatched input: {text}");
    };
    let (found, place) = found.rsplit_once(" at Line: ").unwrap_or((found, ""));
    let found = if found == "EOF" { "<EOF>" } else { found };
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        let column: u64 = column.trim().parse().ok()?;
        Some(format!("(line {line}, pos {})", column.saturating_sub(1)))
    });
    format!("mismatched input '{found}' expecting {expected}{}", place.unwrap_or_default())
}

pub fn unsupported(what: impl std::fmt::Display) -> SqlError {
    SqlError::general(format!("not supported: {what}"))
}

/// A constant of a known type, given by its text.
pub fn constant(text: &str, ty: Type) -> Typed {
    let mut typed = convert::convert(&Typed::text_literal(text), ty);
    typed.ty = ty;
    typed
}

pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The identifiers of a dotted name.
pub fn name_parts(name: &ObjectName) -> SqlResult<Vec<String>> {
    name.0
        .iter()
        .map(|part| part.as_ident().map(|ident: &Ident| ident.value.clone()).ok_or_else(|| unsupported(name)))
        .collect()
}
