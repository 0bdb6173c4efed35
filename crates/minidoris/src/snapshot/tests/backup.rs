//! BACKUP: checks, states, what the snapshot holds, retention.

use super::*;
use crate::binlog::{BinlogType, ReadOutcome, Scope};
use crate::sql::BackupTable;
use crate::testkit::{self, Spec, alter, create_db, create_table, create_view, table};

fn listed(label: &str, name: &str, partitions: Option<&[&str]>) -> SnapshotStatement {
    let partitions = partitions.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let one = BackupTable { name: name.to_owned(), partitions, alias: None };
    SnapshotStatement { tables: Some(vec![one]), ..backup_statement(label) }
}

#[test]
fn submits_are_checked_in_order() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").bounds(&[10]));
    let refuse = |db: &str, backup: &SnapshotStatement| {
        let error = submit_backup(&cluster, db, backup).unwrap_err();
        (error.code, error.message)
    };
    let common = |text: &str| (5064, text.to_owned());
    assert_eq!(refuse("x", &backup_statement("l")), (1049, "Unknown database 'x'".to_owned()));
    let elsewhere = SnapshotStatement { repository: "r".to_owned(), ..backup_statement("l") };
    assert_eq!(refuse("d", &elsewhere), common("Repository r does not exist"));
    assert_eq!(refuse("d", &listed("l", "x", None)), (1051, "Unknown table 'x'".to_owned()));
    assert_eq!(refuse("d", &listed("l", "t", Some(&["p9"]))), common("Unknown partition p9 in tablet"));
    let mut aliased = listed("l", "t", None);
    aliased.tables.as_mut().unwrap()[0].alias = Some("a".to_owned());
    assert_eq!(refuse("d", &aliased).0, 5064);
    alter(&cluster, db, id, |t| t.temp_partitions = t.partitions.clone());
    assert_eq!(
        refuse("d", &backup_statement("l")),
        common("Do not support backup table t with temp partitions")
    );
    alter(&cluster, db, id, |t| t.temp_partitions.clear());

    submit_backup(&cluster, "d", &backup_statement("first")).unwrap();
    let running = cluster.fe.lock().snapshots.running(db).map(|job| job.id()).unwrap();
    assert_eq!(
        refuse("d", &backup_statement("second")),
        common(&format!(
            "Can only run one backup or restore job of a database at same time , current running: label = first \
             jobId = {running}, to run label = second"
        ))
    );
    // Another database is free.
    create_db(&cluster, "e", true);
    submit_backup(&cluster, "e", &backup_statement("second")).unwrap();
}

#[tokio::test]
async fn states_pass_one_per_tick_and_barriers_fix_the_versions() {
    let cluster = testkit::cluster(2);
    let db = create_db(&cluster, "d", true);
    let id = create_table(&cluster, db, &Spec::new("t").bounds(&[10, 20]).replicas(2).buckets(2));
    create_view(&cluster, db, "v", "SELECT 1");
    let t = table(&cluster, db, "t");
    load(&cluster, db, &t, "p1", &[(11, 1)]).await;
    let before = cluster.fe.lock().journal_id;
    submit_backup(&cluster, "d", &backup_statement("s")).unwrap();
    // The acceptance takes a journal id that is no binlog.
    assert_eq!(cluster.fe.lock().journal_id, before + 1);
    let mut states = Vec::new();
    for _ in 0..6 {
        states.push(job_row(&cluster, "d", "s").0);
        tick(&cluster);
        if states.len() == 1 {
            // Written after the barrier: not in the snapshot.
            load(&cluster, db, &t, "p1", &[(12, 2)]).await;
        }
    }
    states.push(job_row(&cluster, "d", "s").0);
    assert_eq!(
        states,
        ["PENDING", "SNAPSHOTING", "UPLOAD_SNAPSHOT", "UPLOADING", "SAVE_META", "UPLOAD_INFO", "FINISHED"]
    );
    let SnapshotLookup::Found(snapshot) = find_snapshot(&cluster.fe.lock(), "s", cluster.clock.now_ms())
    else {
        panic!("no snapshot");
    };
    assert_eq!(snapshot.commit_seq, before + 1);
    let info = job_info(&snapshot);
    assert_eq!((info.name.as_str(), info.database.as_str(), info.id), ("s", "d", db));
    assert_eq!(info.new_backup_objects.views[0].name, "v");
    let barrier = info.table_commit_seq_map[&id];
    assert!(barrier > snapshot.commit_seq && info.table_commit_seq_map.len() == 1);
    let ReadOutcome::Entries(entries) = cluster.fe.lock().binlogs.read(Scope::Database(db), barrier - 1, 1)
    else {
        panic!("no barrier");
    };
    assert_eq!((entries[0].commit_seq, entries[0].binlog_type), (barrier, BinlogType::BARRIER));
    assert_eq!(entries[0].table_ids, [id]);

    let partitions = &info.backup_objects["t"].partitions;
    assert_eq!((partitions["p0"].version, partitions["p1"].version), (1, 2));
    let index = &partitions["p1"].indexes["t"];
    let order: Vec<i64> =
        t.partitions.values().find(|p| p.name == "p1").unwrap().tablets().map(|tablet| tablet.id).collect();
    assert_eq!(index.tablets_order, order);
    assert_eq!(index.tablets.keys().copied().collect::<Vec<_>>(), order);
    for tablet in &order {
        assert!(
            info.tablet_be_map.contains_key(tablet) && info.tablet_snapshot_path_map[tablet].starts_with('/')
        );
    }
    let json: serde_json::Value = serde_json::from_slice(&snapshot.job_info).unwrap();
    assert!(json.get("extra_info").is_none() && json["tablet_be_map"].is_object());
    assert_eq!(u32::from_be_bytes(snapshot.meta[..4].try_into().unwrap()) as usize, snapshot.meta.len() - 4);
}

#[tokio::test]
async fn partitions_and_visible_indexes_only() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t").bounds(&[10, 20]));
    create_table(&cluster, db, &Spec::new("other"));
    submit_backup(&cluster, "d", &listed("s", "t", Some(&["p1"]))).unwrap();
    finish(&cluster, "d", "s").await;
    let SnapshotLookup::Found(snapshot) = find_snapshot(&cluster.fe.lock(), "s", 0) else { panic!() };
    let info = job_info(&snapshot);
    assert_eq!(info.backup_objects.keys().collect::<Vec<_>>(), ["t"]);
    assert_eq!(info.backup_objects["t"].partitions.keys().collect::<Vec<_>>(), ["p1"]);

    let excluding = SnapshotStatement { exclude: vec!["t".to_owned()], ..backup_statement("rest") };
    submit_backup(&cluster, "d", &excluding).unwrap();
    finish(&cluster, "d", "rest").await;
    let SnapshotLookup::Found(snapshot) = find_snapshot(&cluster.fe.lock(), "rest", 0) else { panic!() };
    assert_eq!(job_info(&snapshot).backup_objects.keys().collect::<Vec<_>>(), ["other"]);
}

#[tokio::test]
async fn a_backup_without_a_living_replica_is_cancelled() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t"));
    cluster.backend_nodes.write().values_mut().for_each(|node| node.alive = false);
    submit_backup(&cluster, "d", &backup_statement("s")).unwrap();
    let (state, status) = finish(&cluster, "d", "s").await;
    assert_eq!(state, "CANCELLED");
    assert!(status.starts_with("[COMMON_ERROR, msg: failed to choose replica"), "{status}");
    assert!(matches!(find_snapshot(&cluster.fe.lock(), "s", 0), SnapshotLookup::Missing));
}

#[tokio::test]
async fn too_many_tablets_cancel_the_job() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t").buckets(3));
    cluster.fe.lock().config.insert("max_backup_tablets_per_job".to_owned(), "2".to_owned());
    submit_backup(&cluster, "d", &backup_statement("s")).unwrap();
    assert_eq!(finish(&cluster, "d", "s").await.0, "CANCELLED");
}

#[tokio::test]
async fn cancelling_needs_a_running_job() {
    let cluster = testkit::cluster(1);
    create_db(&cluster, "d", true);
    let text = |result: SqlResult<()>| result.unwrap_err().message;
    assert_eq!(text(cancel_backup(&cluster, "d")), "No backup job is currently running");
    assert_eq!(text(cancel_restore(&cluster, "d")), "No restore is currently running");
    submit_backup(&cluster, "d", &backup_statement("s")).unwrap();
    tick(&cluster);
    assert_eq!(text(cancel_restore(&cluster, "d")), "No restore is currently running");
    cancel_backup(&cluster, "d").unwrap();
    assert_eq!(
        job_row(&cluster, "d", "s"),
        ("CANCELLED".to_owned(), "[COMMON_ERROR, msg: user cancelled]".to_owned())
    );
    assert_eq!(
        text(cancel_backup(&cluster, "d")),
        "Failed to cancel job: Job with label s can not be cancelled. state: CANCELLED"
    );
}

#[tokio::test]
async fn snapshots_expire_and_only_ten_jobs_are_kept() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("t"));
    let first = back_up(&cluster, "d", "s0").await;
    let path = job_info(&first).tablet_snapshot_path_map.into_values().next().unwrap();
    assert!(std::path::Path::new(&path).exists());
    for number in 1..=9 {
        back_up(&cluster, "d", &format!("s{number}")).await;
    }
    assert!(matches!(find_snapshot(&cluster.fe.lock(), "s0", 0), SnapshotLookup::Found(_)));
    // The newest snapshot of a label wins, and an eleventh job drives out the first.
    let again = back_up(&cluster, "d", "s9").await;
    let SnapshotLookup::Found(found) = find_snapshot(&cluster.fe.lock(), "s9", 0) else { panic!() };
    assert_eq!(found.commit_seq, again.commit_seq);
    assert!(matches!(find_snapshot(&cluster.fe.lock(), "s0", 0), SnapshotLookup::Missing));
    assert!(!std::path::Path::new(&path).exists());

    let path = job_info(&again).tablet_snapshot_path_map.into_values().next().unwrap();
    cluster.clock.advance_ms(86_400_000);
    tick(&cluster);
    let now = cluster.clock.now_ms();
    assert!(matches!(find_snapshot(&cluster.fe.lock(), "s9", now), SnapshotLookup::Expired));
    assert!(!std::path::Path::new(&path).exists());
}
