//! BACKUP, RESTORE and their CANCEL forms.

use super::ast::{BackupTable, CancelJobs, CancelledJobs, SnapshotStatement, Statement, TableName};
use super::parser::Parser;
use super::show_ast::AlterJobKind;
use crate::error::SqlResult;

impl Parser<'_> {
    /// `BACKUP [GLOBAL] SNAPSHOT [db.]label TO repo [ON | EXCLUDE (…)] [PROPERTIES (…)]`.
    pub(super) fn backup(&mut self) -> SqlResult<Statement> {
        self.expect_word("backup")?;
        Ok(Statement::Backup(self.snapshot("to")?))
    }

    /// `RESTORE [GLOBAL] SNAPSHOT [db.]label FROM repo [ON | EXCLUDE (…)] PROPERTIES (…)`.
    pub(super) fn restore(&mut self) -> SqlResult<Statement> {
        self.expect_word("restore")?;
        Ok(Statement::Restore(self.snapshot("from")?))
    }

    fn snapshot(&mut self, preposition: &str) -> SqlResult<SnapshotStatement> {
        self.accept_word("global");
        self.expect_word("snapshot")?;
        let TableName { db, name: label } = self.table_name()?;
        self.expect_word(preposition)?;
        let repository = self.name()?;
        let mut tables = None;
        let mut exclude = Vec::new();
        if self.accept_word("on") {
            tables = Some(self.backup_tables()?);
        } else if self.accept_word("exclude") {
            exclude = self.backup_tables()?.into_iter().map(|table| table.name).collect();
        }
        let properties = self.optional_properties()?;
        Ok(SnapshotStatement { db, label, repository, tables, exclude, properties })
    }

    fn backup_tables(&mut self) -> SqlResult<Vec<BackupTable>> {
        self.expect_symbol('(')?;
        self.comma_list(')', |parser| {
            let name = parser.table_name()?.name;
            let partitions = parser.optional_partitions()?;
            let alias = if parser.accept_word("as") { Some(parser.name()?) } else { None };
            Ok(BackupTable { name, partitions, alias })
        })
    }

    pub(super) fn cancel(&mut self) -> SqlResult<Statement> {
        self.expect_word("cancel")?;
        self.accept_word("global");
        if self.accept_word("backup") {
            return Ok(Statement::CancelBackup { db: self.optional_from()? });
        }
        if self.accept_word("restore") {
            return Ok(Statement::CancelRestore { db: self.optional_from()? });
        }
        if self.accept_words(&["materialized", "view"]) {
            return self.cancel_view_task();
        }
        if self.accept_words(&["alter", "table"]) {
            let kind = if self.accept_word("column") {
                AlterJobKind::Column
            } else if self.accept_word("rollup") {
                AlterJobKind::Rollup
            } else {
                self.expect_word("materialized")?;
                self.expect_word("view")?;
                AlterJobKind::MaterializedView
            };
            self.expect_word("from")?;
            return self.cancelled_jobs(CancelledJobs::Alter(kind));
        }
        if self.accept_words(&["build", "index"]) {
            self.expect_word("on")?;
            return self.cancelled_jobs(CancelledJobs::BuildIndex);
        }
        if self.accept_words(&["decommission", "backend"]) {
            return self.cancel_decommission();
        }
        if self.at_word("load") || self.at_word("export") {
            let text = self.rest_text();
            let words: Vec<_> = text.split_whitespace().take(3).collect();
            return Ok(Statement::Accepted(format!("CANCEL {}", words.join(" ").to_uppercase())));
        }
        Err(self.unexpected("{'ALTER', 'BACKUP', 'DECOMMISSION', 'EXPORT', 'LOAD', 'RESTORE'}"))
    }

    /// `t [(job, …)]`.
    fn cancelled_jobs(&mut self, jobs: CancelledJobs) -> SqlResult<Statement> {
        let table = self.table_name()?;
        let ids = if self.accept_symbol('(') { self.comma_list(')', Self::integer)? } else { Vec::new() };
        Ok(Statement::CancelJobs(CancelJobs { jobs, table, ids }))
    }
}
