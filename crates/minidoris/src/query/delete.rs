//! DELETE: a predicate on duplicate and aggregate tables, delete signs on unique ones.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, Expr, SetExpr, UnaryOperator, Value as Literal};

use super::compile::{extraneous, parser, syntax_error};
use super::hidden;
use super::insert::{load_rows, split_name};
use super::insert_head::delete_head;
use super::load;
use super::run::{parse_query, select};
use super::target::{IndexTarget, LoadTarget, PartitionChoice, olap_table};
use super::transaction::done;
use super::writer::stage_delete;
use crate::access::{Wanted, check};
use crate::cluster::ClusterInner;
use crate::data::{Condition, DeletePredicate, Operator, TabletSchema, Value, cast};
use crate::error::{SqlError, SqlResult};
use crate::exec;
use crate::model::{KeysType, SHADOW_PREFIX};
use crate::session::{Answer, Session};
use crate::sql::lexer::{TokenKind, tokenize};

const ONLY_SIMPLE: &str =
    "Where clause only supports compound predicate, binary predicate, is_null predicate or in predicate";

pub async fn run(cluster: &Arc<ClusterInner>, session: &mut Session, sql: &str) -> SqlResult<Answer> {
    let head = delete_head(sql)?;
    let (db, table) = split_name(session, &head.table)?;
    check::table(&cluster.fe.lock(), session, &db, &table, Wanted::LOAD, "LOAD")?;
    let rest = head.rest.trim();
    if let Some((alias, relations)) = using_clause(rest) {
        let target = LoadTarget::plan(cluster, &db, &table, head.partitions)?;
        exec::check_own(session, olap_table(&cluster.fe.lock(), &db, &table)?.1)?;
        return delete_using(cluster, session, target, alias, relations).await;
    }
    let Some(condition) = rest.get(..5).filter(|word| word.eq_ignore_ascii_case("where")).map(|_| &rest[5..])
    else {
        let message =
            if rest.is_empty() { "Where clause is not set" } else { "this form of DELETE is not supported" };
        return Err(SqlError::general(message));
    };
    let condition = parse_condition(condition)?;
    let target = LoadTarget::plan(cluster, &db, &table, head.partitions)?;
    exec::check_own(session, olap_table(&cluster.fe.lock(), &db, &table)?.1)?;
    match target.schema.keys_type {
        KeysType::Unique => delete_rows(cluster, session, target, condition).await,
        KeysType::Duplicate | KeysType::Aggregate => {
            let mut conditions = Vec::new();
            collect(&target.schema, &condition, &mut conditions)?;
            if target.schema.keys_type == KeysType::Aggregate {
                check_keys(&target, &conditions)?;
            }
            check_indexes(&target, &conditions)?;
            let predicate = DeletePredicate { conditions };
            let stage =
                |load: &load::Load| stage_delete(cluster, &target, load.txn_id, load.load_id, &predicate);
            let (load, status) = load::run(cluster, session, &target, None, stage).await?;
            Ok(done(0, &load, status))
        }
    }
}

/// What stands behind USING, with the alias of the table in front of it.
fn using_clause(rest: &str) -> Option<(Option<String>, &str)> {
    let tokens = tokenize(rest).ok()?;
    let name = match tokens.as_slice() {
        [word, name, using, ..] if word.is_word("as") && using.is_word("using") => Some(name),
        [using, ..] if using.is_word("using") => None,
        [name, using, ..] if using.is_word("using") => Some(name),
        _ => return None,
    };
    let alias = match name.map(|token| &token.kind) {
        None => None,
        Some(TokenKind::Word(name) | TokenKind::Quoted(name)) => Some(name.clone()),
        Some(_) => return None,
    };
    let using = tokens.iter().find(|token| token.is_word("using"))?;
    Some((alias, &rest[using.end..]))
}

/// DELETE … USING: the rows of the table that a join with the other relations selects.
async fn delete_using(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    target: LoadTarget,
    alias: Option<String>,
    relations: &str,
) -> SqlResult<Answer> {
    if target.schema.keys_type != KeysType::Unique {
        return Err(SqlError::general("delete command on with using clause only supports unique key model"));
    }
    let alias = alias.unwrap_or_else(|| target.table.clone());
    let columns: Vec<String> =
        target.schema.columns.iter().map(|column| format!("`{alias}`.`{}`", column.name)).collect();
    let query = parse_query(&format!(
        "SELECT DISTINCT {} FROM `{}`.`{}`{} AS `{alias}`, {relations}",
        columns.join(", "),
        target.db,
        target.table,
        partition_clause(&target.choice)
    ))?;
    let found = select(cluster, &hidden::unseen(session), query).await?;
    let rows = found.rows.into_iter().map(|row| typed_row(&target, row)).collect::<SqlResult<Vec<_>>>()?;
    load_rows(cluster, session, target, &rows, true, None).await
}

fn parse_condition(text: &str) -> SqlResult<Expr> {
    let mut parser = parser(text)?;
    let condition = parser.parse_expr().map_err(|error| syntax_error(&error))?;
    match parser.peek_token().token {
        sqlparser::tokenizer::Token::EOF => Ok(condition),
        other => Err(extraneous(other)),
    }
}

async fn delete_rows(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    target: LoadTarget,
    condition: Expr,
) -> SqlResult<Answer> {
    let rows = matching_rows(cluster, session, &target, Some(condition)).await?;
    load_rows(cluster, session, target, &rows, true, None).await
}

/// All columns of the rows that a condition selects, hidden ones included, typed as the table's.
pub async fn matching_rows(
    cluster: &Arc<ClusterInner>,
    session: &Session,
    target: &LoadTarget,
    condition: Option<Expr>,
) -> SqlResult<Vec<Vec<Value>>> {
    let columns: Vec<String> =
        target.schema.columns.iter().map(|column| format!("`{}`", column.name)).collect();
    let mut query = parse_query(&format!(
        "SELECT {} FROM `{}`.`{}`{}",
        columns.join(", "),
        target.db,
        target.table,
        partition_clause(&target.choice)
    ))?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = condition;
    }
    let found = select(cluster, &hidden::unseen(session), query).await?;
    found.rows.into_iter().map(|row| typed_row(target, row)).collect()
}

/// Values of a query converted to the columns of the table.
pub fn typed_row(target: &LoadTarget, row: Vec<Value>) -> SqlResult<Vec<Value>> {
    row.into_iter()
        .zip(&target.schema.columns)
        .map(|(value, column)| match value {
            Value::Null => Ok(Value::Null),
            value => cast::coerce(value, column).map_err(|error| SqlError::general(error.to_string())),
        })
        .collect()
}

pub fn partition_clause(choice: &PartitionChoice) -> String {
    if choice.names.is_empty() {
        return String::new();
    }
    let names: Vec<String> = choice.names.iter().map(|name| format!("`{name}`")).collect();
    let kind = if choice.temporary { "TEMPORARY PARTITION" } else { "PARTITION" };
    format!(" {kind} ({})", names.join(", "))
}

fn check_keys(target: &LoadTarget, conditions: &[Condition]) -> SqlResult<()> {
    for condition in conditions {
        let column = target.schema.columns.iter().find(|column| column.unique_id == condition.column);
        if column.is_some_and(|column| !column.is_key) {
            return Err(SqlError::general(format!(
                "delete predicate on value column only supports Unique table with merge-on-write enabled and \
                 Duplicate table, but Table[{}] is an Aggregate table.",
                target.table
            )));
        }
    }
    Ok(())
}

/// The conditions must make sense in every index: its own tablets apply them to its own rows.
fn check_indexes(target: &LoadTarget, conditions: &[Condition]) -> SqlResult<()> {
    let is_visible = |index: &&IndexTarget| !index.name.starts_with(SHADOW_PREFIX);
    for index in target.indexes.iter().filter(is_visible) {
        let is_missing =
            |condition: &&Condition| index.schema.position_of_unique_id(condition.column).is_none();
        let Some(condition) = conditions.iter().find(is_missing) else { continue };
        let at = target.schema.position_of_unique_id(condition.column);
        let name = at.map_or("", |at| target.schema.columns[at].name.as_str());
        let message = format!("Unknown column '{name}' in 'index[{}]'", index.name);
        return Err(SqlError { code: 1054, state: "42S22", message });
    }
    Ok(())
}

/// Takes a condition apart into a conjunction of simple ones.
fn collect(schema: &TabletSchema, expr: &Expr, out: &mut Vec<Condition>) -> SqlResult<()> {
    match expr {
        Expr::Nested(inner) => collect(schema, inner, out),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            collect(schema, left, out)?;
            collect(schema, right, out)
        }
        Expr::BinaryOp { left, op, right } => {
            let operator = match op {
                BinaryOperator::Eq => Operator::Equal,
                BinaryOperator::NotEq => Operator::NotEqual,
                BinaryOperator::Lt => Operator::Less,
                BinaryOperator::LtEq => Operator::LessOrEqual,
                BinaryOperator::Gt => Operator::Greater,
                BinaryOperator::GtEq => Operator::GreaterOrEqual,
                _ => return Err(SqlError::general(ONLY_SIMPLE)),
            };
            let condition = match column(schema, left) {
                Ok(position) => condition(schema, position, operator, &[right])?,
                Err(error) => match column(schema, right) {
                    Ok(position) => condition(schema, position, mirrored(operator), &[left])?,
                    Err(_) => return Err(error),
                },
            };
            out.push(condition);
            Ok(())
        }
        Expr::Between { expr, negated: false, low, high } => {
            let position = column(schema, expr)?;
            out.push(condition(schema, position, Operator::GreaterOrEqual, &[low])?);
            out.push(condition(schema, position, Operator::LessOrEqual, &[high])?);
            Ok(())
        }
        Expr::InList { expr, list, negated } => {
            let operator = if *negated { Operator::NotIn } else { Operator::In };
            let values: Vec<&Expr> = list.iter().collect();
            out.push(condition(schema, column(schema, expr)?, operator, &values)?);
            Ok(())
        }
        Expr::IsNull(inner) => {
            out.push(condition(schema, column(schema, inner)?, Operator::IsNull, &[])?);
            Ok(())
        }
        Expr::IsNotNull(inner) => {
            out.push(condition(schema, column(schema, inner)?, Operator::IsNotNull, &[])?);
            Ok(())
        }
        _ => Err(SqlError::general(ONLY_SIMPLE)),
    }
}

/// The operator with its sides exchanged.
fn mirrored(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        Operator::Equal
        | Operator::NotEqual
        | Operator::In
        | Operator::NotIn
        | Operator::IsNull
        | Operator::IsNotNull => operator,
    }
}

fn column(schema: &TabletSchema, expr: &Expr) -> SqlResult<usize> {
    let name = match expr {
        Expr::Nested(inner) => return column(schema, inner),
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => parts.last().ok_or_else(|| SqlError::general(ONLY_SIMPLE))?,
        _ => return Err(SqlError::general(ONLY_SIMPLE)),
    };
    schema.position(&name.value).ok_or_else(|| SqlError::unknown_column(&name.value, "table list"))
}

fn condition(
    schema: &TabletSchema,
    position: usize,
    operator: Operator,
    values: &[&Expr],
) -> SqlResult<Condition> {
    let column = &schema.columns[position];
    let values = values.iter().map(|expr| {
        let text = constant(expr)?;
        // Literals are compared as values of the column, so a wrong one is an error here.
        cast::from_text(&text, column).map_err(|_| {
            SqlError::general(format!("Invalid column value[{text}] for column {}", column.name))
        })
    });
    Ok(Condition { column: column.unique_id, operator, values: values.collect::<SqlResult<_>>()? })
}

fn constant(expr: &Expr) -> SqlResult<String> {
    match expr {
        Expr::Nested(inner) => constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(format!("-{}", constant(expr)?)),
        Expr::Value(value) => match &value.value {
            Literal::Boolean(flag) => Ok(flag.to_string()),
            other => super::compile::value_text(other).map_err(|_| SqlError::general(ONLY_SIMPLE)),
        },
        Expr::TypedString(typed) => {
            super::compile::value_text(&typed.value.value).map_err(|_| SqlError::general(ONLY_SIMPLE))
        }
        _ => Err(SqlError::general(ONLY_SIMPLE)),
    }
}
