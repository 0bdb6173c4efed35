//! Begin, commit, publish and abort, with the texts that clients match.

use std::time::Duration;

use doris_types::record::UpsertRecord;

use super::*;
use crate::binlog::{ReadOutcome, Scope};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::model::{OlapTable, TableState};
use crate::testkit::{self, Spec, alter, create_db, create_table, read_rows, stage, table};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

fn request(cluster: &ClusterInner, db_id: i64, tables: &[i64], label: &str) -> BeginTxn {
    BeginTxn {
        db_id,
        table_ids: tables.to_vec(),
        label: label.to_owned(),
        request_id: None,
        timeout_s: None,
        coordinator: Coordinator::Backend { id: 0, host: "10.0.0.9".to_owned() },
        planned_indexes: None,
        sub_txn_num: 0,
        now_ms: cluster.clock.now_ms(),
    }
}

fn open(cluster: &ClusterInner, db_id: i64, tables: &[i64], label: &str) -> i64 {
    begin(&mut cluster.fe.lock(), request(cluster, db_id, tables, label)).unwrap().txn_id
}

fn commit_of(db_id: i64, txn_id: i64, writes: &[(i64, i64)]) -> CommitTxn {
    CommitTxn { db_id, txn_id, writes: writes.to_vec(), ..CommitTxn::default() }
}

/// Begins, stages `(k, v)` rows in one partition and commits.
async fn load(
    cluster: &Arc<ClusterInner>,
    db_id: i64,
    table: &OlapTable,
    partition: &str,
    rows: &[(i128, i128)],
) -> Result<CommitOutcome, TxnError> {
    let label = format!("load_{}", cluster.fe.lock().txns.next_id());
    let txn_id = open(cluster, db_id, &[table.id], &label);
    let writes = stage(cluster, txn_id, table, partition, rows);
    commit_and_publish(cluster, commit_of(db_id, txn_id, &writes), SHORT).await
}

fn status(cluster: &ClusterInner, db_id: i64, txn_id: i64) -> Option<TxnStatus> {
    cluster.fe.lock().txns.get(db_id, txn_id).map(|txn| txn.status)
}

fn upserts(cluster: &ClusterInner, db_id: i64) -> Vec<UpsertRecord> {
    let state = cluster.fe.lock();
    match state.binlogs.read(Scope::Database(db_id), -1, 255) {
        ReadOutcome::Entries(entries) => {
            entries.iter().map(|entry| serde_json::from_str(&entry.data).unwrap()).collect()
        }
        ReadOutcome::Missing(_) | ReadOutcome::TooOld(_) | ReadOutcome::TooNew => Vec::new(),
    }
}

#[test]
fn labels_are_checked_and_owned() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let other_db = create_db(&cluster, "e", true);
    let begin_with = |label: &str, request_id: Option<(i64, i64)>| {
        let request = BeginTxn { request_id, ..request(&cluster, db, &[], label) };
        begin(&mut cluster.fe.lock(), request)
    };
    let text = |error: Result<BeginOutcome, TxnError>| error.unwrap_err().to_string();
    assert_eq!(text(begin_with("", None)), "errCode = 2, detailMessage = empty label in begin request");
    for bad in ["a b", "ä", "a.b", &"x".repeat(129)] {
        let text = text(begin_with(bad, None));
        assert!(text.contains("Label format error. regex: ") && text.ends_with(bad), "{text}");
    }
    let id = begin_with(&"x".repeat(128), None).unwrap().txn_id;
    assert!(id > 0);

    let first = begin_with("a:b-C_1", Some((1, 2))).unwrap();
    assert!(!first.repeated);
    let again = begin_with("a:b-C_1", Some((1, 2))).unwrap();
    assert_eq!((again.txn_id, again.repeated), (first.txn_id, true));
    for request_id in [None, Some((1, 3))] {
        assert_eq!(
            begin_with("a:b-C_1", request_id).unwrap_err().detail(),
            format!(
                "Label [a:b-C_1] has already been used, relate to txn [{}], status [PREPARE].",
                first.txn_id
            )
        );
    }
    // Labels are exact and belong to one database.
    assert!(begin_with("A:B-C_1", None).is_ok());
    assert!(begin(&mut cluster.fe.lock(), request(&cluster, other_db, &[], "a:b-C_1")).is_ok());
    // An aborted one frees its label.
    abort_and_clear(&cluster, db, first.txn_id, "").unwrap();
    assert_ne!(begin_with("a:b-C_1", Some((1, 2))).unwrap().txn_id, first.txn_id);
    assert_eq!(cluster.fe.lock().txns.with_label(db, "a:b-C_1").len(), 2);
}

#[test]
fn begin_is_limited_and_takes_no_journal_id() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    cluster.fe.lock().txns.max_running = 2;
    let before = cluster.fe.lock().journal_id;
    open(&cluster, db, &[], "a");
    open(&cluster, db, &[], "b");
    assert_eq!(cluster.fe.lock().journal_id, before);
    let error = begin(&mut cluster.fe.lock(), request(&cluster, db, &[], "c")).unwrap_err();
    assert_eq!(error.detail(), format!("current running txns on db {db} is 2, larger than limit 2"));
}

#[test]
fn sub_transactions_share_the_id_space() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let request = BeginTxn { sub_txn_num: 3, ..request(&cluster, db, &[], "a") };
    let outcome = begin(&mut cluster.fe.lock(), request).unwrap();
    let id = outcome.txn_id;
    assert_eq!(outcome.sub_txn_ids, [id, id + 1, id + 2]);
    assert_eq!(open(&cluster, db, &[], "b"), id + 3);
}

#[tokio::test]
async fn a_commit_makes_rows_and_one_upsert_visible() {
    let cluster = testkit::cluster(3);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").bounds(&[10, 20]).replicas(3).buckets(2));
    let t = table(&cluster, db, "t");
    assert_eq!(load(&cluster, db, &t, "p1", &[(11, 1)]).await, Ok(CommitOutcome::Visible));
    let t = table(&cluster, db, "t");
    let versions = |name: &str| {
        let partition = t.partitions.values().find(|partition| partition.name == name).unwrap();
        (partition.visible_version, partition.next_version)
    };
    assert_eq!((versions("p0"), versions("p1")), ((1, 2), (2, 3)));
    assert_eq!(read_rows(&cluster, &t), [(11, 1)]);

    let upserts = upserts(&cluster, db);
    let [upsert] = upserts.as_slice() else { panic!("{upserts:?}") };
    assert_eq!((upsert.db_id, upsert.commit_seq), (db, cluster.fe.lock().journal_id));
    let record = &upsert.table_records[&id];
    assert_eq!(record.index_ids, None);
    let [partition] = record.partition_records.as_slice() else { panic!("{record:?}") };
    assert_eq!((partition.version, partition.is_temp_partition, partition.stid), (2, false, -1));
    assert_eq!(partition.range, "[types: [INT]; keys: [10]; ..types: [INT]; keys: [20]; )");
}

#[tokio::test]
async fn planned_loads_name_their_indexes() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let t = table(&cluster, db, "t");
    let planned_indexes = Some(BTreeMap::from([(id, vec![t.base_index_id])]));
    let request = BeginTxn { planned_indexes, ..request(&cluster, db, &[id], "a") };
    let txn_id = begin(&mut cluster.fe.lock(), request).unwrap().txn_id;
    let writes = stage(&cluster, txn_id, &t, "t", &[(1, 1)]);
    commit_and_publish(&cluster, commit_of(db, txn_id, &writes), LONG).await.unwrap();
    assert_eq!(upserts(&cluster, db)[0].table_records[&id].index_ids, Some(vec![t.base_index_id]));
}

#[tokio::test]
async fn commit_answers_by_the_transactions_state() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let t = table(&cluster, db, "t");
    let commit = |txn_id, writes: Vec<(i64, i64)>| {
        let cluster = Arc::clone(&cluster);
        async move { commit_and_publish(&cluster, commit_of(db, txn_id, &writes), SHORT).await }
    };
    assert_eq!(commit(999, vec![]).await.unwrap_err().detail(), "transaction [999] not found");

    let aborted = open(&cluster, db, &[id], "a");
    abort_and_clear(&cluster, db, aborted, "because").unwrap();
    assert_eq!(
        commit(aborted, vec![]).await.unwrap_err().detail(),
        format!("transaction [{aborted}] is already aborted. abort reason: because")
    );

    let done = open(&cluster, db, &[id], "b");
    let writes = stage(&cluster, done, &t, "t", &[(1, 1)]);
    assert_eq!(commit(done, writes.clone()).await, Ok(CommitOutcome::Visible));
    let seq = cluster.fe.lock().journal_id;
    assert_eq!(commit(done, writes).await, Ok(CommitOutcome::Visible));
    assert_eq!(cluster.fe.lock().journal_id, seq, "a repeat changes nothing");
    let error = begin(&mut cluster.fe.lock(), request(&cluster, db, &[id], "b")).unwrap_err();
    assert!(matches!(error, TxnError::LabelUsed { status: TxnStatus::Visible, .. }));

    let orphan = open(&cluster, db, &[id], "c");
    cluster.fe.lock().databases.get_mut(&db).unwrap().tables.remove(&id);
    for error in
        [commit(orphan, vec![]).await.unwrap_err(), abort_and_clear(&cluster, db, orphan, "").unwrap_err()]
    {
        assert_eq!(error.to_string(), format!("errCode = 7, detailMessage = table not found, tableId={id}"));
    }
    assert_eq!(status(&cluster, db, orphan), Some(TxnStatus::Prepare));
}

#[tokio::test]
async fn an_empty_commit_changes_no_version() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let txn_id = open(&cluster, db, &[id], "a");
    // A tablet that nobody knows is passed over.
    let outcome = commit_and_publish(&cluster, commit_of(db, txn_id, &[(1, 1)]), LONG).await;
    assert_eq!(outcome, Ok(CommitOutcome::Visible));
    assert!(table(&cluster, db, "t").partitions.values().all(|partition| partition.next_version == 2));
    assert!(upserts(&cluster, db)[0].table_records.is_empty());
    let state = cluster.fe.lock();
    assert!(state.binlogs.list(Scope::Table { db_id: db, table_id: id }).is_err());
}

#[tokio::test]
async fn every_tablet_of_every_index_needs_a_quorum() {
    let cluster = testkit::cluster(3);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").replicas(3).buckets(2));
    let t = table(&cluster, db, "t");
    let txn_id = open(&cluster, db, &[id], "a");
    let all = stage(&cluster, txn_id, &t, "t", &[(1, 1)]);
    let tablet = all[0].0;
    // One of three replicas of the first tablet is too few, two are enough.
    let without = |missing: usize| all.iter().copied().skip(missing).collect::<Vec<_>>();
    let error = commit_and_publish(&cluster, commit_of(db, txn_id, &without(2)), SHORT).await.unwrap_err();
    let start = format!(
        "Failed to commit txn {txn_id}, cause tablet {tablet} succ replica num 1 < load required replica num 2. table "
    );
    assert!(error.detail().starts_with(&start), "{error}");
    // Nor do two become of one that is named twice.
    let mut twice = without(2);
    twice.insert(0, twice[0]);
    let error = commit_and_publish(&cluster, commit_of(db, txn_id, &twice), SHORT).await.unwrap_err();
    assert!(error.detail().starts_with(&start), "{error}");
    assert_eq!(status(&cluster, db, txn_id), Some(TxnStatus::Prepare));
    let outcome = commit_and_publish(&cluster, commit_of(db, txn_id, &without(1)), SHORT).await;
    assert_eq!(outcome, Ok(CommitOutcome::Visible));
    let replicas =
        |t: &OlapTable| t.partitions.values().next().unwrap().tablets().next().unwrap().replicas.clone();
    let left_out = replicas(&table(&cluster, db, "t"))[0].clone();
    assert_eq!((left_out.version, left_out.last_failed_version), (1, 2));

    // A replica that failed before counts as failed even when it is named.
    alter(&cluster, db, id, |t| {
        let partition = t.partitions.values_mut().next().unwrap();
        partition.indexes[0].tablets[0].replicas[1].last_failed_version = 2;
    });
    let error = load(&cluster, db, &t, "t", &[]).await.unwrap_err();
    assert!(error.detail().contains("succ replica num 1 < load required replica num 2"), "{error}");

    // min_load_replica_num lowers the bar.
    alter(&cluster, db, id, |t| t.properties.insert("min_load_replica_num".to_owned(), "1".to_owned()));
    assert_eq!(load(&cluster, db, &t, "t", &[]).await, Ok(CommitOutcome::Visible));
}

#[tokio::test]
async fn shadow_tablets_are_asked_of_unplanned_loads_only() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let before = table(&cluster, db, "t");
    add_shadow(&cluster, db, id);
    // Written as if the shadow index did not exist.
    let error = load(&cluster, db, &before, "t", &[(1, 1)]).await.unwrap_err();
    let t = table(&cluster, db, "t");
    let shadow = t.partitions.values().next().unwrap().indexes[1].tablets[0].id;
    assert!(error.detail().contains(&format!("cause tablet {shadow} succ replica num 0 <")), "{error}");

    let planned_indexes = Some(BTreeMap::from([(id, vec![before.base_index_id])]));
    let request = BeginTxn { planned_indexes, ..request(&cluster, db, &[id], "planned") };
    let txn_id = begin(&mut cluster.fe.lock(), request).unwrap().txn_id;
    let writes = stage(&cluster, txn_id, &before, "t", &[(1, 1)]);
    let outcome = commit_and_publish(&cluster, commit_of(db, txn_id, &writes), SHORT).await;
    assert_eq!(outcome, Ok(CommitOutcome::Visible));
    // Writing the shadow tablets too satisfies an unplanned commit.
    assert_eq!(load(&cluster, db, &t, "t", &[(2, 2)]).await, Ok(CommitOutcome::Visible));
}

fn add_shadow(cluster: &ClusterInner, db: i64, id: i64) {
    let mut t = table(cluster, db, "t");
    let state = &mut *cluster.fe.lock();
    let mut index = t.base_index().clone();
    index.id = state.ids.allocate();
    index.name = "__doris_shadow_t".to_owned();
    index.state = crate::model::IndexState::Shadow;
    let partition = t.partitions.values().next().unwrap().clone();
    let made = catalog_ops::new_tablets(cluster, state, &t, db, &partition, &index).unwrap();
    t.indexes.insert(index.id, index);
    t.partitions.get_mut(&partition.id).unwrap().indexes.insert(made.id, made);
    let tables = &mut state.databases.get_mut(&db).unwrap().tables;
    tables.insert(id, crate::model::Table::Olap(crate::model::Tracked::new(t)));
}

#[tokio::test]
async fn the_claims_of_a_commit_are_trusted_and_can_block_a_partition() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").bounds(&[10, 20]));
    let t = table(&cluster, db, "t");
    let tablet = t.partitions.values().next().unwrap().tablets().next().unwrap().clone();
    let liar = open(&cluster, db, &[id], "liar");
    let claimed = [(tablet.id, tablet.replicas[0].backend_id)];
    let outcome = commit_and_publish(&cluster, commit_of(db, liar, &claimed), SHORT).await;
    assert_eq!(outcome, Ok(CommitOutcome::PublishTimeout));
    assert_eq!(
        abort_and_clear(&cluster, db, liar, "").unwrap_err().detail(),
        format!("transaction [{liar}] is already COMMITTED, could not abort.")
    );
    // Later versions of the partition wait behind it, other partitions do not.
    assert_eq!(load(&cluster, db, &t, "p0", &[(2, 2)]).await, Ok(CommitOutcome::PublishTimeout));
    assert_eq!(load(&cluster, db, &t, "p1", &[(12, 2)]).await, Ok(CommitOutcome::Visible));
    assert_eq!(upserts(&cluster, db).len(), 1);
    // The data arrives after all: both become visible, in order.
    stage(&cluster, liar, &t, "p0", &[(1, 1)]);
    tick(&cluster);
    let upserts = upserts(&cluster, db);
    let versions: Vec<i64> =
        upserts[1..].iter().map(|u| u.table_records[&id].partition_records[0].version).collect();
    assert_eq!(versions, [2, 3]);
    assert_eq!(read_rows(&cluster, &table(&cluster, db, "t")), [(1, 1), (2, 2), (12, 2)]);
}

#[tokio::test]
async fn publish_needs_a_quorum_of_living_backends() {
    let cluster = testkit::cluster(3);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").replicas(3));
    let t = table(&cluster, db, "t");
    let set_alive = |at: usize, alive: bool| {
        *cluster.backend_nodes.write().values_mut().nth(at).map(|node| &mut node.alive).unwrap() = alive;
    };
    let txn_id = open(&cluster, db, &[id], "a");
    let writes = stage(&cluster, txn_id, &t, "t", &[(1, 1)]);
    set_alive(0, false);
    set_alive(1, false);
    let outcome = commit_and_publish(&cluster, commit_of(db, txn_id, &writes), SHORT).await;
    assert_eq!(outcome, Ok(CommitOutcome::PublishTimeout));
    let error = begin(&mut cluster.fe.lock(), request(&cluster, db, &[id], "a")).unwrap_err();
    assert!(matches!(error, TxnError::LabelUsed { status: TxnStatus::Committed, .. }));
    set_alive(1, true);
    tick(&cluster);
    assert_eq!(status(&cluster, db, txn_id), Some(TxnStatus::Visible));
    assert_eq!(upserts(&cluster, db).len(), 1);
}

#[tokio::test]
async fn replicas_that_missed_a_version_are_repaired() {
    let cluster = testkit::cluster(3);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t").replicas(3));
    let t = table(&cluster, db, "t");
    let first = *cluster.backends.read().keys().next().unwrap();
    let set_alive = |alive: bool| cluster.backend_nodes.write().get_mut(&first).unwrap().alive = alive;
    let replica = || {
        let t = table(&cluster, db, "t");
        let tablet = t.partitions.values().next().unwrap().tablets().next().unwrap().clone();
        tablet.replicas.iter().find(|replica| replica.backend_id == first).cloned().unwrap()
    };
    set_alive(false);
    assert_eq!(load(&cluster, db, &t, "t", &[(1, 1)]).await, Ok(CommitOutcome::Visible));
    tick(&cluster);
    assert_eq!((replica().version, replica().last_failed_version), (1, 2), "its backend is still down");
    set_alive(true);
    tick(&cluster);
    assert_eq!((replica().version, replica().last_failed_version), (2, -1));
    let tablet = table(&cluster, db, "t").partitions.values().next().unwrap().tablets().next().unwrap().id;
    assert_eq!(cluster.backend(first).unwrap().read(tablet, 2).unwrap().len(), 1);
    // It counts again.
    assert_eq!(load(&cluster, db, &t, "t", &[(2, 2)]).await, Ok(CommitOutcome::Visible));
    assert_eq!(replica().version, 3);
}

#[tokio::test]
async fn a_slow_publish_times_out_and_a_waiting_commit_sees_it_end() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let t = table(&cluster, db, "t");
    cluster.fe.lock().txns.publish_delay_ms = 60_000;
    cluster.fe.lock().txns.max_publishing_per_table = 1;
    let txn_id = open(&cluster, db, &[id], "a");
    let writes = stage(&cluster, txn_id, &t, "t", &[(1, 1)]);
    let only_commit = CommitTxn { only_commit: true, ..commit_of(db, txn_id, &writes) };
    assert_eq!(commit_and_publish(&cluster, only_commit, LONG).await, Ok(CommitOutcome::Committed));
    let error = begin(&mut cluster.fe.lock(), request(&cluster, db, &[id], "b")).unwrap_err();
    assert_eq!(error.detail(), format!("current committed txns on table {id} is 1, larger than limit 1"));

    let waiting = {
        let (cluster, writes) = (Arc::clone(&cluster), writes.clone());
        tokio::spawn(async move { commit_and_publish(&cluster, commit_of(db, txn_id, &writes), LONG).await })
    };
    cluster.clock.advance_ms(60_000);
    tick(&cluster);
    assert_eq!(waiting.await.unwrap(), Ok(CommitOutcome::Visible));
    assert!(begin(&mut cluster.fe.lock(), request(&cluster, db, &[id], "b")).is_ok());
}

#[tokio::test]
async fn tables_and_partitions_in_restore_take_no_load() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let t = table(&cluster, db, "t");
    alter(&cluster, db, id, |t| t.state = TableState::Restore);
    assert_eq!(
        load(&cluster, db, &t, "t", &[]).await.unwrap_err().detail(),
        "Table t is in restore process. Can not load into it"
    );
}

#[test]
fn rollback_says_little() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let text = |txn_id| abort_and_clear(&cluster, db, txn_id, "").unwrap_err().detail();
    assert_eq!(text(5), "transaction [5] not found");
    let id = open(&cluster, db, &[], "a");
    abort_and_clear(&cluster, db, id, "").unwrap();
    assert_eq!(cluster.fe.lock().txns.get(db, id).unwrap().reason, "system cancel");
    assert_eq!(text(id), "transaction not found");
}

#[tokio::test]
async fn rollback_cannot_tell_visible_from_aborted() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let txn_id = open(&cluster, db, &[], "a");
    commit_and_publish(&cluster, commit_of(db, txn_id, &[]), LONG).await.unwrap();
    let error = abort_and_clear(&cluster, db, txn_id, "").unwrap_err();
    assert_eq!(error.detail(), "transaction not found");
}

#[test]
fn prepared_transactions_end_by_time_by_their_backend_or_with_the_master() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let timed = BeginTxn { timeout_s: Some(10), ..request(&cluster, db, &[], "timed") };
    let timed = begin(&mut cluster.fe.lock(), timed).unwrap().txn_id;
    let other = open(&cluster, db, &[], "other");
    cluster.clock.advance_ms(10_000);
    tick(&cluster);
    assert_eq!(status(&cluster, db, timed), Some(TxnStatus::Aborted));
    assert_eq!(status(&cluster, db, other), Some(TxnStatus::Prepare));

    abort_by_coordinator(&cluster, 3, "10.0.0.8");
    assert_eq!(status(&cluster, db, other), Some(TxnStatus::Prepare));
    abort_by_coordinator(&cluster, 3, "10.0.0.9");
    assert_eq!(status(&cluster, db, other), Some(TxnStatus::Aborted));

    let lost = open(&cluster, db, &[], "lost");
    cluster.fe.lock().txns.forget_rpc_prepared();
    assert_eq!(status(&cluster, db, lost), None);
    assert_ne!(open(&cluster, db, &[], "lost"), lost);
}

#[tokio::test]
async fn finished_labels_are_forgotten() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let txn_id = open(&cluster, db, &[], "a");
    commit_and_publish(&cluster, commit_of(db, txn_id, &[]), LONG).await.unwrap();
    cluster.clock.advance_ms(LABEL_KEEP_MS - 60_000);
    tick(&cluster);
    assert_eq!(status(&cluster, db, txn_id), Some(TxnStatus::Visible));
    cluster.clock.advance_ms(60_000);
    tick(&cluster);
    assert_eq!(status(&cluster, db, txn_id), None);
    let error = abort_and_clear(&cluster, db, txn_id, "").unwrap_err();
    assert_eq!(error.detail(), format!("transaction [{txn_id}] not found"));
    open(&cluster, db, &[], "a");
}

#[tokio::test]
async fn sub_transactions_take_consecutive_versions_and_appear_together() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let t = table(&cluster, db, "t");
    let request = BeginTxn { sub_txn_num: 2, ..request(&cluster, db, &[id], "a") };
    let outcome = begin(&mut cluster.fe.lock(), request).unwrap();
    let sub = |sub_txn_id, table_id, rows: &[(i128, i128)]| SubTxnCommit {
        sub_txn_id,
        table_id,
        writes: stage(&cluster, sub_txn_id, &t, "t", rows),
    };
    let ids = outcome.sub_txn_ids.clone();
    let sub_txns = vec![
        sub(ids[0], id, &[(1, 1)]),
        SubTxnCommit { sub_txn_id: 9_999, table_id: 9_999, writes: vec![(1, 1)] },
        sub(ids[1], id, &[(2, 2)]),
    ];
    let commit = CommitTxn { sub_txns: Some(sub_txns), ..commit_of(db, outcome.txn_id, &[]) };
    assert_eq!(commit_and_publish(&cluster, commit, LONG).await, Ok(CommitOutcome::Visible));
    let upserts = upserts(&cluster, db);
    let [upsert] = upserts.as_slice() else { panic!("{upserts:?}") };
    assert_eq!(upsert.stids, ids);
    let records = &upsert.table_records[&id].partition_records;
    assert_eq!(records.iter().map(|r| (r.stid, r.version)).collect::<Vec<_>>(), [(ids[0], 2), (ids[1], 3)]);
    let t = table(&cluster, db, "t");
    assert_eq!(t.partitions.values().next().unwrap().visible_version, 3);
    assert_eq!(read_rows(&cluster, &t), [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn numbers_without_measure_are_taken_or_refused() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t"));
    let long = BeginTxn { timeout_s: Some(i64::MAX), ..request(&cluster, db, &[id], "long") };
    let long = begin(&mut cluster.fe.lock(), long).unwrap().txn_id;
    let many = BeginTxn { sub_txn_num: i64::MAX, ..request(&cluster, db, &[id], "many") };
    let refused = begin(&mut cluster.fe.lock(), many).unwrap_err();
    assert!(refused.to_string().contains("larger than limit"), "{refused}");
    let t = table(&cluster, db, "t");
    let writes = stage(&cluster, long, &t, "t", &[(1, 1)]);
    let outcome = commit_and_publish(&cluster, commit_of(db, long, &writes), LONG).await;
    assert_eq!(outcome, Ok(CommitOutcome::Visible));
}
