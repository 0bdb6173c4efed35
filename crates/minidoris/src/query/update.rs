//! UPDATE of unique tables: the changed rows are written again.

use std::sync::Arc;

use sqlparser::ast::{AssignmentTarget, SelectItem, SetExpr, Statement, TableFactor};

use super::compile::{name_parts, parser, syntax_error, unsupported};
use super::delete::typed_row;
use super::insert::{complete_rows, given_to_generated, load_rows, split_name};
use super::insert_head::quote_brackets;
use super::run::{parse_query, select};
use super::target::{LoadTarget, PartitionChoice};
use super::{hidden, now};
use crate::access::{Wanted, check};
use crate::cluster::ClusterInner;
use crate::data::cast;
use crate::error::{SqlError, SqlResult};
use crate::model::KeysType;
use crate::session::{Answer, Session};

pub async fn run(cluster: &Arc<ClusterInner>, session: &mut Session, sql: &str) -> SqlResult<Answer> {
    let statement = parser(&quote_brackets(sql))?.parse_statement().map_err(|error| syntax_error(&error))?;
    let Statement::Update { table, assignments, from: None, selection, .. } = statement else {
        return Err(unsupported("this form of UPDATE"));
    };
    let TableFactor::Table { name, alias, .. } = &table.relation else {
        return Err(unsupported("this target"));
    };
    let (db, table_name) = split_name(session, &name_parts(name)?)?;
    check::table(&cluster.fe.lock(), session, &db, &table_name, Wanted::LOAD, "LOAD")?;
    let target = LoadTarget::plan(cluster, &db, &table_name, PartitionChoice::default())?;
    if target.schema.keys_type != KeysType::Unique {
        return Err(SqlError::general("Only unique table could be updated."));
    }
    let alias = alias.as_ref().map_or(table_name.as_str(), |alias| alias.name.value.as_str());
    let columns: Vec<String> =
        target.schema.columns.iter().map(|column| format!("`{}`", column.name)).collect();
    let mut query =
        parse_query(&format!("SELECT {} FROM `{db}`.`{table_name}` AS `{alias}`", columns.join(", ")))?;
    let SetExpr::Select(body) = query.body.as_mut() else { return Err(unsupported("this form of UPDATE")) };
    body.selection = selection;
    let mut assigned = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unsupported("tuples in SET"));
        };
        let name = name_parts(name)?.pop().unwrap_or_default();
        let position =
            target.schema.position(&name).ok_or_else(|| SqlError::unknown_column(&name, "table list"))?;
        if target.schema.columns[position].is_key {
            return Err(SqlError::general(format!(
                "Only value columns of unique table could be updated: {name}"
            )));
        }
        if target.schema.columns[position].generated.is_some() {
            return Err(given_to_generated(&target, &target.schema.columns[position]));
        }
        body.projection[position] = SelectItem::UnnamedExpr(assignment.value);
        assigned.push(position);
    }
    let found = select(cluster, &hidden::unseen(session), query).await?;
    let mut rows =
        found.rows.into_iter().map(|row| typed_row(&target, row)).collect::<SqlResult<Vec<_>>>()?;
    let at = now(cluster);
    for (position, column) in target.schema.columns.iter().enumerate() {
        let Some(function) = column.on_update.as_deref().filter(|_| !assigned.contains(&position)) else {
            continue;
        };
        rows.iter_mut().for_each(|row| row[position] = cast::function_value(function, column, at));
    }
    complete_rows(cluster, session, &target, &mut rows)?;
    load_rows(cluster, session, target, &rows, false, None).await
}
