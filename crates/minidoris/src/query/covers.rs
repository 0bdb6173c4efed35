//! Whether an index of a table can answer a query: what EXPLAIN chooses from.
//!
//! A query of one table is compared expression by expression with what a synchronous materialised view
//! holds, both printed in one form ([`super::definition`]).

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
};

use super::compile::{name_parts, parser};
use super::definition::{Call, Printer, call, parts};
use crate::model::{AggregateKind, Column, IndexSchema, KeysType, OlapTable};

const AGGREGATES: [&str; 16] = [
    "sum",
    "count",
    "min",
    "max",
    "avg",
    "ndv",
    "approx_count_distinct",
    "bitmap_union",
    "bitmap_union_count",
    "bitmap_union_int",
    "hll_union",
    "hll_union_agg",
    "group_concat",
    "any_value",
    "max_by",
    "min_by",
];

/// Whether the index answers the query, which must be a plain one of the table.
pub fn covers(table: &OlapTable, index: &IndexSchema, query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [from] = select.from.as_slice() else { return false };
    if !from.joins.is_empty() {
        return false;
    }
    match &from.relation {
        TableFactor::Derived { subquery, .. } => covers(table, index, subquery),
        TableFactor::Table { name, alias, args: None, .. } => {
            let Ok(Some(own)) = name_parts(name).map(|mut parts| parts.pop()) else { return false };
            let alias = alias.as_ref().map_or(own.as_str(), |alias| alias.name.value.as_str());
            own == table.name && View { index, printer: Printer { table, alias } }.answers(query, select)
        }
        _ => false,
    }
}

struct View<'a> {
    index: &'a IndexSchema,
    printer: Printer<'a>,
}

impl View<'_> {
    fn answers(&self, query: &Query, select: &Select) -> bool {
        let GroupByExpr::Expressions(groups, _) = &select.group_by else { return false };
        let mut items = Vec::new();
        for item in &select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                return false;
            };
            items.push(expr);
        }
        if self.loses_rows() && groups.is_empty() && !items.iter().all(|item| is_aggregate(item)) {
            return false;
        }
        let order = match query.order_by.as_ref().map(|order| &order.kind) {
            None => &[][..],
            Some(OrderByKind::Expressions(keys)) => keys.as_slice(),
            Some(OrderByKind::All(_)) => return false,
        };
        let Some(filter) = self.filter() else { return false };
        let mut others = select.selection.as_ref().map(conjuncts).unwrap_or_default();
        for condition in &filter {
            let before = others.len();
            others.retain(|conjunct| self.printer.print(conjunct).as_ref() != Some(condition));
            if others.len() == before {
                return false;
            }
        }
        let rest = groups.iter().chain(select.having.as_ref()).chain(order.iter().map(|key| &key.expr));
        items.into_iter().chain(others).chain(rest).all(|expr| self.holds(expr))
    }

    /// Whether one row of the view stands for several of the table.
    fn loses_rows(&self) -> bool {
        self.index.keys_type == KeysType::Aggregate
    }

    /// The conditions of the view, of which a query must have every one.
    fn filter(&self) -> Option<Vec<String>> {
        let Some(text) = self.index.view.as_ref().and_then(|view| view.filter.as_ref()) else {
            return Some(Vec::new());
        };
        let filter = parser(text).ok()?.parse_expr().ok()?;
        // Printed, the names are without a qualifier.
        conjuncts(&filter).into_iter().map(|condition| self.printer.print(condition)).collect()
    }

    /// Whether the expression can be computed from the view's columns.
    fn holds(&self, expr: &Expr) -> bool {
        if let Some(call) = call(expr)
            && AGGREGATES.contains(&call.name.as_str())
            && self.loses_rows()
        {
            return self.holds_aggregate(&call);
        }
        if self.printer.print(expr).is_some_and(|text| self.has(None, &text)) {
            return true;
        }
        match (self.printer.column(expr), parts(expr)) {
            (Some(_), _) | (None, None) => false,
            // What is no column of the table is an alias or a constant.
            (None, Some(parts)) => parts.into_iter().all(|part| self.holds(part)),
        }
    }

    fn holds_aggregate(&self, call: &Call<'_>) -> bool {
        let printed = match call.arguments.as_slice() {
            [None] => Some("1".to_owned()),
            arguments => {
                let printed = arguments.iter().map(|argument| self.printer.print((*argument)?));
                printed.collect::<Option<Vec<_>>>().map(|printed| printed.join(", "))
            }
        };
        let Some(x) = printed else { return false };
        let bitmap = AggregateKind::BitmapUnion;
        let checked = |text: &str| text.replacen("to_bitmap(", "to_bitmap_with_check(", 1);
        match call.name.as_str() {
            "sum" => {
                let wider = format!("CAST({x} AS ");
                self.has(Some(AggregateKind::Sum), &x)
                    || self.columns(Some(AggregateKind::Sum)).any(|define| define.starts_with(&wider))
            }
            "count" if call.distinct => {
                self.has(None, &x) || self.has(Some(bitmap), &format!("to_bitmap_with_check({x})"))
            }
            "count" => {
                self.has(Some(AggregateKind::Sum), &format!("CASE WHEN {x} IS NULL THEN 0 ELSE 1 END"))
            }
            "min" => self.has(None, &x) || self.has(Some(AggregateKind::Min), &x),
            "max" => self.has(None, &x) || self.has(Some(AggregateKind::Max), &x),
            "bitmap_union" | "bitmap_union_count" => self.has(Some(bitmap), &checked(&x)),
            "bitmap_union_int" => self.has(Some(bitmap), &format!("to_bitmap_with_check({x})")),
            "hll_union" | "hll_union_agg" => self.has(Some(AggregateKind::HllUnion), &x),
            "ndv" | "approx_count_distinct" => {
                self.has(None, &x)
                    || self.has(Some(AggregateKind::HllUnion), &format!("hll_hash({x})"))
                    || self.has_state(call, &x)
            }
            _ => self.has_state(call, &x),
        }
    }

    fn has_state(&self, call: &Call<'_>, arguments: &str) -> bool {
        !call.distinct && self.has(Some(AggregateKind::Generic), &format!("{}_state({arguments})", call.name))
    }

    fn has(&self, kind: Option<AggregateKind>, define: &str) -> bool {
        self.columns(kind).any(|own| own == define)
    }

    /// What the columns of an aggregation hold, or the keys.
    fn columns(&self, kind: Option<AggregateKind>) -> impl Iterator<Item = String> {
        let define = |column: &Column| column.define.clone().unwrap_or_else(|| format!("`{}`", column.name));
        self.index.columns.iter().filter(move |column| column.aggregate == kind).map(define)
    }
}

fn is_aggregate(expr: &Expr) -> bool {
    call(expr).is_some_and(|call| AGGREGATES.contains(&call.name.as_str()))
}

/// The conditions that AND joins.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left).into_iter().chain(conjuncts(right)).collect()
        }
        other => vec![other],
    }
}
