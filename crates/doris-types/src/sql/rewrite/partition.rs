//! DROP PARTITION and TRUNCATE TABLE from their records.

use super::RewriteError;
use super::edit::Statement;
use crate::record::{DropPartitionRecord, TruncateTableRecord};
use crate::sql::{quote_identifier, quote_identifiers};

/// ``DROP [TEMPORARY ]PARTITION IF EXISTS `p`[ FORCE]``, to be put after `ALTER TABLE x`.
///
/// # Errors
/// When the record names no partition, neither by key nor in its statement.
pub fn drop_partition_sql(record: &DropPartitionRecord) -> Result<String, RewriteError> {
    let mut name = record.partition_name.clone();
    let mut is_temporary = record.is_temp_partition;
    let mut is_forced = record.force_drop;
    if name.is_empty() {
        let recorded = RecordedDrop::parse(&record.sql)?;
        name = recorded.name;
        is_temporary |= recorded.is_temporary;
        is_forced |= recorded.is_forced;
    }
    let temporary = if is_temporary { "TEMPORARY " } else { "" };
    let force = if is_forced { " FORCE" } else { "" };
    Ok(format!("DROP {temporary}PARTITION IF EXISTS {}{force}", quote_identifier(&name)))
}

struct RecordedDrop {
    name: String,
    is_temporary: bool,
    is_forced: bool,
}

impl RecordedDrop {
    fn parse(sql: &str) -> Result<Self, RewriteError> {
        let statement = Statement::new("DROP PARTITION", sql)?;
        if statement.tokens.is_empty() {
            return Err(RewriteError::Missing { statement: "DROP PARTITION", what: "partition name" });
        }
        let mut at = statement.expect_word(0, "DROP")?;
        let is_temporary = statement.is_word(at, "TEMPORARY");
        at = statement.expect_word(at + usize::from(is_temporary), "PARTITION")?;
        let name = statement.dotted_name(statement.skip_if_exists(at))?;
        Ok(Self {
            name: statement.identifier(name.parts[0]),
            is_temporary,
            is_forced: statement.is_word(name.next, "FORCE"),
        })
    }
}

/// What follows the name in TRUNCATE TABLE: ``PARTITIONS (`p1`, `p2`)``, `FORCE`, both, or nothing. Names are
/// taken from the record's map where it has one, since the recorded text does not quote them.
///
/// # Errors
/// When only some partitions were truncated and the record does not say which.
pub fn truncate_sql_tail(record: &TruncateTableRecord) -> Result<String, RewriteError> {
    let missing = RewriteError::Missing { statement: "TRUNCATE TABLE", what: "partition names" };
    let statement = Statement::new("TRUNCATE TABLE", &record.raw_sql)?;
    let names_partitions = statement.is_word(0, "PARTITIONS") || statement.is_word(0, "PARTITION");
    let mut clauses = Vec::new();
    if names_partitions || !record.is_entire_table {
        let names = if record.op.is_empty() {
            recorded_names(&statement)?
        } else {
            record.op.values().cloned().collect()
        };
        if names.is_empty() {
            return Err(missing);
        }
        clauses.push(format!("PARTITIONS ({})", quote_identifiers(names.iter().map(String::as_str))));
    }
    let behind_partitions = statement.tokens.iter().rposition(|token| token.is_punctuation(')'));
    if statement.is_word(behind_partitions.map_or(0, |at| at + 1), "FORCE") {
        clauses.push("FORCE".to_owned());
    }
    Ok(clauses.join(" "))
}

fn recorded_names(statement: &Statement<'_>) -> Result<Vec<String>, RewriteError> {
    if statement.tokens.is_empty() {
        return Ok(Vec::new());
    }
    if !statement.is_mark(1, '(') {
        return Err(statement.unexpected(1, "("));
    }
    let mut names = Vec::new();
    let mut at = 2;
    loop {
        let name = statement.dotted_name(at)?;
        names.push(statement.identifier(name.parts[0]));
        if statement.is_mark(name.next, ')') {
            return Ok(names);
        }
        if !statement.is_mark(name.next, ',') {
            return Err(statement.unexpected(name.next, ", or )"));
        }
        at = name.next + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop(name: &str, sql: &str) -> DropPartitionRecord {
        DropPartitionRecord { partition_name: name.to_owned(), sql: sql.to_owned(), ..Default::default() }
    }

    #[test]
    fn drops_only_what_is_there() {
        let record = drop("p`2", "ignored");
        assert_eq!(drop_partition_sql(&record).unwrap(), "DROP PARTITION IF EXISTS `p``2`");
        let record = DropPartitionRecord { force_drop: true, is_temp_partition: true, ..record };
        assert_eq!(drop_partition_sql(&record).unwrap(), "DROP TEMPORARY PARTITION IF EXISTS `p``2` FORCE");
    }

    #[test]
    fn takes_the_name_from_the_statement_when_need_be() {
        let record = drop("", "DROP TEMPORARY PARTITION `FORCE` FORCE");
        assert_eq!(drop_partition_sql(&record).unwrap(), "DROP TEMPORARY PARTITION IF EXISTS `FORCE` FORCE");
        let record = drop("", "DROP PARTITION `p FORCE`");
        assert_eq!(drop_partition_sql(&record).unwrap(), "DROP PARTITION IF EXISTS `p FORCE`");
        assert!(drop_partition_sql(&drop("", "")).is_err());
        assert!(drop_partition_sql(&drop("", "DROP PARTITION")).is_err());
    }

    fn truncate(raw_sql: &str, is_entire_table: bool, op: &[(i64, &str)]) -> String {
        let op = op.iter().map(|(id, name)| (*id, (*name).to_owned())).collect();
        let record =
            TruncateTableRecord { raw_sql: raw_sql.to_owned(), is_entire_table, op, ..Default::default() };
        truncate_sql_tail(&record).unwrap()
    }

    #[test]
    fn truncates_the_named_partitions() {
        assert_eq!(truncate("PARTITIONS (p1)", false, &[(10019, "p1")]), "PARTITIONS (`p1`)");
        assert_eq!(
            truncate("PARTITIONS (p-1, p2) FORCE", false, &[(1, "p-1"), (2, "p2")]),
            "PARTITIONS (`p-1`, `p2`) FORCE"
        );
        assert_eq!(truncate("PARTITIONS (p1, `p 2`)", false, &[]), "PARTITIONS (`p1`, `p 2`)");
        assert_eq!(truncate("PARTITIONS (FORCE)", false, &[]), "PARTITIONS (`FORCE`)");
    }

    #[test]
    fn truncates_the_whole_table() {
        assert_eq!(truncate("", true, &[(1, "t1")]), "");
        assert_eq!(truncate(" FORCE", true, &[]), "FORCE");
    }

    #[test]
    fn does_not_truncate_everything_for_want_of_names() {
        assert!(truncate_sql_tail(&TruncateTableRecord::default()).is_err());
    }
}
