//! What users do upstream, and the binlog it leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use doris_types::call::{BinlogEntry, BinlogPage, BinlogScope};
use doris_types::record::{
    AddPartitionRecord, AlterDatabasePropertyRecord, BarrierRecord, BinlogType, BoundType, Column,
    CreateTableRecord, DistributionInfo, DropPartitionRecord, DropTableRecord, KeyLiteral, PartitionKeyValue,
    PartitionRecord, RangeBound, Record, RecoverInfoRecord, RenameRecord, ReplacePartitionsRecord,
    TableRecord, TruncateTableRecord, UpsertRecord,
};
use doris_types::sql::quote_string;

use super::alter::Traits;
use super::binlogs::{Binlogs, tables_listing};
use super::catalog::{Catalog, Partition, Table, Tablet, View as SqlView};
use super::check::View;
use super::{Inner, SOURCE_DB};

/// The journal of the upstream FE, and the binlog that is part of it.
#[derive(Debug, Default)]
pub struct Journal {
    pub last_seq: i64,
    pub entries: Binlogs,
    /// Entries up to here are gone; -1 while none is.
    pub expired_to: Option<i64>,
    /// The entries of each table's list that are gone.
    pub expired_of: BTreeMap<i64, BTreeSet<i64>>,
    /// What the upstream was after the newest changes, and when they were made, oldest first.
    pub past: VecDeque<(i64, i64, Catalog)>,
    /// While a frontend answers that is behind: the newest change that it knows.
    pub seen_to: Option<i64>,
    /// What the database held after each commit seq that changed it.
    pub history: Vec<(i64, View)>,
    /// Tables, partitions and rollups dropped ever, also when the binlog no longer knows of it.
    pub gone: BTreeSet<i64>,
    pub last_txn: i64,
    /// The indexes that a load has written, by its commit seq and the table.
    pub written_indexes: BTreeMap<(i64, i64), Vec<i64>>,
    /// Labels of loads to their commit seqs; the newest where one was used again.
    pub labels: BTreeMap<String, i64>,
    /// Changes that only a copy of their table can bring over.
    pub demands_copy: BTreeSet<i64>,
    /// Tables by the commit seq of their creation.
    pub created: BTreeMap<i64, i64>,
    /// Partitions that came back, which only a copy of them can bring over.
    pub recovered: BTreeSet<i64>,
    /// The newest change of each table that is no load.
    pub changed_at: BTreeMap<i64, i64>,
    /// The recycle bin: partitions that were dropped, with their tables.
    pub recycled: Vec<(i64, Partition)>,
    /// Names of tables have changed while a backup was under way.
    pub moved_in_backup: bool,
    /// The recycle bin's tables, and which have come back ever.
    pub recycled_tables: Vec<Table>,
    pub recovered_tables: BTreeSet<i64>,
    /// The types of all that was written ever.
    pub types: BTreeSet<i32>,
    /// The newest schema change of each table.
    pub schema_changed_at: BTreeMap<i64, i64>,
}

/// Changes that a frontend is behind.
const BEHIND: usize = 3;

/// A table and the partitions of it that a statement writes.
pub type Written<'a> = (&'a str, &'a [&'a str]);

impl Inner {
    /// Takes a journal id without a binlog.
    pub fn journal_id(&mut self) -> i64 {
        self.journal.last_seq += 1 + i64::from(self.journal.last_seq % 3 == 0);
        self.journal.last_seq
    }

    pub fn emit(&mut self, seq: i64, record: &Record) {
        if !matches!(record, Record::Upsert(_) | Record::Barrier(_)) {
            let changed = record.table_ids().into_iter().map(|id| (id, seq));
            self.journal.changed_at.extend(changed);
        }
        self.emit_raw(seq, record.binlog_type().0, record.table_ids(), record.to_json());
    }

    pub fn emit_raw(&mut self, seq: i64, binlog_type: i32, table_ids: Vec<i64>, data: Option<String>) {
        self.trace.push(format!("        upstream {seq}: {}", BinlogType(binlog_type)));
        self.journal.types.insert(binlog_type);
        self.journal.entries.push(BinlogEntry {
            commit_seq: seq,
            timestamp_ms: self.now_ms,
            binlog_type,
            db_id: self.source.database_id,
            table_ids,
            data,
        });
        let view = View::of(&self.source);
        self.journal.history.push((seq, view));
        self.journal.past.push_back((seq, self.now_ms, self.source.clone()));
        if self.journal.past.len() > BEHIND {
            self.journal.past.pop_front();
        }
    }

    /// The newest change that whoever answers knows.
    fn seen_to(&self) -> i64 {
        self.journal.seen_to.unwrap_or(i64::MAX)
    }

    /// The commit seq of the newest binlog.
    pub fn newest(&self) -> i64 {
        self.journal.entries.last().map_or(0, |entry| entry.commit_seq)
    }

    /// The commit seq of the newest binlog in a list.
    pub fn newest_of(&self, scope: &BinlogScope) -> i64 {
        let newest = self.journal.entries.newest(scope, self.seen_to());
        // What has expired leaves a sequence point behind.
        newest.or(self.expired_in(scope)).unwrap_or(0)
    }

    /// The last entry of a list that is gone.
    pub fn expired_in(&self, scope: &BinlogScope) -> Option<i64> {
        match scope.table_id {
            None => self.journal.expired_to,
            Some(table_id) => self.journal.expired_of.get(&table_id)?.last().copied(),
        }
    }

    pub fn binlogs(&self, scope: &BinlogScope, after: i64, limit: u8) -> BinlogPage {
        let expired_to = self.expired_in(scope);
        if self.journal.entries.is_empty(scope) && expired_to.is_none() {
            return BinlogPage::NotFound;
        }
        if let Some(expired) = expired_to.filter(|expired| *expired > after) {
            return BinlogPage::TooOld { expired_to: Some(expired) };
        }
        let entries = self.journal.entries.page(scope, after, self.seen_to(), usize::from(limit));
        if entries.is_empty() { BinlogPage::CaughtUp } else { BinlogPage::Entries(entries) }
    }

    /// The database is dropped and created again, without tables and without binlogs.
    pub fn recreate_database(&mut self) {
        let id = self.id();
        self.replace_database(id);
    }

    /// The cluster is set up anew, with an empty database of that name: ids and commit seqs begin again.
    pub fn set_up_anew(&mut self) {
        let id = self.source.database_id - 1;
        self.replace_database(id);
        self.journal.last_seq = 0;
        self.journal.history.clear();
    }

    fn replace_database(&mut self, database_id: i64) {
        let lost: Vec<String> = self.source.tables.values().map(|table| table.name.clone()).collect();
        for name in lost {
            self.drop_table(&name);
        }
        let (database, backends) = (self.source.database.clone(), self.source.backends.clone());
        self.source = Catalog { database_id, database, backends, ..Catalog::default() };
        self.journal.entries = Binlogs::default();
        (self.journal.expired_to, self.journal.expired_of) = (None, BTreeMap::new());
        self.journal.past.clear();
    }

    /// Lets every entry so far expire.
    pub fn expire_binlogs(&mut self) {
        self.expire_binlogs_to(self.newest());
    }

    /// Lets the entries up to this one expire. Every list is cut there, and keeps the last seq that it has lost.
    pub fn expire_binlogs_to(&mut self, commit_seq: i64) {
        let gone = self.journal.entries.take_to(commit_seq);
        for entry in &gone {
            for table_id in tables_listing(entry) {
                self.journal.expired_of.entry(table_id).or_default().insert(entry.commit_seq);
            }
        }
        let last = gone.last().map(|entry| entry.commit_seq);
        self.trace.push(format!("        upstream: expired to {last:?}"));
        let Some(last) = last.max(self.journal.expired_to) else { return };
        self.journal.expired_to = Some(last);
        self.source.dropped_tables.retain(|_, seq| *seq >= last);
        self.source.dropped_partitions.retain(|_, seq| *seq >= last);
        self.source.dropped_indexes.retain(|_, seq| *seq >= last);
    }

    pub fn newest_expired(&self) -> i64 {
        self.journal.expired_to.expect("the binlog was expired")
    }

    /// Without rows.
    pub fn new_partition(&mut self, name: &str, bounds: Option<(i64, i64)>, buckets: usize) -> Partition {
        let id = self.id();
        let tablets =
            (0..buckets).map(|_| Tablet { id: self.id(), cells: Vec::new(), kept_from: 0 }).collect();
        Partition {
            id,
            name: name.to_owned(),
            bounds,
            is_temporary: false,
            medium: "HDD",
            version: 1,
            built: BTreeSet::new(),
            tablets,
        }
    }

    /// A table in neither catalogue yet; partition `p<n>` spans from 10·n to 10·(n+1).
    pub fn new_table(
        &mut self,
        name: &str,
        partitions: &[(String, (i64, i64))],
        buckets: usize,
        replicas: usize,
    ) -> Table {
        let (id, index_id) = (self.id(), self.id());
        let is_partitioned = !partitions.is_empty();
        let partitions = if is_partitioned {
            partitions.iter().map(|(name, bounds)| self.new_partition(name, Some(*bounds), buckets)).collect()
        } else {
            vec![self.new_partition(name, None, buckets)]
        };
        let columns = vec!["k".to_owned(), "v".to_owned()];
        let (name, traits) = (name.to_owned(), Traits::default());
        Table { id, name, index_id, buckets, replicas, is_partitioned, columns, traits, partitions }
    }

    /// CREATE TABLE; without partition numbers, an unpartitioned one.
    pub fn create(&mut self, name: &str, partitions: &[i64], buckets: usize) {
        let partitions: Vec<_> =
            partitions.iter().map(|n| (format!("p{n}"), (n * 10, n * 10 + 10))).collect();
        let table = self.new_table(name, &partitions, buckets, 2);
        let seq = self.journal_id();
        let record = CreateTableRecord {
            commit_seq: seq,
            db_id: self.source.database_id,
            db_name: SOURCE_DB.to_owned(),
            table_id: table.id,
            table_name: name.to_owned(),
            table_type: "OLAP".to_owned(),
            sql: table.create_sql(),
            properties: BTreeMap::new(),
        };
        self.journal.created.insert(table.id, seq);
        self.source.tables.insert(table.id, table);
        self.emit(seq, &Record::CreateTable(record));
    }

    pub fn create_view(&mut self, name: &str, table: &str) {
        let (seq, id) = (self.journal_id(), self.id());
        let view = SqlView { id, of: table.to_owned(), comment: String::new() };
        let record = CreateTableRecord {
            commit_seq: seq,
            db_id: self.source.database_id,
            db_name: SOURCE_DB.to_owned(),
            table_id: id,
            table_name: name.to_owned(),
            table_type: "VIEW".to_owned(),
            sql: view_sql(name, &view),
            properties: BTreeMap::new(),
        };
        self.source.views.insert(name.to_owned(), view);
        self.emit(seq, &Record::CreateTable(record));
    }

    pub fn drop_view(&mut self, name: &str) {
        let seq = self.journal_id();
        let id = self.source.views.remove(name).expect("the view exists").id;
        let record = DropTableRecord {
            commit_seq: seq,
            db_id: self.source.database_id,
            table_id: id,
            table_name: name.to_owned(),
            is_view: true,
            raw_sql: format!("DROP VIEW IF EXISTS `{name}`"),
        };
        self.emit(seq, &Record::DropTable(record));
    }

    /// One transaction; each entry is a table and the partitions it writes.
    pub fn load(&mut self, what: &[Written<'_>]) {
        self.transaction(&[what], false);
    }

    /// BEGIN, statements, COMMIT: every statement writes a version of its own under an id of its own, and
    /// all become visible together.
    pub fn load_statements(&mut self, statements: &[&[Written<'_>]]) {
        self.transaction(statements, true);
    }

    fn transaction(&mut self, statements: &[&[Written<'_>]], is_explicit: bool) {
        let seq = self.journal_id();
        let mut stids = Vec::new();
        let mut table_records: BTreeMap<i64, TableRecord> = BTreeMap::new();
        for what in statements {
            self.journal.last_txn += 1;
            let stid = if is_explicit { self.journal.last_txn } else { -1 };
            stids.extend(is_explicit.then_some(stid));
            for (name, partitions) in *what {
                let table = self.source.table_mut(name).expect("the table to load exists");
                let rollups = table.traits.rollups.values().copied();
                let all: Vec<i64> = std::iter::once(table.index_id).chain(rollups).collect();
                self.journal.written_indexes.insert((seq, table.id), all.clone());
                let written = table_records.entry(table.id).or_default();
                written.index_ids = (seq % 2 == 0).then_some(all);
                for partition in *partitions {
                    let partition = table.partition_mut(partition);
                    partition.version += 1;
                    for tablet in &mut partition.tablets {
                        tablet.cells.push((tablet.id, partition.version));
                    }
                    written.partition_records.push(PartitionRecord {
                        partition_id: partition.id,
                        range: partition.range(),
                        version: partition.version,
                        is_temp_partition: partition.is_temporary,
                        stid,
                    });
                }
            }
        }
        let record = UpsertRecord {
            commit_seq: seq,
            txn_id: self.journal.last_txn,
            time_stamp: self.now_ms,
            label: format!("load_{}", self.journal.last_txn),
            db_id: self.source.database_id,
            table_records,
            stids,
        };
        self.journal.labels.insert(record.label.clone(), seq);
        self.emit(seq, &Record::Upsert(record));
    }

    /// A transaction on the unpartitioned table.
    pub fn load_all(&mut self, name: &str) {
        let table = self.source.table(name).expect("the table to load exists");
        let partitions: Vec<String> =
            table.partitions.iter().filter(|p| !p.is_temporary).map(|p| p.name.clone()).collect();
        let partitions: Vec<&str> = partitions.iter().map(String::as_str).collect();
        self.load(&[(name, &partitions)]);
    }

    pub fn add_partition(&mut self, table: &str, n: i64, is_temporary: bool) {
        let name = if is_temporary { format!("tp{n}") } else { format!("p{n}") };
        let bounds = (n * 10, n * 10 + 10);
        let buckets = self.source.table(table).expect("the table exists").buckets;
        let mut partition = self.new_partition(&name, Some(bounds), buckets);
        partition.is_temporary = is_temporary;
        let seq = self.journal_id();
        let column = Column { name: "k".to_owned(), ..Column::default() };
        let key = |value: i64| PartitionKeyValue {
            columns: vec![KeyLiteral {
                type_name: "INT".to_owned(),
                literal: serde_json::json!({"clazz": "IntLiteral", "value": value}),
            }],
            is_default: false,
        };
        let temporary = if is_temporary { "TEMPORARY " } else { "" };
        let (from, to) = bounds;
        let record = AddPartitionRecord {
            commit_seq: seq,
            db_id: self.source.database_id,
            table_id: self.source.table(table).expect("the table exists").id,
            partition: doris_types::record::Partition {
                id: partition.id,
                name: name.clone(),
                distribution: Some(DistributionInfo::hash(
                    vec![column],
                    i64::try_from(buckets).expect("few buckets"),
                    false,
                )),
                ..doris_types::record::Partition::default()
            },
            range: vec![
                RangeBound { bound: BoundType::Closed, value: key(from) },
                RangeBound { bound: BoundType::Open, value: key(to) },
            ],
            is_temp_partition: is_temporary,
            sql: format!(
                "ADD {temporary}PARTITION `{name}` VALUES [(\"{from}\"), (\"{to}\")) (\"version_info\" = \"1\");"
            ),
            ..AddPartitionRecord::default()
        };
        self.source.table_mut(table).expect("the table exists").partitions.push(partition);
        self.emit(seq, &Record::AddPartition(record));
    }

    pub fn drop_partition(&mut self, table: &str, name: &str) {
        let seq = self.journal_id();
        let table = self.source.table_mut(table).expect("the table exists");
        let at = table.partitions.iter().position(|p| p.name == name).expect("the partition exists");
        let partition = table.partitions.remove(at);
        let temporary = if partition.is_temporary { "TEMPORARY " } else { "" };
        let record = DropPartitionRecord {
            table_id: table.id,
            partition_id: partition.id,
            partition_name: name.to_owned(),
            is_temp_partition: partition.is_temporary,
            sql: format!("DROP {temporary}PARTITION `{name}`"),
            ..DropPartitionRecord::default()
        };
        self.source.dropped_partitions.insert(partition.id, seq);
        self.journal.gone.insert(partition.id);
        if !partition.is_temporary {
            self.journal.recycled.push((record.table_id, partition));
        }
        self.emit(seq, &Record::DropPartition(record));
    }

    /// The names of partitions that RECOVER PARTITION would bring back now.
    pub fn recoverable(&self, table: &str) -> Vec<String> {
        let Some(table) = self.source.table(table) else { return Vec::new() };
        let of_table = self.journal.recycled.iter().filter(|(id, _)| *id == table.id).map(|(_, gone)| gone);
        let fits = |gone: &&Partition| {
            let mut there = table.partitions.iter().filter(|one| !one.is_temporary);
            there.all(|one| one.name != gone.name && one.bounds != gone.bounds)
        };
        of_table.filter(fits).map(|gone| gone.name.clone()).collect()
    }

    /// RECOVER PARTITION, under another name if one is given.
    pub fn recover_partition(&mut self, table: &str, name: &str, new_name: &str) {
        let seq = self.journal_id();
        let table = self.source.table_mut(table).expect("the table exists");
        let is_it = |(id, gone): &(i64, Partition)| *id == table.id && gone.name == name;
        let at = self.journal.recycled.iter().rposition(is_it).expect("the partition was dropped");
        let (_, mut partition) = self.journal.recycled.remove(at);
        let record = RecoverInfoRecord {
            table_id: table.id,
            table_name: table.name.clone(),
            partition_id: partition.id,
            partition_name: name.to_owned(),
            new_partition_name: new_name.to_owned(),
            ..RecoverInfoRecord::default()
        };
        if !new_name.is_empty() {
            new_name.clone_into(&mut partition.name);
        }
        let id = partition.id;
        table.partitions.push(partition);
        self.source.dropped_partitions.remove(&id);
        self.journal.recovered.insert(seq);
        // Where the target has another name the whole table is copied.
        let has_other_name = self.only_table.as_ref().is_some_and(|(source, target)| source != target);
        self.journal.demands_copy.extend(has_other_name.then_some(seq));
        self.emit(seq, &Record::RecoverInfo(record));
    }

    /// The whole table, or the partitions named.
    pub fn truncate(&mut self, table: &str, partitions: &[&str]) {
        let seq = self.journal_id();
        let old = self.source.table(table).expect("the table exists").clone();
        let mut op = BTreeMap::new();
        let mut fresh = old.clone();
        fresh.partitions = old
            .partitions
            .iter()
            .map(|partition| {
                let is_meant = partitions.is_empty() && !partition.is_temporary
                    || partitions.contains(&partition.name.as_str());
                if !is_meant {
                    return partition.clone();
                }
                op.insert(partition.id, partition.name.clone());
                self.source.dropped_partitions.insert(partition.id, seq);
                self.journal.gone.insert(partition.id);
                self.new_partition(&partition.name, partition.bounds, old.buckets)
            })
            .collect();
        let record = TruncateTableRecord {
            db_id: self.source.database_id,
            db: SOURCE_DB.to_owned(),
            table_id: old.id,
            table: table.to_owned(),
            is_entire_table: partitions.is_empty(),
            raw_sql: if partitions.is_empty() {
                String::new()
            } else {
                format!("PARTITIONS ({})", partitions.join(", "))
            },
            op,
        };
        self.source.tables.insert(old.id, fresh);
        self.emit(seq, &Record::TruncateTable(record));
    }

    pub fn drop_table(&mut self, name: &str) {
        let seq = self.journal_id();
        let id = self.source.table(name).expect("the table exists").id;
        self.journal.recycled_tables.extend(self.source.tables.remove(&id));
        self.source.dropped_tables.insert(id, seq);
        self.journal.gone.insert(id);
        let record = DropTableRecord {
            commit_seq: seq,
            db_id: self.source.database_id,
            table_id: id,
            table_name: name.to_owned(),
            is_view: false,
            raw_sql: format!("DROP TABLE IF EXISTS `{name}`"),
        };
        self.emit(seq, &Record::DropTable(record));
    }

    pub fn rename_table(&mut self, from: &str, to: &str) {
        let seq = self.journal_id();
        self.journal.moved_in_backup |= self.backups.is_running();
        let table = self.source.table_mut(from).expect("the table exists");
        table.set_name(to);
        let record = RenameRecord {
            db_id: 0,
            table_id: table.id,
            index_id: -1,
            partition_id: -1,
            new_table_name: to.to_owned(),
            old_table_name: from.to_owned(),
            ..serde_json::from_str(r#"{"tb":0}"#).expect("a rename of nothing")
        };
        self.emit(seq, &Record::RenameTable(record));
    }

    /// RENAME PARTITION; old FEs do not write the old name.
    pub fn rename_partition(&mut self, table: &str, from: &str, to: &str) {
        let seq = self.journal_id();
        let table = self.source.table_mut(table).expect("the table exists");
        let partition = table.partition_mut(from);
        to.clone_into(&mut partition.name);
        let record = RenameRecord {
            db_id: 0,
            partition_id: partition.id,
            index_id: -1,
            table_id: table.id,
            new_partition_name: to.to_owned(),
            old_partition_name: if self.hides_old_names { String::new() } else { from.to_owned() },
            ..serde_json::from_str(r#"{"tb":0}"#).expect("a rename of nothing")
        };
        self.emit(seq, &Record::RenamePartition(record));
    }

    /// REPLACE PARTITION: the formal partition becomes what the temporary one was.
    pub fn replace_partition(&mut self, table: &str, formal: &str, temporary: &str) {
        let seq = self.journal_id();
        let table = self.source.table_mut(table).expect("the table exists");
        let at = table.partitions.iter().position(|p| p.name == formal).expect("the partition exists");
        let gone = table.partitions.remove(at);
        let fresh = table.partition_mut(temporary);
        fresh.is_temporary = false;
        formal.clone_into(&mut fresh.name);
        fresh.bounds = gone.bounds;
        let record = ReplacePartitionsRecord {
            table_id: table.id,
            table_name: table.name.clone(),
            partitions: vec![formal.to_owned()],
            temp_partitions: vec![temporary.to_owned()],
            strict_range: true,
            partition_ids: vec![gone.id],
            ..ReplacePartitionsRecord::default()
        };
        self.source.dropped_partitions.insert(gone.id, seq);
        self.journal.gone.insert(gone.id);
        self.journal.demands_copy.insert(seq);
        self.emit(seq, &Record::ReplacePartitions(record));
    }

    pub fn barrier(&mut self, table_id: i64) -> i64 {
        let seq = self.journal_id();
        let record = BarrierRecord { table_id, ..BarrierRecord::default() };
        self.emit(seq, &Record::Barrier(record));
        seq
    }

    pub fn database_property(&mut self) {
        let seq = self.journal_id();
        self.emit(seq, &Record::AlterDatabaseProperty(AlterDatabasePropertyRecord::default()));
    }
}

/// The definition of a view as the upstream records and shows it.
pub fn view_sql(name: &str, view: &SqlView) -> String {
    let comment = if view.comment.is_empty() {
        String::new()
    } else {
        format!(" COMMENT {}", quote_string(&view.comment))
    };
    let table = &view.of;
    format!(
        "CREATE VIEW `{name}`\n(k)\n{comment} AS SELECT `internal`.`d1`.`{table}`.`k` AS `k` FROM `internal`.`d1`.`{table}`;"
    )
}
