//! Catalogue objects in the shapes of the journal's records.

use doris_types::record::{
    BoundType, Column as ColumnRecord, ColumnType, DataProperty, DistributionInfo, Index, IndexDefinition,
    KeyLiteral, ListPartitionItem, LocalReplica, LocalTablet, Partition as PartitionRecord,
    PartitionKeyValue, RangeBound, ReplicaAllocation,
};
use serde_json::{Value, json};

use crate::model::{
    Column, DataType, DefaultValue, Distribution, DistributionKind, IndexState, MaterializedIndex, OlapTable,
    Partition, PartitionItem, PartitionValue, SecondaryIndex,
};

/// `cooldownTimeMs` of data that never cools down.
pub const NEVER_COOLS_DOWN: i64 = 253_402_271_999_000;

pub fn column(column: &Column) -> ColumnRecord {
    let mut record = ColumnRecord {
        name: column.name.clone(),
        column_type: Some(column_type(&column.data_type)),
        aggregation_type: column.aggregate.map(|aggregate| aggregate.keyword().to_owned()),
        is_key: column.is_key,
        is_allow_null: column.nullable,
        is_auto_inc: column.auto_increment.is_some(),
        auto_inc_init_value: column.auto_increment,
        comment: Some(column.comment.clone()),
        visible: column.visible,
        unique_id: column.unique_id.into(),
        cluster_key_id: -1,
        has_on_update_default_value: column.on_update.is_some(),
        ..ColumnRecord::default()
    };
    match &column.default {
        Some(DefaultValue::Literal(value)) => record.default_value = Some(value.clone()),
        Some(DefaultValue::Function(function)) => {
            record.default_value = Some(function.clone());
            record.rest.insert("realDefaultValue".to_owned(), json!(function));
            if let Some(definition) = expression_definition(function) {
                record.rest.insert("defaultValueExprDef".to_owned(), definition);
            }
        }
        Some(DefaultValue::Null) | None => {}
    }
    if let Some(definition) = column.on_update.as_deref().and_then(expression_definition) {
        record.rest.insert("onUpdateDefaultValueExprDef".to_owned(), definition);
    }
    record
}

/// [`column`] of a table, which may be clustered by it.
pub fn column_of(table: &OlapTable, of: &Column) -> ColumnRecord {
    let mut record = column(of);
    let position = table.cluster_by.iter().position(|name| name.eq_ignore_ascii_case(&of.name));
    record.cluster_key_id = position.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1);
    record
}

/// What a default that is computed for each row calls its function: `CURRENT_TIMESTAMP(3)` is `now` with a
/// precision. Others are told by their text alone.
fn expression_definition(function: &str) -> Option<Value> {
    let (name, arguments) = function.split_once('(').unwrap_or((function, ""));
    let precision = arguments.trim_end_matches(')').trim().parse::<i64>().ok();
    if name.trim().eq_ignore_ascii_case("CURRENT_DATE") {
        return Some(json!({ "exprName": "current_date" }));
    }
    if !name.trim().eq_ignore_ascii_case("CURRENT_TIMESTAMP") {
        return None;
    }
    Some(match precision {
        Some(precision) => json!({ "exprName": "now", "precision": precision }),
        None => json!({ "exprName": "now" }),
    })
}

fn column_type(data_type: &DataType) -> ColumnType {
    let mut record = ColumnType::scalar(data_type.primitive_name());
    match data_type {
        DataType::Char { length } | DataType::Varchar { length } => record.len = Some((*length).into()),
        DataType::Decimal { precision, scale } => {
            record.precision = Some((*precision).into());
            record.scale = Some((*scale).into());
        }
        DataType::DateTime { scale } => {
            record.precision = Some(18);
            record.scale = Some((*scale).into());
        }
        DataType::Complex(text) => {
            record.clazz = match data_type.primitive_name() {
                "ARRAY" => "ArrayType",
                "MAP" => "MapType",
                "STRUCT" => "StructType",
                "AGG_STATE" => "AggStateType",
                _ => "ScalarType",
            }
            .to_owned();
            record.rest.insert("text".to_owned(), json!(text));
        }
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Float
        | DataType::Double
        | DataType::Date
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Hll
        | DataType::Bitmap
        | DataType::QuantileState => {}
    }
    record
}

pub fn index_definition(index: &SecondaryIndex) -> IndexDefinition {
    IndexDefinition {
        id: index.id,
        name: index.name.clone(),
        columns: index.columns.clone(),
        index_type: index.kind.clone(),
        properties: index.properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        comment: index.comment.clone(),
    }
}

/// The whole nested partition of ADD_PARTITION.
pub fn partition(table: &OlapTable, partition: &Partition) -> PartitionRecord {
    let mut record = PartitionRecord {
        clazz: "Partition".to_owned(),
        id: partition.id,
        name: partition.name.clone(),
        state: "NORMAL".to_owned(),
        visible_version: partition.visible_version,
        visible_version_time: partition.visible_version_time,
        next_version: partition.next_version,
        distribution: Some(distribution(table, &partition.distribution)),
        signature: -1,
        last_check_time: -1,
        ..PartitionRecord::default()
    };
    for (id, index) in &partition.indexes {
        let shadow = table.indexes.get(id).is_some_and(|schema| schema.state == IndexState::Shadow);
        let body = materialized_index(index, shadow);
        if *id == table.base_index_id {
            record.base_index = Some(body);
        } else if shadow {
            record.shadow_indexes.insert(*id, body);
        } else {
            record.visible_rollup_indexes.insert(*id, body);
        }
    }
    record
}

fn materialized_index(index: &MaterializedIndex, shadow: bool) -> Index {
    Index {
        id: index.id,
        state: if shadow { "SHADOW" } else { "NORMAL" }.to_owned(),
        row_count: 0,
        tablets: index
            .tablets
            .iter()
            .map(|tablet| LocalTablet {
                clazz: "LocalTablet".to_owned(),
                id: tablet.id,
                replicas: tablet
                    .replicas
                    .iter()
                    .map(|replica| LocalReplica {
                        clazz: "LocalReplica".to_owned(),
                        id: replica.id,
                        version: replica.version,
                        state: "NORMAL".to_owned(),
                        backend_id: replica.backend_id,
                        last_failed_version: replica.last_failed_version,
                        last_success_version: replica.version,
                        ..LocalReplica::default()
                    })
                    .collect(),
                checked_version: 0,
                is_consistent: true,
                cooldown_replica_id: -1,
                cooldown_term: -1,
                last_check_time: -1,
            })
            .collect(),
        rollup_index_id: -1,
        rollup_finished_version: 0,
        signature: -1,
        last_check_time: -1,
    }
}

pub fn distribution(table: &OlapTable, distribution: &Distribution) -> DistributionInfo {
    let buckets = i64::from(distribution.buckets);
    match &distribution.kind {
        DistributionKind::Random => DistributionInfo::random(buckets, distribution.auto_bucket),
        DistributionKind::Hash(names) => {
            let columns = names.iter().filter_map(|name| table.column(name)).map(column).collect();
            DistributionInfo::hash(columns, buckets, distribution.auto_bucket)
        }
    }
}

/// Both ends of a range; closed empty keys for everything else.
pub fn range(table: &OlapTable, item: &PartitionItem) -> Vec<RangeBound> {
    let types = table.partition_scheme.column_types(table.columns());
    match item {
        PartitionItem::Range { lower, upper } => vec![
            RangeBound { bound: BoundType::Closed, value: key(lower, &types) },
            RangeBound { bound: BoundType::Open, value: key(upper, &types) },
        ],
        PartitionItem::Unpartitioned | PartitionItem::List { .. } => {
            vec![RangeBound { bound: BoundType::Closed, value: PartitionKeyValue::default() }; 2]
        }
    }
}

pub fn list_item(table: &OlapTable, item: &PartitionItem) -> ListPartitionItem {
    let types = table.partition_scheme.column_types(table.columns());
    let mut record =
        ListPartitionItem { clazz: "ListPartitionItem".to_owned(), ..ListPartitionItem::default() };
    if let PartitionItem::List { keys, is_default } = item {
        record.partition_keys = keys.iter().map(|values| key(values, &types)).collect();
        record.is_default_partition = *is_default;
        if *is_default {
            record.partition_keys.push(PartitionKeyValue { columns: Vec::new(), is_default: true });
        }
    }
    record
}

fn key(values: &[PartitionValue], types: &[&DataType]) -> PartitionKeyValue {
    let columns = values
        .iter()
        .zip(types)
        .map(|(value, data_type)| KeyLiteral {
            type_name: data_type.primitive_name().to_owned(),
            literal: literal(value, data_type),
        })
        .collect();
    PartitionKeyValue { columns, is_default: false }
}

fn literal(value: &PartitionValue, data_type: &DataType) -> Value {
    match value {
        PartitionValue::MaxValue => json!({"clazz": "MaxLiteral"}),
        PartitionValue::Null => json!({"clazz": "NullLiteral"}),
        PartitionValue::Value(_) | PartitionValue::MinValue => {
            let text = value.text(data_type);
            match (text.parse::<i64>(), data_type) {
                (_, DataType::LargeInt) => json!({"clazz": "LargeIntLiteral", "value": text}),
                (Ok(number), data_type) if data_type.is_integer() => {
                    json!({"clazz": "IntLiteral", "value": number})
                }
                (_, data_type) if data_type.is_date() => json!({"clazz": "DateLiteral", "value": text}),
                (_, DataType::Boolean) => json!({"clazz": "BoolLiteral", "value": text == "true"}),
                _ => json!({"clazz": "StringLiteral", "value": text}),
            }
        }
    }
}

pub fn data_property(table: &OlapTable, partition: &Partition) -> DataProperty {
    DataProperty {
        storage_medium: partition.storage_medium.clone(),
        cooldown_time_ms: NEVER_COOLS_DOWN,
        storage_policy: table.storage_policy(partition).to_owned(),
        is_mutable: true,
    }
}

pub fn replica_allocation(partition: &Partition) -> ReplicaAllocation {
    ReplicaAllocation::default_location(partition.replication_num.into())
}
