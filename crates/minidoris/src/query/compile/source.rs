//! FROM: tables, views, subqueries and joins.

use std::sync::Arc;

use sqlparser::ast::{
    Cte, Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Join, JoinConstraint, JoinOperator, Query,
    TableAlias, TableFactor, TableWithJoins,
};

use super::dialect::{INDEX, TEMPORARY};
use super::expression::{compare, value_text};
use super::matching::text_parser;
use super::scope::RelationColumn;
use super::select::output_name;
use super::{
    ColumnOrigin, Compiled, Compiler, Relation, Scope, Typed, name_parts, parser, quote_name, syntax_error,
    unsupported,
};
use crate::access::check::Readable;
use crate::access::{Wanted, check};
use crate::error::{SqlError, SqlResult};
use crate::model::{KeysType, Table};
use crate::query::engine::TableSource;
use crate::query::hidden;
use crate::query::target::{PartitionChoice, choose};
use crate::query::types::Type;
use crate::session::{ColumnType, ResultSet};

const SYSTEM_DATABASES: [&str; 2] = ["information_schema", "mysql"];

/// Rows that `numbers()` may have.
const MAX_NUMBERS: u64 = 10_000_000;

impl Compiler<'_> {
    /// The FROM clause; its relations are put into `scope`.
    pub(super) fn from(&mut self, scope: &mut Scope<'_>, from: &[TableWithJoins]) -> SqlResult<String> {
        let mut parts = Vec::new();
        for item in from {
            let mut sql = self.factor(scope, &item.relation)?;
            for join in &item.joins {
                sql = self.join(scope, sql, join)?;
            }
            parts.push(sql);
        }
        Ok(parts.join(", "))
    }

    fn join(&mut self, scope: &mut Scope<'_>, left: String, join: &Join) -> SqlResult<String> {
        let before = scope.relations.len();
        let right = self.factor(scope, &join.relation)?;
        let (word, constraint) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => ("JOIN", on),
            JoinOperator::StraightJoin(on) => ("JOIN", on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => ("LEFT JOIN", on),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => ("RIGHT JOIN", on),
            JoinOperator::FullOuter(on) => ("FULL JOIN", on),
            JoinOperator::LeftSemi(on) | JoinOperator::Semi(on) => {
                return self.semi_join(scope, before, &left, &right, on, "EXISTS");
            }
            JoinOperator::LeftAnti(on) | JoinOperator::Anti(on) => {
                return self.semi_join(scope, before, &left, &right, on, "NOT EXISTS");
            }
            _ => return Err(unsupported("this kind of join")),
        };
        match word {
            "LEFT JOIN" => may_be_missing(&mut scope.relations[before..]),
            "RIGHT JOIN" => may_be_missing(&mut scope.relations[..before]),
            "FULL JOIN" => may_be_missing(&mut scope.relations),
            _ => {}
        }
        Ok(match self.condition(scope, before, constraint)? {
            Some(condition) => format!("{left} {word} {right} ON {condition}"),
            None => format!("{left} {word} {right} ON 1"),
        })
    }

    /// `(SELECT … FROM left WHERE EXISTS (…))`: the right side is not visible further on.
    fn semi_join(
        &mut self,
        scope: &mut Scope<'_>,
        before: usize,
        left: &str,
        right: &str,
        constraint: &JoinConstraint,
        word: &str,
    ) -> SqlResult<String> {
        let condition = self.condition(scope, before, constraint)?.unwrap_or_else(|| "1".to_owned());
        scope.relations.truncate(before);
        Ok(format!(
            "{left} JOIN (SELECT 1) AS {} ON {word} (SELECT 1 FROM {right} WHERE {condition})",
            quote_name("one")
        ))
    }

    fn condition(
        &mut self,
        scope: &Scope<'_>,
        before: usize,
        constraint: &JoinConstraint,
    ) -> SqlResult<Option<String>> {
        match constraint {
            JoinConstraint::None => Ok(None),
            JoinConstraint::On(expr) => Ok(Some(self.expression(scope, expr)?.sql)),
            JoinConstraint::Using(names) => {
                let mut tests = Vec::new();
                for name in names {
                    let name = name_parts(name)?.pop().unwrap_or_default();
                    let find = |relations: &[Relation]| {
                        let mut columns = relations.iter().flat_map(|relation| relation.columns.iter());
                        columns
                            .find(|column| column.name.eq_ignore_ascii_case(&name))
                            .map(RelationColumn::read)
                            .transpose()
                    };
                    let sides = find(&scope.relations[..before])?.zip(find(&scope.relations[before..])?);
                    let (a, b) = sides
                        .ok_or_else(|| SqlError::general(format!("Unknown column '{name}' in 'using'")))?;
                    tests.push(compare(&a, "=", &b));
                }
                Ok(Some(tests.join(" AND ")))
            }
            JoinConstraint::Natural => Err(unsupported("NATURAL JOIN")),
        }
    }

    fn factor(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) -> SqlResult<String> {
        match factor {
            TableFactor::Table { name, alias, args, partitions, .. } => {
                let parts = name_parts(name)?;
                let own = parts.last().cloned().unwrap_or_default();
                let shown = alias.as_ref().map_or(own.as_str(), |alias| alias.name.value.as_str()).to_owned();
                if let Some(args) = args {
                    let sql = self.table_function(&own, &args.args, scope, &shown)?;
                    return Ok(sql);
                }
                let mut names: Vec<String> = partitions.iter().map(|ident| ident.value.clone()).collect();
                let index = match names.as_slice() {
                    [mark, name] if mark == INDEX => Some(name.clone()),
                    _ => None,
                };
                if index.is_some() {
                    names.clear();
                }
                let temporary = names.first().is_some_and(|first| first == TEMPORARY);
                if temporary {
                    names.remove(0);
                }
                let choice = PartitionChoice { names, temporary };
                self.table(scope, &parts, (&shown, alias.as_ref()), choice, index.as_deref())
            }
            TableFactor::Function { name, args, alias, .. } => {
                let own = name_parts(name)?.pop().unwrap_or_default();
                let shown = alias.as_ref().map_or(own.as_str(), |alias| alias.name.value.as_str()).to_owned();
                self.table_function(&own, args, scope, &shown)
            }
            TableFactor::Derived { subquery, alias, lateral: false, .. } => {
                let alias = alias
                    .as_ref()
                    .ok_or_else(|| SqlError::general("Every derived table must have its own alias"))?;
                let inner = self.query(scope.parent, subquery)?;
                Ok(derived(scope, inner, alias))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                let mut sql = self.factor(scope, &table_with_joins.relation)?;
                for join in &table_with_joins.joins {
                    sql = self.join(scope, sql, join)?;
                }
                Ok(format!("({sql})"))
            }
            other => Err(unsupported(other)),
        }
    }

    fn table(
        &mut self,
        scope: &mut Scope<'_>,
        parts: &[String],
        (shown, alias): (&str, Option<&TableAlias>),
        choice: PartitionChoice,
        index: Option<&str>,
    ) -> SqlResult<String> {
        let (db, name) = match parts {
            [name] => {
                if let Some(at) = self.ctes.iter().rposition(|(cte, _)| cte.eq_ignore_ascii_case(name)) {
                    return self.cte(scope, at, shown);
                }
                let db = self.database.clone().ok_or_else(|| SqlError {
                    code: 1046,
                    state: "3D000",
                    message: "No database selected".to_owned(),
                })?;
                (db, name)
            }
            [.., db, name] => (db.clone(), name),
            [] => return Err(unsupported("an empty table name")),
        };
        if SYSTEM_DATABASES.iter().any(|system| system.eq_ignore_ascii_case(&db)) {
            return match self.virtual_table(&format!("{db}.{name}")) {
                Some(rows) => Ok(self.answer(scope, rows, shown)),
                None => Err(SqlError::unknown_table(&db, name)),
            };
        }
        let readable = if self.views == 0 {
            check::reading(self.state, self.session, &db, name)?
        } else {
            Readable::All
        };
        let database = self.state.database_named(&db).ok_or_else(|| SqlError::unknown_database(&db))?;
        match database.table_named(name) {
            None => Err(SqlError::unknown_table(&db, name)),
            Some(Table::View(view)) => {
                let mut parser = parser(&view.definition)?;
                let query = parser.parse_query().map_err(|error| syntax_error(&error))?;
                let names: Vec<String> = view.columns.iter().map(|column| column.name.clone()).collect();
                let inner = self.view(&db, &query)?;
                Ok(derived_named(scope, inner, shown, names))
            }
            Some(Table::Olap(table)) => {
                let partitions = choose(table, &choice)?;
                let index = match index {
                    None => table.base_index(),
                    Some(name) => {
                        table.indexes.values().find(|index| index.name == name).ok_or_else(|| {
                            SqlError::general(format!(
                                "Index[{name}] does not exist in table[{}]",
                                table.name
                            ))
                        })?
                    }
                };
                let mut source = TableSource::of(table, index, &partitions, &choice);
                let mut columns = index.columns.clone();
                if hidden::are_shown(self.session) && index.keys_type == KeysType::Unique {
                    source = source.with_hidden();
                    hidden::add_columns(&mut columns);
                }
                let known = &columns;
                let columns = known.iter();
                let columns =
                    columns.map(|column| (column.name.as_str(), Type::of(&column.data_type), column.visible));
                let mut relation = Relation::of_columns(shown, columns);
                for (column, known) in relation.columns.iter_mut().zip(known) {
                    if let Readable::Columns(allowed) = &readable
                        && !allowed.contains(&known.name)
                    {
                        let denial = check::column_denial(self.session, &db, name, &known.name);
                        column.forbidden = Some(Arc::from(denial));
                    }
                    column.value.column = Some(Arc::new(ColumnOrigin {
                        data_type: known.data_type.clone(),
                        nullable: known.nullable,
                        text_parser: text_parser(table, &known.name),
                        source: Some((table.id, known.name.clone())),
                    }));
                }
                rename(&mut relation, alias);
                scope.relations.push(relation);
                let sql = format!("{} AS {}", quote_name(&source.name), quote_name(shown));
                if !self.tables.iter().any(|known| known.name == source.name) {
                    self.tables.push(source);
                }
                Ok(sql)
            }
        }
    }

    /// A view's body sees its own database and no names from outside.
    fn view(&mut self, db: &str, query: &Query) -> SqlResult<Compiled> {
        let database = self.database.replace(db.to_owned());
        let ctes = std::mem::take(&mut self.ctes);
        self.views += 1;
        let inner = self.query(None, query);
        self.views -= 1;
        self.ctes = ctes;
        self.database = database;
        inner
    }

    fn cte(&mut self, scope: &mut Scope<'_>, at: usize, shown: &str) -> SqlResult<String> {
        // The body sees only the tables defined before it.
        let later = self.ctes.split_off(at);
        let (_, cte): (String, Cte) = later[0].clone();
        let inner = self.query(None, &cte.query);
        self.ctes.truncate(at);
        self.ctes.extend(later);
        let names = cte.alias.columns.iter().map(|column| column.name.value.clone()).collect();
        Ok(derived_named(scope, inner?, shown, names))
    }

    fn table_function(
        &mut self,
        name: &str,
        args: &[FunctionArg],
        scope: &mut Scope<'_>,
        shown: &str,
    ) -> SqlResult<String> {
        if name.eq_ignore_ascii_case("numbers") {
            let count = property(args, "number").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            if count > MAX_NUMBERS {
                return Err(SqlError::general(format!("numbers() is limited to {MAX_NUMBERS} rows")));
            }
            scope.relations.push(Relation::of_columns(shown, [("number", Type::BigInt, true)]));
            return Ok(format!(
                "(WITH RECURSIVE n(x) AS (SELECT 0 WHERE {count} > 0 UNION ALL SELECT x + 1 FROM n WHERE x + 1 < {count}) \
                 SELECT x AS \"number\" FROM n) AS {}",
                quote_name(shown)
            ));
        }
        if ["mv_infos", "jobs", "tasks"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            let key = if name.eq_ignore_ascii_case("mv_infos") { "database" } else { "type" };
            let Some(value) = property(args, key) else {
                return Err(SqlError::general(format!(
                    "Invalid {} metadata query: {key} is missing",
                    name.to_lowercase()
                )));
            };
            return match self.virtual_table(&format!("{name}({value})")) {
                Some(rows) => Ok(self.answer(scope, rows, shown)),
                None => Err(SqlError::general(format!("Invalid {key}: {value}"))),
            };
        }
        if ["frontends", "backends"].iter().any(|nodes| name.eq_ignore_ascii_case(nodes)) {
            check::globally(self.state, self.session, Wanted::NODE)?;
        }
        match self.virtual_table(&format!("{name}()")) {
            Some(rows) => Ok(self.answer(scope, rows, shown)),
            None => Err(SqlError::general(format!("Can not found table function '{name}'"))),
        }
    }

    /// The rows of a virtual table; unknown ones are asked for, see [`Compiler::wanted`].
    fn virtual_table(&mut self, name: &str) -> Option<ResultSet> {
        let name = name.to_ascii_lowercase();
        let rows = self.virtual_rows.get(&name).cloned();
        if rows.is_none() {
            self.wanted.push(name);
        }
        rows
    }

    fn answer(&mut self, scope: &mut Scope<'_>, rows: ResultSet, shown: &str) -> String {
        let ty = |at: usize| match rows.types.get(at) {
            Some(ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt) => {
                Type::BigInt
            }
            _ => Type::Text,
        };
        let columns: Vec<(&str, Type, bool)> =
            rows.columns.iter().enumerate().map(|(at, name)| (name.as_str(), ty(at), true)).collect();
        scope.relations.push(Relation::of_columns(shown, columns));
        let name = format!("answer_{}", self.answers.len());
        let sql = format!("{} AS {}", quote_name(&name), quote_name(shown));
        self.answers.push((name, rows));
        sql
    }
}

/// Columns of the side of an outer join that can be absent are NULL then.
fn may_be_missing(relations: &mut [Relation]) {
    for column in relations.iter_mut().flat_map(|relation| &mut relation.columns) {
        if let Some(origin) = &mut column.value.column {
            Arc::make_mut(origin).nullable = true;
        }
    }
}

fn derived(scope: &mut Scope<'_>, inner: Compiled, alias: &TableAlias) -> String {
    let names = alias.columns.iter().map(|column| column.name.value.clone()).collect();
    derived_named(scope, inner, &alias.name.value, names)
}

/// A subquery as a relation. Its columns are called c0, c1… inside SQLite.
fn derived_named(scope: &mut Scope<'_>, inner: Compiled, alias: &str, names: Vec<String>) -> String {
    let columns = inner.columns.iter().enumerate().map(|(at, (name, ty))| {
        let mut value = Typed::new(format!("{}.{}", quote_name(alias), output_name(at)), *ty);
        value.column = inner.origins.get(at).cloned().flatten();
        RelationColumn { name: names.get(at).unwrap_or(name).clone(), value, visible: true, forbidden: None }
    });
    scope.relations.push(Relation { alias: alias.to_owned(), columns: columns.collect() });
    let outputs: Vec<String> = (0..inner.columns.len()).map(output_name).collect();
    format!(
        "(WITH body({}) AS ({}) SELECT * FROM body) AS {}",
        outputs.join(", "),
        inner.sql,
        quote_name(alias)
    )
}

fn rename(relation: &mut Relation, alias: Option<&TableAlias>) {
    let names = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
    for (column, name) in relation.columns.iter_mut().zip(names) {
        column.name = name.name.value.clone();
    }
}

/// The value of `"name" = "value"` among the arguments.
fn property(args: &[FunctionArg], wanted: &str) -> Option<String> {
    args.iter().find_map(|arg| match arg {
        FunctionArg::ExprNamed {
            name,
            arg: FunctionArgExpr::Expr(value),
            operator: FunctionArgOperator::Equals,
        } => (literal_text(name)?.eq_ignore_ascii_case(wanted)).then(|| literal_text(value)).flatten(),
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
            name.value.eq_ignore_ascii_case(wanted).then(|| literal_text(value)).flatten()
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, right, .. })) => {
            literal_text(left)?.eq_ignore_ascii_case(wanted).then(|| literal_text(right)).flatten()
        }
        _ => None,
    })
}

fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => value_text(&value.value).ok(),
        Expr::Identifier(name) => Some(name.value.clone()),
        _ => None,
    }
}
