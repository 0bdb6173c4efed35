//! The metadata store: one job, its lease, and what was persisted of it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ccr_core::job::{
    ApartWork, ClusterSpec, DesiredState, FullSyncReason, JobOptions, JobRecord, JobState, PartialSyncReason,
    Phase, Position, SnapshotStep,
};
use ccr_core::store::{HistoryEntry, Store, StoreError, StoreResult, StoredJob};

use super::demand::is_crossing;
use super::{Gate, Inner, Reply};

#[derive(Debug, Default)]
pub struct StoreState {
    pub state: Option<JobState>,
    pub position: Position,
    pub epoch: u64,
    /// When another process has taken the job over last.
    pub taken_ms: i64,
    pub history: Vec<HistoryEntry>,
    /// Every copy of one table that was begun: its label, the table, and why.
    pub partial_syncs: Vec<(String, i64, PartialSyncReason)>,
    /// Of those, the ones that were begun to cross a gap.
    pub for_gaps: BTreeSet<String>,
    /// Gaps that were crossed table by table.
    pub gaps_crossed: u32,
    /// Up to where names are settled behind the last of them.
    pub gap_named_to: i64,
    /// Why everything was copied, once for each time.
    pub full_syncs: Vec<(String, FullSyncReason)>,
}

#[derive(Debug)]
pub struct MemoryStore(pub Gate);

impl MemoryStore {
    async fn write(
        &self,
        operation: &'static str,
        epoch: u64,
        work: impl FnOnce(&mut Inner),
    ) -> StoreResult<()> {
        let unavailable = |detail: &str| StoreError::Unavailable { operation, detail: detail.to_owned() };
        let written = self.0.pass(operation, |world| {
            if world.store.epoch != epoch {
                return false;
            }
            work(world);
            true
        });
        match written.await {
            Reply::Answered(true) => Ok(()),
            Reply::Answered(false) => Err(StoreError::Fenced { job_id: "job".to_owned(), epoch }),
            Reply::Refused | Reply::Busy => Err(unavailable("database is locked")),
            Reply::Lost => Err(unavailable("connection lost")),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_job(&self, _job: &JobRecord, _state: &JobState) -> StoreResult<()> {
        Ok(())
    }

    async fn list_jobs(&self) -> StoreResult<Vec<StoredJob>> {
        Ok(Vec::new())
    }

    async fn job_by_name(&self, _name: &str) -> StoreResult<Option<JobRecord>> {
        Ok(None)
    }

    async fn acquire(&self, _job_id: &str, _owner: &str) -> StoreResult<u64> {
        let mut inner = self.0.world.inner.lock();
        inner.store.epoch += 1;
        Ok(inner.store.epoch)
    }

    /// It is asked for between tries, which no scenario counts.
    async fn check_lease(&self, job_id: &str, epoch: u64) -> StoreResult<()> {
        if self.0.world.inner.lock().store.epoch == epoch {
            Ok(())
        } else {
            Err(StoreError::Fenced { job_id: job_id.to_owned(), epoch })
        }
    }

    async fn set_desired(&self, _job_id: &str, _desired: DesiredState) -> StoreResult<()> {
        Ok(())
    }

    async fn set_clusters(&self, _job_id: &str, _src: &ClusterSpec, _dest: &ClusterSpec) -> StoreResult<()> {
        Ok(())
    }

    async fn set_options(&self, _job_id: &str, _options: &JobOptions) -> StoreResult<()> {
        Ok(())
    }

    async fn delete_job(&self, _job_id: &str) -> StoreResult<()> {
        Ok(())
    }

    async fn load(&self, job_id: &str) -> StoreResult<(JobState, Position)> {
        let read = self.0.pass("load", |world| (world.store.state.clone(), world.store.position)).await;
        match read {
            Reply::Answered((Some(state), position)) => Ok((state, position)),
            Reply::Answered((None, _)) => Err(StoreError::NotFound { name: job_id.to_owned() }),
            Reply::Refused | Reply::Busy | Reply::Lost => {
                Err(StoreError::Unavailable { operation: "load", detail: "connection lost".to_owned() })
            }
        }
    }

    async fn save_state(
        &self,
        _job_id: &str,
        epoch: u64,
        state: &JobState,
        position: &Position,
    ) -> StoreResult<()> {
        let (state, position) = (round_trip(state), *position);
        let save = |world: &mut Inner| {
            world.set_position(position);
            world.check_gap(&state);
            world.store.note_copies(&state);
            world.store.state = Some(state);
        };
        self.write("save_state", epoch, save).await
    }

    async fn save_position(&self, _job_id: &str, epoch: u64, position: &Position) -> StoreResult<()> {
        let position = *position;
        self.write("save_position", epoch, |world| world.set_position(position)).await
    }

    async fn append_history(&self, _job_id: &str, epoch: u64, entry: &HistoryEntry) -> StoreResult<()> {
        let entry = entry.clone();
        self.write("append_history", epoch, |world| world.store.history.push(entry)).await
    }

    async fn history(&self, _job_id: &str, _limit: usize) -> StoreResult<Vec<HistoryEntry>> {
        Ok(self.0.world.inner.lock().store.history.clone())
    }
}

impl StoreState {
    /// Keeps what was copied, and why, for as long as the world lives.
    fn note_copies(&mut self, state: &JobState) {
        if let Phase::FullSync(full_sync) = &state.phase {
            let label = backup_label(&full_sync.step);
            if self.full_syncs.iter().all(|(known, _)| known != label) {
                self.full_syncs.push((label.to_owned(), full_sync.reason.clone()));
            }
        }
        let begins_to_cross = is_crossing(state) && !self.state.as_ref().is_some_and(is_crossing);
        if begins_to_cross {
            self.gaps_crossed += 1;
            let named_to = state.tables.values().filter_map(|link| link.named_to).max().unwrap_or(0);
            self.gap_named_to = self.gap_named_to.max(named_to);
        }
        for (source_id, link) in &state.tables {
            let Some(ApartWork::PartialSync { reason, step }) = link.lane.apart().map(|apart| &apart.work)
            else {
                continue;
            };
            let label = backup_label(step);
            if self.partial_syncs.iter().all(|(known, ..)| known != label) {
                self.partial_syncs.push((label.to_owned(), *source_id, *reason.clone()));
                if begins_to_cross {
                    self.for_gaps.insert(label.to_owned());
                }
            }
        }
    }
}

fn backup_label(step: &SnapshotStep) -> &str {
    match step {
        SnapshotStep::Backup { label } => label,
        SnapshotStep::Restore { backup_label, .. } => backup_label,
    }
}

impl Inner {
    /// The watermark never moves back, and never past what the target holds.
    fn set_position(&mut self, position: Position) {
        if position.commit_seq < self.store.position.commit_seq {
            let before = self.store.position.commit_seq;
            self.violation(format!("the position went back from {before} to {}", position.commit_seq));
        }
        self.store.position = position;
    }
}

/// What is read back is what can be written: through JSON, as in a real store.
fn round_trip(state: &JobState) -> JobState {
    let text = serde_json::to_string(state).expect("a state is JSON");
    serde_json::from_str(&text).expect("and reads back")
}
