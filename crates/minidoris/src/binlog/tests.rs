//! Visibility, reading, lag, locks and expiry as tables of cases.

use std::sync::Arc;

use super::*;
use crate::cluster::ClusterInner;
use crate::testkit::{self, Spec, create_db, create_table, create_view};

fn emit(cluster: &ClusterInner, kind: BinlogType, db_id: i64, tables: &[i64], data: &str) -> i64 {
    let now = cluster.clock.now_ms();
    cluster.fe.lock().journal_binlog(now, kind, db_id, tables, |_| data.to_owned())
}

fn db_seqs(cluster: &ClusterInner, db_id: i64) -> Option<Vec<i64>> {
    seqs(cluster, Scope::Database(db_id))
}

fn table_seqs(cluster: &ClusterInner, db_id: i64, table_id: i64) -> Option<Vec<i64>> {
    seqs(cluster, Scope::Table { db_id, table_id })
}

fn seqs(cluster: &ClusterInner, scope: Scope) -> Option<Vec<i64>> {
    let state = cluster.fe.lock();
    Some(state.binlogs.list(scope).ok()?.iter().map(|entry| entry.commit_seq).collect())
}

fn set_db_property(cluster: &ClusterInner, db_id: i64, key: &str, value: &str) {
    let mut state = cluster.fe.lock();
    state.databases.get_mut(&db_id).unwrap().properties.insert(key.to_owned(), value.to_owned());
}

#[test]
fn the_feature_is_off_unless_configured() {
    let cluster = testkit::cluster(1);
    cluster.fe.lock().config.insert("enable_feature_binlog".to_owned(), "false".to_owned());
    let db = create_db(&cluster, "d", true);
    let before = cluster.fe.lock().journal_id;
    assert_eq!(emit(&cluster, BinlogType::UPSERT, db, &[], "{}"), before + 1);
    assert_eq!(db_seqs(&cluster, db), None);
}

#[test]
fn lists_keep_what_is_enabled() {
    // (db on, table on, in db list, in table list) for a type that tables hear of.
    for (db_on, table_on, in_db, in_table) in [
        (true, true, true, true),
        (true, false, true, true),
        (false, true, true, true),
        (false, false, false, false),
    ] {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", db_on);
        let spec = Spec { binlog: table_on, ..Spec::new("t") };
        let table = create_table(&cluster, db, &spec);
        emit(&cluster, BinlogType::UPSERT, db, &[table], "{}");
        assert_eq!(db_seqs(&cluster, db).is_some(), in_db, "{db_on} {table_on}");
        assert_eq!(table_seqs(&cluster, db, table).is_some(), in_table, "{db_on} {table_on}");
    }
}

#[test]
fn creations_and_drops_enter_database_lists_only() {
    for kind in [BinlogType::CREATE_TABLE, BinlogType::DROP_TABLE] {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", true);
        let table = create_table(&cluster, db, &Spec::new("t"));
        let created = emit(&cluster, kind, db, &[table], "{}");
        assert_eq!(db_seqs(&cluster, db), Some(vec![created]));
        assert_eq!(table_seqs(&cluster, db, table), None);
        let written = emit(&cluster, BinlogType::UPSERT, db, &[table], "{}");
        assert_eq!(table_seqs(&cluster, db, table), Some(vec![written]));
        let state = cluster.fe.lock();
        let list = state.binlogs.list(Scope::Table { db_id: db, table_id: table }).unwrap();
        assert_eq!((list.dummy().commit_seq, list.dummy().belong), (-1, table));
    }
}

#[test]
fn a_view_needs_the_database_flag() {
    for db_on in [true, false] {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", db_on);
        let view = create_view(&cluster, db, "v", "SELECT 1");
        emit(&cluster, BinlogType::MODIFY_VIEW_DEF, db, &[view], "{}");
        assert_eq!(db_seqs(&cluster, db).is_some(), db_on);
    }
}

#[test]
fn flags_are_remembered_until_the_entry_that_changes_them() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", false);
    let table = create_table(&cluster, db, &Spec::new("t").without_binlog());
    emit(&cluster, BinlogType::RENAME_COLUMN, db, &[table], "{}");
    testkit::alter(&cluster, db, table, |table| table.binlog.enable = true);
    // Looked at before: judged by the old value, and forgotten after.
    emit(&cluster, BinlogType::MODIFY_TABLE_PROPERTY, db, &[table], "{}");
    assert_eq!(table_seqs(&cluster, db, table), None);
    let seen = emit(&cluster, BinlogType::UPSERT, db, &[table], "{}");
    assert_eq!(table_seqs(&cluster, db, table), Some(vec![seen]));

    // A table first looked at now is judged by the new value.
    let fresh = create_table(&cluster, db, &Spec::new("fresh"));
    let seq = emit(&cluster, BinlogType::MODIFY_TABLE_PROPERTY, db, &[fresh], "{}");
    assert_eq!(table_seqs(&cluster, db, fresh), Some(vec![seq]));
}

#[test]
fn a_dropped_table_is_off_unless_remembered() {
    for remembered in [true, false] {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", false);
        let table = create_table(&cluster, db, &Spec::new("t"));
        if remembered {
            emit(&cluster, BinlogType::UPSERT, db, &[table], "{}");
        }
        cluster.fe.lock().databases.get_mut(&db).unwrap().tables.remove(&table);
        let seq = emit(&cluster, BinlogType::DROP_TABLE, db, &[table], &format!("{{\"tableId\":{table}}}"));
        assert_eq!(db_seqs(&cluster, db).unwrap_or_default().contains(&seq), remembered);
    }
}

#[test]
fn a_barrier_of_no_table_only_takes_a_journal_id() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    emit(&cluster, BinlogType::BARRIER, db, &[0], "{}");
    assert_eq!(db_seqs(&cluster, db), None);
}

#[test]
fn only_the_first_entry_of_a_seq_survives() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let table = create_table(&cluster, db, &Spec::new("t"));
    let state = &mut *cluster.fe.lock();
    let seq = state.journal();
    for data in ["first", "second"] {
        append(state, seq, 1, BinlogType::DROP_ROLLUP, db, &[table], data.to_owned());
    }
    let list = state.binlogs.list(Scope::Database(db)).unwrap();
    assert_eq!(list.iter().map(|entry| entry.data.as_str()).collect::<Vec<_>>(), ["first"]);
}

#[test]
fn reads_are_clamped_and_ordered() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let scope = Scope::Database(db);
    assert!(matches!(cluster.fe.lock().binlogs.read(scope, 0, 1), ReadOutcome::Missing(NoList::Database)));
    let seqs: Vec<i64> = (0..300).map(|_| emit(&cluster, BinlogType::UPSERT, db, &[], "{}")).collect();
    let state = cluster.fe.lock();
    let read = |prev, wanted| match state.binlogs.read(scope, prev, wanted) {
        ReadOutcome::Entries(entries) => entries.iter().map(|entry| entry.commit_seq).collect(),
        ReadOutcome::TooNew => Vec::new(),
        other => panic!("unexpected {other:?}"),
    };
    for (prev, wanted, expected) in [
        (-1, 0, &seqs[..1]),
        (0, -5, &seqs[..1]),
        (-1, 10, &seqs[..10]),
        (-1, 1000, &seqs[..255]),
        (seqs[4], 2, &seqs[5..7]),
        (seqs[299], 10, &[]),
        (i64::MAX, 10, &[]),
    ] {
        assert_eq!(read(prev, wanted), expected, "prev {prev} wanted {wanted}");
    }
    assert!(matches!(
        state.binlogs.read(Scope::Table { db_id: db, table_id: 1 }, 0, 1),
        ReadOutcome::Missing(NoList::Table)
    ));
}

#[test]
fn lag_counts_what_is_ahead_and_names_the_ends() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    assert_eq!(cluster.fe.lock().binlogs.lag(Scope::Database(db), 0), Err(NoList::Database));
    let seqs: Vec<i64> = (0..5).map(|_| emit(&cluster, BinlogType::UPSERT, db, &[], "{}")).collect();
    let lag = |prev| cluster.fe.lock().binlogs.lag(Scope::Database(db), prev).unwrap();
    let ends = |lag: Lag| (lag.first_commit_seq, lag.last_commit_seq);
    assert_eq!((lag(-1).lag, lag(-1).next_commit_seq), (5, seqs[0]));
    assert_eq!((lag(seqs[2]).lag, lag(seqs[2]).next_commit_seq), (2, seqs[3]));
    assert_eq!((lag(seqs[4]).lag, lag(seqs[4]).next_commit_seq), (0, 0));
    assert_eq!(ends(lag(seqs[4])), (-1, seqs[4]));

    // Expired: everything counts, the dummy too, and the dummy is next.
    set_db_property(&cluster, db, "binlog.max_history_nums", "3");
    collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    assert_eq!(ends(lag(0)), (seqs[2], seqs[4]));
    assert_eq!((lag(0).lag, lag(0).next_commit_seq), (3, seqs[2]));
    assert!(matches!(
        cluster.fe.lock().binlogs.read(Scope::Database(db), seqs[1], 1),
        ReadOutcome::TooOld(dummy) if dummy.commit_seq == seqs[2] && dummy.belong == -1
    ));
    assert!(matches!(
        cluster.fe.lock().binlogs.read(Scope::Database(db), seqs[2], 1),
        ReadOutcome::Entries(entries) if entries[0].commit_seq == seqs[3]
    ));
}

#[test]
fn locks_move_forward_and_only_speed_expiry_up() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let scope = Scope::Database(db);
    let lock = |job: &str, seq| cluster.fe.lock().binlogs.lock(scope, job, seq);
    assert_eq!(lock("a", 1), Err(LockError::Missing(NoList::Database)));
    let seqs: Vec<i64> = (0..4).map(|_| emit(&cluster, BinlogType::UPSERT, db, &[], "{}")).collect();
    assert_eq!(lock("a", seqs[3] + 1), Err(LockError::TooNew));
    assert_eq!(lock("b", -1), Ok(seqs[3]));
    assert_eq!(lock("a", seqs[2]), Ok(seqs[2]));
    assert_eq!(lock("a", seqs[0]), Ok(seqs[2]));
    collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    assert_eq!(db_seqs(&cluster, db), Some(seqs[2..].to_vec()));
    assert_eq!(lock("c", 0), Ok(seqs[1]), "below the dummy locks the dummy");

    // Time takes entries whatever is locked, and the passed locks with them.
    cluster.clock.advance_ms(90_000_000);
    collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    assert_eq!(db_seqs(&cluster, db), Some(Vec::new()));
    assert!(cluster.fe.lock().binlogs.list(scope).unwrap().locks.is_empty());
}

#[test]
fn expiry_follows_the_database_rules() {
    // (property, value, entries left of four); 80 bytes and 2 of data each, 80 for the dummy.
    for (key, value, left) in [
        ("binlog.max_bytes", "1000000", 4),
        ("binlog.max_bytes", "250", 2),
        ("binlog.max_history_nums", "5", 4),
        ("binlog.max_history_nums", "2", 1),
        ("binlog.ttl_seconds", "0", 0),
        ("binlog.ttl_seconds", "3600", 4),
    ] {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", true);
        let table = create_table(&cluster, db, &Spec::new("t"));
        let mut seqs: Vec<i64> = (0..3).map(|_| emit(&cluster, BinlogType::UPSERT, db, &[], "{}")).collect();
        seqs.insert(0, seqs[0] - 1);
        let last = emit(&cluster, BinlogType::RENAME_TABLE, db, &[table], "");
        set_db_property(&cluster, db, key, value);
        cluster.clock.advance_ms(1000);
        collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
        assert_eq!(db_seqs(&cluster, db).unwrap().len(), left, "{key} {value}");
        // The table's list is cut where the database's was.
        assert_eq!(table_seqs(&cluster, db, table).unwrap().contains(&last), left > 0, "{key} {value}");
    }
}

#[test]
fn time_limits_count_whole_seconds_and_every_expiry_is_journalled() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    set_db_property(&cluster, db, "binlog.ttl_seconds", "5");
    let state = &mut *cluster.fe.lock();
    for timestamp in [5_000, 5_200] {
        state.journal_binlog(timestamp, BinlogType::RENAME_TABLE, db, &[], |_| String::new());
    }
    let journal_id = state.journal_id;
    collect_garbage(state, 9_999);
    assert_eq!((state.binlogs.database(db).unwrap().list().len(), state.journal_id), (2, journal_id));
    collect_garbage(state, 10_900);
    assert_eq!((state.binlogs.database(db).unwrap().list().len(), state.journal_id), (1, journal_id + 1));
    collect_garbage(state, 11_000);
    assert_eq!((state.binlogs.database(db).unwrap().list().len(), state.journal_id), (0, journal_id + 2));
}

#[test]
fn a_disabled_database_expires_by_its_tables() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", false);
    let (a, b) = (create_table(&cluster, db, &Spec::new("a")), create_table(&cluster, db, &Spec::new("b")));
    let only_a = emit(&cluster, BinlogType::UPSERT, db, &[a], "{}");
    let both = emit(&cluster, BinlogType::UPSERT, db, &[a, b], "{}");
    let only_b = emit(&cluster, BinlogType::UPSERT, db, &[b], "{}");
    testkit::alter(&cluster, db, a, |table| table.binlog.enable = false);
    collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    assert_eq!(table_seqs(&cluster, db, a), Some(Vec::new()));
    assert_eq!(table_seqs(&cluster, db, b), Some(vec![both, only_b]));
    assert_eq!(db_seqs(&cluster, db), Some(vec![both, only_b]), "{only_a} is held by no list");
}

#[test]
fn drops_are_remembered_as_long_as_their_binlogs() {
    use BinlogType as T;
    // (type, data, (partitions, tables, indexes) dropped)
    type Dropped = (Vec<i64>, Vec<i64>, Vec<i64>);
    let cases: Vec<(T, &str, Dropped)> = vec![
        (T::DROP_PARTITION, r#"{"pid":5}"#, (vec![5], vec![], vec![])),
        (T::DROP_PARTITION, r#"{"pid":0}"#, (vec![], vec![], vec![])),
        (T::DROP_TABLE, r#"{"tableId":6}"#, (vec![], vec![6], vec![])),
        (
            T::ALTER_JOB,
            r#"{"type":"SCHEMA_CHANGE","jobState":"FINISHED","iim":{"9":7}}"#,
            (vec![], vec![], vec![7]),
        ),
        (
            T::ALTER_JOB,
            r#"{"type":"SCHEMA_CHANGE","jobState":"CANCELLED","iim":{"9":7}}"#,
            (vec![], vec![], vec![]),
        ),
        (T::ALTER_JOB, r#"{"type":"ROLLUP","jobState":"FINISHED"}"#, (vec![], vec![], vec![])),
        (T::TRUNCATE_TABLE, r#"{"op":{"3":"p","4":"q"}}"#, (vec![3, 4], vec![], vec![])),
        (T::REPLACE_TABLE, r#"{"origTblId":8,"swapTable":false}"#, (vec![], vec![8], vec![])),
        (T::REPLACE_TABLE, r#"{"origTblId":8,"swapTable":true}"#, (vec![], vec![], vec![])),
        (T::DROP_ROLLUP, r#"{"indexId":2}"#, (vec![], vec![], vec![2])),
        (T::REPLACE_PARTITIONS, r#"{"partitionIds":[1,2]}"#, (vec![1, 2], vec![], vec![])),
        (T::BARRIER, r#"{"binlogType":4,"binlog":"{\"tableId\":6}"}"#, (vec![], vec![6], vec![])),
    ];
    for (kind, data, (partitions, tables, indexes)) in cases {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", true);
        let seq = emit(&cluster, kind, db, &[77], data);
        let dropped = cluster.fe.lock().binlogs.database(db).unwrap().dropped().clone();
        let keys = |map: &BTreeMap<i64, i64>| map.keys().copied().collect::<Vec<_>>();
        let found = (keys(&dropped.partitions), keys(&dropped.tables), keys(&dropped.indexes));
        assert_eq!(found, (partitions, tables, indexes), "{kind} {data}");
        assert!(dropped.partitions.values().chain(dropped.tables.values()).all(|at| *at == seq));
    }

    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    emit(&cluster, T::DROP_PARTITION, db, &[77], r#"{"pid":5}"#);
    emit(&cluster, T::DROP_TABLE, db, &[77], r#"{"tableId":6}"#);
    emit(&cluster, T::RECOVER_INFO, db, &[77], r#"{"tableId":77,"partitionId":5}"#);
    emit(&cluster, T::RECOVER_INFO, db, &[77], r#"{"tableId":6,"partitionId":-1}"#);
    assert_eq!(*cluster.fe.lock().binlogs.database(db).unwrap().dropped(), DroppedResources::default());

    // Strictly below the expired seq.
    let first = emit(&cluster, T::DROP_PARTITION, db, &[77], r#"{"pid":5}"#);
    emit(&cluster, T::DROP_PARTITION, db, &[77], r#"{"pid":6}"#);
    cluster.clock.advance_ms(90_000_000);
    collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    let dropped = cluster.fe.lock().binlogs.database(db).unwrap().dropped().clone();
    assert_eq!(dropped.partitions, BTreeMap::from([(6, first + 1)]));
}

#[test]
fn expired_upserts_name_the_tablets_to_clean() {
    let cluster = testkit::cluster(2);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").replicas(2));
    let table = testkit::table(&cluster, db, "t");
    let partition = table.partitions.values().next().unwrap();
    for version in [2, 3] {
        let data = format!(
            r#"{{"tableRecords":{{"{id}":{{"partitionRecords":[{{"partitionId":{},"version":{version}}}]}}}}}}"#,
            partition.id
        );
        emit(&cluster, BinlogType::UPSERT, db, &[id], &data);
    }
    cluster.clock.advance_ms(90_000_000);
    let expired = collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    let tablet = partition.tablets().next().unwrap().id;
    assert_eq!(expired.len(), 2);
    assert!(expired.values().all(|tablets| *tablets == [(tablet, 3)]));
    // The backends take it without complaint, and a second round finds nothing.
    collect_garbage_and_tell_backends(&cluster);
    assert!(collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms()).is_empty());
}

#[test]
fn a_master_switch_loses_locks() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    emit(&cluster, BinlogType::UPSERT, db, &[], "{}");
    let state = &mut *cluster.fe.lock();
    state.binlogs.lock(Scope::Database(db), "a", -1).unwrap();
    state.binlogs.start_reign(0);
    assert!(state.binlogs.list(Scope::Database(db)).unwrap().locks.is_empty());
}

#[test]
fn entries_are_shared_between_lists_and_readers() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let table = create_table(&cluster, db, &Spec::new("t"));
    emit(&cluster, BinlogType::UPSERT, db, &[table], "{}");
    let state = cluster.fe.lock();
    let ReadOutcome::Entries(a) = state.binlogs.read(Scope::Database(db), 0, 1) else { panic!() };
    let ReadOutcome::Entries(b) = state.binlogs.read(Scope::Table { db_id: db, table_id: table }, 0, 1)
    else {
        panic!()
    };
    assert!(Arc::ptr_eq(&a[0], &b[0]));
    assert_eq!(a[0].table_lists.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_frontend_that_starts_again_remembers_no_flags() {
    for (restarted, told) in [(false, false), (true, true)] {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", false);
        let table = create_table(&cluster, db, &Spec { binlog: false, ..Spec::new("t") });
        emit(&cluster, BinlogType::UPSERT, db, &[table], "{}");
        {
            let state = &mut *cluster.fe.lock();
            let loaded = if restarted { state.journal_id } else { 0 };
            state.binlogs.start_reign(loaded);
        }
        testkit::alter(&cluster, db, table, |t| t.binlog.enable = true);
        emit(&cluster, BinlogType::MODIFY_TABLE_PROPERTY, db, &[table], "{}");
        assert_eq!(db_seqs(&cluster, db).is_some(), told, "restarted: {restarted}");
    }
}

#[test]
fn an_entry_from_the_future_keeps_no_older_ones() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    cluster.clock.advance_ms(200_000_000);
    emit(&cluster, BinlogType::UPSERT, db, &[], "{}");
    cluster.clock.advance_ms(-200_000_000);
    emit(&cluster, BinlogType::UPSERT, db, &[], "{}");
    cluster.clock.advance_ms(90_000_000);
    let young = emit(&cluster, BinlogType::UPSERT, db, &[], "{}");
    collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    assert_eq!(db_seqs(&cluster, db), Some(vec![young]));
}
