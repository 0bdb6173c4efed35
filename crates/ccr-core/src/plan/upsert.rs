//! UPSERT: one upstream transaction, in one or several tables and partitions.

use doris_types::record::{PartitionRecord, UpsertRecord};

use super::{Ingest, LeftToLane, Plan, SkipReason, TableIngest, TrackId, View};
use crate::job::SyncType;

pub(super) fn plan(commit_seq: i64, record: &UpsertRecord, view: View<'_>) -> Plan {
    let mut tables = Vec::new();
    let mut unlinked = Vec::new();
    let mut reason = SkipReason::NothingToIngest;
    // Those that the job has yet to come to are not noted with their tables.
    let skips = view.skips.range(view.commit_seq.saturating_add(1)..commit_seq.max(view.commit_seq + 1));
    for (&source_id, table) in &record.table_records {
        if matches!(view.track, TrackId::Table(id) if id != source_id) {
            continue;
        }
        let Some(link) = view.tables.get(&source_id) else {
            if view.spec.sync_type() == SyncType::Database {
                unlinked.push(source_id);
            }
            continue;
        };
        if view.left(link) == LeftToLane::Yes {
            reason = SkipReason::LeftToLane;
            continue;
        }
        if commit_seq <= link.synced_to {
            reason = SkipReason::InSnapshot;
            continue;
        }
        let known = table.partition_records.iter().filter(|partition| {
            !partition.is_temp_partition || link.temporary.contains_key(&partition.partition_id)
        });
        let is_behind = |one: &&PartitionRecord| !link.is_partition_ahead(one.partition_id, commit_seq);
        let partitions: Vec<_> = known.clone().filter(is_behind).cloned().collect();
        if partitions.is_empty() {
            if known.count() > 0 {
                reason = SkipReason::InSnapshot;
            } else if !table.partition_records.is_empty() {
                reason = SkipReason::TemporaryPartition;
            }
            continue;
        }
        let index_ids = table.index_ids.clone().filter(|ids| !ids.is_empty());
        tables.push(TableIngest {
            source_id,
            target_id: link.target_id,
            target_name: link.target_name.clone(),
            partitions,
            index_ids,
            temporary: link.temporary.clone(),
            lacks_changes: link.lacks_changes || skips.clone().any(|seq| *seq > link.synced_to),
        });
    }
    if tables.is_empty() && unlinked.is_empty() {
        return Plan::Skip(reason);
    }
    let is_shared = record.table_records.len() > 1;
    let label = view.spec.options.reuse_binlog_label.then(|| record.label.clone());
    Plan::Ingest(Ingest {
        tables,
        unlinked,
        only_looks: false,
        stids: record.stids.clone(),
        is_shared,
        label,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::job::PartitionAhead;
    use doris_types::record::BinlogType;

    fn upsert(commit_seq: i64, tables: &str) -> Plan {
        let data = format!(r#"{{"commitSeq":{commit_seq},"txnId":1,"dbId":1,"tableRecords":{tables}}}"#);
        plan_of(commit_seq, BinlogType::UPSERT, &data)
    }

    const PARTITION: &str = r#"{"partitionId":7,"range":"","version":3,"isTempPartition":false,"stid":-1}"#;
    const TEMPORARY: &str = r#"{"partitionId":8,"range":"","version":3,"isTempPartition":true,"stid":-1}"#;

    #[test]
    fn a_linked_table_is_ingested_without_temporary_partitions() {
        let tables = format!(r#"{{"10":{{"partitionRecords":[{PARTITION},{TEMPORARY}],"indexIds":[11]}}}}"#);
        let Plan::Ingest(ingest) = upsert(60, &tables) else {
            panic!("rows to ingest");
        };
        assert!(ingest.unlinked.is_empty());
        assert_eq!(ingest.tables.len(), 1);
        let table = &ingest.tables[0];
        assert_eq!((table.source_id, table.target_id), (10, 110));
        assert_eq!(table.partitions.iter().map(|p| p.partition_id).collect::<Vec<_>>(), [7]);
        assert_eq!(table.index_ids.as_deref(), Some(&[11][..]));
    }

    #[test]
    fn absent_and_empty_index_ids_mean_all() {
        for ids in ["", r#","indexIds":[]"#] {
            let tables = format!(r#"{{"10":{{"partitionRecords":[{PARTITION}]{ids}}}}}"#);
            let Plan::Ingest(ingest) = upsert(60, &tables) else {
                panic!("rows to ingest");
            };
            assert_eq!(ingest.tables[0].index_ids, None);
        }
    }

    #[test]
    fn a_partition_that_was_copied_by_itself_gets_only_what_came_after() {
        let tables = r#"{"10":{"partitionRecords":[
            {"partitionId":7,"range":"a","version":3,"isTempPartition":false,"stid":-1},
            {"partitionId":8,"range":"b","version":3,"isTempPartition":false,"stid":-1}]}}"#;
        let planned = |seq: i64, partition_id: i64| {
            let data = format!(r#"{{"commitSeq":{seq},"txnId":1,"dbId":1,"tableRecords":{tables}}}"#);
            let mut tables = links();
            let ahead = PartitionAhead { partition_id, synced_to: 60 };
            tables.get_mut(&10).expect("the table of the cases").ahead = Some(ahead);
            match plan_with(&spec("", ""), &tables, seq, BinlogType::UPSERT, &data) {
                Plan::Ingest(ingest) => {
                    ingest.tables[0].partitions.iter().map(|p| p.partition_id).collect::<Vec<_>>()
                }
                other => panic!("rows to ingest: {other:?}"),
            }
        };
        assert_eq!(planned(60, 7), [8]);
        assert_eq!(planned(61, 7), [7, 8]);
        assert_eq!(planned(60, 9), [7, 8]);
    }

    #[test]
    fn what_needs_no_rows_is_skipped_with_its_reason() {
        let cases = [
            (45, format!(r#"{{"10":{{"partitionRecords":[{PARTITION}]}}}}"#), SkipReason::InSnapshot),
            (60, format!(r#"{{"10":{{"partitionRecords":[{TEMPORARY}]}}}}"#), SkipReason::TemporaryPartition),
            (60, "{}".to_owned(), SkipReason::NothingToIngest),
        ];
        for (seq, tables, reason) in cases {
            assert_eq!(upsert(seq, &tables), Plan::Skip(reason));
        }
    }

    #[test]
    fn a_table_without_a_link_is_named() {
        let tables = format!(r#"{{"99":{{"partitionRecords":[{PARTITION}]}}}}"#);
        assert_eq!(
            upsert(60, &tables),
            Plan::Ingest(Ingest {
                tables: Vec::new(),
                unlinked: vec![99],
                only_looks: false,
                stids: Vec::new(),
                is_shared: false,
                label: None,
            })
        );
    }

    #[test]
    fn the_label_is_kept_where_the_job_reuses_it() {
        let data = format!(
            r#"{{"commitSeq":60,"txnId":1,"dbId":1,"label":"load_1","tableRecords":{{"10":{{"partitionRecords":[{PARTITION}]}}}}}}"#
        );
        let mut spec = spec("", "");
        for (reuses, expected) in [(false, None), (true, Some("load_1".to_owned()))] {
            spec.options.reuse_binlog_label = reuses;
            let Plan::Ingest(ingest) = plan_for(&spec, 60, BinlogType::UPSERT, &data) else {
                panic!("rows to ingest");
            };
            assert_eq!(ingest.label, expected);
        }
    }

    #[test]
    fn several_statements_keep_their_ids_and_order() {
        let partition = |version: i64, stid: i64| {
            format!(
                r#"{{"partitionId":7,"range":"","version":{version},"isTempPartition":false,"stid":{stid}}}"#
            )
        };
        let data = format!(
            r#"{{"commitSeq":60,"txnId":1,"dbId":1,"stids":[2,1],
                "tableRecords":{{"10":{{"partitionRecords":[{},{}]}}}}}}"#,
            partition(3, 2),
            partition(4, 1)
        );
        let Plan::Ingest(ingest) = plan_of(60, BinlogType::UPSERT, &data) else {
            panic!("rows to ingest");
        };
        assert_eq!(ingest.stids, [2, 1]);
        let records = &ingest.tables[0].partitions;
        assert_eq!(records.iter().map(|p| (p.version, p.stid)).collect::<Vec<_>>(), [(3, 2), (4, 1)]);
    }

    #[test]
    fn several_statements_without_rows_are_skipped() {
        let data = r#"{"commitSeq":60,"txnId":1,"dbId":1,"tableRecords":{},"stids":[1,2]}"#;
        assert_eq!(plan_of(60, BinlogType::UPSERT, data), Plan::Skip(SkipReason::NothingToIngest));
    }
}
