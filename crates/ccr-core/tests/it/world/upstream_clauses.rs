//! What users alter upstream by a clause of ALTER TABLE, rollups and secondary indexes, and the records of it.

use std::collections::BTreeMap;

use doris_types::record::{
    AlterJobKind, AlterJobRecord, AlterJobState, BinlogType, Column, Record, RecoverInfoRecord,
};
use serde_json::{Value, json};

use super::alter::Alter;
use super::catalog::Table;
use super::{Inner, SOURCE_DB};

impl Inner {
    /// A clause that can be executed, and its record.
    pub fn alter(&mut self, name: &str, what: &Alter) {
        let seq = self.journal_id();
        let before = self.source.table(name).expect("the table exists").clone();
        let table = self.source.table_mut(name).expect("the table exists");
        if let Err(refusal) = table.alter(what) {
            panic!("the upstream refuses {what:?}: {refusal:?}");
        }
        if let Alter::DropRollup(rollup) = what {
            let id = before.traits.rollups[rollup];
            self.source.dropped_indexes.insert(id, seq);
            self.journal.gone.insert(id);
        }
        if matches!(what, Alter::DropRollup(_) | Alter::RenameRollup { .. }) {
            self.indexes_changed(before.id, seq);
        }
        let after = self.source.table(name).expect("it is still there");
        let (kind, data) = record(&before, after, what);
        self.emit_json(seq, kind, before.id, &data);
    }

    /// ADD INDEX: it is there, but not built for the rows of before.
    pub fn add_index(&mut self, name: &str, index: &str) {
        let seq = self.journal_id();
        let table = self.source.table_mut(name).expect("the table exists");
        table.traits.indexes.insert(index.to_owned());
        let id = table.id;
        let data = json!({
            "dbId": 0, "tableId": id, "alternativeIndexes": [],
            "alterInvertedIndexes": [{"i": seq, "in": index, "c": ["v"], "it": "INVERTED"}],
            "isDropInvertedIndex": false, "jobId": seq,
            "rawSql": format!("ALTER TABLE `{SOURCE_DB}`.`{name}` ADD INDEX `{index}` (`v`) USING INVERTED"),
        });
        self.journal.demands_copy.insert(seq);
        self.emit_json(seq, BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES, id, &data);
    }

    /// BUILD INDEX: one job per partition, which begins and ends.
    pub fn build_index(&mut self, name: &str, index: &str) {
        self.build_index_late(name, index, |_| {});
    }

    /// The same, where something happens before the jobs end.
    pub fn build_index_late(&mut self, name: &str, index: &str, meanwhile: impl FnOnce(&mut Self)) {
        let table = self.source.table(name).expect("the table exists");
        let formal = table.partitions.iter().filter(|partition| !partition.is_temporary);
        let partitions: Vec<(i64, String)> =
            formal.map(|partition| (partition.id, partition.name.clone())).collect();
        let table_id = table.id;
        let report = |world: &mut Self, (partition_id, partition): &(i64, String), state: &str| {
            let seq = world.journal_id();
            let data = json!({
                "jobId": seq, "jobState": state, "dbId": 0, "tableId": table_id, "tableName": name,
                "partitionId": partition_id, "partitionName": partition, "isDropOp": false,
                "alterInvertedIndexes": [{"i": 0, "in": index, "c": ["v"], "it": "INVERTED"}],
            });
            world.emit_json(seq, BinlogType::INDEX_CHANGE_JOB, table_id, &data);
        };
        for partition in &partitions {
            report(self, partition, "WAITING_TXN");
        }
        meanwhile(self);
        for partition in &partitions {
            let table = self.source.table_mut(name).expect("the table exists");
            if table.partitions.iter().any(|one| one.id == partition.0) {
                let build =
                    Alter::BuildIndex { index: index.to_owned(), partition: Some(partition.1.clone()) };
                table.alter(&build).expect("the index is there");
            }
            report(self, partition, "FINISHED");
        }
    }

    /// ADD ROLLUP: a job, at whose end the table has another index.
    pub fn add_rollup(&mut self, name: &str, rollup: &str) {
        let rollup_id = self.id();
        for job_state in [AlterJobState::Pending, AlterJobState::Finished] {
            let seq = self.journal_id();
            let is_finished = job_state == AlterJobState::Finished;
            let table = self.source.table_mut(name).expect("the table exists");
            let record = AlterJobRecord {
                kind: AlterJobKind::Rollup,
                table_id: table.id,
                table_name: name.to_owned(),
                job_id: rollup_id,
                job_state,
                index_id_map: BTreeMap::new(),
                rollup_index_id: rollup_id,
                rollup_index_name: rollup.to_owned(),
                base_index_id: table.index_id,
                base_index_name: name.to_owned(),
                ..AlterJobRecord::default()
            };
            if is_finished {
                table.traits.rollups.insert(rollup.to_owned(), rollup_id);
                let id = table.id;
                self.journal.demands_copy.insert(seq);
                self.indexes_changed(id, seq);
            }
            self.emit(seq, &Record::AlterJob(record));
        }
    }

    /// Partitions that were dropped before have other indexes, and cannot come back.
    fn indexes_changed(&mut self, table_id: i64, seq: i64) {
        self.journal.recycled.retain(|(id, _)| *id != table_id);
        self.journal.schema_changed_at.insert(table_id, seq);
    }

    /// The names of tables that RECOVER TABLE would bring back now.
    pub fn recoverable_tables(&self) -> Vec<String> {
        let is_free = |table: &&Table| self.source.table(&table.name).is_none();
        self.journal.recycled_tables.iter().filter(is_free).map(|table| table.name.clone()).collect()
    }

    /// RECOVER TABLE, under another name if one is given.
    pub fn recover_table(&mut self, name: &str, new_name: &str) {
        let seq = self.journal_id();
        let at = self.journal.recycled_tables.iter().rposition(|table| table.name == name);
        let mut table = self.journal.recycled_tables.remove(at.expect("the table was dropped"));
        let record = RecoverInfoRecord {
            table_id: table.id,
            table_name: name.to_owned(),
            new_table_name: new_name.to_owned(),
            partition_id: -1,
            ..RecoverInfoRecord::default()
        };
        if !new_name.is_empty() {
            table.set_name(new_name);
        }
        self.source.dropped_tables.remove(&table.id);
        self.journal.recovered_tables.insert(table.id);
        self.journal.demands_copy.insert(seq);
        self.source.tables.insert(table.id, table);
        self.emit(seq, &Record::RecoverInfo(record));
    }

    fn emit_json(&mut self, seq: i64, kind: BinlogType, table_id: i64, data: &Value) {
        self.journal.changed_at.insert(table_id, seq);
        self.emit_raw(seq, kind.0, vec![table_id], Some(data.to_string()));
    }
}

/// The record that the frontend writes of a clause, which has made one table of the other.
fn record(table: &Table, after: &Table, what: &Alter) -> (BinlogType, Value) {
    let (id, name) = (table.id, &table.name);
    let schema = |table: &Table| {
        let columns = table.columns.iter().map(|name| Column::scalar(name.as_str(), "INT", false));
        json!({table.index_id.to_string(): columns.collect::<Vec<_>>()})
    };
    let columns = |clause: String| {
        let sql = format!("ALTER TABLE `{SOURCE_DB}`.`{name}` {clause}");
        let data = json!({
            "dbId": 0, "tableId": id, "baseIndexId": table.index_id, "rawSql": sql,
            "indexSchemaMap": schema(after), "oldIndexSchemaMap": schema(table),
        });
        (BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, data)
    };
    match what {
        Alter::AddColumn(column) => columns(format!("ADD COLUMN `{column}` int NULL")),
        Alter::DropColumn(column) => columns(format!("DROP COLUMN `{column}`")),
        Alter::ModifyColumn { column, to } => columns(format!("MODIFY COLUMN `{column}` {to} NULL")),
        Alter::RenameColumn { from, to } => (
            BinlogType::RENAME_COLUMN,
            json!({"dbId": 0, "tableId": id, "colName": from, "newColName": to, "indexIdToSchemaVersion": {}}),
        ),
        Alter::Comment(text) => {
            (BinlogType::MODIFY_COMMENT, json!({"type": "TABLE", "dbId": 0, "tblId": id, "tblComment": text}))
        }
        Alter::ColumnComment { column, text } => (
            BinlogType::MODIFY_COMMENT,
            json!({"type": "COLUMN", "dbId": 0, "tblId": id, "colToComment": {column: text}}),
        ),
        Alter::Set { key, value } => {
            let sql = format!("SET (\"{key}\" = \"{value}\" )");
            let data = json!({
                "dbId": 0, "tableId": id, "tableName": name, "properties": {key: value}, "sql": sql
            });
            (BinlogType::MODIFY_TABLE_PROPERTY, data)
        }
        Alter::RenamePartition { from, to } => {
            let of_it = table.partitions.iter().find(|partition| partition.name == *from);
            let partition_id = of_it.map_or(-1, |partition| partition.id);
            let data = json!({"db": 0, "tb": id, "ind": -1, "p": partition_id, "nP": to, "oP": from});
            (BinlogType::RENAME_PARTITION, data)
        }
        Alter::RenameRollup { from, to } => {
            let index_id = table.traits.rollups[from];
            (
                BinlogType::RENAME_ROLLUP,
                json!({"db": 0, "tb": id, "ind": index_id, "p": -1, "nR": to, "oR": from}),
            )
        }
        Alter::DropRollup(rollup) => {
            let index_id = table.traits.rollups[rollup];
            let data = json!({
                "ctl": "internal", "dbId": 0, "tableId": id, "tableName": name,
                "indexId": index_id, "indexName": rollup,
            });
            (BinlogType::DROP_ROLLUP, data)
        }
        Alter::DropIndex(index) => {
            let data = json!({
                "dbId": 0, "tableId": id, "isDropInvertedIndex": true, "jobId": 0,
                "alterInvertedIndexes": [{"i": 0, "in": index, "c": ["v"], "it": "INVERTED"}],
                "rawSql": format!("ALTER TABLE `{SOURCE_DB}`.`{name}` DROP INDEX `{index}`"),
            });
            (BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES, data)
        }
        Alter::BuildIndex { .. } => unreachable!("jobs build indexes, one per partition"),
        Alter::Buckets(number) => {
            let kind = if table.traits.is_random { "RANDOM" } else { "HASH" };
            let data = json!({
                "dbId": 0, "tableId": id, "type": kind, "autoBucket": false, "bucketNum": number,
                "columnsName": if table.traits.is_random { "" } else { "`k`" },
            });
            (BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM, data)
        }
        Alter::Randomly => {
            let data = json!({"db": 0, "tb": id, "ind": -1, "p": -1, "nT": "", "nR": "", "nP": ""});
            (BinlogType::MODIFY_DISTRIBUTION_TYPE, data)
        }
    }
}
