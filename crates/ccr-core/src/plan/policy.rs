//! What is done about each type of binlog, in words: the source of `docs/support-matrix.md`.
//!
//! The decisions themselves are in the files beside this one. Two reasons to skip hold for every type and
//! are not repeated: the change is at or below the watermark or the snapshot of its table, or an operator
//! asked to pass over it. So does one more: it concerns a table that is not replicated, or that has left
//! the stream and is handled on its own.

use doris_types::record::BinlogType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub binlog_type: BinlogType,
    /// What happens downstream.
    pub downstream: &'static str,
    /// When nothing is done, with the reason recorded.
    pub skipped: &'static str,
}

const fn policy(binlog_type: BinlogType, downstream: &'static str, skipped: &'static str) -> Policy {
    Policy { binlog_type, downstream, skipped }
}

/// One for each known type, in order of their numbers.
pub const POLICIES: [Policy; 27] = [
    policy(
        BinlogType::UPSERT,
        "the same rowsets are ingested in one transaction, committed in upstream order; explicit transactions as sub-transactions",
        "temporary partitions that the target does not have; what a snapshot contains already; partitions and tables dropped upstream later",
    ),
    policy(
        BinlogType::ADD_PARTITION,
        "`ALTER TABLE … ADD PARTITION`, temporary or not, with the distribution of the record",
        "a temporary partition that the target refuses",
    ),
    policy(
        BinlogType::CREATE_TABLE,
        "the table or view is created with the statement rewritten for the target; a table with index files, or with a statement that cannot be rewritten, is copied",
        "other kinds than tables and views (external, asynchronous materialised); a table that a snapshot contains; in a table job",
    ),
    policy(
        BinlogType::DROP_PARTITION,
        "`ALTER TABLE … DROP PARTITION` of the partition with that range, whatever its name; a temporary one by its name",
        "a partition that the target does not have",
    ),
    policy(
        BinlogType::DROP_TABLE,
        "the target table or view linked to the upstream id is dropped, whatever its name",
        "never replicated; in a table job",
    ),
    policy(
        BinlogType::ALTER_JOB,
        "when finished, the table is copied again and swapped in",
        "steps before the last one",
    ),
    policy(BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, "the same `ALTER TABLE`", "never"),
    policy(
        BinlogType::DUMMY,
        "a gap in the binlog: a database job copies the tables that lost something, a table job its table",
        "never",
    ),
    policy(BinlogType::ALTER_DATABASE_PROPERTY, "nothing", "always"),
    policy(
        BinlogType::MODIFY_TABLE_PROPERTY,
        "`ALTER TABLE … SET`",
        "properties that each cluster has for itself (binlog, replication, dynamic partition, colocation, storage policy)",
    ),
    policy(BinlogType::BARRIER, "the change wrapped in it is applied", "nothing is wrapped in it"),
    policy(
        BinlogType::MODIFY_PARTITIONS,
        "`ALTER TABLE … MODIFY PARTITION … SET (\"storage_medium\" = …)`",
        "`storage_medium` of the job is not `upstream`, for media are chosen per cluster; partitions that are gone",
    ),
    policy(
        BinlogType::REPLACE_PARTITIONS,
        "`ALTER TABLE … REPLACE PARTITION`; without the temporary partitions in the target the table is copied again, for a restore of the replaced ones alone would disturb reads",
        "never",
    ),
    policy(
        BinlogType::TRUNCATE_TABLE,
        "`TRUNCATE TABLE`, of partitions with the same ranges where partitions were truncated",
        "never",
    ),
    policy(
        BinlogType::RENAME_TABLE,
        "the target table is renamed; that of a table job keeps its name",
        "never",
    ),
    policy(BinlogType::RENAME_COLUMN, "`ALTER TABLE … RENAME COLUMN`", "never"),
    policy(
        BinlogType::MODIFY_COMMENT,
        "`ALTER TABLE … MODIFY COMMENT`, or `MODIFY COLUMN … COMMENT`",
        "the record holds no comment",
    ),
    policy(
        BinlogType::MODIFY_VIEW_DEF,
        "`ALTER VIEW`, with the database names rewritten",
        "never replicated; in a table job",
    ),
    policy(
        BinlogType::REPLACE_TABLE,
        "`ALTER TABLE … REPLACE WITH TABLE`; in a table job the new table is copied",
        "what a snapshot contains already",
    ),
    policy(
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        "an added index: the table is copied again, as the index needs the same id; a dropped one: `DROP INDEX`",
        "the record holds no index",
    ),
    policy(
        BinlogType::INDEX_CHANGE_JOB,
        "when the build of an index has finished: `BUILD INDEX`",
        "drops, and steps before the last one",
    ),
    policy(
        BinlogType::RENAME_ROLLUP,
        "`ALTER TABLE … RENAME ROLLUP`; without the old name in the record the table is copied again",
        "never",
    ),
    policy(
        BinlogType::RENAME_PARTITION,
        "`ALTER TABLE … RENAME PARTITION` of the partition with that range; where neither its range nor its old name is known any more, the table is copied again",
        "the partition has that name already, or another one has it, for names may differ",
    ),
    policy(
        BinlogType::DROP_ROLLUP,
        "`ALTER TABLE … DROP ROLLUP`, before its turn where an older load needs it",
        "the target does not have it any more",
    ),
    policy(
        BinlogType::RECOVER_INFO,
        "a recovered table is linked and copied; of a table with a recovered partition only that one is copied, while reads go on; the table is, when it changes meanwhile or has another name downstream",
        "never",
    ),
    policy(
        BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
        "`ALTER TABLE … MODIFY DISTRIBUTION`, for future partitions",
        "never",
    ),
    policy(
        BinlogType::MODIFY_DISTRIBUTION_TYPE,
        "`ALTER TABLE … SET (\"distribution_type\" = \"random\")`",
        "never",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_has_its_policy() {
        let types: Vec<BinlogType> = POLICIES.iter().map(|policy| policy.binlog_type).collect();
        assert_eq!(types, BinlogType::known().collect::<Vec<_>>());
    }
}
