//! Synchronous materialised views: from their query to an index of the table.
//!
//! A column of such a view is called `mv_` and what it selects, or `mva_`, the aggregation, `__` and what it
//! aggregates. Names of columns stand in the first form as they are and everywhere else in back quotes; an
//! alias in the query changes nothing. The rows come from [`crate::query::derive`].

mod states;

use sqlparser::ast::{Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor};

use super::{columns, context, create_table};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{AggregateKind, Column, DataType, IndexSchema, KeysType, OlapTable, SyncView};
use crate::query::compile::{name_parts, parser, syntax_error};
use crate::query::create_as_select::data_type;
use crate::query::definition::{Call, Printer, call};
use crate::query::derive;
use crate::query::run::parse_query;
use crate::query::types::Type;
use crate::session::Session;
use crate::sql::TableName;
use crate::state::FeState;

/// The index that a CREATE MATERIALIZED VIEW asks for, with the ids of its database and table; none when it is
/// there and may be.
pub fn plan(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    name: &TableName,
    if_not_exists: bool,
    query: &str,
    statement: &str,
) -> SqlResult<Option<((i64, i64), IndexSchema)>> {
    let query = parse_query(query)?;
    let select = plain_select(&query)?;
    let (source, alias) = single_table(name, select)?;
    let ids = context::olap_ids(state, session, &source)?;
    let table = context::olap(state, ids.0, ids.1);
    context::check_own(session, table)?;
    let exists = table.indexes.values().any(|index| index.name == name.name);
    if exists && if_not_exists {
        return Ok(None);
    }
    context::check_normal(table)?;
    if exists {
        return Err(SqlError::general(format!("Materialized view[{}] already exists", name.name)));
    }
    context::check_no_temp_partitions(table)?;
    let plan = Plan {
        cluster,
        state,
        table,
        printer: Printer { table, alias: alias.as_deref().unwrap_or(&source.name) },
    };
    let items = plan.items(select)?;
    let keys_type = plan.keys_type(select, &items)?;
    let filter = select.selection.as_ref().map(|condition| plan.filter(condition)).transpose()?;
    let sorted_by = plan.order(&query, &items)?;
    let columns = plan.columns(items, keys_type, sorted_by)?;
    let mut index = create_table::index_schema(state.ids.allocate(), &name.name, columns, keys_type);
    index.view = Some(Box::new(SyncView { statement: statement.to_owned(), filter }));
    Ok(Some((ids, index)))
}

/// The only SELECT of a query that has none of the clauses that views do not take.
fn plain_select(query: &Query) -> SqlResult<&Select> {
    if query.limit_clause.is_some() {
        return Err(SqlError::general("The limit clause is not supported in add materialized view clause"));
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return Err(only_single_table()) };
    if select.having.is_some() {
        return Err(SqlError::general("The having clause is not supported in add materialized view clause"));
    }
    if query.with.is_some() || select.distinct.is_some() || select.qualify.is_some() {
        return Err(SqlError::general("The materialized view only supports a plain SELECT of one table"));
    }
    Ok(select)
}

fn only_single_table() -> SqlError {
    SqlError::general("The materialized view only support the single table in from clause.")
}

/// The table that the query reads, and what the query calls it.
fn single_table(view: &TableName, select: &Select) -> SqlResult<(TableName, Option<String>)> {
    let [from] = select.from.as_slice() else { return Err(only_single_table()) };
    let TableFactor::Table { name, alias, args: None, partitions, .. } = &from.relation else {
        return Err(only_single_table());
    };
    if !from.joins.is_empty() || !partitions.is_empty() {
        return Err(only_single_table());
    }
    let mut parts = name_parts(name)?;
    let table = parts.pop().ok_or_else(only_single_table)?;
    let source = TableName { db: parts.pop().or_else(|| view.db.clone()), name: table };
    Ok((source, alias.as_ref().map(|alias| alias.name.value.clone())))
}

/// One item of the select list.
struct Item {
    /// What the column holds, printed.
    define: String,
    aggregate: Option<AggregateKind>,
    data_type: DataType,
    nullable: bool,
    /// The columns of the table that it reads.
    reads: Vec<Column>,
}

impl Item {
    /// The column that the item is; `None` when it is more.
    fn plain(&self) -> Option<&Column> {
        self.reads.first().filter(|column| self.define == format!("`{}`", column.name))
    }

    fn name(&self) -> String {
        match self.aggregate {
            Some(kind) => format!("mva_{}__{}", kind.keyword(), self.define),
            None => match self.plain() {
                Some(column) => format!("mv_{}", column.name),
                None => format!("mv_{}", self.define),
            },
        }
    }
}

struct Plan<'a> {
    cluster: &'a ClusterInner,
    state: &'a FeState,
    table: &'a OlapTable,
    printer: Printer<'a>,
}

impl Plan<'_> {
    fn items(&self, select: &Select) -> SqlResult<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        for item in &select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                return Err(SqlError::general(
                    "The materialized view currently does not support * in select statement",
                ));
            };
            let item = self.item(expr)?;
            if items.iter().any(|known| known.name() == item.name()) {
                let message = format!("Duplicate column name '{}'", item.name());
                return Err(SqlError { code: 1060, state: "42S21", message });
            }
            if item.aggregate.is_none() && items.last().is_some_and(|last| last.aggregate.is_some()) {
                return Err(SqlError::general("The aggregate column should be after the single column"));
            }
            items.push(item);
        }
        if items.first().is_none_or(|first| first.aggregate.is_some()) {
            return Err(SqlError::general("The materialized view must contain at least one key column"));
        }
        Ok(items)
    }

    fn item(&self, expr: &Expr) -> SqlResult<Item> {
        if let Some(call) = call(expr)
            && let Some(item) = self.aggregate(expr, &call)?
        {
            return Ok(item);
        }
        let reads = self.reads(expr);
        if reads.is_empty() && self.printer.print(expr).is_some() {
            return Err(SqlError::general(format!(
                "The materialized view contain constant expr is disallowed, expr: {expr}"
            )));
        }
        let define = self.print(expr)?;
        let ty = self.type_of(expr)?;
        let is_plain = self.printer.column(expr).is_some();
        let (data_type, nullable) = match reads.first().filter(|_| is_plain) {
            Some(column) => (column.data_type.clone(), column.nullable),
            None => (data_type(ty, None, 0)?, true),
        };
        Ok(Item { define, aggregate: None, data_type, nullable, reads })
    }

    /// A call of an aggregate function; `None` when it is another function.
    fn aggregate(&self, expr: &Expr, call: &Call<'_>) -> SqlResult<Option<Item>> {
        let unsupported =
            || SqlError::general(format!("The materialized view does not support the function {expr}"));
        let kind = match call.name.as_str() {
            "sum" | "count" => AggregateKind::Sum,
            "min" => AggregateKind::Min,
            "max" => AggregateKind::Max,
            "bitmap_union" => AggregateKind::BitmapUnion,
            "hll_union" => AggregateKind::HllUnion,
            "bitmap_union_count" | "bitmap_union_int" | "hll_union_agg" | "hll_raw_agg" => {
                return Err(unsupported());
            }
            _ => return self.state(expr, call),
        };
        let [argument] = call.arguments.as_slice() else { return Err(unsupported()) };
        if call.distinct {
            return Err(unsupported());
        }
        if call.name == "count" {
            let define = match argument {
                None => "1".to_owned(),
                Some(argument) => self.print(argument)?,
            };
            let define = format!("CASE WHEN {define} IS NULL THEN 0 ELSE 1 END");
            let reads = argument.map(|argument| self.reads(argument)).unwrap_or_default();
            return Ok(Some(Item {
                define,
                aggregate: Some(kind),
                data_type: DataType::BigInt,
                nullable: false,
                reads,
            }));
        }
        let argument = argument.ok_or_else(unsupported)?;
        let (reads, ty) = (self.reads(argument), self.type_of(argument)?);
        if reads.is_empty() {
            return Err(unsupported());
        }
        let nullable = reads.iter().any(|column| column.nullable);
        let own = reads.first().filter(|_| self.printer.column(argument).is_some());
        let define = self.print(argument)?;
        let (define, data_type, nullable) = match kind {
            AggregateKind::Sum => {
                let wide = sum_type(ty).ok_or_else(unsupported)?;
                let is_wide = match own {
                    Some(column) => column.data_type == wide,
                    None => Type::of(&wide) == ty,
                };
                (
                    if is_wide { define } else { format!("CAST({define} AS {})", cast_name(&wide)) },
                    wide,
                    nullable,
                )
            }
            AggregateKind::BitmapUnion => match self::call(argument) {
                Some(inner) if inner.name == "to_bitmap" => {
                    let define = define.replacen("to_bitmap(", "to_bitmap_with_check(", 1);
                    (define, DataType::Bitmap, false)
                }
                None if own.is_some_and(|column| column.data_type == DataType::Bitmap) => {
                    (define, DataType::Bitmap, false)
                }
                _ => return Err(unsupported()),
            },
            AggregateKind::HllUnion => match self::call(argument) {
                Some(inner) if inner.name == "hll_hash" => (define, DataType::Hll, false),
                None if own.is_some_and(|column| column.data_type == DataType::Hll) => {
                    (define, DataType::Hll, false)
                }
                _ => return Err(unsupported()),
            },
            AggregateKind::Min
            | AggregateKind::Max
            | AggregateKind::Replace
            | AggregateKind::ReplaceIfNotNull
            | AggregateKind::QuantileUnion
            | AggregateKind::Generic => {
                let data_type = match own {
                    Some(column) => column.data_type.clone(),
                    None => data_type(ty, None, 1)?,
                };
                (define, data_type, nullable)
            }
        };
        Ok(Some(Item { define, aggregate: Some(kind), data_type, nullable, reads }))
    }

    fn print(&self, expr: &Expr) -> SqlResult<String> {
        // A column that the table does not have is the more likely reason.
        self.type_of(expr)?;
        let refused = || SqlError::general(format!("The materialized view does not support the expr {expr}"));
        self.printer.print(expr).ok_or_else(refused)
    }

    fn type_of(&self, expr: &Expr) -> SqlResult<Type> {
        // Qualifiers are for the printer.
        match self.printer.print(expr) {
            Some(text) => {
                let expr = parser(&text)?.parse_expr().map_err(|error| syntax_error(&error))?;
                derive::type_of(self.cluster, self.state, self.table, &expr)
            }
            None => derive::type_of(self.cluster, self.state, self.table, expr),
        }
    }

    fn reads(&self, expr: &Expr) -> Vec<Column> {
        let names = self.printer.columns(expr);
        names.into_iter().filter_map(|name| self.table.column(name).cloned()).collect()
    }

    /// The model of the view, with what the model of the table asks of it.
    fn keys_type(&self, select: &Select, items: &[Item]) -> SqlResult<KeysType> {
        let GroupByExpr::Expressions(groups, _) = &select.group_by else {
            return Err(SqlError::general("GROUP BY ALL is not supported in a materialized view"));
        };
        let groups: Vec<String> = groups.iter().map(|group| self.print(group)).collect::<SqlResult<_>>()?;
        let is_grouped = !groups.is_empty() || items.iter().any(|item| item.aggregate.is_some());
        if is_grouped {
            let is_key = |item: &&Item| item.aggregate.is_none();
            if let Some(item) = items.iter().filter(is_key).find(|item| !groups.contains(&item.define)) {
                return Err(SqlError::general(format!(
                    "{} must appear in the GROUP BY clause or be used in an aggregate function",
                    item.define
                )));
            }
            if let Some(group) =
                groups.iter().find(|group| !items.iter().filter(is_key).any(|item| item.define == **group))
            {
                return Err(SqlError::general(format!(
                    "The grouping expr {group} is not in the select list of the materialized view"
                )));
            }
        }
        match self.table.keys_type {
            KeysType::Duplicate => Ok(if is_grouped { KeysType::Aggregate } else { KeysType::Duplicate }),
            KeysType::Unique if is_grouped => {
                Err(SqlError::general("The materialized view of unique table must not has grouping columns"))
            }
            KeysType::Aggregate if !is_grouped => {
                Err(SqlError::general("The materialized view of aggregation table must has grouping columns"))
            }
            KeysType::Unique => {
                let base = self.table.columns().iter();
                let mut keys = base.filter(|column| column.is_key && column.visible);
                let holds =
                    |key: &&Column| items.iter().any(|item| item.plain().is_some_and(|own| own == *key));
                match keys.find(|key| !holds(key)) {
                    None => Ok(KeysType::Unique),
                    Some(key) => Err(SqlError::general(format!(
                        "The materialized view of uniq table must contain all key columns. column:{}",
                        key.name
                    ))),
                }
            }
            KeysType::Aggregate => {
                items.iter().try_for_each(check_of_aggregate)?;
                Ok(KeysType::Aggregate)
            }
        }
    }

    fn filter(&self, condition: &Expr) -> SqlResult<String> {
        let define = self.print(condition)?;
        let is_value = |column: &Column| !column.is_key && self.table.keys_type != KeysType::Duplicate;
        if self.reads(condition).iter().any(is_value) {
            return Err(SqlError::general(format!(
                "The where clause contained aggregate column is not supported, expr:{define}"
            )));
        }
        Ok(define)
    }

    /// How many leading columns ORDER BY names; `None` without it.
    fn order(&self, query: &Query, items: &[Item]) -> SqlResult<Option<usize>> {
        let Some(order) = &query.order_by else { return Ok(None) };
        let OrderByKind::Expressions(keys) = &order.kind else {
            return Err(SqlError::general("ORDER BY ALL is not supported in a materialized view"));
        };
        if keys.len() > items.len() {
            return Err(SqlError::general(
                "The number of columns in order clause must be less than the number of columns in select clause",
            ));
        }
        for (key, item) in keys.iter().zip(items) {
            if self.print(&key.expr)? != item.define {
                return Err(SqlError::general(
                    "The order of columns in order by clause must be same as the order of columns in select list",
                ));
            }
        }
        Ok(Some(keys.len()))
    }

    fn columns(
        &self,
        items: Vec<Item>,
        keys_type: KeysType,
        sorted_by: Option<usize>,
    ) -> SqlResult<Vec<Column>> {
        let by_size = columns::short_keys(items.iter().map(|item| &item.data_type)).max(1);
        let mut columns = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let is_key = match keys_type {
                KeysType::Aggregate => item.aggregate.is_none(),
                KeysType::Duplicate => at < sorted_by.unwrap_or(by_size),
                KeysType::Unique => item.plain().is_some_and(|column| column.is_key),
            };
            if is_key && let Some(error) = columns::key_type_error(&item.data_type, &item.name()) {
                return Err(error);
            }
            let name = item.name();
            // What is copied keeps its number, by which the conditions of a DELETE name it. The others have
            // numbers that no column of the table ever gets.
            let unique_id = match item.plain().filter(|_| item.aggregate.is_none()) {
                Some(column) => column.unique_id,
                None => -2 - i32::try_from(at).unwrap_or(i32::MAX - 2),
            };
            columns.push(Column {
                name,
                data_type: item.data_type,
                is_key,
                nullable: item.nullable,
                aggregate: item.aggregate,
                default: None,
                comment: String::new(),
                unique_id,
                visible: true,
                auto_increment: None,
                generated: None,
                on_update: None,
                define: Some(item.define),
            });
        }
        if columns.windows(2).any(|pair| !pair[0].is_key && pair[1].is_key) {
            return Err(SqlError::general("Key column should before value column in materialized view"));
        }
        columns.extend(self.table.column(columns::SEQUENCE_COLUMN).cloned());
        Ok(columns)
    }
}

/// What a view of an aggregate table may do with a column.
fn check_of_aggregate(item: &Item) -> SqlResult<()> {
    for column in &item.reads {
        if item.reads.len() > 1 && item.aggregate.is_some() {
            return Err(SqlError::general(
                "The materialized view of aggregation/unique table does not support expression (more than one base column)",
            ));
        }
        if column.is_key && item.aggregate.is_some() {
            return Err(SqlError::general(format!(
                "The column[{}] must be the key of materialized view",
                column.name
            )));
        }
        if column.aggregate != item.aggregate || (!column.is_key && item.plain().is_none() && !is_cast(item))
        {
            return Err(SqlError::general(format!(
                "The aggregation type of column[{}] must be same as the aggregate type of base column in aggregate table",
                column.name
            )));
        }
    }
    Ok(())
}

/// Whether an item is its column in a wider type.
fn is_cast(item: &Item) -> bool {
    item.reads.first().is_some_and(|column| item.define.starts_with(&format!("CAST(`{}` AS ", column.name)))
}

/// The type of the sum of values of a type.
fn sum_type(ty: Type) -> Option<DataType> {
    Some(match ty {
        Type::Bool | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => DataType::BigInt,
        Type::Wide { is_large: true, .. } => DataType::LargeInt,
        Type::Float | Type::Double => DataType::Double,
        Type::Decimal { scale } | Type::Wide { scale, is_large: false } => {
            DataType::Decimal { precision: 38, scale }
        }
        Type::Null | Type::Date | Type::DateTime { .. } | Type::Text | Type::Json | Type::Object => {
            return None;
        }
    })
}

/// How a cast names a type.
fn cast_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Decimal { precision, scale } => format!("decimalv3({precision},{scale})"),
        other => other.to_string(),
    }
}

/// Whether an index is a view that a column of the table goes into.
pub fn is_used_by_view(index: &IndexSchema, column: &str) -> bool {
    let Some(view) = &index.view else { return false };
    let reference = format!("`{column}`").to_ascii_lowercase();
    let mut defines = index.columns.iter().filter_map(|column| column.define.as_ref()).chain(&view.filter);
    defines.any(|text| text.to_ascii_lowercase().contains(&reference))
}
