//! What users alter upstream: columns, names that tables exchange, definitions of views.

use std::collections::BTreeMap;

use doris_types::record::{
    AlterJobKind, AlterJobRecord, AlterJobState, Column, DataProperty, ModifyPartitionInfo,
    ModifyPartitionsRecord, ModifyViewDefRecord, Record, RenameRecord, ReplaceTableRecord,
};

use super::alter::Alter;
use super::catalog::Tablet;
use super::{Inner, SOURCE_DB};

impl Inner {
    /// ALTER TABLE … REPLACE WITH TABLE. Only the list of the replaced table holds the record.
    pub fn replace_table(&mut self, name: &str, with: &str, swap: bool) {
        let seq = self.journal_id();
        let (orig_table_id, new_table_id) = (self.source_id(name), self.source_id(with));
        let record = ReplaceTableRecord {
            db_id: self.source.database_id,
            orig_table_id,
            orig_table_name: name.to_owned(),
            new_table_id,
            new_table_name: with.to_owned(),
            swap_table: swap,
            is_force: false,
        };
        if swap {
            self.source.tables.get_mut(&orig_table_id).expect("the table exists").set_name(with);
        } else {
            self.source.tables.remove(&orig_table_id);
            self.source.dropped_tables.insert(orig_table_id, seq);
            self.journal.gone.insert(orig_table_id);
        }
        self.source.tables.get_mut(&new_table_id).expect("the table exists").set_name(name);
        // Only the list of the other one tells of it.
        self.journal.changed_at.insert(new_table_id, seq);
        if self.backups.is_running() {
            // A snapshot may have one table from before this and the other from after it.
            self.journal.demands_copy.insert(seq);
            self.journal.moved_in_backup = true;
        }
        self.emit(seq, &Record::ReplaceTable(record));
    }

    /// ALTER TABLE … MODIFY PARTITION … SET ("storage_medium" = …).
    pub fn set_medium(&mut self, name: &str, partitions: &[&str], medium: &'static str) {
        let seq = self.journal_id();
        let table = self.source.table_mut(name).expect("the table exists");
        let table_id = table.id;
        let mut infos = Vec::new();
        for partition in partitions {
            let partition = table.partition_mut(partition);
            partition.medium = medium;
            let property = DataProperty { storage_medium: medium.to_owned(), ..DataProperty::default() };
            let partition_id = partition.id;
            let data_property = Some(property);
            infos.push(ModifyPartitionInfo { table_id, partition_id, data_property, ..Default::default() });
        }
        self.emit(seq, &Record::ModifyPartitions(ModifyPartitionsRecord { infos }));
    }

    pub fn source_id(&self, name: &str) -> i64 {
        self.source.table(name).expect("the table exists").id
    }

    /// A light schema change.
    pub fn add_column(&mut self, name: &str, column: &str) {
        self.alter(name, &Alter::AddColumn(column.to_owned()));
    }

    /// A heavy schema change begins; returns the id of its shadow index.
    pub fn begin_schema_change(&mut self, name: &str) -> i64 {
        let shadow_id = self.id();
        self.emit_alter_job(name, shadow_id, AlterJobState::Pending);
        shadow_id
    }

    /// It ends: the table has new tablets, which hold what was loaded and none of its rowsets.
    pub fn finish_schema_change(&mut self, name: &str, shadow_id: i64) {
        let seq = self.emit_alter_job(name, shadow_id, AlterJobState::Finished);
        let mut table = self.source.table(name).expect("the table exists").clone();
        for partition in &mut table.partitions {
            let kept_from = partition.version + 1;
            for tablet in &mut partition.tablets {
                *tablet = Tablet { id: self.id(), cells: tablet.cells.clone(), kept_from };
            }
        }
        let free = |number: &usize| !table.columns.contains(&format!("heavy{number}"));
        let number = (0..).find(free).expect("a number is free");
        table.columns.push(format!("heavy{number}"));
        self.source.dropped_indexes.insert(table.index_id, seq);
        // What was dropped before has other indexes, and cannot come back.
        self.journal.recycled.retain(|(id, _)| *id != table.id);
        self.journal.demands_copy.insert(seq);
        self.journal.schema_changed_at.insert(table.id, seq);
        table.index_id = shadow_id;
        self.source.tables.insert(table.id, table);
        let view = super::check::View::of(&self.source);
        let newest = self.journal.history.last_mut().expect("the end of the job was just recorded");
        newest.1 = view;
    }

    pub fn schema_change(&mut self, name: &str) {
        let shadow_id = self.begin_schema_change(name);
        self.finish_schema_change(name, shadow_id);
    }

    fn emit_alter_job(&mut self, name: &str, shadow_id: i64, job_state: AlterJobState) -> i64 {
        let seq = self.journal_id();
        let table = self.source.table(name).expect("the table exists");
        let record = AlterJobRecord {
            kind: AlterJobKind::SchemaChange,
            table_id: table.id,
            table_name: name.to_owned(),
            job_id: shadow_id,
            job_state,
            index_id_map: BTreeMap::from([(shadow_id, table.index_id)]),
            ..AlterJobRecord::default()
        };
        self.emit(seq, &Record::AlterJob(record));
        seq
    }

    /// ALTER VIEW … AS.
    pub fn alter_view(&mut self, name: &str, of: &str) {
        self.change_view(name, Some(of), None);
    }

    /// ALTER VIEW … MODIFY COMMENT, or both in one where a definition is given as well.
    pub fn comment_view(&mut self, name: &str, of: Option<&str>, comment: &str) {
        self.change_view(name, of, Some(comment));
    }

    /// ALTER TABLE … RENAME of a view.
    pub fn rename_view(&mut self, from: &str, to: &str) {
        let seq = self.journal_id();
        let view = self.source.views.remove(from).expect("the view exists");
        let record = RenameRecord {
            db_id: 0,
            table_id: view.id,
            index_id: -1,
            partition_id: -1,
            new_table_name: to.to_owned(),
            old_table_name: from.to_owned(),
            ..serde_json::from_str(r#"{"tb":0}"#).expect("a rename of nothing")
        };
        self.source.views.insert(to.to_owned(), view);
        self.emit(seq, &Record::RenameTable(record));
    }

    fn change_view(&mut self, name: &str, of: Option<&str>, comment: Option<&str>) {
        let seq = self.journal_id();
        let view = self.source.views.get_mut(name).expect("the view exists");
        let mut record = ModifyViewDefRecord { table_id: view.id, ..ModifyViewDefRecord::default() };
        if let Some(of) = of {
            of.clone_into(&mut view.of);
            record.inline_view_def = format!(
                "SELECT `internal`.`{SOURCE_DB}`.`{of}`.`k` AS `k` FROM `internal`.`{SOURCE_DB}`.`{of}`"
            );
            record.new_full_schema = vec![Column { name: "k".to_owned(), ..Column::default() }];
        }
        if let Some(comment) = comment {
            comment.clone_into(&mut view.comment);
        }
        // A definition alone is recorded with an empty comment.
        record.comment = Some(comment.unwrap_or_default().to_owned());
        self.emit(seq, &Record::ModifyViewDef(record));
    }
}
