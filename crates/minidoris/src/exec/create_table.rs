//! CREATE TABLE and CREATE TABLE LIKE.

use std::collections::BTreeMap;

use doris_types::record::{BinlogType, CreateTableRecord, html_safe_json};
use indexmap::IndexMap;

use super::columns::{self, TableColumns};
use super::partition::PartitionSettings;
use super::properties::{self, TableSettings};
use super::{context, database, dynamic, partition_items, resource};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{
    BinlogConfig, Column, DataType, Distribution, DistributionKind, IndexSchema, IndexState, KeysType,
    OlapTable, PartitionScheme, SecondaryIndex, Table, TableState, Tracked,
};
use crate::mv::AsyncView;
use crate::session::Session;
use crate::show::{Flavour, create_table_text, table_properties};
use crate::sql::{
    CreateTable, CreateTableLike, DEFAULT_BUCKETS, IndexDef, Partitioning, RollupDef, Statement, TableName,
};
use crate::state::{FeState, Ids};

pub fn create(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &mut Session,
    create: &CreateTable,
) -> SqlResult<()> {
    let db_id = context::database_id(state, session, create.table.db.as_deref())?;
    if state.databases[&db_id].table_named(&create.table.name).is_some() {
        return if create.if_not_exists { Ok(()) } else { Err(SqlError::table_exists(&create.table.name)) };
    }
    if create.as_select.is_some() {
        return Err(SqlError::general(
            "the columns of CREATE TABLE … AS SELECT are known to the query engine only",
        ));
    }
    let mut table = plan(cluster, state, db_id, create)?;
    let may_be_keyless = table.properties.get("enable_duplicate_without_keys_by_default");
    if !table.has_key_clause && may_be_keyless.is_none_or(|value| value != "true") {
        return Err(SqlError::general(
            "The olap table first column could not be float, double, string or array, struct, map, please use \
             decimal or varchar instead.",
        ));
    }
    resource::check_policies(state, &table.properties)?;
    make_partitions(cluster, state, db_id, &mut table, create)?;
    dynamic::check(cluster, state, &table, &table.properties)?;
    let table_id = table.id;
    if table.is_temporary {
        session.temporary_tables.push((db_id, table_id));
    }
    let db = state.databases.get_mut(&db_id).expect("the id was resolved");
    db.tables.insert(table_id, Table::Olap(Tracked::new(table)));
    journal_create(cluster, state, db_id, table_id);
    dynamic::run(cluster, state, (db_id, table_id));
    Ok(())
}

/// A table that is an asynchronous materialised view, without rows; nothing of it reaches the binlogs.
pub fn create_async_view(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    create: &CreateTable,
    view: AsyncView,
) -> SqlResult<(i64, i64)> {
    let db_id = context::database_id(state, session, create.table.db.as_deref())?;
    if state.databases[&db_id].table_named(&create.table.name).is_some() {
        return Err(SqlError::table_exists(&create.table.name));
    }
    let mut table = plan(cluster, state, db_id, create)?;
    table.async_view = Some(Box::new(view));
    table.binlog = BinlogConfig::default();
    make_partitions(cluster, state, db_id, &mut table, create)?;
    let table_id = table.id;
    let db = state.databases.get_mut(&db_id).expect("the id was resolved");
    db.tables.insert(table_id, Table::Olap(Tracked::new(table)));
    state.journal();
    Ok((db_id, table_id))
}

/// CREATE TABLE LIKE: the text of the source, under the new name.
pub fn create_like(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &mut Session,
    like: &CreateTableLike,
) -> SqlResult<()> {
    let (db_id, table_id) = context::olap_ids(state, session, &like.source)?;
    let mut source = context::olap(state, db_id, table_id).clone();
    match &like.with_rollups {
        None => source.indexes.retain(|id, _| *id == source.base_index_id),
        Some(names) if names.is_empty() => {}
        Some(names) => {
            let base = source.base_index_id;
            source.indexes.retain(|id, index| *id == base || names.contains(&index.name));
        }
    }
    // The sync flavour lists the rollups; what it says about replication is the source's own setting.
    let text = create_table_text(&state.databases[&db_id], &source, Flavour::Sync, true);
    let Statement::CreateTable(mut new) = crate::sql::parse(&text)? else {
        return Err(SqlError::general("the source is no table"));
    };
    new.properties.insert("is_being_synced".to_owned(), source.is_being_synced.to_string());
    new.table = TableName { db: like.table.db.clone(), name: like.table.name.clone() };
    new.if_not_exists = like.if_not_exists;
    new.temporary = false;
    create(cluster, state, session, &new)
}

/// Journals the CREATE_TABLE of a table that is in the catalogue.
pub fn journal_create(cluster: &ClusterInner, state: &mut FeState, db_id: i64, table_id: i64) {
    let db = &state.databases[&db_id];
    let table = context::olap(state, db_id, table_id);
    let record = CreateTableRecord {
        commit_seq: 0,
        db_id,
        db_name: db.name.clone(),
        table_id,
        table_name: table.name.clone(),
        table_type: "OLAP".to_owned(),
        sql: create_table_text(db, table, Flavour::Sync, state.config_flag("enable_feature_binlog")),
        properties: table_properties::printed(table, Flavour::User, true).into_iter().collect(),
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::CREATE_TABLE, db_id, &[table_id], |commit_seq| {
        html_safe_json(&CreateTableRecord { commit_seq, ..record })
    });
}

/// The table without partitions, everything checked.
fn plan(
    cluster: &ClusterInner,
    state: &mut FeState,
    db_id: i64,
    create: &CreateTable,
) -> SqlResult<OlapTable> {
    context::check_table_name(&create.table.name)?;
    let db_binlog = database::config(&state.databases[&db_id]);
    let mut settings = properties::parse_table(&create.properties, &db_binlog)?;
    if db_binlog.enable && !settings.binlog.enable {
        return Err(SqlError::general(
            "Cannot create table with binlog disabled when database binlog enable",
        ));
    }
    if create.temporary && settings.binlog.enable {
        return Err(SqlError::general("Cannot create temporary table with binlog enable"));
    }
    let TableColumns { mut columns, keys_type, has_key_clause } = columns::build(create)?;
    check_column_settings(&settings, &columns, keys_type)?;
    if let Some(text) = settings.other.get("function_column.sequence_type") {
        let unique_id = i32::try_from(columns.len()).unwrap_or(i32::MAX);
        columns.push(columns::sequence_column(crate::sql::parse_data_type(text)?, unique_id));
    }
    let distribution = distribution(create, &settings, &columns, keys_type)?;
    let partition_scheme = scheme(create.partitioning.as_ref(), &columns, keys_type)?;
    let replication_num = settings.replication_num.unwrap_or(cluster.options.default_replication_num);
    check_replication(cluster, replication_num)?;
    if settings.other.keys().any(|key| key.starts_with("dynamic_partition.")) {
        dynamic::complete(&mut settings.other, replication_num, distribution.buckets)?;
    }

    let id = state.ids.allocate();
    let base_index_id = state.ids.allocate();
    let mut table = OlapTable {
        id,
        name: create.table.name.clone(),
        keys_type,
        has_key_clause,
        cluster_by: create.cluster_by.clone(),
        base_index_id,
        next_column_unique_id: i32::try_from(columns.len()).unwrap_or(i32::MAX),
        indexes: IndexMap::from([(
            base_index_id,
            index_schema(base_index_id, &create.table.name, columns, keys_type),
        )]),
        secondary_indexes: Vec::new(),
        partition_scheme,
        partitions: BTreeMap::new(),
        temp_partitions: BTreeMap::new(),
        default_distribution: distribution,
        replication_num,
        properties: settings.other,
        comment: create.comment.clone(),
        state: TableState::Normal,
        in_atomic_restore: false,
        is_being_synced: settings.is_being_synced,
        light_schema_change: settings.light_schema_change,
        binlog: settings.binlog,
        async_view: None,
        is_temporary: create.temporary,
        create_time: cluster.clock.now_ms(),
    };
    for rollup in &create.rollups {
        let index = rollup_schema(&mut state.ids, &table, rollup)?;
        table.indexes.insert(index.id, index);
    }
    for def in &create.indexes {
        let index = secondary_index(&mut state.ids, &table, def)?;
        table.secondary_indexes.push(index);
    }
    Ok(table)
}

fn make_partitions(
    cluster: &ClusterInner,
    state: &mut FeState,
    db_id: i64,
    table: &mut OlapTable,
    create: &CreateTable,
) -> SqlResult<()> {
    let mut items: Vec<partition_items::NewItem> = Vec::new();
    let mut settings: Vec<Option<PartitionSettings>> = Vec::new();
    match &create.partitioning {
        None => {
            items.push(partition_items::NewItem {
                name: table.name.clone(),
                item: crate::model::PartitionItem::Unpartitioned,
            });
            settings.push(None);
        }
        Some(partitioning) => {
            for def in &partitioning.partitions {
                let existing: Vec<_> = items.iter().map(|item| (item.name.as_str(), &item.item)).collect();
                let new = partition_items::build(def, &table.partition_scheme, table.columns(), &existing)?;
                for item in &new {
                    if items.iter().any(|known| known.name.eq_ignore_ascii_case(&item.name)) {
                        return Err(duplicate_partition(&item.name));
                    }
                }
                for new in new {
                    items.push(new);
                    settings.push(Some(PartitionSettings::read(state, table, &def.properties)?));
                }
            }
        }
    }
    let usual = table.replication_num;
    for (new, settings) in items.into_iter().zip(settings) {
        let distribution = table.default_distribution.clone();
        // Its tablets have its own number of replicas.
        table.replication_num = settings.as_ref().and_then(|own| own.replication_num).unwrap_or(usual);
        let made =
            catalog_ops::new_partition(cluster, state, table, db_id, &new.name, new.item, distribution);
        table.replication_num = usual;
        let mut partition = made?;
        if let Some(settings) = &settings {
            settings.apply(&mut partition);
        }
        table.partitions.insert(partition.id, partition);
    }
    Ok(())
}

pub fn duplicate_partition(name: &str) -> SqlError {
    SqlError { code: 1517, state: "HY000", message: format!("Duplicate partition name {name}") }
}

/// Doris's refusal when there are fewer alive backends than replicas.
pub fn check_replication(cluster: &ClusterInner, replication_num: u16) -> SqlResult<()> {
    let alive = cluster.backends_for_tablets().len();
    if alive >= usize::from(replication_num) {
        return Ok(());
    }
    Err(SqlError::general(format!(
        "Failed to find enough backend, please check the replication num,replication tag and storage medium and \
         avail capacity of backends or maybe all be on same host.\nCreate failed replications:\nreplication tag: \
         {{\"location\" : \"default\"}}, replication num: {replication_num}, storage medium: HDD"
    )))
}

pub fn index_schema(id: i64, name: &str, columns: Vec<Column>, keys_type: KeysType) -> IndexSchema {
    IndexSchema {
        id,
        name: name.to_owned(),
        columns,
        keys_type,
        schema_hash: schema_hash(id),
        schema_version: 0,
        state: IndexState::Normal,
        view: None,
    }
}

/// A positive number that looks random and differs between indexes; Knuth's multiplicative hash.
fn schema_hash(id: i64) -> i32 {
    let mixed = id.wrapping_mul(2_654_435_761) & i64::from(i32::MAX);
    i32::try_from(mixed).expect("31 bits fit")
}

/// A rollup over columns of the base index; its keys come first.
pub fn rollup_schema(ids: &mut Ids, table: &OlapTable, rollup: &RollupDef) -> SqlResult<IndexSchema> {
    if table.indexes.values().any(|index| index.name == rollup.name) {
        return Err(SqlError::general(format!("Rollup index[{}] already exists", rollup.name)));
    }
    columns::check_duplicates(rollup.columns.iter().map(String::as_str))?;
    let mut columns = Vec::with_capacity(rollup.columns.len());
    for name in &rollup.columns {
        let column =
            table.column(name).ok_or_else(|| SqlError::general(format!("Column[{name}] does not exist")))?;
        columns.push(column.clone());
    }
    if let Some(sequence) = table.column(columns::SEQUENCE_COLUMN) {
        columns.push(sequence.clone());
    }
    // A duplicate table's rollup may choose its own sort order; without one its first columns are the keys.
    if table.keys_type == KeysType::Duplicate && rollup.keys.is_empty() {
        let keys = columns::short_keys(columns.iter().map(|column| &column.data_type));
        if matches!(columns.first().map(|first| &first.data_type), Some(DataType::Float | DataType::Double)) {
            return Err(SqlError::general("The first column could not be float or double"));
        }
        for (at, column) in columns.iter_mut().enumerate() {
            column.is_key = at < keys.max(1);
        }
    } else if !rollup.keys.is_empty() {
        for column in &mut columns {
            column.is_key = rollup.keys.iter().any(|key| key.eq_ignore_ascii_case(&column.name));
        }
    }
    if columns.windows(2).any(|pair| !pair[0].is_key && pair[1].is_key) {
        return Err(SqlError::general("Key column should before value column in rollup"));
    }
    Ok(index_schema(ids.allocate(), &rollup.name, columns, table.keys_type))
}

/// A secondary index on columns that exist.
pub fn secondary_index(ids: &mut Ids, table: &OlapTable, def: &IndexDef) -> SqlResult<SecondaryIndex> {
    if table.secondary_indexes.iter().any(|index| index.name.eq_ignore_ascii_case(&def.name)) {
        return Err(SqlError::general(format!("index `{}` already exist.", def.name)));
    }
    let mut columns = Vec::with_capacity(def.columns.len());
    for name in &def.columns {
        let column = table.column(name).ok_or_else(|| {
            SqlError::general(format!("Column does not exist in table. invalid column: {name}"))
        })?;
        columns.push(column.name.clone());
    }
    let mut properties = def.properties.clone();
    properties.sort_keys();
    Ok(SecondaryIndex {
        id: ids.allocate(),
        name: def.name.clone(),
        columns,
        kind: def.kind.clone(),
        properties,
        comment: def.comment.clone(),
    })
}

fn distribution(
    create: &CreateTable,
    settings: &TableSettings,
    columns: &[Column],
    keys_type: KeysType,
) -> SqlResult<Distribution> {
    let mut distribution = create.distribution.clone().unwrap_or(Distribution {
        kind: DistributionKind::Random,
        buckets: DEFAULT_BUCKETS,
        auto_bucket: true,
    });
    if create.properties.get("_auto_bucket").is_some_and(|value| value == "true") {
        distribution.auto_bucket = true;
    }
    if distribution.buckets == 0 {
        return Err(SqlError::general("Buckets number of distribution should be greater than zero."));
    }
    let replaces = columns.iter().any(|column| {
        matches!(
            column.aggregate,
            Some(crate::model::AggregateKind::Replace | crate::model::AggregateKind::ReplaceIfNotNull)
        )
    });
    match &mut distribution.kind {
        DistributionKind::Random if keys_type == KeysType::Unique => {
            return Err(SqlError::general(
                "Create unique keys table should not contain random distribution desc",
            ));
        }
        DistributionKind::Random if keys_type == KeysType::Aggregate && replaces => {
            return Err(SqlError::general(
                "Create aggregate keys table with value columns of which aggregate type is REPLACE should not \
                 contain random distribution desc",
            ));
        }
        DistributionKind::Random => {}
        DistributionKind::Hash(names) => {
            for name in names.iter_mut() {
                let column = columns
                    .iter()
                    .find(|column| column.name.eq_ignore_ascii_case(name))
                    .ok_or_else(|| SqlError::general(format!("Distribution column({name}) doesn't exist")))?;
                if keys_type != KeysType::Duplicate && !column.is_key {
                    return Err(SqlError::general(format!("Distribution column[{name}] is not key column")));
                }
                name.clone_from(&column.name);
            }
        }
    }
    // Without an estimate the FE uses its default number.
    if distribution.auto_bucket && !settings.other.contains_key("estimate_partition_size") {
        distribution.buckets = DEFAULT_BUCKETS;
    }
    Ok(distribution)
}

fn scheme(
    partitioning: Option<&Partitioning>,
    columns: &[Column],
    keys_type: KeysType,
) -> SqlResult<PartitionScheme> {
    let Some(partitioning) = partitioning else {
        return Ok(PartitionScheme::Unpartitioned);
    };
    let mut names = Vec::with_capacity(partitioning.columns.len());
    for name in &partitioning.columns {
        let column =
            columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
                SqlError::general(format!("Partition column[{name}] does not exist in column list"))
            })?;
        if keys_type != KeysType::Duplicate && !column.is_key {
            return Err(SqlError::general("The partition column could not be aggregated column"));
        }
        let fits = column.data_type.is_integer()
            || column.data_type.is_date()
            || (partitioning.is_list
                && (column.data_type.is_text() || column.data_type == DataType::Boolean));
        if !fits {
            return Err(SqlError::general(format!(
                "Column[{}] type[{}] cannot be a {} partition key.",
                column.name,
                column.data_type,
                if partitioning.is_list { "list" } else { "range" }
            )));
        }
        names.push(column.name.clone());
    }
    columns::check_duplicates(names.iter().map(String::as_str))?;
    Ok(if partitioning.is_list {
        PartitionScheme::List { columns: names, is_auto: partitioning.is_auto }
    } else {
        if partitioning.is_auto && partitioning.auto_expr.is_none() {
            return Err(SqlError::general(
                "auto create partition only support date_trunc function of RANGE partition.",
            ));
        }
        PartitionScheme::Range { columns: names, auto_expr: partitioning.auto_expr.clone() }
    })
}

/// Properties that name columns or need a key model.
fn check_column_settings(settings: &TableSettings, columns: &[Column], keys_type: KeysType) -> SqlResult<()> {
    let exists = |name: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let sequence = ["function_column.sequence_col", "function_column.sequence_type"];
    if keys_type != KeysType::Unique && sequence.iter().any(|key| settings.other.contains_key(*key)) {
        return Err(SqlError::general("sequence column only support UNIQUE_KEYS"));
    }
    if let Some(name) = settings.other.get("function_column.sequence_col")
        && !exists(name)
    {
        return Err(SqlError::general(format!("The specified sequence column[{name}] not exists")));
    }
    for (key, what) in [("bloom_filter_columns", "Bloom filter"), ("row_store_columns", "Row store")] {
        let names = settings.other.get(key).map(String::as_str).unwrap_or_default();
        if let Some(name) = names.split(',').map(str::trim).find(|name| !name.is_empty() && !exists(name)) {
            return Err(SqlError::general(format!(
                "{what} column does not exist in table. invalid column: {name}"
            )));
        }
    }
    if keys_type != KeysType::Unique && settings.other.contains_key("enable_unique_key_merge_on_write") {
        return Err(SqlError::general(
            "enable_unique_key_merge_on_write property only support unique key table.",
        ));
    }
    Ok(())
}
