//! SELECT, set operations, grouping and ordering.

use std::sync::Arc;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Value as Literal,
};

use super::convert::{common, convert};
use super::{ColumnOrigin, Compiled, Compiler, Scope, Typed, name_parts, quote_name, unsupported};
use crate::error::{SqlError, SqlResult};
use crate::query::hidden;
use crate::query::types::Type;

/// The parts of a body that ORDER BY needs.
struct Body {
    sql: String,
    columns: Vec<(String, Type)>,
    origins: Vec<Option<Arc<ColumnOrigin>>>,
}

impl Compiler<'_> {
    /// A whole query. `parent` holds the names that a correlated subquery may use.
    pub fn query(&mut self, parent: Option<&Scope<'_>>, query: &Query) -> SqlResult<Compiled> {
        self.enter()?;
        let outer = self.ctes.len();
        if let Some(with) = &query.with {
            if with.recursive {
                return Err(unsupported("WITH RECURSIVE"));
            }
            self.ctes.extend(with.cte_tables.iter().map(|cte| (cte.alias.name.value.clone(), cte.clone())));
        }
        let compiled = self.query_inner(parent, query);
        self.ctes.truncate(outer);
        self.leave();
        compiled
    }

    fn query_inner(&mut self, parent: Option<&Scope<'_>>, query: &Query) -> SqlResult<Compiled> {
        let order = match query.order_by.as_ref().map(|order| &order.kind) {
            None => &[][..],
            Some(OrderByKind::Expressions(items)) => items.as_slice(),
            Some(OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL")),
        };
        let keys: Vec<(&Expr, &str)> = order
            .iter()
            .map(|item| {
                let direction = match (item.options.asc, item.options.nulls_first) {
                    (Some(false), Some(true)) => " DESC NULLS FIRST",
                    (Some(false), _) => " DESC",
                    (_, Some(false)) => " NULLS LAST",
                    _ => "",
                };
                (&item.expr, direction)
            })
            .collect();
        let body = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(parent, select, &keys)?,
            other => {
                let body = self.set_expr(parent, other)?;
                let sql = if keys.is_empty() { body.sql } else { order_by_output(&body, &keys)? };
                Body { sql, columns: body.columns, origins: body.origins }
            }
        };
        let mut sql = body.sql;
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                match limit {
                    Some(limit) => sql.push_str(&format!(" LIMIT {}", count(limit)?)),
                    None if offset.is_some() => sql.push_str(" LIMIT -1"),
                    None => {}
                }
                if let Some(offset) = offset {
                    sql.push_str(&format!(" OFFSET {}", count(&offset.value)?));
                }
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                sql.push_str(&format!(" LIMIT {} OFFSET {}", count(limit)?, count(offset)?));
            }
            Some(other) => return Err(unsupported(other)),
        }
        Ok(Compiled { sql, columns: body.columns, origins: body.origins })
    }

    fn set_expr(&mut self, parent: Option<&Scope<'_>>, body: &SetExpr) -> SqlResult<Body> {
        match body {
            SetExpr::Select(select) => self.select(parent, select, &[]),
            SetExpr::Query(query) => {
                let inner = self.query(parent, query)?;
                Ok(Body {
                    sql: format!("SELECT * FROM ({})", inner.sql),
                    columns: inner.columns,
                    origins: inner.origins,
                })
            }
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let (left, right) = (self.set_expr(parent, left)?, self.set_expr(parent, right)?);
                let word = match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
                    (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
                    (
                        SetOperator::Except | SetOperator::Minus,
                        SetQuantifier::None | SetQuantifier::Distinct,
                    ) => "EXCEPT",
                    (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
                    _ => return Err(unsupported(format!("{op} {set_quantifier}"))),
                };
                if left.columns.len() != right.columns.len() {
                    return Err(SqlError::general("Operands have unequal number of columns"));
                }
                let types: Vec<Type> = left
                    .columns
                    .iter()
                    .zip(&right.columns)
                    .map(|((_, a), (_, b))| common(&Typed::new("", *a), &Typed::new("", *b)))
                    .collect();
                let columns: Vec<(String, Type)> =
                    left.columns.iter().zip(&types).map(|((name, _), ty)| (name.clone(), *ty)).collect();
                let sql = format!("{} {word} {}", retype(&left, &types), retype(&right, &types));
                Ok(Body { sql: format!("SELECT * FROM ({sql})"), columns, origins: Vec::new() })
            }
            SetExpr::Values(values) => {
                let scope = Scope { parent, ..Scope::default() };
                let mut rows: Vec<Vec<Typed>> = Vec::new();
                for row in &values.rows {
                    rows.push(
                        row.iter().map(|expr| self.expression(&scope, expr)).collect::<SqlResult<_>>()?,
                    );
                }
                let width = rows.first().map_or(0, Vec::len);
                if rows.iter().any(|row| row.len() != width) {
                    return Err(SqlError::general("Column count doesn't match value count"));
                }
                let types: Vec<Type> =
                    (0..width).map(|at| super::expression::unify(rows.iter().map(|row| &row[at]))).collect();
                let row = |row: &Vec<Typed>| {
                    let cells: Vec<String> =
                        row.iter().zip(&types).map(|(cell, ty)| convert(cell, *ty).sql).collect();
                    format!("({})", cells.join(", "))
                };
                let rows: Vec<String> = rows.iter().map(row).collect();
                let columns =
                    types.iter().enumerate().map(|(at, ty)| (format!("column{}", at + 1), *ty)).collect();
                Ok(Body {
                    sql: format!("SELECT * FROM (VALUES {})", rows.join(", ")),
                    columns,
                    origins: Vec::new(),
                })
            }
            other => Err(unsupported(other)),
        }
    }

    fn select(
        &mut self,
        parent: Option<&Scope<'_>>,
        select: &Select,
        order: &[(&Expr, &str)],
    ) -> SqlResult<Body> {
        if select.qualify.is_some() || select.into.is_some() {
            return Err(unsupported("this form of SELECT"));
        }
        let mut scope = Scope { parent, ..Scope::default() };
        let mut from = self.from(&mut scope, &select.from)?;
        for view in &select.lateral_views {
            from.push_str(&self.lateral_view(&mut scope, view)?);
        }
        let items = self.items(&scope, &select.projection)?;
        scope.aliases = items.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut sql = "SELECT ".to_owned();
        match &select.distinct {
            None => {}
            Some(Distinct::Distinct) => sql.push_str("DISTINCT "),
            Some(Distinct::On(_)) => return Err(unsupported("DISTINCT ON")),
        }
        let shown: Vec<String> = items
            .iter()
            .enumerate()
            .map(|(at, (_, value))| format!("{} AS {}", value.sql, output_name(at)))
            .collect();
        sql.push_str(&shown.join(", "));
        if !from.is_empty() {
            sql.push_str(&format!(" FROM {from}"));
        }
        if let Some(condition) = &select.selection {
            // Aliases are not visible in WHERE.
            let aliases = std::mem::take(&mut scope.aliases);
            let condition = self.expression(&scope, condition)?;
            scope.aliases = aliases;
            sql.push_str(&format!(" WHERE {}", condition.sql));
        }
        if let GroupByExpr::Expressions(keys, modifiers) = &select.group_by {
            if !modifiers.is_empty() {
                return Err(unsupported("GROUP BY with a modifier"));
            }
            if !keys.is_empty() {
                let keys: Vec<String> =
                    keys.iter().map(|key| self.key(&scope, &items, key)).collect::<SqlResult<_>>()?;
                sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
            }
        } else {
            return Err(unsupported("GROUP BY ALL"));
        }
        if let Some(condition) = &select.having {
            let condition = self.expression(&scope, condition)?;
            sql.push_str(&format!(" HAVING {}", condition.sql));
        }
        if !order.is_empty() {
            let mut keys = Vec::new();
            for (expr, direction) in order {
                keys.push(format!("{}{direction}", self.order_key(&scope, &items, expr)?));
            }
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        let origins = items.iter().map(|(_, value)| value.column.clone()).collect();
        let columns = items.into_iter().map(|(name, value)| (name, value.ty)).collect();
        Ok(Body { sql, columns, origins })
    }

    /// The select list with stars expanded; names as Doris shows them.
    fn items(&mut self, scope: &Scope<'_>, projection: &[SelectItem]) -> SqlResult<Vec<(String, Typed)>> {
        let mut items = Vec::new();
        let shows_hidden = hidden::are_shown(self.session);
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = match expr {
                        Expr::Identifier(ident) => ident.value.clone(),
                        Expr::CompoundIdentifier(parts) => {
                            parts.last().map(|part| part.value.clone()).unwrap_or_default()
                        }
                        other => other.to_string(),
                    };
                    items.push((name, self.expression(scope, expr)?));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    items.push((alias.value.clone(), self.expression(scope, expr)?));
                }
                SelectItem::Wildcard(_) => {
                    if scope.relations.is_empty() {
                        return Err(SqlError::general("No tables used"));
                    }
                    for relation in &scope.relations {
                        let columns = relation.columns.iter().filter(|column| column.visible || shows_hidden);
                        for column in columns {
                            items.push((column.name.clone(), column.read()?));
                        }
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let wanted = name_parts(name)?.pop().unwrap_or_default();
                    let relation = scope
                        .relations
                        .iter()
                        .find(|relation| relation.alias.eq_ignore_ascii_case(&wanted))
                        .ok_or_else(|| SqlError::general(format!("Unknown table '{wanted}'")))?;
                    let columns = relation.columns.iter().filter(|column| column.visible || shows_hidden);
                    for column in columns {
                        items.push((column.name.clone(), column.read()?));
                    }
                }
                other => return Err(unsupported(other)),
            }
        }
        Ok(items)
    }

    /// A GROUP BY key: an ordinal, an alias or an expression.
    fn key(&mut self, scope: &Scope<'_>, items: &[(String, Typed)], expr: &Expr) -> SqlResult<String> {
        if let Some(at) = ordinal(expr, items.len())? {
            return Ok(items[at].1.sql.clone());
        }
        Ok(self.expression(scope, expr)?.sql)
    }

    /// An ORDER BY key: an ordinal or alias becomes the output column.
    fn order_key(&mut self, scope: &Scope<'_>, items: &[(String, Typed)], expr: &Expr) -> SqlResult<String> {
        if let Some(at) = ordinal(expr, items.len())? {
            return Ok((at + 1).to_string());
        }
        if let Expr::Identifier(name) = expr {
            let by_alias = items.iter().position(|(alias, _)| alias.eq_ignore_ascii_case(&name.value));
            if let Some(at) = by_alias {
                return Ok((at + 1).to_string());
            }
        }
        let value = self.expression(scope, expr)?;
        // A constant would be taken as an ordinal.
        Ok(if value.literal.is_some() { format!("({} + 0)", value.sql) } else { value.sql })
    }
}

/// The position that a number names, from 0.
fn ordinal(expr: &Expr, width: usize) -> SqlResult<Option<usize>> {
    let Expr::Value(value) = expr else { return Ok(None) };
    let Literal::Number(text, _) = &value.value else { return Ok(None) };
    let Ok(number) = text.parse::<usize>() else { return Ok(None) };
    match number {
        1.. if number <= width => Ok(Some(number - 1)),
        _ => Err(SqlError::general(format!("Unknown column '{number}' in 'order clause'"))),
    }
}

fn order_by_output(body: &Body, keys: &[(&Expr, &str)]) -> SqlResult<String> {
    let mut shown = Vec::new();
    for (expr, direction) in keys {
        let at = match (ordinal(expr, body.columns.len())?, expr) {
            (Some(at), _) => at,
            (None, Expr::Identifier(name)) => body
                .columns
                .iter()
                .position(|(column, _)| column.eq_ignore_ascii_case(&name.value))
                .ok_or_else(|| {
                    SqlError::general(format!("Unknown column '{}' in 'order clause'", name.value))
                })?,
            (None, other) => return Err(unsupported(format!("ORDER BY {other} over a set operation"))),
        };
        shown.push(format!("{}{direction}", at + 1));
    }
    Ok(format!("{} ORDER BY {}", body.sql, shown.join(", ")))
}

/// The body with its columns converted to the given types.
fn retype(body: &Body, types: &[Type]) -> String {
    if body
        .columns
        .iter()
        .zip(types)
        .all(|((_, own), wanted)| own == wanted || own.is_integer() && wanted.is_integer())
    {
        return format!("SELECT * FROM ({})", body.sql);
    }
    let columns = body.columns.iter().zip(types).enumerate().map(|(at, ((_, own), wanted))| {
        let column = Typed::new(output_name(at), *own);
        format!("{} AS {}", convert(&column, *wanted).sql, output_name(at))
    });
    let names: Vec<String> = (0..types.len()).map(output_name).collect();
    let columns: Vec<String> = columns.collect();
    format!(
        "SELECT {} FROM (WITH body({}) AS ({}) SELECT * FROM body)",
        columns.join(", "),
        names.join(", "),
        body.sql
    )
}

/// The name of the n-th output column inside SQLite.
pub(super) fn output_name(at: usize) -> String {
    quote_name(&format!("c{at}"))
}

fn count(expr: &Expr) -> SqlResult<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::Number(text, _) => text.parse().map_err(|_| unsupported(expr)),
            _ => Err(unsupported(expr)),
        },
        _ => Err(unsupported(expr)),
    }
}
