//! Light schema changes: columns that come and go without touching data.
//!
//! Rowsets name their columns by unique id, so a reader fills in what an old rowset lacks and skips what
//! the schema has lost. A statement is light only when all of its operations are.

use std::collections::BTreeMap;

use doris_types::record::{BinlogType, ModifyColumnsRecord, html_safe_json};
use doris_types::sql::{qualified_name, quote_identifier};
use indexmap::IndexMap;

use super::sync_view::is_used_by_view;
use super::{AlterJob, columns, context, records};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Column, DataType, DefaultValue, IndexSchema, KeysType, OlapTable};
use crate::show::column_text;
use crate::sql::{AlterOperation, ColumnDef, ColumnPosition, Properties};
use crate::state::FeState;

/// The schemas after the operations, and whether data must be rewritten for them.
#[derive(Debug)]
pub struct Planned {
    pub indexes: IndexMap<i64, IndexSchema>,
    pub next_column_unique_id: i32,
    pub is_light: bool,
    /// The whole statement in Doris's form.
    pub raw_sql: String,
}

/// Whether the operation changes columns.
pub fn is_column_operation(operation: &AlterOperation) -> bool {
    matches!(
        operation,
        AlterOperation::AddColumn { .. }
            | AlterOperation::AddColumns { .. }
            | AlterOperation::DropColumn { .. }
            | AlterOperation::ModifyColumn { .. }
            | AlterOperation::OrderBy { .. }
    )
}

/// Works out the schemas that all operations together leave; nothing is changed yet.
pub fn plan(db_name: &str, table: &OlapTable, operations: &[AlterOperation]) -> SqlResult<Planned> {
    let mut change = Change {
        table,
        indexes: table.indexes.clone(),
        next_column_unique_id: table.next_column_unique_id,
        is_light: table.light_schema_change && !table.properties.contains_key("function_column.sequence_col"),
    };
    let mut texts = Vec::with_capacity(operations.len());
    for operation in operations {
        texts.push(change.apply(operation)?);
    }
    if change
        .indexes
        .iter()
        .all(|(id, index)| table.indexes.get(id).is_some_and(|old| old.columns == index.columns))
    {
        return Err(SqlError::general("Nothing is changed. please check your alter stmt."));
    }
    for index in change.indexes.values() {
        if index.columns.windows(2).any(|pair| !pair[0].is_key && pair[1].is_key) {
            return Err(SqlError::general(format!(
                "Invalid column order. value should be after key. index[{}]",
                index.name
            )));
        }
    }
    Ok(Planned {
        indexes: change.indexes,
        next_column_unique_id: change.next_column_unique_id,
        is_light: change.is_light,
        raw_sql: format!("ALTER TABLE {} {}", qualified_name(db_name, &table.name), texts.join(", \n")),
    })
}

/// Makes a light plan the table's schema, at once, and journals it.
pub fn run(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), planned: Planned) {
    let (db_id, table_id) = ids;
    let job_id = state.ids.allocate();
    let table = context::olap_mut(state, db_id, table_id);
    let schemas = |table: &OlapTable| -> BTreeMap<i64, Vec<_>> {
        let of = |index: &IndexSchema| index.columns.iter().map(|c| records::column_of(table, c)).collect();
        table.indexes.iter().map(|(id, index)| (*id, of(index))).collect()
    };
    let before = schemas(table);
    for (key, value) in properties_without_dropped(table, &planned.indexes) {
        if value.is_empty() {
            table.properties.shift_remove(&key);
        } else {
            table.properties.insert(key, value);
        }
    }
    table.indexes = planned.indexes;
    table.next_column_unique_id = planned.next_column_unique_id;
    for index in table.indexes.values_mut() {
        index.schema_version += 1;
    }
    let record = ModifyColumnsRecord {
        db_id,
        table_id,
        base_index_id: table.base_index_id,
        index_schema_map: schemas(table),
        old_index_schema_map: before,
        index_name_to_id: table.indexes.values().map(|index| (index.name.clone(), index.id)).collect(),
        indexes: table.secondary_indexes.iter().map(records::index_definition).collect(),
        job_id,
        raw_sql: planned.raw_sql,
    };
    tell_backends(cluster, table);
    note_finished_job(cluster, state, ids, job_id);
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, db_id, &[table_id], |_| {
        html_safe_json(&record)
    });
}

/// Properties that name columns which the base index no longer has, without them; empty when none is left.
pub fn properties_without_dropped(table: &OlapTable, after: &IndexMap<i64, IndexSchema>) -> Properties {
    let Some(base) = after.get(&table.base_index_id) else { return Properties::new() };
    let stays = |name: &&str| base.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let mut changed = Properties::new();
    for (key, separator) in [("bloom_filter_columns", ", "), ("row_store_columns", ",")] {
        let Some(before) = table.properties.get(key) else { continue };
        let names: Vec<&str> = before.split(',').map(str::trim).collect();
        let left: Vec<&str> = names.iter().copied().filter(stays).collect();
        if left.len() < names.len() {
            changed.insert(key.to_owned(), left.join(separator));
        }
    }
    changed
}

/// The rows that a light change leaves in SHOW ALTER TABLE COLUMN: one per index, finished at once.
pub fn note_finished_job(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), job_id: i64) {
    let now = cluster.clock.now_ms();
    let txn_id = state.txns.next_id();
    let table = context::olap(state, ids.0, ids.1);
    let jobs: Vec<AlterJob> = table
        .indexes
        .values()
        .map(|index| AlterJob {
            id: job_id,
            is_rollup: false,
            db_id: ids.0,
            table_id: ids.1,
            table_name: table.name.clone(),
            index_name: index.name.clone(),
            index_id: index.id,
            origin_index_id: index.id,
            rollup_name: String::new(),
            schema_version: format!("{}:{}", index.schema_version, index.schema_hash),
            txn_id,
            state: "FINISHED".to_owned(),
            message: String::new(),
            create_time: now,
            finish_time: now,
        })
        .collect();
    state.ddl.alter_jobs.extend(jobs);
}

/// Gives every tablet of a table the schema its index has now.
pub fn tell_backends(cluster: &ClusterInner, table: &OlapTable) {
    for index in table.indexes.values() {
        let schema = catalog_ops::tablet_schema(table, index);
        for partition in table.partitions.values().chain(table.temp_partitions.values()) {
            let tablets =
                partition.indexes.get(&index.id).map(|index| index.tablets.as_slice()).unwrap_or_default();
            for tablet in tablets {
                for replica in &tablet.replicas {
                    if let Some(backend) = cluster.backend(replica.backend_id) {
                        backend.alter_schema(tablet.id, schema.clone());
                    }
                }
            }
        }
    }
}

struct Change<'a> {
    table: &'a OlapTable,
    indexes: IndexMap<i64, IndexSchema>,
    next_column_unique_id: i32,
    is_light: bool,
}

impl Change<'_> {
    /// Applies one operation and returns its text.
    fn apply(&mut self, operation: &AlterOperation) -> SqlResult<String> {
        match operation {
            AlterOperation::AddColumn { column, position, rollup, .. } => {
                let column = self.add(column, position, rollup.as_deref())?;
                let place = match position {
                    ColumnPosition::Last => String::new(),
                    ColumnPosition::First => " FIRST".to_owned(),
                    ColumnPosition::After(name) => format!(" AFTER {}", quote_identifier(name)),
                };
                Ok(format!("ADD COLUMN {}{place}{}", self.text(&column), suffix("IN", rollup.as_deref())))
            }
            AlterOperation::AddColumns { columns, rollup, .. } => {
                let mut texts = Vec::with_capacity(columns.len());
                for column in columns {
                    let column = self.add(column, &ColumnPosition::Last, rollup.as_deref())?;
                    texts.push(self.text(&column));
                }
                Ok(format!("ADD COLUMN ({}){}", texts.join(", "), suffix("IN", rollup.as_deref())))
            }
            AlterOperation::DropColumn { name, rollup, .. } => {
                self.drop(name, rollup.as_deref())?;
                Ok(format!("DROP COLUMN {}{}", quote_identifier(name), suffix("FROM", rollup.as_deref())))
            }
            AlterOperation::ModifyColumn { column, position, rollup, .. } => {
                let column = self.modify(column, position.as_ref())?;
                let place = match position {
                    None | Some(ColumnPosition::Last) => String::new(),
                    Some(ColumnPosition::First) => " FIRST".to_owned(),
                    Some(ColumnPosition::After(name)) => format!(" AFTER {}", quote_identifier(name)),
                };
                Ok(format!(
                    "MODIFY COLUMN {}{place}{}",
                    self.text(&column),
                    suffix("FROM", rollup.as_deref())
                ))
            }
            AlterOperation::OrderBy { columns, rollup } => {
                self.order(columns, rollup.as_deref())?;
                let names: Vec<String> = columns.iter().map(|name| quote_identifier(name)).collect();
                Ok(format!("ORDER BY ({}){}", names.join(", "), suffix("FROM", rollup.as_deref())))
            }
            _ => Err(SqlError::general("column operations cannot be mixed with others in one statement")),
        }
    }

    /// A column as raw statements print it: keys are marked, the comment is always there.
    fn text(&self, column: &Column) -> String {
        let mut text = column_text(column, self.table.keys_type);
        if column.is_key {
            let head = format!("{} {}", quote_identifier(&column.name), column.data_type);
            text = text.replacen(&head, &format!("{head} KEY"), 1);
        }
        if column.comment.is_empty() {
            text.push_str(" COMMENT \"\"");
        }
        text
    }

    fn add(&mut self, def: &ColumnDef, position: &ColumnPosition, rollup: Option<&str>) -> SqlResult<Column> {
        let base = self.table.base_index_id;
        if self.indexes[&base].columns.iter().any(|column| column.name.eq_ignore_ascii_case(&def.name)) {
            return Err(SqlError::general(format!(
                "Can not add column which already exists in base table: {}",
                def.name
            )));
        }
        let keys_type = self.table.keys_type;
        let is_key = def.is_key || (keys_type == KeysType::Aggregate && def.aggregate.is_none());
        if is_key {
            columns::check_key_type(def)?;
        }
        let column = columns::column(def, is_key, keys_type, self.next_column_unique_id)?;
        self.next_column_unique_id += 1;
        self.is_light &= !is_key && column.generated.is_none();
        let mut targets = vec![base];
        if let Some(name) = rollup {
            targets.push(self.rollup(name)?);
        } else if is_key && keys_type != KeysType::Duplicate {
            // A new key takes part in every index, or rows of one old key would stay merged.
            targets.extend(self.indexes.keys().filter(|id| **id != base));
        }
        for id in targets {
            let columns = &mut self.indexes.get_mut(&id).expect("ids come from the map").columns;
            insert(columns, column.clone(), position, id == base)?;
        }
        Ok(column)
    }

    fn rollup(&self, name: &str) -> SqlResult<i64> {
        self.indexes
            .values()
            .find(|index| index.name == name && index.id != self.table.base_index_id)
            .map(|index| index.id)
            .ok_or_else(|| {
                SqlError::general(format!("Index[{name}] does not exist in table[{}]", self.table.name))
            })
    }

    fn drop(&mut self, name: &str, rollup: Option<&str>) -> SqlResult<()> {
        let missing = || SqlError::general(format!("Column does not exists: {name}"));
        let column = self.table.column(name).cloned();
        let column = match rollup {
            None => column.ok_or_else(missing)?,
            Some(rollup) => {
                let id = self.rollup(rollup)?;
                let columns = &mut self.indexes.get_mut(&id).expect("ids come from the map").columns;
                let at = columns
                    .iter()
                    .position(|column| column.name.eq_ignore_ascii_case(name))
                    .ok_or_else(missing)?;
                self.is_light &= !columns[at].is_key;
                columns.remove(at);
                return Ok(());
            }
        };
        self.check_droppable(&column)?;
        self.check_views(&column.name, "drop")?;
        self.is_light &= !column.is_key;
        for index in self.indexes.values_mut() {
            index.columns.retain(|candidate| !candidate.name.eq_ignore_ascii_case(name));
        }
        Ok(())
    }

    /// Refuses a change to a column that a synchronous materialised view is made of.
    fn check_views(&self, column: &str, verb: &str) -> SqlResult<()> {
        match self.indexes.values().find(|index| is_used_by_view(index, column)) {
            None => Ok(()),
            Some(view) => {
                Err(SqlError::general(format!("Can not {verb} column contained by mv, mv={}", view.name)))
            }
        }
    }

    fn check_droppable(&self, column: &Column) -> SqlResult<()> {
        let table = self.table;
        let is = |name: &String| name.eq_ignore_ascii_case(&column.name);
        if table.partition_scheme.column_names().iter().any(is) {
            return Err(SqlError::general(format!(
                "Partition column[{}] cannot be dropped. index[{}]",
                column.name, table.name
            )));
        }
        if let crate::model::DistributionKind::Hash(names) = &table.default_distribution.kind
            && names.iter().any(is)
        {
            return Err(SqlError::general(format!(
                "Distribution column[{}] cannot be dropped. index[{}]",
                column.name, table.name
            )));
        }
        // One that the statement has dropped already reads nothing.
        let readers = columns::computed_from(&self.indexes[&table.base_index_id].columns, &column.name);
        if !readers.is_empty() {
            return Err(SqlError::general(format!(
                "Column '{}' has a generated column dependency on :[{}]",
                column.name,
                readers.join(", ")
            )));
        }
        if column.is_key && table.keys_type == KeysType::Unique {
            return Err(SqlError::general(format!(
                "Can not drop key column {} in unique data model table",
                column.name
            )));
        }
        if table.secondary_indexes.iter().any(|index| index.columns.iter().any(is)) {
            return Err(SqlError::general(format!(
                "Column[{}] is used by an index, drop the index first",
                column.name
            )));
        }
        if table.properties.get("function_column.sequence_col").is_some_and(is) {
            return Err(SqlError::general(format!(
                "Can not drop sequence mapping column[{}] in Unique data model table[{}]",
                column.name, table.name
            )));
        }
        Ok(())
    }

    fn modify(&mut self, def: &ColumnDef, position: Option<&ColumnPosition>) -> SqlResult<Column> {
        let old = self
            .table
            .column(&def.name)
            .cloned()
            .ok_or_else(|| SqlError::general(format!("Column[{}] does not exists", def.name)))?;
        self.check_views(&old.name, "modify")?;
        // Doris demands the keyword again for a key column.
        if old.is_key && !def.is_key && self.table.keys_type != KeysType::Aggregate {
            return Err(SqlError::general(format!(
                "Can not modify key column[{}] to value column",
                def.name
            )));
        }
        let mut new = columns::column(def, old.is_key, self.table.keys_type, old.unique_id)?;
        new.name.clone_from(&old.name);
        if new.default.is_none() && new.nullable {
            new.default = None;
        }
        if !new.nullable && old.nullable {
            return Err(SqlError::general(format!(
                "Can not change from nullable to non-nullable[{}]",
                old.name
            )));
        }
        if !is_convertible(&old.data_type, &new.data_type) {
            return Err(SqlError::general(format!("Can not change {} to {}", old.data_type, new.data_type)));
        }
        let extends = is_extension(&old.data_type, &new.data_type);
        let same_rest = old.nullable == new.nullable && defaults_equal(&old, &new);
        self.is_light &= position.is_none() && same_rest && extends && !old.is_key;
        for index in self.indexes.values_mut() {
            let Some(at) = index.columns.iter().position(|column| column.unique_id == old.unique_id) else {
                continue;
            };
            // A value column of the table may be a key of a rollup, and stays one.
            let is_key =
                if index.id == self.table.base_index_id { new.is_key } else { index.columns[at].is_key };
            index.columns[at] = Column { is_key, ..new.clone() };
            if let Some(position) = position {
                let column = index.columns.remove(at);
                insert(&mut index.columns, column, position, index.id == self.table.base_index_id)?;
            }
        }
        Ok(new)
    }

    fn order(&mut self, names: &[String], rollup: Option<&str>) -> SqlResult<()> {
        self.is_light = false;
        let id = match rollup {
            None => self.table.base_index_id,
            Some(name) => self.rollup(name)?,
        };
        let columns = &mut self.indexes.get_mut(&id).expect("ids come from the map").columns;
        let visible = columns.iter().filter(|column| column.visible).count();
        if visible != names.len() {
            return Err(SqlError::general("Reorder stmt should contains all columns"));
        }
        let mut ordered = Vec::with_capacity(columns.len());
        for name in names {
            let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            ordered.push(
                column
                    .cloned()
                    .ok_or_else(|| SqlError::general(format!("Column[{name}] does not exists")))?,
            );
        }
        columns::check_duplicates(names.iter().map(String::as_str))?;
        ordered.extend(columns.iter().filter(|column| !column.visible).cloned());
        *columns = ordered;
        Ok(())
    }
}

fn suffix(keyword: &str, rollup: Option<&str>) -> String {
    rollup.map(|name| format!(" {keyword} {}", quote_identifier(name))).unwrap_or_default()
}

/// Puts a column in its place. Without one, keys go behind the last key and values to the end, before
/// hidden columns. A rollup that lacks the neighbour takes the default place.
fn insert(
    columns: &mut Vec<Column>,
    column: Column,
    position: &ColumnPosition,
    strict: bool,
) -> SqlResult<()> {
    let default = if column.is_key {
        columns.iter().rposition(|other| other.is_key).map_or(0, |at| at + 1)
    } else {
        columns.iter().position(|other| !other.visible).unwrap_or(columns.len())
    };
    let at = match position {
        ColumnPosition::Last => default,
        ColumnPosition::First => 0,
        ColumnPosition::After(name) => {
            match columns.iter().position(|other| other.name.eq_ignore_ascii_case(name)) {
                Some(at) => at + 1,
                None if strict => return Err(SqlError::general(format!("Column[{name}] does not found"))),
                None => default,
            }
        }
    };
    columns.insert(at, column);
    Ok(())
}

/// DEFAULT NULL and no default are the same for a nullable column.
fn defaults_equal(a: &Column, b: &Column) -> bool {
    let normal = |column: &Column| match &column.default {
        Some(DefaultValue::Null) | None => None,
        Some(other) => Some(other.clone()),
    };
    normal(a) == normal(b)
}

/// A longer VARCHAR, the same type, or more of a complex type.
fn is_extension(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Varchar { length: a }, DataType::Varchar { length: b }) => a <= b,
        (DataType::Complex(_), DataType::Complex(_)) => from.primitive_name() == to.primitive_name(),
        (from, to) => from == to,
    }
}

/// What a schema change may turn into what: numbers widen, texts grow, texts and numbers convert.
fn is_convertible(from: &DataType, to: &DataType) -> bool {
    let rank = |data_type: &DataType| match data_type {
        DataType::TinyInt => Some(1),
        DataType::SmallInt => Some(2),
        DataType::Int => Some(3),
        DataType::BigInt => Some(4),
        DataType::LargeInt => Some(5),
        DataType::Float => Some(6),
        DataType::Double => Some(7),
        _ => None,
    };
    match (from, to) {
        (
            DataType::Char { length: a } | DataType::Varchar { length: a },
            DataType::Char { length: b } | DataType::Varchar { length: b },
        ) => a <= b,
        (_, DataType::String) => from.is_text() || rank(from).is_some() || from.is_date(),
        (_, DataType::Varchar { .. }) => {
            rank(from).is_some() || from.is_date() || matches!(from, DataType::Decimal { .. })
        }
        (DataType::Varchar { .. } | DataType::String, _)
            if rank(to).is_some() || to.is_date() || *to == DataType::Json =>
        {
            true
        }
        (DataType::Decimal { precision: a, scale: b }, DataType::Decimal { precision: c, scale: d }) => {
            a <= c && b <= d
        }
        (DataType::Date, DataType::DateTime { .. })
        | (DataType::DateTime { .. }, DataType::Date | DataType::DateTime { .. }) => true,
        (from, to) => match (rank(from), rank(to)) {
            (Some(a), Some(b)) => a <= b,
            _ => is_extension(from, to),
        },
    }
}
