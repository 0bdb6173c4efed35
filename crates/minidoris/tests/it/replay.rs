//! Every binlog of one database carried over into the database of the same name of another cluster, by the
//! shortest program that can: statements as the records hold them, rows by `ingest_binlog`.
//!
//! It is called after each statement with no job running, so what the catalogue upstream says is what it said
//! when the record was written. Both databases have one name, so no statement needs rewriting.

use std::collections::BTreeMap;

use doris_thrift::*;
use doris_types::record::{
    AddPartitionRecord, AlterJobState, CommentTarget, CreateTableRecord, ModifyViewDefRecord,
    PartitionRecord, Record, RecoverInfoRecord, RenameRecord, ReplacePartitionsRecord, TableRecord,
    UpsertRecord,
};
use minidoris::Cluster;
use minidoris::model::{MaterializedIndex, OlapTable, Partition, Table};

use crate::harness::{LIMIT, bounded};
use crate::wire::{Wire, ok};

pub struct Replay<'a> {
    up: &'a Cluster,
    down: &'a Cluster,
    from: Wire,
    to: Wire,
    /// The last binlog that was applied.
    seq: i64,
    /// Ids of tables and views upstream to those downstream.
    tables: BTreeMap<i64, i64>,
}

/// The table or view of `d` with that id.
fn table(cluster: &Cluster, id: i64) -> Option<Table> {
    cluster.inner().fe.lock().database_named("d").unwrap().tables.get(&id).cloned()
}

fn olap(cluster: &Cluster, id: i64) -> OlapTable {
    let table = table(cluster, id).unwrap_or_else(|| panic!("no table {id}"));
    table.as_olap().expect("an OLAP table").clone()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub async fn idle(cluster: &Cluster) {
    let idle = |inner: &minidoris::ClusterInner| inner.fe.lock().ddl.running_jobs.is_empty();
    assert!(cluster.wait_until(LIMIT, idle).await, "a job does not end");
}

impl<'a> Replay<'a> {
    pub fn new(up: &'a Cluster, down: &'a Cluster) -> Self {
        Self { up, down, from: Wire::new(up, 0), to: Wire::new(down, 0), seq: -1, tables: BTreeMap::new() }
    }

    /// Applies everything that is new. `history`, the statements so far, is told by a failure.
    pub async fn catch_up(&mut self, history: &[String]) {
        loop {
            let result = self.from.binlogs("d", self.seq).await;
            let code = result.status.unwrap().status_code;
            if code == TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ || code == TStatusCode::BINLOG_NOT_FOUND_DB {
                return;
            }
            assert_eq!(code, TStatusCode::OK);
            for binlog in result.binlogs.unwrap_or_default() {
                self.seq = binlog.commit_seq.unwrap();
                let data = binlog.data.unwrap_or_default();
                let binlog_type = doris_types::record::BinlogType(binlog.binlog_type.unwrap().0);
                let record =
                    Record::parse(binlog_type, Some(&data)).unwrap_or_else(|e| panic!("{e}: {data}"));
                let because = format!("{data}\nafter {:#?}", &history[history.len().saturating_sub(8)..]);
                self.apply(record, &because).await;
            }
        }
    }

    async fn sql(&self, sql: &str, because: &str) {
        if let Err(error) = bounded(self.down.sql_in("d", sql)).await {
            panic!("seq {}: {error}\n{sql}\n{because}", self.seq);
        }
        idle(self.down).await;
    }

    /// The quoted name downstream of a table upstream.
    fn name(&self, id: i64) -> String {
        let here = self.tables.get(&id).unwrap_or_else(|| panic!("no CREATE_TABLE of {id}"));
        format!("`{}`", table(self.down, *here).expect("a table that exists").name())
    }

    async fn alter(&self, id: i64, operation: &str, because: &str) {
        self.sql(&format!("ALTER TABLE {} {operation}", self.name(id)), because).await;
    }

    async fn apply(&mut self, record: Record, data: &str) {
        match record {
            Record::Upsert(upsert) => self.ingest(&upsert).await,
            Record::AddPartition(record) => self.add_partition(&record, data).await,
            Record::CreateTable(record) => self.create(&record, data).await,
            Record::DropPartition(record) => self.alter(record.table_id, &record.sql, data).await,
            Record::DropTable(record) => self.sql(&record.raw_sql, data).await,
            Record::AlterJob(record) => match (record.job_state, record.raw_sql) {
                (AlterJobState::Finished, sql) => self.sql(&sql.expect("no view is made"), data).await,
                (_before, _) => {}
            },
            Record::ModifyColumns(record) => self.sql(&record.raw_sql, data).await,
            Record::ModifyInvertedIndices(record) => self.sql(&record.raw_sql, data).await,
            Record::TruncateTable(record) => {
                self.sql(&format!("TRUNCATE TABLE {} {}", self.name(record.table_id), record.raw_sql), data)
                    .await;
            }
            Record::RenameTable(RenameRecord { table_id, new_table_name, .. }) => {
                self.alter(table_id, &format!("RENAME `{new_table_name}`"), data).await;
            }
            Record::RenameColumn(record) => {
                let operation = format!("RENAME COLUMN `{}` `{}`", record.col_name, record.new_col_name);
                self.alter(record.table_id, &operation, data).await;
            }
            Record::RenameRollup(r) => {
                let operation = format!("RENAME ROLLUP `{}` `{}`", r.old_rollup_name, r.new_rollup_name);
                self.alter(r.table_id, &operation, data).await;
            }
            Record::RenamePartition(r) => {
                let operation =
                    format!("RENAME PARTITION `{}` `{}`", r.old_partition_name, r.new_partition_name);
                self.alter(r.table_id, &operation, data).await;
            }
            Record::ModifyComment(record) => {
                let operations: Vec<String> = match record.target {
                    CommentTarget::Column => {
                        let comments = record.column_comments.iter();
                        comments
                            .map(|(name, text)| format!("MODIFY COLUMN `{name}` COMMENT {}", quoted(text)))
                            .collect()
                    }
                    CommentTarget::Table | CommentTarget::Other(_) => {
                        vec![format!("MODIFY COMMENT {}", quoted(&record.table_comment.unwrap()))]
                    }
                };
                self.alter(record.table_id, &operations.join(", "), data).await;
            }
            Record::ModifyTableProperty(record) => {
                self.alter(record.table_id, &record.sql, data).await;
            }
            Record::ModifyDistributionBucketNum(r) => {
                let clause = format!("{}({})", r.kind, r.columns_name);
                let operation =
                    format!("MODIFY DISTRIBUTION DISTRIBUTED BY {clause} BUCKETS {}", r.bucket_num);
                self.alter(r.table_id, &operation, data).await;
            }
            Record::ModifyViewDef(record) => self.alter_view(&record, data).await,
            Record::ReplaceTable(record) => {
                let swap = record.swap_table;
                let operation = format!(
                    "REPLACE WITH TABLE `{}` PROPERTIES (\"swap\" = \"{swap}\")",
                    record.new_table_name
                );
                self.alter(record.orig_table_id, &operation, data).await;
            }
            Record::ReplacePartitions(record) => self.replace_partitions(&record, data).await,
            Record::DropRollup(record) => {
                self.alter(record.table_id, &format!("DROP ROLLUP `{}`", record.index_name), data).await;
            }
            Record::RecoverInfo(record) => self.recover(&record, data).await,
            // Drops of indexes are made by the statement of their record.
            Record::Dummy | Record::Barrier(_) | Record::IndexChangeJob(_) => {}
            Record::AlterDatabaseProperty(_)
            | Record::ModifyPartitions(_)
            | Record::ModifyDistributionType(_)
            | Record::Unknown { .. } => panic!("nothing makes such a record: {data}"),
        }
    }

    async fn create(&mut self, record: &CreateTableRecord, data: &str) {
        self.sql(&record.sql, data).await;
        let id = {
            let state = self.down.inner().fe.lock();
            let tables = &state.database_named("d").unwrap().tables;
            tables.values().find(|table| table.name() == record.table_name).expect("it was created").id()
        };
        self.tables.insert(record.table_id, id);
    }

    async fn add_partition(&self, record: &AddPartitionRecord, data: &str) {
        let distribution = record.partition.distribution.as_ref().expect("a partition has one");
        let columns: Vec<String> =
            distribution.distribution_columns.iter().map(|column| format!("`{}`", column.name)).collect();
        let clause =
            format!("DISTRIBUTED BY HASH({}) BUCKETS {}", columns.join(", "), distribution.bucket_num);
        // An unpartitioned table's temporary partition has nothing behind its name.
        let values = record.sql.trim_end_matches(';');
        let unpartitioned = record.is_temp_partition && !values.contains("VALUES");
        let operation = if unpartitioned { values.to_owned() } else { format!("{values} {clause}") };
        self.alter(record.table_id, &operation, data).await;
    }

    async fn replace_partitions(&self, record: &ReplacePartitionsRecord, data: &str) {
        let list =
            |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let operation = format!(
            "REPLACE PARTITION ({}) WITH TEMPORARY PARTITION ({}) PROPERTIES (\"strict_range\" = \"{}\", \
             \"use_temp_partition_name\" = \"{}\")",
            list(&record.partitions),
            list(&record.temp_partitions),
            record.strict_range,
            record.use_temp_partition_name
        );
        self.alter(record.table_id, &operation, data).await;
    }

    async fn alter_view(&self, record: &ModifyViewDefRecord, data: &str) {
        let columns: Vec<String> =
            record.new_full_schema.iter().map(|column| format!("`{}`", column.name)).collect();
        let name = self.name(record.table_id);
        let sql = format!("ALTER VIEW {name} ({}) AS {}", columns.join(", "), record.inline_view_def);
        self.sql(&sql, data).await;
    }

    async fn recover(&self, record: &RecoverInfoRecord, data: &str) {
        if record.is_partition() {
            let table = self.name(record.table_id);
            self.sql(&format!("RECOVER PARTITION `{}` FROM {table}", record.partition_name), data).await;
        } else {
            self.sql(&format!("RECOVER TABLE `{}`", record.table_name), data).await;
        }
    }

    /// Each sub-transaction by itself and in order; a transaction without any at once.
    async fn ingest(&self, upsert: &UpsertRecord) {
        let order = if upsert.stids.is_empty() {
            vec![None]
        } else {
            upsert.stids.iter().map(|id| Some(*id)).collect()
        };
        for stid in order {
            let mine = |record: &&PartitionRecord| stid.is_none_or(|stid| record.stid == stid);
            let touched: Vec<(i64, &TableRecord)> = upsert
                .table_records
                .iter()
                .filter(|(_, table)| table.partition_records.iter().any(|record| mine(&record)))
                .map(|(id, table)| (*id, table))
                .collect();
            let ids = touched.iter().map(|(id, _)| self.tables[id]).collect();
            let label = format!("replay_{}_{}", self.seq, stid.unwrap_or(-1));
            let begun = self.to.begin_tables("d", ids, &label).await;
            ok(begun.status);
            let txn_id = begun.txn_id.unwrap();
            let mut written = Vec::new();
            for (id, table) in touched {
                for record in table.partition_records.iter().filter(mine) {
                    let indexes = table.index_ids.as_deref().expect("a load of SQL names its indexes");
                    written.extend(self.ingest_partition(txn_id, id, record, indexes).await);
                }
            }
            ok(self.to.commit("d", txn_id, written).await);
        }
    }

    async fn ingest_partition(
        &self,
        txn_id: i64,
        table_id: i64,
        record: &PartitionRecord,
        indexes: &[i64],
    ) -> Vec<TTabletCommitInfo> {
        let (source, target) = (olap(self.up, table_id), olap(self.down, self.tables[&table_id]));
        let mut everywhere = source.partitions.values().chain(source.temp_partitions.values());
        let from = everywhere.find(|partition| partition.id == record.partition_id).expect("it exists");
        let there = if record.is_temp_partition { &target.temp_partitions } else { &target.partitions };
        let to = there
            .values()
            .find(|partition| {
                partition.item.identity(&target.partition_scheme, target.columns()) == record.range
            })
            .unwrap_or_else(|| panic!("{}: no partition {record:?}", target.name));
        let mut written = Vec::new();
        for id in indexes {
            let local = if *id == source.base_index_id {
                target.base_index_id
            } else {
                let name = &source.indexes[id].name;
                target.indexes.values().find(|index| index.name == *name).expect("the rollup exists").id
            };
            written.extend(
                self.ingest_index(txn_id, (record, &from.indexes[id]), (to, &to.indexes[&local])).await,
            );
        }
        written
    }

    async fn ingest_index(
        &self,
        txn_id: i64,
        (record, from): (&PartitionRecord, &MaterializedIndex),
        (partition, to): (&Partition, &MaterializedIndex),
    ) -> Vec<TTabletCommitInfo> {
        assert_eq!(from.tablets.len(), to.tablets.len(), "both have the same buckets");
        let (remote_backends, local_backends) = (self.from.backends().await, self.to.backends().await);
        let mut written = Vec::new();
        for (remote, local) in from.tablets.iter().zip(&to.tablets) {
            let host = &remote_backends[&remote.replicas[0].backend_id];
            for replica in &local.replicas {
                let request = TIngestBinlogRequest {
                    txn_id: Some(txn_id),
                    remote_tablet_id: Some(remote.id),
                    binlog_version: Some(record.version),
                    remote_host: Some(host.host.clone()),
                    remote_port: Some(host.http_port.to_string()),
                    partition_id: Some(partition.id),
                    local_tablet_id: Some(local.id),
                    load_id: Some(TUniqueId { hi: -1, lo: -1 }),
                };
                let backend = self.to.backend(&local_backends[&replica.backend_id]);
                ok(bounded(backend.ingest_binlog(&request)).await.unwrap().status);
                written.push(TTabletCommitInfo::new(local.id, replica.backend_id));
            }
        }
        written
    }
}

/// Both databases hold the same tables, made the same way and with the same rows in the same buckets.
pub async fn assert_same(up: &Cluster, down: &Cluster, seed: u64) {
    let names = |cluster: &Cluster| -> BTreeMap<String, i64> {
        let state = cluster.inner().fe.lock();
        let tables = state.database_named("d").unwrap().tables.values();
        tables.map(|table| (table.name().to_owned(), table.id())).collect()
    };
    let (here, there) = (names(up), names(down));
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>(), "seed {seed}");
    for (name, id) in &here {
        assert_eq!(text(up, name).await, text(down, name).await, "seed {seed}: {name}");
        if table(up, *id).is_some_and(|table| table.as_olap().is_some()) {
            assert_eq!(content(up, *id), content(down, there[name]), "seed {seed}: {name}");
        }
    }
}

/// SHOW CREATE TABLE without what a copy is told by.
async fn text(cluster: &Cluster, name: &str) -> String {
    let found = bounded(cluster.sql_in("d", &format!("SHOW CREATE TABLE `{name}`"))).await.unwrap();
    let text = found.rows[0][1].clone().unwrap();
    text.lines().filter(|line| !line.contains("is_being_synced")).collect::<Vec<_>>().join("\n")
}

/// The rows of every bucket, by partition, index and number.
fn content(cluster: &Cluster, id: i64) -> BTreeMap<(bool, String, String, usize), Vec<String>> {
    let table = olap(cluster, id);
    let mut content = BTreeMap::new();
    let formal = table.partitions.values().map(|partition| (false, partition));
    for (temporary, partition) in formal.chain(table.temp_partitions.values().map(|p| (true, p))) {
        for (index_id, index) in &partition.indexes {
            for (bucket, tablet) in index.tablets.iter().enumerate() {
                let backend = cluster.inner().backend(tablet.replicas[0].backend_id).unwrap();
                let rows = backend.read(tablet.id, partition.visible_version).unwrap();
                let mut rows: Vec<String> = rows.iter().map(|row| format!("{:?}", row.values)).collect();
                rows.sort_unstable();
                let index = table.indexes[index_id].name.clone();
                content.insert((temporary, partition.name.clone(), index, bucket), rows);
            }
        }
    }
    content
}
