//! What is done about each type of binlog, in words: the source of `docs/support-matrix.md`.
//!
//! The decisions themselves are in the files beside this one. Two reasons to skip hold for every type and
//! are not repeated: the change is at or below the watermark or the snapshot of its table, or an operator
//! asked to pass over it. So does one more: it concerns a table that is not replicated, or that has left
//! the stream and is handled on its own.
//!
//! Beside the words stands what the planner may decide, which a debug build checks of every plan that is made;
//! `policy_cases` holds samples that show each of these decisions.

use doris_types::record::BinlogType;

use super::{Plan, SkipReason};
use crate::change::Change;
use crate::job::{FullSyncReason, PartialSyncReason, SyncType};
use Decision::{AdoptTable, Block, CopyTable, FullSync, Gap, Ingest, Skip, Statement};

/// A kind of plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    Ingest,
    Statement,
    /// A table leaves the stream and is copied.
    CopyTable,
    /// A table is linked and copied.
    AdoptTable,
    /// What the binlog has lost is copied.
    Gap,
    FullSync,
    Skip,
    Block,
}

/// What may be decided in each kind of job; empty where the type says nothing to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decisions {
    database: &'static [Decision],
    table: &'static [Decision],
}

const fn in_both(decisions: &'static [Decision]) -> Decisions {
    in_each(decisions, decisions)
}

const fn in_each(database: &'static [Decision], table: &'static [Decision]) -> Decisions {
    Decisions { database, table }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub binlog_type: BinlogType,
    decisions: Decisions,
    /// What happens downstream.
    pub downstream: &'static str,
    /// When nothing is done, with the reason recorded.
    pub skipped: &'static str,
}

const fn policy(
    binlog_type: BinlogType,
    decisions: Decisions,
    downstream: &'static str,
    skipped: &'static str,
) -> Policy {
    Policy { binlog_type, decisions, downstream, skipped }
}

impl Policy {
    /// That of a known type.
    pub fn of(binlog_type: BinlogType) -> Option<&'static Self> {
        POLICIES.iter().find(|policy| policy.binlog_type == binlog_type)
    }

    /// What may be decided in a job of that kind, beside what holds for every type.
    pub fn decisions(&self, sync_type: SyncType) -> &'static [Decision] {
        match sync_type {
            SyncType::Database => self.decisions.database,
            SyncType::Table => self.decisions.table,
        }
    }

    /// Whether that is what the planner may make of such a change. A type without a policy blocks.
    pub(super) fn allows(change: &Change, sync_type: SyncType, plan: &Plan) -> bool {
        let Some(decision) = Decision::of(plan) else { return true };
        match Self::of(change.record.binlog_type()) {
            Some(policy) => policy.decisions(sync_type).contains(&decision),
            None => decision == Block,
        }
    }
}

impl Decision {
    /// `None` for what holds for every type: its table is elsewhere, has to be looked for, or has a partition that
    /// was copied by itself before the change.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        match plan {
            Plan::Skip(reason) => is_about_the_type(*reason).then_some(Skip),
            Plan::Ingest(ingest) => (!ingest.tables.is_empty()).then_some(Ingest),
            Plan::Statement(_) => Some(Statement),
            Plan::PartialSync { reason: PartialSyncReason::Mismatch { .. }, .. } => None,
            Plan::PartialSync { .. } => Some(CopyTable),
            Plan::AdoptTable { .. } => Some(AdoptTable),
            Plan::FullSync(FullSyncReason::BinlogExpired { .. }) => Some(Gap),
            Plan::FullSync(_) => Some(FullSync),
            Plan::Block(_) => Some(Block),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Ingest => "rows",
            Statement => "statement",
            CopyTable => "copy",
            AdoptTable => "new table copied",
            Gap => "gap",
            FullSync => "full sync",
            Skip => "skip",
            Block => "block",
        }
    }
}

fn is_about_the_type(reason: SkipReason) -> bool {
    match reason {
        SkipReason::TemporaryPartition
        | SkipReason::NothingToIngest
        | SkipReason::PlainBarrier
        | SkipReason::DatabaseProperty
        | SkipReason::LocalProperty
        | SkipReason::NeverReplicated
        | SkipReason::NotReplicatedKind
        | SkipReason::JobNotFinished
        | SkipReason::NothingToChange
        | SkipReason::StorageMedium => true,
        SkipReason::AlreadyApplied
        | SkipReason::InSnapshot
        | SkipReason::LeftToLane
        | SkipReason::Named
        | SkipReason::Requested
        | SkipReason::OtherTable => false,
    }
}

/// One for each known type, in order of their numbers.
pub const POLICIES: [Policy; 27] = [
    policy(
        BinlogType::UPSERT,
        in_both(&[Ingest, Skip]),
        "the same rowsets are ingested in one transaction, committed in upstream order; explicit transactions as sub-transactions",
        "no rows of a replicated table; temporary partitions that the target does not have; partitions and tables dropped upstream later",
    ),
    policy(
        BinlogType::ADD_PARTITION,
        in_both(&[Statement, Skip, Block]),
        "`ALTER TABLE … ADD PARTITION`, temporary or not, with the distribution of the record",
        "a temporary partition that the target refuses",
    ),
    policy(
        BinlogType::CREATE_TABLE,
        in_each(&[Statement, AdoptTable, Skip, Block], &[]),
        "the table or view is created with the statement rewritten for the target; a table with index files, or with a statement that cannot be rewritten, is copied",
        "other kinds than tables and views (external, asynchronous materialised); a table that a snapshot contains; in a table job",
    ),
    policy(
        BinlogType::DROP_PARTITION,
        in_both(&[Statement, Skip, Block]),
        "`ALTER TABLE … DROP PARTITION` of the partition with that range, whatever its name; a temporary one by its name",
        "a partition that the target does not have",
    ),
    policy(
        BinlogType::DROP_TABLE,
        in_each(&[Statement, Skip], &[]),
        "the target table or view linked to the upstream id is dropped, whatever its name",
        "never replicated; in a table job",
    ),
    policy(
        BinlogType::ALTER_JOB,
        in_both(&[CopyTable, Skip]),
        "when finished, the table is copied again and swapped in",
        "steps before the last one",
    ),
    policy(
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS,
        in_both(&[Statement, Block]),
        "the same `ALTER TABLE`",
        "never",
    ),
    policy(
        BinlogType::DUMMY,
        in_both(&[Gap]),
        "a gap in the binlog: a database job copies the tables that lost something, a table job its table",
        "never",
    ),
    policy(BinlogType::ALTER_DATABASE_PROPERTY, in_both(&[Skip]), "nothing", "always"),
    policy(
        BinlogType::MODIFY_TABLE_PROPERTY,
        in_each(&[Statement, Skip], &[Statement, Skip, Block]),
        "`ALTER TABLE … SET`",
        "properties that each cluster has for itself (binlog, replication, dynamic partition, colocation, storage policy)",
    ),
    policy(
        BinlogType::BARRIER,
        in_both(&[Skip]),
        "the change wrapped in it is applied",
        "nothing is wrapped in it",
    ),
    policy(
        BinlogType::MODIFY_PARTITIONS,
        in_both(&[Statement, Skip]),
        "`ALTER TABLE … MODIFY PARTITION … SET (\"storage_medium\" = …)`",
        "`storage_medium` of the job is not `upstream`, for media are chosen per cluster; partitions that are gone",
    ),
    policy(
        BinlogType::REPLACE_PARTITIONS,
        in_both(&[Statement, CopyTable]),
        "`ALTER TABLE … REPLACE PARTITION`; without the temporary partitions in the target the table is copied again, for a restore of the replaced ones alone would disturb reads",
        "never",
    ),
    policy(
        BinlogType::TRUNCATE_TABLE,
        in_both(&[Statement, Block]),
        "`TRUNCATE TABLE`, of partitions with the same ranges where partitions were truncated",
        "never",
    ),
    policy(
        BinlogType::RENAME_TABLE,
        in_both(&[Statement]),
        "the target table is renamed; that of a table job keeps its name",
        "never",
    ),
    policy(BinlogType::RENAME_COLUMN, in_both(&[Statement]), "`ALTER TABLE … RENAME COLUMN`", "never"),
    policy(
        BinlogType::MODIFY_COMMENT,
        in_both(&[Statement, Skip, Block]),
        "`ALTER TABLE … MODIFY COMMENT`, or `MODIFY COLUMN … COMMENT`",
        "the record holds no comment",
    ),
    policy(
        BinlogType::MODIFY_VIEW_DEF,
        in_each(&[Statement, Skip, Block], &[]),
        "`ALTER VIEW`, with the database names rewritten",
        "never replicated; in a table job",
    ),
    policy(
        BinlogType::REPLACE_TABLE,
        in_each(&[Statement, CopyTable, AdoptTable, Block], &[CopyTable, FullSync]),
        "`ALTER TABLE … REPLACE WITH TABLE`; a table of a swap that the job has not met is linked and copied first, and where a snapshot has one table from before and the other from after, or the table is handled on its own, it is copied; in a table job the new table is copied",
        "what a snapshot contains already",
    ),
    policy(
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        in_both(&[Statement, CopyTable, Skip]),
        "an added index: the table is copied again, as the index needs the same id; a dropped one: `DROP INDEX`",
        "the record holds no index",
    ),
    policy(
        BinlogType::INDEX_CHANGE_JOB,
        in_both(&[Statement, Skip]),
        "when the build of an index has finished: `BUILD INDEX`",
        "drops, and steps before the last one",
    ),
    policy(
        BinlogType::RENAME_ROLLUP,
        in_both(&[Statement, CopyTable]),
        "`ALTER TABLE … RENAME ROLLUP`; without the old name in the record the table is copied again",
        "never",
    ),
    policy(
        BinlogType::RENAME_PARTITION,
        in_both(&[Statement]),
        "`ALTER TABLE … RENAME PARTITION` of the partition with that range; where neither its range nor its old name is known any more, the table is copied again",
        "the partition has that name already, or another one has it, for names may differ",
    ),
    policy(
        BinlogType::DROP_ROLLUP,
        in_both(&[Statement]),
        "`ALTER TABLE … DROP ROLLUP`, before its turn where an older load needs it",
        "the target does not have it any more",
    ),
    policy(
        BinlogType::RECOVER_INFO,
        in_each(&[CopyTable, AdoptTable], &[CopyTable]),
        "a recovered table is linked and copied; of a table with a recovered partition only that one is copied, while reads go on; the table is, when it changes meanwhile or has another name downstream",
        "never",
    ),
    policy(
        BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
        in_both(&[Statement, Block]),
        "`ALTER TABLE … MODIFY DISTRIBUTION`, for future partitions",
        "never",
    ),
    policy(
        BinlogType::MODIFY_DISTRIBUTION_TYPE,
        in_both(&[Statement]),
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
