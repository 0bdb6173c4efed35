//! ALTER TABLE ADD and DROP PARTITION, temporary ones included.

use doris_types::record::{AddPartitionRecord, BinlogType, DropPartitionRecord, html_safe_json};
use doris_types::sql::quote_identifier;

use super::create_table::{check_replication, duplicate_partition};
use super::partition_items::{self, NewItem};
use super::{Recycled, RecycledObject, context, properties, records, resource};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Distribution, DistributionKind, OlapTable, Partition, PartitionItem, PartitionScheme};
use crate::show::partition_values_text;
use crate::sql::{PartitionDef, Properties};
use crate::state::FeState;

/// What the properties of a partition say.
#[derive(Debug)]
pub struct PartitionSettings {
    pub replication_num: Option<u16>,
    storage_medium: Option<String>,
    storage_policy: Option<String>,
}

/// What a partition can be told; `version_info` stands in the texts of binlogs.
const PARTITION_PROPERTIES: [&str; 9] = [
    "in_memory",
    "mutable",
    "replication_allocation",
    "replication_num",
    "storage_cooldown_time",
    "storage_medium",
    "storage_policy",
    "tablet_type",
    "version_info",
];

impl PartitionSettings {
    pub fn read(state: &FeState, table: &OlapTable, given: &Properties) -> SqlResult<Self> {
        let unknown: Vec<String> = given
            .iter()
            .filter(|(key, _)| !PARTITION_PROPERTIES.contains(&key.as_str()))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if !unknown.is_empty() {
            return Err(SqlError::general(format!("Unknown properties: {{{}}}", unknown.join(", "))));
        }
        let medium = given.get("storage_medium");
        let medium = medium.map(|medium| properties::normalize("storage_medium", medium)).transpose()?;
        // A policy of the source cluster means nothing on the target of a job.
        let storage_policy = given.get("storage_policy").filter(|_| !table.is_being_synced).cloned();
        resource::check_policy(state, storage_policy.as_deref())?;
        Ok(Self {
            replication_num: properties::replication(given)?,
            storage_medium: medium.map(|medium| medium.to_uppercase()),
            storage_policy,
        })
    }

    pub fn apply(&self, partition: &mut Partition) {
        if let Some(number) = self.replication_num {
            partition.replication_num = number;
        }
        if let Some(medium) = &self.storage_medium {
            partition.storage_medium.clone_from(medium);
        }
        if let Some(policy) = &self.storage_policy {
            partition.storage_policy.clone_from(policy);
        }
    }
}

pub fn add(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    temporary: bool,
    def: &PartitionDef,
    distribution: Option<&Distribution>,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap(state, db_id, table_id);
    if table.partition_scheme == PartitionScheme::Unpartitioned && !temporary {
        return Err(SqlError::general(
            "Alter table partitions only support partitioned table, or add temporary partitions",
        ));
    }
    if is_taken(table, &def.name) {
        return if def.if_not_exists { Ok(()) } else { Err(duplicate_partition(&def.name)) };
    }
    // Formal and temporary partitions do not exclude each other.
    let existing: Vec<(&str, &PartitionItem)> =
        if temporary { &table.temp_partitions } else { &table.partitions }
            .values()
            .map(|partition| (partition.name.as_str(), &partition.item))
            .collect();
    let is_unpartitioned = table.partition_scheme == PartitionScheme::Unpartitioned;
    let existing = if is_unpartitioned { Vec::new() } else { existing };
    let items = partition_items::build(def, &table.partition_scheme, table.columns(), &existing)?;
    let distribution = new_distribution(table, distribution)?;
    let settings = PartitionSettings::read(state, table, &def.properties)?;
    let mut shell = table.without_partitions();
    shell.replication_num = settings.replication_num.unwrap_or(shell.replication_num);
    check_replication(cluster, shell.replication_num)?;
    for NewItem { name, item } in items {
        if is_taken(context::olap(state, db_id, table_id), &name) {
            return Err(duplicate_partition(&name));
        }
        let mut partition =
            catalog_ops::new_partition(cluster, state, &shell, db_id, &name, item, distribution.clone())?;
        settings.apply(&mut partition);
        insert(cluster, state, ids, partition, temporary);
    }
    Ok(())
}

/// Puts a new partition into its table and journals it.
pub fn insert(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    partition: Partition,
    temporary: bool,
) {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    let record = AddPartitionRecord {
        commit_seq: 0,
        db_id,
        table_id,
        partition: records::partition(table, &partition),
        range: records::range(table, &partition.item),
        list_partition_item: Some(records::list_item(table, &partition.item)),
        data_property: Some(records::data_property(table, &partition)),
        replica_alloc: Some(records::replica_allocation(&partition)),
        is_in_memory: false,
        is_temp_partition: temporary,
        is_mutable: true,
        sql: add_partition_sql(table, &partition, temporary),
    };
    let partitions = if temporary { &mut table.temp_partitions } else { &mut table.partitions };
    partitions.insert(partition.id, partition);
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::ADD_PARTITION, db_id, &[table_id], |commit_seq| {
        html_safe_json(&AddPartitionRecord { commit_seq, ..record })
    });
}

/// ``ADD PARTITION `p` VALUES [("1"), ("10")) ("version_info" = "1");`` without a distribution.
fn add_partition_sql(table: &OlapTable, partition: &Partition, temporary: bool) -> String {
    let kind = if temporary { "TEMPORARY PARTITION" } else { "PARTITION" };
    let head = format!("ADD {kind} {}", quote_identifier(&partition.name));
    if partition.item == PartitionItem::Unpartitioned {
        return head;
    }
    // The default partition of a list has no values: two blanks remain.
    let values = partition_values_text(&partition.item, table, true);
    format!("{head} {values} (\"version_info\" = \"1\");")
}

fn is_taken(table: &OlapTable, name: &str) -> bool {
    table
        .partitions
        .values()
        .chain(table.temp_partitions.values())
        .any(|partition| partition.name.eq_ignore_ascii_case(name))
}

/// The distribution of a new partition: as the table's, with its own number of buckets.
fn new_distribution(table: &OlapTable, given: Option<&Distribution>) -> SqlResult<Distribution> {
    let default = &table.default_distribution;
    let Some(given) = given else {
        return Ok(default.clone());
    };
    match (&given.kind, &default.kind) {
        (DistributionKind::Random, DistributionKind::Random) => {}
        (DistributionKind::Hash(a), DistributionKind::Hash(b)) => {
            let same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b));
            if !same {
                return Err(SqlError::general(format!(
                    "Cannot assign hash distribution with different distribution cols. new is: [{}] default is: [{}]",
                    a.join(", "),
                    b.join(", ")
                )));
            }
        }
        (DistributionKind::Random, DistributionKind::Hash(_))
        | (DistributionKind::Hash(_), DistributionKind::Random) => {
            return Err(SqlError::general(
                "Cannot assign different distribution type. default is: hash or random",
            ));
        }
    }
    if given.buckets == 0 {
        return Err(SqlError::general("Cannot assign hash distribution buckets less than 1"));
    }
    Ok(Distribution { kind: default.kind.clone(), buckets: given.buckets, auto_bucket: given.auto_bucket })
}

pub fn drop(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    temporary: bool,
    if_exists: bool,
    name: &str,
    force: bool,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap(state, db_id, table_id);
    if table.partition_scheme == PartitionScheme::Unpartitioned && !temporary {
        return Err(SqlError::general(format!(
            "Alter table [{}] failed. Not a partitioned table",
            table.name
        )));
    }
    let partitions = if temporary { &table.temp_partitions } else { &table.partitions };
    let id =
        partitions.values().find(|partition| partition.name.eq_ignore_ascii_case(name)).map(|found| found.id);
    // A temporary partition never comes back, so nothing is lost with it.
    let kept = id.filter(|_| !force && !temporary);
    if kept.is_some_and(|id| state.txns.any_committed_in_partition(db_id, id)) {
        return Err(context::still_committed("partition", name));
    }
    let table = context::olap_mut(state, db_id, table_id);
    let partitions = if temporary { &mut table.temp_partitions } else { &mut table.partitions };
    let Some(partition) = id.and_then(|id| partitions.remove(&id)) else {
        return if if_exists { Ok(()) } else { Err(no_partition(name)) };
    };
    let now = cluster.clock.now_ms();
    let record = DropPartitionRecord {
        db_id,
        table_id,
        partition_id: partition.id,
        partition_name: partition.name.clone(),
        is_temp_partition: temporary,
        force_drop: force,
        recycle_time: if force { 0 } else { now },
        sql: format!(
            "DROP {}PARTITION {}{}",
            if temporary { "TEMPORARY " } else { "" },
            quote_identifier(&partition.name),
            if force { " FORCE" } else { "" }
        ),
        version: partition.visible_version,
        version_time: now,
    };
    discard(cluster, state, ids, partition, force || temporary);
    state.journal_binlog(now, BinlogType::DROP_PARTITION, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}

/// Error 1507, with the partition's name where MySQL puts the verb.
pub fn no_partition(name: &str) -> SqlError {
    SqlError { code: 1507, state: "HY000", message: format!("Error in list of partitions to {name}") }
}

/// Puts a partition that has left its table into the recycle bin, or deletes its data.
pub fn discard(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    partition: Partition,
    force: bool,
) {
    catalog_ops::forget_partition(state, &partition);
    if force {
        catalog_ops::drop_partition_tablets(cluster, &partition);
        return;
    }
    let (db_id, table_id) = ids;
    let object = RecycledObject::Partition { db_id, table_id, partition: Box::new(partition) };
    state.ddl.recycle_bin.push(Recycled { object, drop_time: cluster.clock.now_ms() });
}
