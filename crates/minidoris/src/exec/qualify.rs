//! Names in the body of a view, as Doris writes them: tables with their database, columns with their table,
//! all in back quotes.
//!
//! The text itself is kept: only the places of names are replaced, which the parser tells. A column is
//! qualified when exactly one table in sight has it. What cannot be told (the columns of a subquery with a
//! star, an expression that this walk does not know) stays as written, which means the same.

use std::ops::ControlFlow;

use doris_types::sql::quote_identifier;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint,
    JoinOperator, OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins,
};
use sqlparser::tokenizer::Span;

use crate::model::Table;
use crate::query::compile::name_parts;
use crate::query::run::parse_query;
use crate::state::FeState;

/// Something in FROM.
struct Source {
    /// What its columns are called by in the text.
    names: Vec<String>,
    /// What stands before its columns.
    prefix: String,
    /// `None` when they are not known.
    columns: Option<Vec<String>>,
}

struct Walk<'a> {
    state: &'a FeState,
    db: &'a str,
    /// Names of WITH clauses.
    ctes: Vec<String>,
    /// Sources of the query and of those around it, innermost last.
    scopes: Vec<Vec<Source>>,
    /// Places in the text and what goes there.
    changes: Vec<(Span, String)>,
}

/// Qualifies the columns of a query whose tables are qualified. A query that cannot be read stays as it is.
pub fn columns(state: &FeState, db: &str, query: &str) -> String {
    let Ok(tree) = parse_query(query) else { return query.to_owned() };
    let mut walk = Walk { state, db, ctes: Vec::new(), scopes: Vec::new(), changes: Vec::new() };
    walk.query(&tree);
    replace(query, walk.changes)
}

impl Walk<'_> {
    fn query(&mut self, query: &Query) {
        let known = self.ctes.len();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&cte.query);
            self.ctes.push(cte.alias.name.value.clone());
        }
        self.set(&query.body, query.order_by.as_ref());
        self.ctes.truncate(known);
    }

    fn set(&mut self, body: &SetExpr, order_by: Option<&OrderBy>) {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.set(left, None);
                self.set(right, None);
            }
            _ => {}
        }
    }

    fn select(&mut self, select: &Select, order_by: Option<&OrderBy>) {
        self.scopes.push(Vec::new());
        for table in &select.from {
            self.table(table);
        }
        let mut aliases = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let named = match expr {
                        Expr::Identifier(name) => {
                            self.column(name).map(|text| (name.span, text, &name.value))
                        }
                        Expr::CompoundIdentifier(parts) => parts.last().and_then(|last| {
                            let text = self.compound(parts)?;
                            Some((span_of(parts), text, &last.value))
                        }),
                        _ => None,
                    };
                    match named {
                        Some((span, text, name)) => {
                            self.changes.push((span, format!("{text} AS {}", quote_identifier(name))));
                        }
                        None => self.expr(expr),
                    }
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expr(expr);
                    aliases.push(alias.value.clone());
                    self.changes.push((alias.span, quote_identifier(&alias.value)));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let idents: Vec<Ident> =
                        name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                    if let ([first], Some(source)) = (idents.as_slice(), self.source(&idents)) {
                        let prefix = source.prefix.clone();
                        self.changes.push((first.span, prefix));
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                    self.expr(expr)
                }
                SelectItem::Wildcard(_) => {}
            }
        }
        self.expressions(select.selection.as_ref());
        // A name that is both means the alias in HAVING and ORDER BY, the column in GROUP BY.
        if let GroupByExpr::Expressions(group, _) = &select.group_by {
            group.iter().for_each(|expr| self.unless_alias(expr, &aliases, true));
        }
        select.having.iter().for_each(|expr| self.unless_alias(expr, &aliases, false));
        if let Some(OrderByKind::Expressions(items)) = order_by.map(|order_by| &order_by.kind) {
            items.iter().for_each(|item| self.unless_alias(&item.expr, &aliases, false));
        }
        self.scopes.pop();
    }

    fn unless_alias(&mut self, expr: &Expr, aliases: &[String], prefers_column: bool) {
        match expr {
            Expr::Identifier(name)
                if aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&name.value))
                    && !(prefers_column && self.column(name).is_some()) =>
            {
                self.changes.push((name.span, quote_identifier(&name.value)));
            }
            other => self.expr(other),
        }
    }

    fn table(&mut self, table: &TableWithJoins) {
        self.factor(&table.relation);
        for join in &table.joins {
            self.factor(&join.relation);
        }
        // Conditions see all tables of the FROM item so far; all of them is near enough.
        for join in &table.joins {
            if let Some(JoinConstraint::On(expr)) = constraint(&join.join_operator) {
                self.expr(expr);
            }
        }
    }

    fn factor(&mut self, factor: &TableFactor) {
        let source = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = name_parts(name).unwrap_or_default();
                let Some(own) = parts.last() else { return };
                let db = parts.len().checked_sub(2).map_or(self.db, |at| parts[at].as_str());
                let is_cte = parts.len() == 1 && self.ctes.iter().any(|cte| cte.eq_ignore_ascii_case(own));
                let known = self.state.database_named(db).and_then(|db| db.table_named(own));
                let columns = known.filter(|_| !is_cte).map(|table| match table {
                    Table::Olap(table) => table.columns(),
                    Table::View(view) => view.columns.as_slice(),
                });
                let columns = columns.filter(|columns| !columns.is_empty());
                let prefix = match alias {
                    Some(alias) => quote_identifier(&alias.name.value),
                    None if is_cte => quote_identifier(own),
                    None => ["internal", db, own].map(quote_identifier).join("."),
                };
                if let Some(alias) = alias {
                    self.changes.push((alias.name.span, quote_identifier(&alias.name.value)));
                }
                Source {
                    names: vec![alias.as_ref().map_or(own, |alias| &alias.name.value).clone()],
                    prefix,
                    columns: columns
                        .map(|columns| columns.iter().map(|column| column.name.clone()).collect()),
                }
            }
            TableFactor::Derived { subquery, alias, .. } => {
                self.query(subquery);
                let name = alias.as_ref().map(|alias| alias.name.value.clone()).unwrap_or_default();
                if let Some(alias) = alias {
                    self.changes.push((alias.name.span, quote_identifier(&name)));
                }
                Source {
                    names: vec![name.clone()],
                    prefix: quote_identifier(&name),
                    columns: outputs(subquery),
                }
            }
            TableFactor::NestedJoin { table_with_joins, .. } => return self.table(table_with_joins),
            _ => Source { names: Vec::new(), prefix: String::new(), columns: None },
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(source);
        }
    }

    /// A bare column with its table; `None` when it stays as it is.
    fn column(&self, name: &Ident) -> Option<String> {
        if name.quote_style == Some('"') {
            return None;
        }
        for scope in self.scopes.iter().rev() {
            let has = |source: &&Source| {
                let columns = source.columns.iter().flatten();
                columns.into_iter().any(|column| column.eq_ignore_ascii_case(&name.value))
            };
            let mut found = scope.iter().filter(has);
            match (found.next(), found.next()) {
                (Some(source), None) => {
                    return Some(format!("{}.{}", source.prefix, quote_identifier(&name.value)));
                }
                (Some(_), Some(_)) => return None,
                // It may be a column of what is not known.
                (None, _) if scope.iter().any(|source| source.columns.is_none()) => return None,
                (None, _) => {}
            }
        }
        None
    }

    /// `t.c` with all of the table's name.
    fn compound(&self, parts: &[Ident]) -> Option<String> {
        let (column, table) = parts.split_last()?;
        let source = self.source(table)?;
        Some(format!("{}.{}", source.prefix, quote_identifier(&column.value)))
    }

    fn source(&self, table: &[Ident]) -> Option<&Source> {
        let name = &table.last()?.value;
        let is_named = |source: &&Source| source.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        self.scopes.iter().rev().find_map(|scope| scope.iter().find(is_named))
    }

    fn expressions<'e>(&mut self, all: impl IntoIterator<Item = &'e Expr>) {
        all.into_iter().for_each(|expr| self.expr(expr));
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Identifier(name) => {
                if let Some(text) = self.column(name) {
                    self.changes.push((name.span, text));
                }
            }
            Expr::CompoundIdentifier(parts) => {
                if let Some(text) = self.compound(parts) {
                    self.changes.push((span_of(parts), text));
                }
            }
            Expr::Nested(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::Extract { expr: inner, .. }
            | Expr::Ceil { expr: inner, .. }
            | Expr::Floor { expr: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::CompoundFieldAccess { root: inner, .. } => self.expr(inner),
            Expr::BinaryOp { left, right, .. } => self.expressions([left.as_ref(), right.as_ref()]),
            Expr::Between { expr, low, high, .. } => {
                self.expressions([expr.as_ref(), low.as_ref(), high.as_ref()]);
            }
            Expr::InList { expr, list, .. } => {
                self.expr(expr);
                self.expressions(list);
            }
            Expr::InSubquery { expr, subquery, .. } => {
                self.expr(expr);
                self.query(subquery);
            }
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => self.query(subquery),
            Expr::Like { expr, pattern, .. } => self.expressions([expr.as_ref(), pattern.as_ref()]),
            Expr::Position { expr, r#in } => self.expressions([expr.as_ref(), r#in.as_ref()]),
            Expr::Interval(interval) => self.expr(&interval.value),
            Expr::Tuple(items) => self.expressions(items),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.expressions(operand.as_deref());
                for when in conditions {
                    self.expressions([&when.condition, &when.result]);
                }
                self.expressions(else_result.as_deref());
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.expr(expr);
                self.expressions(substring_from.as_deref());
                self.expressions(substring_for.as_deref());
            }
            Expr::Trim { expr, trim_what, .. } => {
                self.expr(expr);
                self.expressions(trim_what.as_deref());
            }
            Expr::Function(function) => self.function(function),
            _ => {}
        }
    }

    fn function(&mut self, function: &Function) {
        if let FunctionArguments::List(list) = &function.args {
            for argument in &list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
                    self.expr(expr);
                }
            }
        }
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// The columns that a subquery names; `None` when a star or an expression without an alias is among them.
fn outputs(query: &Query) -> Option<Vec<String>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().map(|last| last.value.clone())
        }
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    };
    select.projection.iter().map(name).collect()
}

fn span_of(parts: &[Ident]) -> Span {
    match (parts.first(), parts.last()) {
        (Some(first), Some(last)) => Span::new(first.span.start, last.span.end),
        _ => Span::empty(),
    }
}

/// Writes the changes into the text. Places that overlap, or that the parser did not tell, are left alone.
fn replace(text: &str, mut changes: Vec<(Span, String)>) -> String {
    changes.sort_by_key(|(span, _)| (span.start.line, span.start.column));
    let offset = |line: u64, column: u64| -> Option<usize> {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        let column = usize::try_from(column).ok()?.checked_sub(1)?;
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let rest = text.get(start..)?;
        rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column).map(|at| start + at)
    };
    let mut out = String::new();
    let mut copied = 0;
    let _ = changes.iter().try_for_each(|(span, new)| {
        let places = offset(span.start.line, span.start.column).zip(offset(span.end.line, span.end.column));
        if let Some((start, end)) = places.filter(|(start, end)| *start >= copied && end > start) {
            out.push_str(&text[copied..start]);
            out.push_str(new);
            copied = end;
        }
        ControlFlow::<()>::Continue(())
    });
    out.push_str(&text[copied..]);
    out
}
