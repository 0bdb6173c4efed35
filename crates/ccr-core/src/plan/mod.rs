//! What a change requires downstream, decided without I/O.
//!
//! [`plan`] is pure: it sees the change, the job and its table links, and answers with a [`Plan`]. One
//! file per family of binlog types, each with its cases as tests. What needs a look at a cluster (has a
//! table that is not linked been dropped meanwhile?) is left to the effect that carries the plan out.

mod alter;
mod copy;
mod medium;
pub(crate) mod names;
mod partition;
mod policy;
#[cfg(test)]
mod policy_cases;
mod repeated;
pub(crate) mod restored;
mod table;
mod upsert;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use doris_types::record::{
    DropPartitionRecord, PartitionRecord, Record, ReplacePartitionsRecord, TruncateTableRecord,
};

use crate::change::Change;
use crate::job::{
    FullSyncReason, JobSpec, Lane, LinkEffect, PartialSyncReason, PartitionAhead, SyncType, TableLink,
};

pub use policy::{Decision, POLICIES, Policy};
pub use repeated::Repeated;

/// What the planner knows of the job.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub spec: &'a JobSpec,
    /// Upstream table id to its link.
    pub tables: &'a BTreeMap<i64, TableLink>,
    /// Upstream view id to its name.
    pub views: &'a BTreeMap<i64, String>,
    /// Commit seqs that an operator has asked to pass over.
    pub skips: &'a BTreeSet<i64>,
    /// Whose binlog is being read.
    pub track: TrackId,
    /// The watermark.
    pub commit_seq: i64,
}

/// Whose binlog list is replayed: the job's, or that of one table on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackId {
    Main,
    Table(i64),
}

/// Whether a table's changes are left to its own track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftToLane {
    Yes,
    No,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    Skip(SkipReason),
    Ingest(Ingest),
    Statement(Statement),
    /// These tables leave the stream and are copied again.
    PartialSync {
        source_ids: Vec<i64>,
        reason: PartialSyncReason,
    },
    /// A table appears that no statement creates downstream: it is linked, and copied as one that leaves the stream.
    AdoptTable {
        source_id: i64,
        name: String,
        reason: PartialSyncReason,
        /// The table of the job whose target it takes over: it has dropped that one.
        in_place_of: Option<i64>,
    },
    FullSync(FullSyncReason),
    Block(Block),
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// At or below the watermark.
    AlreadyApplied,
    /// The snapshot of the table contains it.
    InSnapshot,
    /// It concerns temporary partitions only; their data comes when they replace formal ones.
    TemporaryPartition,
    /// It touches no rows of any replicated table.
    NothingToIngest,
    /// A sequence point without content.
    PlainBarrier,
    /// A property of the database, which is not replicated.
    DatabaseProperty,
    /// Every property in it is managed per cluster.
    LocalProperty,
    /// The table was never replicated, so there is nothing to drop.
    NeverReplicated,
    /// External, temporary or asynchronous materialised: not replicated on purpose.
    NotReplicatedKind,
    /// The table has left the stream; its own track applies this.
    LeftToLane,
    /// The job's own list has settled the names of the table.
    Named,
    /// A step of a job before its last one.
    JobNotFinished,
    /// Nothing is left to change.
    NothingToChange,
    /// Storage media are chosen per cluster.
    StorageMedium,
    /// An operator asked to pass over it.
    Requested,
    /// Another table than the one of a table job.
    OtherTable,
}

/// One upstream transaction to repeat downstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    pub tables: Vec<TableIngest>,
    /// Tables of the transaction that have no link: dropped meanwhile, or an error.
    pub unlinked: Vec<i64>,
    /// It is no transaction, but a change of tables without a link: there are no rows that could be lost, so one look
    /// for them will do.
    pub only_looks: bool,
    /// The upstream sub-transactions of a transaction of several statements, in statement order; the partition
    /// records tell which of them made each version. Empty for an ordinary transaction.
    pub stids: Vec<i64>,
    /// The upstream transaction wrote to several tables, whether or not they are left to this track.
    pub is_shared: bool,
    /// The upstream's label, in a job that reuses it.
    pub label: Option<String>,
}

impl Ingest {
    /// Looks whether tables without a link are upstream, which were changed.
    fn look(unlinked: Vec<i64>) -> Self {
        let (tables, stids) = (Vec::new(), Vec::new());
        Self { tables, unlinked, only_looks: true, stids, is_shared: false, label: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableIngest {
    pub source_id: i64,
    pub target_id: i64,
    pub target_name: String,
    pub partitions: Vec<PartitionRecord>,
    /// Upstream indexes the load wrote; `None` means all that are visible.
    pub index_ids: Option<Vec<i64>>,
    /// Temporary partitions that the target has too: upstream id to name.
    pub temporary: BTreeMap<i64, String>,
    /// Versions of its partitions tell nothing: the target goes without some change before this.
    pub lacks_changes: bool,
}

/// One DDL statement to repeat downstream.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    CreateTable {
        source_id: i64,
        name: String,
        sql: String,
    },
    CreateView {
        source_id: i64,
        name: String,
        sql: String,
    },
    /// Both in one change: two statements, which can be repeated.
    AlterView {
        source_id: i64,
        definition: String,
        comment: String,
    },
    DropTable {
        source_id: i64,
        target_id: i64,
    },
    DropView {
        source_id: i64,
        name: String,
    },
    /// `target_name` is the name the target gets; it may have it already.
    RenameTable {
        source_id: i64,
        target_id: i64,
        source_name: String,
        target_name: String,
    },
    /// The new table gets the name `old_name`. With `swap` the old one gets `new_name`, else it goes.
    ReplaceTable {
        old_id: i64,
        new_id: i64,
        old_target_id: i64,
        new_target_id: i64,
        old_name: String,
        new_name: String,
        swap: bool,
    },
    Execute {
        source_id: i64,
        sql: String,
        effect: LinkEffect,
        repeated: Repeated,
    },
    /// The same, where a copy of the table does instead when the target refuses it.
    Try {
        source_id: i64,
        sql: String,
        effect: LinkEffect,
        repeated: Repeated,
        refused: Refused,
    },
    /// Partitions of a table, which the target may have under other names.
    Partitions {
        source_id: i64,
        target_id: i64,
        change: PartitionChange,
    },
    /// Partitions live elsewhere; those that the target does not have are passed over.
    SetMedium {
        tables: Vec<TableMedia>,
    },
}

/// What becomes of partitions that exist.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionChange {
    Drop(DropPartitionRecord),
    /// Some of them; the whole table needs no look at its partitions.
    Truncate(TruncateTableRecord),
    /// `old` is empty where an old FE does not say it.
    Rename {
        partition_id: i64,
        old: String,
        new: String,
    },
    /// An index is built for the rows that one of them has.
    BuildIndex {
        partition_id: i64,
        name: String,
        index: String,
    },
    /// Temporary ones, which the target has too, take the place of some of them.
    Replace(ReplacePartitionsRecord),
}

/// Where partitions of a table are to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMedia {
    pub source_id: i64,
    pub target_id: i64,
    /// Medium to upstream partition ids.
    pub media: BTreeMap<String, Vec<i64>>,
}

/// What follows when the target refuses a statement that is only a shorter way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nothing: a later change will find that it is missing.
    Ignore,
    /// The table is copied.
    Copy,
    /// The table is copied, unless what the statement is about is not there: a job that was under way upstream
    /// reports its end after the change that has removed its index.
    CopyUnlessGone,
}

/// Why an operator must act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub code: &'static str,
    pub message: String,
    pub hint: String,
    /// The tables it keeps from going on; empty when it is the whole job.
    pub tables: Vec<i64>,
}

/// Decides about one change.
pub fn plan(change: &Change, view: View<'_>) -> Plan {
    let plan = decide(change, view);
    debug_assert!(
        Policy::allows(change, view.spec.sync_type(), &plan),
        "the policy of {} names no such plan: {plan:?}",
        change.record.binlog_type()
    );
    plan
}

fn decide(change: &Change, view: View<'_>) -> Plan {
    if change.commit_seq <= view.commit_seq {
        return Plan::Skip(SkipReason::AlreadyApplied);
    }
    if view.skips.contains(&change.commit_seq) {
        return Plan::Skip(SkipReason::Requested);
    }
    match &change.record {
        Record::Upsert(record) => upsert::plan(change.commit_seq, record, view),
        Record::CreateTable(record) => table::create(change, record, view),
        Record::DropTable(record) => table::drop(change, record, view),
        Record::TruncateTable(record) => table::truncate(change, record, view),
        Record::AddPartition(record) => partition::add(change, record, view),
        Record::DropPartition(record) => partition::drop(change, record, view),
        Record::Dummy => Plan::FullSync(FullSyncReason::BinlogExpired {
            position: view.commit_seq,
            expired_to: Some(change.commit_seq),
            why: String::new(),
        }),
        Record::Barrier(_) => Plan::Skip(SkipReason::PlainBarrier),
        Record::AlterDatabaseProperty(_) => Plan::Skip(SkipReason::DatabaseProperty),
        Record::ModifyTableProperty(record) => alter::properties(change, record, view),
        Record::AlterJob(record) => copy::alter_job(change, record, view),
        Record::ModifyColumns(record) => alter::columns(change, record, view),
        Record::ModifyPartitions(record) => medium::modify_partitions(change, record, view),
        Record::ReplacePartitions(record) => copy::replace_partitions(change, record, view),
        Record::RenameTable(record) => names::rename_table(change, record, view),
        Record::RenameColumn(record) => alter::rename_column(change, record, view),
        Record::ModifyComment(record) => alter::comment(change, record, view),
        Record::ModifyViewDef(record) => view::modify(change, record, view),
        Record::ReplaceTable(record) => names::replace_table(change, record, view),
        Record::ModifyInvertedIndices(record) => copy::inverted_indices(change, record, view),
        Record::IndexChangeJob(record) => copy::index_change_job(change, record, view),
        Record::RenameRollup(record) => alter::rename_rollup(change, record, view),
        Record::RenamePartition(record) => alter::rename_partition(change, record, view),
        Record::DropRollup(record) => alter::drop_rollup(change, record, view),
        Record::RecoverInfo(record) => copy::recover(change, record, view),
        Record::ModifyDistributionBucketNum(record) => alter::bucket_num(change, record, view),
        Record::ModifyDistributionType(record) => alter::distribution_type(change, record, view),
        Record::Unknown { .. } => Plan::Block(Block {
            code: "CCR0203",
            message: format!(
                "binlog type {} at commit seq {} is not known to this version",
                change.record.binlog_type(),
                change.commit_seq
            ),
            hint: "upgrade the syncer, or skip the binlog".to_owned(),
            tables: change.table_ids.clone(),
        }),
    }
}

/// The plan for a change that only a copy of its table can bring over.
fn partial(change: &Change, source_id: i64) -> Plan {
    let binlog_type = change.record.binlog_type().to_string();
    let reason = PartialSyncReason::Change { binlog_type, commit_seq: change.commit_seq };
    Plan::PartialSync { source_ids: vec![source_id], reason }
}

/// The link of a table that a change concerns, or why there is nothing to do.
fn linked<'a>(source_id: i64, commit_seq: i64, view: View<'a>) -> Result<&'a TableLink, Box<Plan>> {
    match view.tables.get(&source_id) {
        Some(_) if matches!(view.track, TrackId::Table(id) if id != source_id) => {
            Err(skip(SkipReason::OtherTable))
        }
        Some(link) if view.left(link) == LeftToLane::Yes => Err(skip(SkipReason::LeftToLane)),
        Some(link) if commit_seq <= link.synced_to => Err(skip(SkipReason::InSnapshot)),
        Some(link) => match link.ahead {
            Some(ahead) if link.is_ahead(commit_seq) => Err(changed_behind(source_id, commit_seq, ahead)),
            Some(_) | None => Ok(link),
        },
        None if view.spec.sync_type() == SyncType::Table => Err(skip(SkipReason::OtherTable)),
        // Dropped while the snapshot was taken, or restored upstream: only a look upstream can tell, and
        // that is part of carrying out an ingest, here one without rows.
        None => Err(Box::new(Plan::Ingest(Ingest::look(vec![source_id])))),
    }
}

/// A table was changed, in any way but by loads, before one of its partitions was copied: the partition may or may
/// not have come with the change.
fn changed_behind(source_id: i64, commit_seq: i64, ahead: PartitionAhead) -> Box<Plan> {
    let PartitionAhead { partition_id, synced_to } = ahead;
    let message = format!(
        "the table was changed, and partition {partition_id} had been copied by itself as of commit seq {synced_to}"
    );
    let reason = PartialSyncReason::Mismatch { message, commit_seq };
    Box::new(Plan::PartialSync { source_ids: vec![source_id], reason })
}

fn skip(reason: SkipReason) -> Box<Plan> {
    Box::new(Plan::Skip(reason))
}

impl View<'_> {
    /// Whether the main stream leaves a table to its own track.
    fn left(&self, link: &TableLink) -> LeftToLane {
        match (self.track, &link.lane) {
            (TrackId::Main, Lane::Apart(_)) => LeftToLane::Yes,
            (TrackId::Main, Lane::Flowing) | (TrackId::Table(_), Lane::Flowing | Lane::Apart(_)) => {
                LeftToLane::No
            }
        }
    }
}

impl SkipReason {
    /// Whether the target goes without what a change was about. All others are met elsewhere: in a snapshot, on
    /// another track, in the last step of a job, or with nothing in them to repeat.
    pub fn is_left_out(self) -> bool {
        match self {
            SkipReason::DatabaseProperty
            | SkipReason::LocalProperty
            | SkipReason::NotReplicatedKind
            | SkipReason::StorageMedium
            | SkipReason::Requested => true,
            SkipReason::AlreadyApplied
            | SkipReason::InSnapshot
            | SkipReason::TemporaryPartition
            | SkipReason::NothingToIngest
            | SkipReason::PlainBarrier
            | SkipReason::NeverReplicated
            | SkipReason::LeftToLane
            | SkipReason::Named
            | SkipReason::JobNotFinished
            | SkipReason::NothingToChange
            | SkipReason::OtherTable => false,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            SkipReason::AlreadyApplied => "already applied",
            SkipReason::InSnapshot => "contained in the snapshot",
            SkipReason::TemporaryPartition => "temporary partition",
            SkipReason::NothingToIngest => "no rows of a replicated table",
            SkipReason::PlainBarrier => "barrier",
            SkipReason::DatabaseProperty => "database property",
            SkipReason::LocalProperty => "property managed per cluster",
            SkipReason::NeverReplicated => "table never replicated",
            SkipReason::NotReplicatedKind => "kind of table that is not replicated",
            SkipReason::Named => "names settled by the job's own list",
            SkipReason::LeftToLane => "left to the table's own track",
            SkipReason::JobNotFinished => "a job that is not finished",
            SkipReason::NothingToChange => "nothing left to change",
            SkipReason::StorageMedium => "storage medium, chosen per cluster",
            SkipReason::Requested => "an operator asked to pass over it",
            SkipReason::OtherTable => "another table",
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A job and changes for the tables of cases.

    use super::*;
    use crate::job::{ClusterSpec, JobOptions};
    use doris_types::record::BinlogType;

    pub fn spec(src_table: &str, dest_table: &str) -> JobSpec {
        let side = |host: &str, database: &str, table: &str| ClusterSpec {
            host: host.to_owned(),
            port: 9030,
            thrift_port: 9020,
            user: "root".to_owned(),
            password: String::new(),
            database: database.to_owned(),
            table: table.to_owned(),
            frontends: Vec::new(),
            host_mapping: BTreeMap::new(),
        };
        JobSpec {
            name: "j".to_owned(),
            src: side("a", "d1", src_table),
            dest: side("b", "d2", dest_table),
            options: JobOptions::default(),
        }
    }

    /// Table 10, target 110, contained up to commit seq 50.
    pub fn links() -> BTreeMap<i64, TableLink> {
        let link = TableLink::new("t1", 110, 50);
        BTreeMap::from([(10, link)])
    }

    pub fn change(commit_seq: i64, binlog_type: BinlogType, data: &str) -> Change {
        Change {
            commit_seq,
            timestamp_ms: 0,
            binlog_type,
            record: Record::parse(binlog_type, Some(data)).expect("the case is a good record"),
            table_ids: vec![10],
        }
    }

    /// Plans a change for a database job that stands at commit seq 40.
    pub fn plan_of(commit_seq: i64, binlog_type: BinlogType, data: &str) -> Plan {
        plan_for(&spec("", ""), commit_seq, binlog_type, data)
    }

    /// The same for a job of another kind.
    pub fn plan_for(spec: &JobSpec, commit_seq: i64, binlog_type: BinlogType, data: &str) -> Plan {
        plan_with(spec, &links(), commit_seq, binlog_type, data)
    }

    /// The same with other links.
    pub fn plan_with(
        spec: &JobSpec,
        tables: &BTreeMap<i64, TableLink>,
        commit_seq: i64,
        binlog_type: BinlogType,
        data: &str,
    ) -> Plan {
        let views = BTreeMap::from([(30, "v1".to_owned())]);
        let skips = BTreeSet::from([77]);
        let view = View { spec, tables, views: &views, skips: &skips, commit_seq: 40, track: TrackId::Main };
        plan(&change(commit_seq, binlog_type, data), view)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;
    use doris_types::record::BinlogType;

    #[test]
    fn what_is_at_or_below_the_watermark_is_skipped() {
        let plan = plan_of(40, BinlogType::RENAME_TABLE, r#"{"db":1,"tb":10,"nT":"b","oT":"a"}"#);
        assert_eq!(plan, Plan::Skip(SkipReason::AlreadyApplied));
    }

    #[test]
    fn it_is_skipped_when_the_snapshot_contains_it() {
        let plan = plan_of(45, BinlogType::RENAME_TABLE, r#"{"db":1,"tb":10,"nT":"b","oT":"a"}"#);
        assert_eq!(plan, Plan::Skip(SkipReason::InSnapshot));
    }

    #[test]
    fn barriers_and_database_properties_are_skipped_and_a_dummy_is_a_gap() {
        let barrier = plan_of(60, BinlogType::BARRIER, r#"{"dbId":1,"tableId":10,"binlogType":0}"#);
        assert_eq!(barrier, Plan::Skip(SkipReason::PlainBarrier));
        let property = plan_of(
            60,
            BinlogType::ALTER_DATABASE_PROPERTY,
            r#"{"dbId":1,"dbName":"d1","properties":{"binlog.enable":"true"}}"#,
        );
        assert_eq!(property, Plan::Skip(SkipReason::DatabaseProperty));
        let dummy = plan_of(60, BinlogType::DUMMY, "");
        assert_eq!(
            dummy,
            Plan::FullSync(FullSyncReason::BinlogExpired {
                position: 40,
                expired_to: Some(60),
                why: String::new()
            })
        );
    }

    #[test]
    fn an_operator_can_pass_over_any_binlog() {
        let plan = plan_of(77, BinlogType(99), "{}");
        assert_eq!(plan, Plan::Skip(SkipReason::Requested));
    }

    #[test]
    fn an_unknown_type_blocks() {
        let Plan::Block(block) = plan_of(60, BinlogType(99), "{}") else {
            panic!("an unknown type blocks");
        };
        assert_eq!(block.code, "CCR0203");
    }
}
