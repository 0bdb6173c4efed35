//! States and positions: every write is a compare-and-set on the lease epoch, in one statement.

use ccr_core::job::{JobState, Position};
use ccr_core::store::{StoreError, StoreResult};

use super::{SqliteStore, unavailable};
use crate::codec;

const UPDATE_POSITION: &str = "UPDATE ccr_positions SET commit_seq = ?3, timestamp_ms = ?4, updated_at_ms = ?5 \
     WHERE job_id = ?1 AND EXISTS (SELECT 1 FROM ccr_leases WHERE job_id = ?1 AND epoch = ?2)";

pub(super) async fn load(store: &SqliteStore, job_id: &str) -> StoreResult<(JobState, Position)> {
    // Both in one statement: a state and a position that were written together are read together.
    let row: Option<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT s.state, p.commit_seq, p.timestamp_ms, p.updated_at_ms \
         FROM ccr_states s JOIN ccr_positions p ON p.job_id = s.job_id WHERE s.job_id = ?",
    )
    .bind(job_id)
    .fetch_optional(&store.relaxed)
    .await
    .map_err(unavailable("load progress"))?;
    let Some((state, commit_seq, timestamp_ms, updated_at_ms)) = row else {
        return Err(StoreError::NotFound { name: job_id.to_owned() });
    };
    Ok((codec::decode_state(job_id, &state)?, Position { commit_seq, timestamp_ms, updated_at_ms }))
}

pub(super) async fn save_state(
    store: &SqliteStore,
    job_id: &str,
    epoch: u64,
    state: &JobState,
    position: &Position,
) -> StoreResult<()> {
    let state = codec::encode_state(job_id, state)?;
    let saved = async {
        let (pool, _guard) = store.durable().await;
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        let moved = sqlx::query(UPDATE_POSITION)
            .bind(job_id)
            .bind(codec::encode_epoch(epoch))
            .bind(position.commit_seq)
            .bind(position.timestamp_ms)
            .bind(position.updated_at_ms)
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        // The transaction holds the write lock, so the epoch just compared cannot change before the commit.
        sqlx::query("UPDATE ccr_states SET state = ? WHERE job_id = ?")
            .bind(state)
            .bind(job_id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }
    .await
    .map_err(unavailable("save state"))?;
    if saved { Ok(()) } else { Err(store.refusal(job_id, epoch).await) }
}

pub(super) async fn save_position(
    store: &SqliteStore,
    job_id: &str,
    epoch: u64,
    position: &Position,
) -> StoreResult<()> {
    let moved = {
        let (pool, _guard) = store.relaxed().await;
        sqlx::query(UPDATE_POSITION)
            .bind(job_id)
            .bind(codec::encode_epoch(epoch))
            .bind(position.commit_seq)
            .bind(position.timestamp_ms)
            .bind(position.updated_at_ms)
            .execute(pool)
            .await
            .map_err(unavailable("save position"))?
    };
    if moved.rows_affected() == 0 { Err(store.refusal(job_id, epoch).await) } else { Ok(()) }
}
