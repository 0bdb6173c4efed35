//! Whether a job may copy everything again by itself.
//!
//! A full sync takes hours of a large cluster, so an operator can have it wait for a word. What is guarded
//! is the *start* of a full sync that the job finds necessary: the first one of a new job, one that an
//! operator asked for, and another snapshot within a full sync that runs are never held.

use serde::{Deserialize, Serialize};

use super::{Blocked, FullSyncGuard, FullSyncReason, JobOptions, JobState, Phase};

/// The code of a job that waits for an approval.
pub const HELD_CODE: &str = "CCR0510";

/// The span over which `full_syncs_per_day` counts.
const DAY_MS: i64 = 86_400_000;

/// A full sync that is necessary and waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFullSync {
    pub reason: FullSyncReason,
    /// What did not let it start.
    pub by: HeldBy,
    /// The position the job has.
    pub from_commit_seq: i64,
    pub since_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum HeldBy {
    /// The job's `full_sync` is `ask`.
    Ask,
    /// As many as `full_syncs_per_day` have started by themselves within a day.
    Budget { limit: u32 },
}

impl FullSyncReason {
    /// Whether it is a gap that the job found, which the guard is about.
    pub fn is_guarded(&self) -> bool {
        match self {
            FullSyncReason::BinlogExpired { .. }
            | FullSyncReason::SourceTableReplaced { .. }
            | FullSyncReason::SourceDatabaseReplaced { .. } => true,
            FullSyncReason::Created
            | FullSyncReason::SnapshotLost { .. }
            | FullSyncReason::BackupCancelled { .. }
            | FullSyncReason::Requested { .. } => false,
        }
    }
}

/// What holds a full sync for this reason, if anything does.
pub fn holds(options: &JobOptions, state: &JobState, reason: &FullSyncReason, now_ms: i64) -> Option<HeldBy> {
    if !reason.is_guarded() {
        return None;
    }
    match (options.full_sync, options.full_syncs_per_day) {
        (FullSyncGuard::Ask, _) => Some(HeldBy::Ask),
        (FullSyncGuard::Auto, 0) => None,
        (FullSyncGuard::Auto, limit) => {
            let used = state.own_full_syncs_ms.iter().filter(|at| is_within_a_day(**at, now_ms)).count();
            (used >= usize::try_from(limit).unwrap_or(usize::MAX)).then_some(HeldBy::Budget { limit })
        }
    }
}

fn is_within_a_day(at_ms: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(at_ms) < DAY_MS
}

impl JobState {
    /// Counts a full sync that starts by itself, and forgets those that no longer count.
    pub(super) fn count_full_sync(&mut self, reason: &FullSyncReason, at_ms: i64) {
        let approved = self.held_full_sync.is_some();
        let running = matches!(self.phase, Phase::FullSync(_));
        if reason.is_guarded() && !approved && !running {
            self.own_full_syncs_ms.retain(|at| is_within_a_day(*at, at_ms));
            self.own_full_syncs_ms.push(at_ms);
        }
    }
}

impl HeldFullSync {
    /// What an operator reads.
    pub(super) fn blocked(&self) -> Blocked {
        let why = match self.by {
            HeldBy::Ask => "full_sync of the job is \"ask\"".to_owned(),
            HeldBy::Budget { limit } => {
                format!("the job has started {limit} full syncs within a day, as full_syncs_per_day allows")
            }
        };
        Blocked {
            code: HELD_CODE.to_owned(),
            message: format!("a full sync is needed and held, because {why}: {}", self.reason.describe()),
            hint: "approve it with /force_fullsync, or let it start by itself with /update_job and \
                   full_sync auto, or a higher full_syncs_per_day"
                .to_owned(),
            commit_seq: self.from_commit_seq,
            binlog_type: String::new(),
            since_ms: self.since_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: FullSyncReason =
        FullSyncReason::BinlogExpired { position: 7, expired_to: Some(9), why: String::new() };

    fn options(full_sync: FullSyncGuard, full_syncs_per_day: u32) -> JobOptions {
        JobOptions { full_sync, full_syncs_per_day, ..JobOptions::default() }
    }

    #[test]
    fn what_is_held() {
        let mut state = JobState::new("j", 0);
        state.own_full_syncs_ms = vec![10, 20];
        let now = 30;
        for (full_sync, per_day, now_ms, expected) in [
            (FullSyncGuard::Auto, 0, now, None),
            (FullSyncGuard::Auto, 3, now, None),
            (FullSyncGuard::Auto, 2, now, Some(HeldBy::Budget { limit: 2 })),
            (FullSyncGuard::Auto, 1, now, Some(HeldBy::Budget { limit: 1 })),
            (FullSyncGuard::Ask, 0, now, Some(HeldBy::Ask)),
            (FullSyncGuard::Ask, 9, now, Some(HeldBy::Ask)),
            // The day of the first has passed, and then that of the second.
            (FullSyncGuard::Auto, 2, DAY_MS + 10, None),
            (FullSyncGuard::Auto, 1, DAY_MS + 10, Some(HeldBy::Budget { limit: 1 })),
            (FullSyncGuard::Auto, 1, DAY_MS + 20, None),
        ] {
            let held = holds(&options(full_sync, per_day), &state, &GAP, now_ms);
            assert_eq!(held, expected, "{full_sync:?} {per_day} at {now_ms}");
        }
    }

    #[test]
    fn only_a_gap_that_the_job_found_is_held() {
        let state = JobState::new("j", 0);
        let ask = options(FullSyncGuard::Ask, 0);
        assert!(holds(&ask, &state, &FullSyncReason::Created, 1).is_none());
        let requested = FullSyncReason::Requested { detail: "x".to_owned() };
        assert!(holds(&ask, &state, &requested, 1).is_none());
        let replaced = FullSyncReason::SourceTableReplaced { old_id: 1, new_id: 2 };
        assert!(holds(&ask, &state, &replaced, 1).is_some());
    }
}
