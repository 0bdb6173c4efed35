//! The bounded history of a job's decisions.

use ccr_core::store::{HISTORY_LIMIT, HistoryEntry, StoreResult};

use super::{SqliteStore, unavailable};
use crate::codec;

pub(super) async fn append(
    store: &SqliteStore,
    job_id: &str,
    epoch: u64,
    entry: &HistoryEntry,
) -> StoreResult<()> {
    let appended = async {
        let (pool, _guard) = store.relaxed().await;
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        let seq: Option<(i64,)> = sqlx::query_as(
            "INSERT INTO ccr_history (job_id, seq, at_ms, first_commit_seq, last_commit_seq, plan, reason, \
             outcome, duration_ms) \
             SELECT ?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM ccr_history WHERE job_id = ?1), \
             ?3, ?4, ?5, ?6, ?7, ?8, ?9 \
             WHERE EXISTS (SELECT 1 FROM ccr_leases WHERE job_id = ?1 AND epoch = ?2) RETURNING seq",
        )
        .bind(job_id)
        .bind(codec::encode_epoch(epoch))
        .bind(entry.at_ms)
        .bind(entry.first_commit_seq)
        .bind(entry.last_commit_seq)
        .bind(&entry.plan)
        .bind(&entry.reason)
        .bind(&entry.outcome)
        .bind(entry.duration_ms)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((seq,)) = seq else {
            tx.rollback().await?;
            return Ok(false);
        };
        sqlx::query("DELETE FROM ccr_history WHERE job_id = ? AND seq <= ?")
            .bind(job_id)
            .bind(seq - HISTORY_LIMIT as i64)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }
    .await
    .map_err(unavailable("append history"))?;
    if appended { Ok(()) } else { Err(store.refusal(job_id, epoch).await) }
}

pub(super) async fn newest(
    store: &SqliteStore,
    job_id: &str,
    limit: usize,
) -> StoreResult<Vec<HistoryEntry>> {
    #[derive(sqlx::FromRow)]
    struct Row {
        at_ms: i64,
        first_commit_seq: i64,
        last_commit_seq: i64,
        plan: String,
        reason: String,
        outcome: String,
        duration_ms: i64,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT at_ms, first_commit_seq, last_commit_seq, plan, reason, outcome, duration_ms \
         FROM ccr_history WHERE job_id = ? ORDER BY seq DESC LIMIT ?",
    )
    .bind(job_id)
    .bind(limit.min(HISTORY_LIMIT) as i64)
    .fetch_all(&store.relaxed)
    .await
    .map_err(unavailable("read history"))?;
    Ok(rows
        .into_iter()
        .map(|row| HistoryEntry {
            at_ms: row.at_ms,
            first_commit_seq: row.first_commit_seq,
            last_commit_seq: row.last_commit_seq,
            plan: row.plan,
            reason: row.reason,
            outcome: row.outcome,
            duration_ms: row.duration_ms,
        })
        .collect())
}
