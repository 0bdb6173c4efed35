//! What is special about the embedded store: its file, its formats, damage.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ccr_core::job::{DesiredState, Phase, SnapshotStep};
use ccr_core::store::{Store, StoreError};
use ccr_store::{OpenError, SqliteStore};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::{conformance, sample};

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn run(path: &Path, sql: &str) {
    let mut connection = raw(path).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("ccr.db")).await.unwrap());
    conformance::check(store).await;
}

#[tokio::test]
async fn a_new_file_is_private_and_its_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db").join("ccr.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let job = sample::job("j", 1);
    store.create_job(&job, &sample::state(&job)).await.unwrap();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn survives_closing_and_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let job = sample::job("j", 1);
    store.create_job(&job, &sample::state(&job)).await.unwrap();
    let first = store.acquire(&job.id, "a:1").await.unwrap();
    store.save_position(&job.id, first, &sample::position(3)).await.unwrap();
    store.close().await;

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.load(&job.id).await.unwrap().1, sample::position(3));
    assert!(store.acquire(&job.id, "a:1").await.unwrap() > first);
}

/// Two processes on one file: the second takes the lease, the first can no longer write.
#[tokio::test]
async fn a_second_opener_fences_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    let first = SqliteStore::open(&path).await.unwrap();
    let job = sample::job("j", 1);
    first.create_job(&job, &sample::state(&job)).await.unwrap();
    let old = first.acquire(&job.id, "a:1").await.unwrap();
    let second = SqliteStore::open(&path).await.unwrap();
    let new = second.acquire(&job.id, "b:2").await.unwrap();
    let late = first.save_position(&job.id, old, &sample::position(1)).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
    second.save_position(&job.id, new, &sample::position(2)).await.unwrap();
}

#[tokio::test]
async fn one_unreadable_job_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for name in ["bad_spec", "bad_state", "good", "new_spec", "new_state", "odd_desired"] {
        let job = sample::job(name, 1);
        store.create_job(&job, &sample::state(&job)).await.unwrap();
    }
    run(
        &path,
        r#"UPDATE ccr_jobs SET src = '{"host":["secret-word"]}' WHERE name = 'bad_spec';
           UPDATE ccr_jobs SET spec_version = 99 WHERE name = 'new_spec';
           UPDATE ccr_jobs SET desired = 'sleeping' WHERE name = 'odd_desired';
           UPDATE ccr_states SET state = '{"version":1,' WHERE job_id = (SELECT id FROM ccr_jobs WHERE name = 'bad_state');
           UPDATE ccr_states SET state = '{"version":99}' WHERE job_id = (SELECT id FROM ccr_jobs WHERE name = 'new_state');"#,
    )
    .await;
    let listed = store.list_jobs().await.unwrap();
    let readable: Vec<&str> =
        listed.iter().filter(|stored| stored.record.is_ok()).map(|stored| stored.name.as_str()).collect();
    assert_eq!(readable, ["bad_state", "good", "new_state"]);
    for (name, part) in [("bad_spec", "source cluster"), ("new_spec", "newer"), ("odd_desired", "sleeping")] {
        let error = listed
            .iter()
            .find(|stored| stored.name == name)
            .unwrap()
            .record
            .as_ref()
            .expect_err("the row was damaged");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("secret-word"), "{text}");
        assert!(store.job_by_name(name).await.is_err());
    }
    for (name, part) in [("bad_state", "state"), ("new_state", "newer")] {
        let id = sample::job(name, 1).id;
        let error = store.load(&id).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(store.load(&sample::job("good", 1).id).await.is_ok());
    // An unreadable job can still be removed.
    store.delete_job(&sample::job("bad_spec", 1).id).await.unwrap();
}

#[tokio::test]
async fn tables_of_the_original_lie_beside_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    run(
        &path,
        "CREATE TABLE jobs (job_name TEXT PRIMARY KEY, job_info TEXT, belong_to TEXT);
         INSERT INTO jobs VALUES ('j', '{}', '127.0.0.1:9190');
         CREATE TABLE progresses (job_name TEXT PRIMARY KEY, progress TEXT);
         CREATE TABLE syncers (host_info TEXT PRIMARY KEY, timestamp INTEGER);",
    )
    .await;
    let store = SqliteStore::open(&path).await.unwrap();
    let job = sample::job("j", 1);
    store.create_job(&job, &sample::state(&job)).await.unwrap();
    store.delete_job(&job.id).await.unwrap();
    let mut connection = raw(&path).await;
    let (left,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM jobs").fetch_one(&mut connection).await.unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    run(
        &path,
        "INSERT INTO ccr_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 9999, .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    std::fs::write(&path, "this is not a database, however long the text may be".repeat(40)).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(error.to_string().contains("ccr.db"), "{error}");
    assert!(SqliteStore::open(dir.path()).await.is_err());
}

/// A database of schema version 1 is read for ever: its rows, and the checksums of its migrations.
#[tokio::test]
async fn reads_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ccr.db");
    run(&path, include_str!("../fixtures/v1.sql")).await;
    let store = SqliteStore::open(&path).await.unwrap();
    let listed = store.list_jobs().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|stored| stored.name.as_str()).collect();
    assert_eq!(names, ["orders", "orders_table"]);
    let database = store.job_by_name("orders").await.unwrap().unwrap();
    assert_eq!((database.desired, database.created_at_ms), (DesiredState::Running, 1_700_000_000_000));
    assert_eq!(database.spec.src.host_mapping["10.0.0.1"], "203.0.113.1");
    assert!(database.spec.options.reuse_binlog_label);
    let (state, position) = store.load(&database.id).await.unwrap();
    assert!(matches!(state.phase, Phase::Incremental(_)));
    assert_eq!((state.tables[&10].target_id, position.commit_seq), (20, 4711));
    assert_eq!(state.blocked.unwrap().code, "CCR0201");
    assert_eq!(store.history(&database.id, 5).await.unwrap()[0].plan, "full_sync");

    let table = store.job_by_name("orders_table").await.unwrap().unwrap();
    assert_eq!((table.desired, table.spec.dest.table.as_str()), (DesiredState::Paused, "orders"));
    let (state, _) = store.load(&table.id).await.unwrap();
    let Phase::FullSync(full) = state.phase else { panic!("a full sync was stored") };
    let SnapshotStep::Restore { restore_label, info, .. } = full.step else { panic!("a restore was stored") };
    assert_eq!((restore_label.as_str(), info.tables[0].commit_seq), ("b_r1", 11));
    assert_eq!(store.acquire(&table.id, "a:1").await.unwrap(), 4);
}
