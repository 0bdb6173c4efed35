//! What a change requires downstream, decided without I/O.
//!
//! [`plan`] is pure: it sees the change, the job and its table links, and answers with a [`Plan`]. One
//! file per family of binlog types, each with its cases as tests. What needs a look at a cluster (has a
//! table that is not linked been dropped meanwhile?) is left to the effect that carries the plan out.

mod partition;
mod property;
mod table;
mod upsert;

use std::collections::BTreeMap;

use doris_types::record::{PartitionRecord, Record};

use crate::change::Change;
use crate::job::{FullSyncReason, JobSpec, SyncType, TableLink};

/// What the planner knows of the job.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub spec: &'a JobSpec,
    /// Upstream table id to its link.
    pub tables: &'a BTreeMap<i64, TableLink>,
    /// The watermark.
    pub commit_seq: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    Skip(SkipReason),
    Ingest(Ingest),
    Statement(Statement),
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
    /// Another table than the one of a table job.
    OtherTable,
}

/// One upstream transaction to repeat downstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    pub tables: Vec<TableIngest>,
    /// Tables of the transaction that have no link: dropped meanwhile, or an error.
    pub unlinked: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableIngest {
    pub source_id: i64,
    pub target_id: i64,
    pub partitions: Vec<PartitionRecord>,
    /// Upstream indexes the load wrote; `None` means all that are visible.
    pub index_ids: Option<Vec<i64>>,
}

/// One DDL statement to repeat downstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    CreateTable {
        source_id: i64,
        name: String,
        sql: String,
    },
    CreateView {
        name: String,
        sql: String,
    },
    DropTable {
        source_id: i64,
        target_id: i64,
    },
    DropView {
        name: String,
    },
    /// `ALTER TABLE target` followed by `clause`; safe to repeat.
    AlterTable {
        source_id: i64,
        clause: String,
    },
    /// `TRUNCATE TABLE target` followed by `tail`; safe to repeat while nothing came after it.
    Truncate {
        source_id: i64,
        tail: String,
    },
}

/// Why an operator must act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub code: &'static str,
    pub message: String,
    pub hint: String,
}

/// Decides about one change.
pub fn plan(change: &Change, view: View<'_>) -> Plan {
    if change.commit_seq <= view.commit_seq {
        return Plan::Skip(SkipReason::AlreadyApplied);
    }
    match &change.record {
        Record::Upsert(record) => upsert::plan(change.commit_seq, record, view),
        Record::CreateTable(record) => table::create(record, view),
        Record::DropTable(record) => table::drop(change.commit_seq, record, view),
        Record::TruncateTable(record) => table::truncate(change.commit_seq, record, view),
        Record::AddPartition(record) => partition::add(change.commit_seq, record, view),
        Record::DropPartition(record) => partition::drop(change.commit_seq, record, view),
        Record::Dummy => Plan::FullSync(FullSyncReason::BinlogExpired {
            position: view.commit_seq,
            expired_to: Some(change.commit_seq),
        }),
        Record::Barrier(_) => Plan::Skip(SkipReason::PlainBarrier),
        Record::AlterDatabaseProperty(_) => Plan::Skip(SkipReason::DatabaseProperty),
        Record::ModifyTableProperty(record) => property::modify(change, record, view),
        Record::AlterJob(_)
        | Record::ModifyColumns(_)
        | Record::ModifyPartitions(_)
        | Record::ReplacePartitions(_)
        | Record::RenameTable(_)
        | Record::RenameColumn(_)
        | Record::ModifyComment(_)
        | Record::ModifyViewDef(_)
        | Record::ReplaceTable(_)
        | Record::ModifyInvertedIndices(_)
        | Record::IndexChangeJob(_)
        | Record::RenameRollup(_)
        | Record::RenamePartition(_)
        | Record::DropRollup(_)
        | Record::RecoverInfo(_)
        | Record::ModifyDistributionBucketNum(_)
        | Record::ModifyDistributionType(_) => unsupported(change, view),
        Record::Unknown { .. } => Plan::Block(Block {
            code: "CCR0203",
            message: format!(
                "binlog type {} at commit seq {} is not known to this version",
                change.record.binlog_type().name(),
                change.commit_seq
            ),
            hint: "upgrade the syncer".to_owned(),
        }),
    }
}

/// A known type that cannot be replayed. One that the snapshots of all its tables contain is skipped.
fn unsupported(change: &Change, view: View<'_>) -> Plan {
    let contained = !change.table_ids.is_empty()
        && change
            .table_ids
            .iter()
            .all(|id| view.tables.get(id).is_some_and(|link| change.commit_seq <= link.synced_to));
    if contained {
        return Plan::Skip(SkipReason::InSnapshot);
    }
    Plan::Block(Block {
        code: "CCR0202",
        message: format!(
            "binlog {} at commit seq {} cannot be replayed by this version",
            change.record.binlog_type().name(),
            change.commit_seq
        ),
        hint: "delete the job and create it again, which copies the present state".to_owned(),
    })
}

/// The link of a table that a change concerns, or why there is nothing to do.
fn linked<'a>(source_id: i64, commit_seq: i64, view: View<'a>) -> Result<&'a TableLink, Plan> {
    match view.tables.get(&source_id) {
        Some(link) if commit_seq <= link.synced_to => Err(Plan::Skip(SkipReason::InSnapshot)),
        Some(link) => Ok(link),
        None if view.spec.sync_type() == SyncType::Table => Err(Plan::Skip(SkipReason::OtherTable)),
        None => Err(Plan::Block(Block {
            code: "CCR0204",
            message: format!(
                "commit seq {commit_seq} concerns table {source_id}, which was neither in the snapshot nor \
                 created since"
            ),
            hint: "was the table restored upstream? such tables are not in the binlog: create the job again"
                .to_owned(),
        })),
    }
}

impl SkipReason {
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
        let link = TableLink {
            source_name: "t1".to_owned(),
            target_name: "t1".to_owned(),
            target_id: 110,
            synced_to: 50,
        };
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
        let (spec, tables) = (spec("", ""), links());
        plan(&change(commit_seq, binlog_type, data), View { spec: &spec, tables: &tables, commit_seq: 40 })
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
    fn a_type_that_cannot_be_replayed_blocks_and_names_type_and_seq() {
        let Plan::Block(block) =
            plan_of(60, BinlogType::RENAME_TABLE, r#"{"db":1,"tb":10,"nT":"b","oT":"a"}"#)
        else {
            panic!("a rename cannot be replayed yet");
        };
        assert_eq!(block.code, "CCR0202");
        assert!(block.message.contains("RENAME_TABLE") && block.message.contains("60"), "{}", block.message);
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
            Plan::FullSync(FullSyncReason::BinlogExpired { position: 40, expired_to: Some(60) })
        );
    }

    #[test]
    fn an_unknown_type_blocks() {
        let Plan::Block(block) = plan_of(60, BinlogType(99), "{}") else {
            panic!("an unknown type blocks");
        };
        assert_eq!(block.code, "CCR0203");
    }
}
