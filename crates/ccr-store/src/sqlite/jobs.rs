//! Jobs and leases.

use ccr_core::job::{ClusterSpec, DesiredState, JobOptions, JobRecord, JobState};
use ccr_core::store::{StoreError, StoreResult, StoredJob};

use super::{SqliteStore, is_unique_violation, unavailable};
use crate::codec::{self, JobRow};

pub(super) async fn create(store: &SqliteStore, job: &JobRecord, state: &JobState) -> StoreResult<()> {
    let row = JobRow::encode(job)?;
    let state = codec::encode_state(&job.id, state)?;
    let operation = unavailable("create job");
    let result = async {
        let (pool, _guard) = store.durable().await;
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "INSERT INTO ccr_jobs (id, name, spec_version, src, dest, options, desired, created_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&row.id)
        .bind(&row.name)
        .bind(row.spec_version)
        .bind(&row.src)
        .bind(&row.dest)
        .bind(&row.options)
        .bind(&row.desired)
        .bind(row.created_at_ms)
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO ccr_leases (job_id, owner, epoch, acquired_at_ms) VALUES (?, '', 0, 0)")
            .bind(&row.id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO ccr_states (job_id, state) VALUES (?, ?)")
            .bind(&row.id)
            .bind(&state)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO ccr_positions (job_id, commit_seq, timestamp_ms, updated_at_ms) VALUES (?, 0, 0, 0)",
        )
        .bind(&row.id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
    .await;
    result.map_err(|error| {
        if is_unique_violation(&error) {
            StoreError::AlreadyExists { name: row.name.clone() }
        } else {
            operation(error)
        }
    })
}

pub(super) async fn list(store: &SqliteStore) -> StoreResult<Vec<StoredJob>> {
    let rows: Vec<JobRow> = sqlx::query_as(
        "SELECT id, name, spec_version, src, dest, options, desired, created_at_ms FROM ccr_jobs ORDER BY name",
    )
    .fetch_all(&store.relaxed)
    .await
    .map_err(unavailable("list jobs"))?;
    Ok(rows.into_iter().map(|row| StoredJob { record: row.decode(), name: row.name }).collect())
}

pub(super) async fn by_name(store: &SqliteStore, name: &str) -> StoreResult<Option<JobRecord>> {
    let row: Option<JobRow> = sqlx::query_as(
        "SELECT id, name, spec_version, src, dest, options, desired, created_at_ms FROM ccr_jobs \
         WHERE name = ?",
    )
    .bind(name)
    .fetch_optional(&store.relaxed)
    .await
    .map_err(unavailable("read job"))?;
    row.map(|row| row.decode()).transpose()
}

pub(super) async fn acquire(store: &SqliteStore, job_id: &str, owner: &str) -> StoreResult<u64> {
    let (pool, _guard) = store.durable().await;
    // The time is the database's, so that the clocks of several owners need not agree.
    let epoch: Option<(i64,)> = sqlx::query_as(
        "UPDATE ccr_leases SET owner = ?, epoch = epoch + 1, \
         acquired_at_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE job_id = ? RETURNING epoch",
    )
    .bind(owner)
    .bind(job_id)
    .fetch_optional(pool)
    .await
    .map_err(unavailable("acquire lease"))?;
    match epoch {
        Some((epoch,)) => codec::decode_epoch(job_id, epoch),
        None => Err(not_found(job_id)),
    }
}

pub(super) async fn has_lease(store: &SqliteStore, job_id: &str, epoch: u64) -> StoreResult<bool> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM ccr_leases WHERE job_id = ? AND epoch = ?")
        .bind(job_id)
        .bind(codec::encode_epoch(epoch))
        .fetch_optional(&store.relaxed)
        .await
        .map_err(unavailable("look up lease"))?;
    Ok(found.is_some())
}

pub(super) async fn set_desired(store: &SqliteStore, job_id: &str, desired: DesiredState) -> StoreResult<()> {
    let (pool, _guard) = store.durable().await;
    let done = sqlx::query("UPDATE ccr_jobs SET desired = ? WHERE id = ?")
        .bind(codec::desired_name(desired))
        .bind(job_id)
        .execute(pool)
        .await
        .map_err(unavailable("set desired state"))?;
    if done.rows_affected() == 0 { Err(not_found(job_id)) } else { Ok(()) }
}

pub(super) async fn set_clusters(
    store: &SqliteStore,
    job_id: &str,
    src: &ClusterSpec,
    dest: &ClusterSpec,
) -> StoreResult<()> {
    let src = codec::encode_cluster("source cluster", job_id, src)?;
    let dest = codec::encode_cluster("target cluster", job_id, dest)?;
    let (pool, _guard) = store.durable().await;
    let done = sqlx::query("UPDATE ccr_jobs SET spec_version = ?, src = ?, dest = ? WHERE id = ?")
        .bind(codec::SPEC_VERSION)
        .bind(src)
        .bind(dest)
        .bind(job_id)
        .execute(pool)
        .await
        .map_err(unavailable("set clusters"))?;
    if done.rows_affected() == 0 { Err(not_found(job_id)) } else { Ok(()) }
}

pub(super) async fn set_options(store: &SqliteStore, job_id: &str, options: &JobOptions) -> StoreResult<()> {
    let options = codec::encode_options(job_id, options)?;
    let (pool, _guard) = store.durable().await;
    let done = sqlx::query("UPDATE ccr_jobs SET spec_version = ?, options = ? WHERE id = ?")
        .bind(codec::SPEC_VERSION)
        .bind(options)
        .bind(job_id)
        .execute(pool)
        .await
        .map_err(unavailable("set options"))?;
    if done.rows_affected() == 0 { Err(not_found(job_id)) } else { Ok(()) }
}

/// The other tables follow by their foreign keys.
pub(super) async fn delete(store: &SqliteStore, job_id: &str) -> StoreResult<()> {
    let (pool, _guard) = store.durable().await;
    let done = sqlx::query("DELETE FROM ccr_jobs WHERE id = ?")
        .bind(job_id)
        .execute(pool)
        .await
        .map_err(unavailable("delete job"))?;
    if done.rows_affected() == 0 { Err(not_found(job_id)) } else { Ok(()) }
}

fn not_found(job_id: &str) -> StoreError {
    StoreError::NotFound { name: job_id.to_owned() }
}
