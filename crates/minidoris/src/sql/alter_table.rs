//! ALTER TABLE, and the index statements that are other spellings of it.

use super::ast::{AlterOperation, AlterTable, ColumnPosition, IndexDef, RollupDef, Statement};
use super::parser::Parser;
use crate::error::SqlResult;

impl Parser<'_> {
    /// Behind ALTER TABLE.
    pub(super) fn alter_table(&mut self) -> SqlResult<Statement> {
        let table = self.table_name()?;
        let mut operations = vec![self.alter_operation()?];
        while self.accept_symbol(',') {
            operations.push(self.alter_operation()?);
        }
        Ok(Statement::AlterTable(AlterTable { table, operations }))
    }

    fn alter_operation(&mut self) -> SqlResult<AlterOperation> {
        if self.accept_word("add") {
            return self.alter_add();
        }
        if self.accept_word("drop") {
            return self.alter_drop();
        }
        if self.accept_word("modify") {
            return self.alter_modify();
        }
        if self.accept_word("rename") {
            return self.alter_rename();
        }
        if self.accept_word("replace") {
            return self.alter_replace();
        }
        if self.accept_word("set") {
            return Ok(AlterOperation::SetProperties(self.property_list()?));
        }
        if self.accept_words(&["order", "by"]) {
            let columns = self.name_list()?;
            return Ok(AlterOperation::OrderBy { columns, rollup: self.rollup_name()? });
        }
        if self.accept_words(&["enable", "feature"]) {
            let name = self.text()?;
            self.accept_word("with");
            return Ok(AlterOperation::EnableFeature { name, properties: self.optional_properties()? });
        }
        Err(self.unexpected("{'ADD', 'DROP', 'ENABLE', 'MODIFY', 'ORDER', 'RENAME', 'REPLACE', 'SET'}"))
    }

    fn alter_add(&mut self) -> SqlResult<AlterOperation> {
        let temporary = self.accept_word("temporary");
        if self.accept_word("partition") || self.accept_word("partitions") {
            let mut partition =
                if self.at_word("from") { self.partition_step()? } else { self.partition_def()? };
            let mut distribution = self.optional_distribution()?;
            // The properties may stand on either side of the distribution, or behind a stray keyword.
            if self.at_symbol('(') {
                partition.properties.extend(self.property_list()?);
            } else if self.at_word("properties") {
                partition.properties.extend(self.optional_properties()?);
            }
            if distribution.is_none() {
                distribution = self.optional_distribution()?;
            }
            return Ok(AlterOperation::AddPartition { temporary, partition, distribution });
        }
        if self.accept_word("rollup") {
            return Ok(AlterOperation::AddRollup { rollups: self.rollups()? });
        }
        if self.at_word("index") && !self.peek_at(1).is_symbol('(') {
            self.advance();
            return Ok(AlterOperation::AddIndex(self.index_def()?));
        }
        self.accept_word("column");
        if self.accept_symbol('(') {
            let columns = self.comma_list(')', Self::column_def)?;
            let rollup = self.rollup_name()?;
            return Ok(AlterOperation::AddColumns {
                columns,
                rollup,
                properties: self.optional_properties()?,
            });
        }
        let column = self.column_def()?;
        let position = self.column_position()?.unwrap_or(ColumnPosition::Last);
        let rollup = self.rollup_name()?;
        Ok(AlterOperation::AddColumn { column, position, rollup, properties: self.optional_properties()? })
    }

    fn column_position(&mut self) -> SqlResult<Option<ColumnPosition>> {
        if self.accept_word("first") {
            return Ok(Some(ColumnPosition::First));
        }
        if self.accept_word("after") {
            return Ok(Some(ColumnPosition::After(self.name()?)));
        }
        Ok(None)
    }

    /// `TO r`, `IN r` or `FROM r`.
    fn rollup_name(&mut self) -> SqlResult<Option<String>> {
        if self.accept_word("to") || self.accept_word("in") || self.accept_word("from") {
            return self.name().map(Some);
        }
        Ok(None)
    }

    /// Several rollups are joined by commas, as operations are: a comma goes on with a rollup when a
    /// parenthesis follows the next name.
    fn rollups(&mut self) -> SqlResult<Vec<RollupDef>> {
        let mut rollups = vec![self.rollup_def()?];
        while self.at_symbol(',') && self.peek_at(2).is_symbol('(') {
            self.advance();
            rollups.push(self.rollup_def()?);
        }
        Ok(rollups)
    }

    fn alter_drop(&mut self) -> SqlResult<AlterOperation> {
        let temporary = self.accept_word("temporary");
        if self.accept_word("partition") {
            let if_exists = self.if_exists();
            let name = self.name()?;
            let force = self.accept_word("force");
            return Ok(AlterOperation::DropPartition { temporary, if_exists, name, force });
        }
        if self.accept_word("rollup") {
            let mut names = vec![self.name()?];
            while self.at_symbol(',') && !self.peek_at(1).is_word("drop") && !self.peek_at(1).is_word("add") {
                self.advance();
                names.push(self.name()?);
            }
            return Ok(AlterOperation::DropRollup { names, if_exists: false });
        }
        if self.accept_word("index") {
            let if_exists = self.if_exists();
            return Ok(AlterOperation::DropIndex { name: self.name()?, if_exists });
        }
        self.accept_word("column");
        let name = self.name()?;
        let rollup = self.rollup_name()?;
        Ok(AlterOperation::DropColumn { name, rollup, properties: self.optional_properties()? })
    }

    fn alter_modify(&mut self) -> SqlResult<AlterOperation> {
        if self.accept_word("comment") {
            return self.text().map(AlterOperation::ModifyComment);
        }
        if self.accept_word("distribution") {
            return match self.optional_distribution()? {
                Some(distribution) => Ok(AlterOperation::ModifyDistribution(distribution)),
                None => Err(self.unexpected("'DISTRIBUTED'")),
            };
        }
        if self.accept_word("partition") {
            return self.modify_partition();
        }
        self.expect_word("column")?;
        if self.peek_at(1).is_word("comment") {
            let column = self.name()?;
            self.expect_word("comment")?;
            return Ok(AlterOperation::ModifyColumnComment { column, comment: self.text()? });
        }
        let column = self.column_def()?;
        let position = self.column_position()?;
        let rollup = self.rollup_name()?;
        Ok(AlterOperation::ModifyColumn { column, position, rollup, properties: self.optional_properties()? })
    }

    fn modify_partition(&mut self) -> SqlResult<AlterOperation> {
        let mut all = false;
        let mut partitions = Vec::new();
        if self.at_symbol('(') && self.peek_at(1).is_symbol('*') {
            self.skip_parentheses()?;
            all = true;
        } else if self.at_symbol('(') {
            partitions = self.name_list()?;
        } else {
            partitions.push(self.name()?);
        }
        self.expect_word("set")?;
        Ok(AlterOperation::ModifyPartition { partitions, all, properties: self.property_list()? })
    }

    fn alter_rename(&mut self) -> SqlResult<AlterOperation> {
        // `RENAME rollup` renames the table to that name; with two names behind it, it is a keyword.
        let has_two_names = !matches!(self.peek_at(2).kind, super::lexer::TokenKind::End)
            && !self.peek_at(1).is_symbol(';')
            && !self.peek_at(1).is_symbol(',');
        if has_two_names {
            for (keyword, kind) in [("rollup", 0), ("partition", 1), ("column", 2)] {
                if self.accept_word(keyword) {
                    let from = self.name()?;
                    self.accept_word("to");
                    let to = self.name()?;
                    return Ok(match kind {
                        0 => AlterOperation::RenameRollup { from, to },
                        1 => AlterOperation::RenamePartition { from, to },
                        _ => AlterOperation::RenameColumn { from, to },
                    });
                }
            }
        }
        Ok(AlterOperation::Rename { new_name: self.name()? })
    }

    fn alter_replace(&mut self) -> SqlResult<AlterOperation> {
        if self.accept_words(&["with", "table"]) {
            let with = self.name()?;
            let properties = self.optional_properties()?;
            let swap = properties.get("swap").is_none_or(|value| value.eq_ignore_ascii_case("true"));
            return Ok(AlterOperation::ReplaceTable { with, swap, force: self.accept_word("force") });
        }
        let partitions = self.optional_partitions()?;
        let Some(partitions) = partitions else {
            return Err(self.unexpected("{'PARTITION', 'WITH'}"));
        };
        self.expect_word("with")?;
        self.expect_word("temporary")?;
        let Some(temp_partitions) = self.optional_partitions()? else {
            return Err(self.unexpected("'PARTITION'"));
        };
        let force = self.accept_word("force");
        Ok(AlterOperation::ReplacePartition {
            partitions,
            temp_partitions,
            force,
            properties: self.optional_properties()?,
        })
    }

    /// `CREATE INDEX [IF NOT EXISTS] i ON t (cols) …`, behind CREATE INDEX.
    pub(super) fn create_index(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        self.expect_word("on")?;
        let table = self.table_name()?;
        let columns = self.name_list()?;
        let index = IndexDef { if_not_exists, ..self.index_tail(name, columns)? };
        Ok(Statement::AlterTable(AlterTable { table, operations: vec![AlterOperation::AddIndex(index)] }))
    }

    /// `DROP INDEX [IF EXISTS] i ON t`, behind DROP INDEX.
    pub(super) fn drop_index(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        let name = self.name()?;
        self.expect_word("on")?;
        let table = self.table_name()?;
        Ok(Statement::AlterTable(AlterTable {
            table,
            operations: vec![AlterOperation::DropIndex { name, if_exists }],
        }))
    }

    /// `BUILD INDEX i ON t [PARTITIONS (…)]`.
    pub(super) fn build_index(&mut self) -> SqlResult<Statement> {
        self.expect_word("build")?;
        self.expect_word("index")?;
        let name = self.name()?;
        self.expect_word("on")?;
        let table = self.table_name()?;
        let partitions = self.optional_partitions()?;
        Ok(Statement::AlterTable(AlterTable {
            table,
            operations: vec![AlterOperation::BuildIndex { name, partitions }],
        }))
    }
}
