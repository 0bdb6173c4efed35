//! The one function that moves a job: pure, total, and the only place where [`JobState`] changes.
//!
//! The runner turns what it saw of the world into an [`Event`], asks [`transition`] for the next state,
//! persists it and only then acts on it. An event that makes no sense in a state is an error value.

use thiserror::Error;

use super::state::{backup_label, restore_label};
use super::{Event, FullSync, FullSyncRecord, HeldFullSync, Incremental, JobState, Phase, SnapshotStep};
use super::{gap, lanes, set_apart};

/// An event that cannot happen in that state: a bug, or a store that was changed by hand.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("event {event} cannot happen in {state}")]
pub struct IllegalEvent {
    pub event: String,
    pub state: &'static str,
}

/// The state after the event.
pub fn transition(job_id: &str, state: &JobState, event: Event) -> Result<JobState, IllegalEvent> {
    let mut next = state.clone();
    match (&mut next.phase, event) {
        (_, Event::FullSyncNeeded { reason, from_commit_seq, at_ms }) => {
            next.count_full_sync(&reason, at_ms);
            if next.held_full_sync.take().is_some() {
                next.blocked = None;
            }
            gap::note_created(&mut next);
            next.snapshots_taken += 1;
            next.unpublished.clear();
            let step = SnapshotStep::Backup { label: backup_label(job_id, next.snapshots_taken) };
            let set_apart = set_apart::kept(&next.phase, &reason);
            let full_sync = FullSync { reason: reason.clone(), started_at_ms: at_ms, set_apart, step };
            next.phase = Phase::FullSync(full_sync);
            next.last_full_sync =
                Some(FullSyncRecord { reason, started_at_ms: at_ms, finished_at_ms: None, from_commit_seq });
        }
        (Phase::Incremental(_), Event::FullSyncHeld { reason, by, from_commit_seq, at_ms }) => {
            let held = HeldFullSync { reason, by, from_commit_seq, since_ms: at_ms };
            next.blocked = Some(held.blocked());
            next.held_full_sync = Some(held);
        }
        (
            Phase::FullSync(FullSync { step: SnapshotStep::Backup { label }, set_apart: left_out, .. }),
            Event::BackupRefused { source_id, set_apart },
        ) => {
            left_out.insert(source_id, set_apart);
            // The one that was refused may have been sent twice, and accepted once.
            next.snapshots_taken += 1;
            *label = backup_label(job_id, next.snapshots_taken);
        }
        (
            Phase::FullSync(FullSync { step: step @ SnapshotStep::Backup { .. }, .. }),
            Event::SnapshotReady { info },
        ) => {
            let SnapshotStep::Backup { label } = &*step else {
                return Err(illegal("SnapshotReady", state));
            };
            *step = SnapshotStep::Restore {
                backup_label: label.clone(),
                restore_label: restore_label(label, 1),
                attempt: 1,
                info,
                aside: false,
            };
        }
        (
            Phase::FullSync(FullSync {
                step:
                    SnapshotStep::Restore { backup_label, restore_label: label, attempt, aside: is_aside, .. },
                set_apart: left_out,
                ..
            }),
            Event::RestoreCancelled { aside, set_apart },
        ) => {
            left_out.extend(set_apart);
            *is_aside |= aside;
            *attempt += 1;
            *label = restore_label(backup_label, *attempt);
        }
        (
            Phase::FullSync(FullSync { step: SnapshotStep::Restore { info, .. }, .. }),
            Event::Restored { links, untouched, at_ms },
        ) => {
            next.views = info.views.iter().map(|view| (view.id, view.name.clone())).collect();
            next.views_apart.clear();
            next.crossing = None;
            next.stale.clear();
            next.tables = links;
            next.is_out_of_order = false;
            next.phase = Phase::Incremental(Incremental { since_ms: at_ms, ..Incremental::default() });
            if let Some(record) = &mut next.last_full_sync {
                record.finished_at_ms = Some(at_ms);
            }
            set_apart::leave(job_id, &mut next, state, &untouched, at_ms)?;
        }
        (Phase::Incremental(incremental), Event::StatementStarted { commit_seq, creating }) => {
            incremental.statement_in_doubt = Some(commit_seq);
            incremental.creating = creating;
        }
        (Phase::Incremental(incremental), Event::StatementDone { commit_seq, effect, reached_by }) => {
            if incremental.statement_in_doubt.is_some_and(|doubt| doubt != commit_seq) {
                return Err(illegal("StatementDone of another commit seq", state));
            }
            (incremental.statement_in_doubt, incremental.creating) = (None, None);
            effect.apply(&mut next, commit_seq);
            for source_id in reached_by {
                if let Some(link) = next.tables.get_mut(&source_id) {
                    link.named_to = Some(link.named_to.unwrap_or(link.synced_to));
                    link.synced_to = link.synced_to.max(commit_seq);
                }
            }
        }
        (Phase::Incremental(_), Event::GapCrossed(gap)) => gap::cross(job_id, &mut next, *gap)?,
        (Phase::Incremental(_), Event::GapSettled { left }) => {
            next.crossing.take().ok_or_else(|| illegal("GapSettled", state))?;
            next.stale.extend(left);
        }
        (Phase::Incremental(_), Event::StaleGone { name }) => {
            next.stale.remove(&name);
        }
        (Phase::Incremental(_), Event::OutOfOrder) => next.is_out_of_order = true,
        (Phase::Incremental(_), Event::RestoresSeen { restored_to }) => {
            for (source_id, job_id) in restored_to {
                if let Some(link) = next.tables.get_mut(&source_id) {
                    link.restored_to = link.restored_to.max(Some(job_id));
                }
            }
        }
        (Phase::Incremental(_), Event::TableVanished { source_id }) => {
            next.tables.remove(&source_id).ok_or_else(|| illegal("TableVanished", state))?;
        }
        (Phase::Incremental(_), Event::FormerNamesForgotten { source_ids }) => {
            for source_id in source_ids {
                if let Some(link) = next.tables.get_mut(&source_id) {
                    link.former_names.clear();
                }
            }
        }
        (Phase::Incremental(_), Event::ChangeLeftOut { commit_seq, tables }) => {
            lanes::note_left_out(&mut next, commit_seq, &tables);
        }
        (_, Event::TableLeftOut { source_id }) => {
            next.left_out.insert(source_id);
        }
        (
            Phase::Incremental(_),
            event @ (Event::TableLeft { .. }
            | Event::TableAdopted { .. }
            | Event::TableTakenOver { .. }
            | Event::PartialSnapshotReady { .. }
            | Event::PartialRestoreCancelled { .. }
            | Event::PartialRestored { .. }
            | Event::PartitionRestored { .. }
            | Event::CursorMoved { .. }
            | Event::ApartStatementStarted { .. }
            | Event::ApartStatementDone { .. }
            | Event::RenameDeferred { .. }
            | Event::RenameMade { .. }
            | Event::TableJoined { .. }
            | Event::ViewLeft { .. }
            | Event::ViewCopied { .. }),
        ) => lanes::step(job_id, &mut next, event)?,
        (_, Event::SourceDatabaseFound { id }) => next.source_db = Some(id),
        (_, Event::SourceTableFound { source_id }) => next.source_table = Some(source_id),
        (_, Event::SkipRequested { commit_seq, applied_to }) => {
            next.skips.retain(|seq| *seq > applied_to);
            next.skips.insert(commit_seq);
        }
        (_, Event::SkipWithdrawn { commit_seq }) => {
            next.skips.remove(&commit_seq);
        }
        (_, Event::Blocked(blocked)) => next.blocked = Some(blocked),
        (_, Event::Unblocked) => {
            // What is held is looked at again: it may have become needless, or been allowed.
            next.held_full_sync = None;
            next.blocked = None;
            lanes::unblock(job_id, &mut next);
        }
        (
            Phase::FullSync(_) | Phase::Incremental(_),
            event @ (Event::FullSyncHeld { .. }
            | Event::BackupRefused { .. }
            | Event::SnapshotReady { .. }
            | Event::RestoreCancelled { .. }
            | Event::Restored { .. }
            | Event::StatementStarted { .. }
            | Event::StatementDone { .. }
            | Event::OutOfOrder
            | Event::ChangeLeftOut { .. }
            | Event::GapCrossed(_)
            | Event::GapSettled { .. }
            | Event::StaleGone { .. }
            | Event::RestoresSeen { .. }
            | Event::TableVanished { .. }
            | Event::FormerNamesForgotten { .. }
            | Event::TableLeft { .. }
            | Event::TableAdopted { .. }
            | Event::TableTakenOver { .. }
            | Event::PartialSnapshotReady { .. }
            | Event::PartialRestoreCancelled { .. }
            | Event::PartialRestored { .. }
            | Event::PartitionRestored { .. }
            | Event::CursorMoved { .. }
            | Event::ApartStatementStarted { .. }
            | Event::ApartStatementDone { .. }
            | Event::RenameDeferred { .. }
            | Event::RenameMade { .. }
            | Event::TableJoined { .. }
            | Event::ViewLeft { .. }
            | Event::ViewCopied { .. }),
        ) => return Err(illegal(event.name(), state)),
    }
    Ok(next)
}

pub(super) fn illegal(event: &str, state: &JobState) -> IllegalEvent {
    IllegalEvent { event: event.to_owned(), state: state.phase.name() }
}

impl Phase {
    /// The phase and step by name, for errors and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Phase::FullSync(FullSync { step: SnapshotStep::Backup { .. }, .. }) => "full sync, backup",
            Phase::FullSync(FullSync { step: SnapshotStep::Restore { .. }, .. }) => "full sync, restore",
            Phase::Incremental(_) => "incremental sync",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::{Blocked, FullSyncReason, HeldBy, LinkEffect, SnapshotInfo, TableLink};
    use super::*;

    const JOB: &str = "0011223344556677";

    fn info() -> SnapshotInfo {
        SnapshotInfo { commit_seq: 10, ..SnapshotInfo::default() }
    }

    fn restored(at_ms: i64) -> Event {
        Event::Restored { links: BTreeMap::new(), untouched: BTreeSet::new(), at_ms }
    }

    fn step(state: &JobState, event: Event) -> JobState {
        transition(JOB, state, event).expect("the event is legal")
    }

    #[test]
    fn a_new_job_goes_through_backup_and_restore_to_incremental() {
        let new = JobState::new(JOB, 1);
        let Phase::FullSync(FullSync { step: SnapshotStep::Backup { label }, .. }) = &new.phase else {
            panic!("a new job starts with a backup: {new:?}");
        };
        assert_eq!(label, "ccrs_0011223344556677_1");
        let restoring = step(&new, Event::SnapshotReady { info: info() });
        let retried = step(&restoring, Event::RestoreCancelled { aside: false, set_apart: None });
        let Phase::FullSync(FullSync { step: SnapshotStep::Restore { restore_label, attempt, .. }, .. }) =
            &retried.phase
        else {
            panic!("still restoring: {retried:?}");
        };
        assert_eq!((restore_label.as_str(), *attempt), ("ccrs_0011223344556677_1_r2", 2));
        let done = step(&retried, restored(5));
        assert!(matches!(done.phase, Phase::Incremental(_)));
        assert_eq!(done.last_full_sync.expect("recorded").finished_at_ms, Some(5));
    }

    #[test]
    fn every_full_sync_has_its_own_label_and_a_recorded_reason() {
        let reason = FullSyncReason::BinlogExpired { position: 7, expired_to: Some(9), why: String::new() };
        let again = step(
            &JobState::new(JOB, 1),
            Event::FullSyncNeeded { reason: reason.clone(), from_commit_seq: 7, at_ms: 3 },
        );
        let Phase::FullSync(FullSync { step: SnapshotStep::Backup { label }, .. }) = &again.phase else {
            panic!("a full sync starts with a backup: {again:?}");
        };
        assert_eq!(label, "ccrs_0011223344556677_2");
        let record = again.last_full_sync.expect("recorded");
        assert_eq!((record.reason, record.from_commit_seq), (reason, 7));
    }

    fn flowing() -> JobState {
        let restoring = step(&JobState::new(JOB, 1), Event::SnapshotReady { info: info() });
        step(&restoring, restored(1))
    }

    fn gap() -> FullSyncReason {
        FullSyncReason::BinlogExpired { position: 7, expired_to: Some(9), why: String::new() }
    }

    fn hold(state: &JobState, by: HeldBy) -> JobState {
        step(state, Event::FullSyncHeld { reason: gap(), by, from_commit_seq: 7, at_ms: 3 })
    }

    #[test]
    fn a_held_full_sync_blocks_with_its_reason_and_the_command() {
        let held = hold(&flowing(), HeldBy::Ask);
        assert!(matches!(held.phase, Phase::Incremental(_)), "nothing is copied");
        assert_eq!(held.snapshots_taken, 1);
        let blocked = held.blocked.clone().expect("the job is blocked");
        assert_eq!((blocked.code.as_str(), blocked.commit_seq), ("CCR0510", 7));
        assert!(blocked.message.contains(&gap().describe()), "{}", blocked.message);
        assert!(blocked.hint.contains("/force_fullsync"), "{}", blocked.hint);
        let budget = hold(&flowing(), HeldBy::Budget { limit: 2 }).blocked.expect("blocked");
        assert!(budget.message.contains("2 full syncs"), "{}", budget.message);
        let text = serde_json::to_string(&held).expect("writes");
        assert_eq!(serde_json::from_str::<JobState>(&text).expect("reads back"), held);
    }

    #[test]
    fn an_approved_full_sync_starts_for_the_reason_it_was_held_for_and_is_not_counted() {
        let held = hold(&flowing(), HeldBy::Ask);
        let event = Event::FullSyncNeeded { reason: gap(), from_commit_seq: 7, at_ms: 5 };
        let approved = step(&held, event.clone());
        assert!(matches!(approved.phase, Phase::FullSync(_)));
        assert_eq!((&approved.held_full_sync, &approved.blocked), (&None, &None));
        assert!(approved.own_full_syncs_ms.is_empty());
        assert_eq!(approved.last_full_sync.clone().expect("recorded").reason, gap());
        // Another snapshot within it is the same full sync.
        assert!(step(&approved, event).own_full_syncs_ms.is_empty());
    }

    #[test]
    fn a_full_sync_that_starts_by_itself_is_counted_for_a_day() {
        const DAY_MS: i64 = 86_400_000;
        let event = |at_ms| Event::FullSyncNeeded { reason: gap(), from_commit_seq: 7, at_ms };
        let mut state = step(&flowing(), event(5));
        assert_eq!(state.own_full_syncs_ms, [5]);
        state = step(&state, Event::SnapshotReady { info: info() });
        state = step(&state, restored(9));
        state = step(&state, event(DAY_MS + 4));
        assert_eq!(state.own_full_syncs_ms, [5, DAY_MS + 4]);
        state = step(&state, Event::SnapshotReady { info: info() });
        state = step(&state, restored(DAY_MS + 5));
        assert_eq!(step(&state, event(DAY_MS + 6)).own_full_syncs_ms, [DAY_MS + 4, DAY_MS + 6]);
    }

    #[test]
    fn what_is_held_is_looked_at_again_when_the_job_goes_on() {
        let again = step(&hold(&flowing(), HeldBy::Ask), Event::Unblocked);
        assert_eq!((again.held_full_sync, again.blocked), (None, None));
    }

    #[test]
    fn illegal_events_are_errors() {
        let new = JobState::new(JOB, 1);
        for event in [
            Event::FullSyncHeld { reason: gap(), by: HeldBy::Ask, from_commit_seq: 1, at_ms: 1 },
            Event::RestoreCancelled { aside: false, set_apart: None },
            restored(1),
            Event::StatementStarted { commit_seq: 1, creating: None },
            Event::StatementDone { commit_seq: 1, effect: LinkEffect::None, reached_by: Vec::new() },
        ] {
            assert!(transition(JOB, &new, event.clone()).is_err(), "{event:?}");
        }
        let restoring = step(&new, Event::SnapshotReady { info: info() });
        assert!(transition(JOB, &restoring, Event::SnapshotReady { info: info() }).is_err());
    }

    #[test]
    fn a_statement_in_doubt_is_settled_by_its_own_outcome_only() {
        let restoring = step(&JobState::new(JOB, 1), Event::SnapshotReady { info: info() });
        let flowing = step(&restoring, restored(1));
        let doubt = step(&flowing, Event::StatementStarted { commit_seq: 20, creating: None });
        assert!(
            transition(
                JOB,
                &doubt,
                Event::StatementDone { commit_seq: 21, effect: LinkEffect::None, reached_by: Vec::new() }
            )
            .is_err()
        );
        let link = TableLink::new("t", 5, 20);
        let done = step(
            &doubt,
            Event::StatementDone {
                commit_seq: 20,
                effect: LinkEffect::Created { source_id: 4, link: Box::new(link.clone()) },
                reached_by: Vec::new(),
            },
        );
        assert_eq!(done.tables.get(&4), Some(&link));
        let dropped = step(
            &done,
            Event::StatementDone {
                commit_seq: 22,
                effect: LinkEffect::Dropped { source_id: 4 },
                reached_by: Vec::new(),
            },
        );
        assert!(dropped.tables.is_empty());
    }

    #[test]
    fn a_block_survives_until_it_is_lifted() {
        let blocked = Blocked {
            code: "CCR0201".to_owned(),
            message: "m".to_owned(),
            hint: "h".to_owned(),
            commit_seq: 3,
            binlog_type: "RENAME_TABLE".to_owned(),
            since_ms: 1,
        };
        let state = step(&JobState::new(JOB, 1), Event::Blocked(blocked.clone()));
        assert_eq!(state.blocked, Some(blocked));
        assert_eq!(step(&state, Event::Unblocked).blocked, None);
    }

    #[test]
    fn the_persisted_form_is_stable() {
        let text = r#"{"version":1,"snapshots_taken":2,"phase":{"phase":"full_sync","reason":{"kind":"binlog_expired","position":7,"expired_to":9},"started_at_ms":3,"step":{"step":"restore","backup_label":"b","restore_label":"b_r1","attempt":1,"info":{"commit_seq":10,"tables":[{"id":1,"name":"t","commit_seq":11}],"views":[{"id":2,"name":"v"}]}}},"tables":{"1":{"source_name":"t","target_name":"t","target_id":9,"synced_to":11}},"blocked":null,"last_full_sync":null}"#;
        let state: JobState = serde_json::from_str(text).expect("version 1 is read for ever");
        assert_eq!(serde_json::to_string(&state).expect("writes"), text);
        let with = text.replace(
            r#""step":{"step":"restore""#,
            r#""set_apart":[{"source_id":1,"name":"t","why":"w"}],"step":{"step":"restore""#,
        );
        let state: JobState = serde_json::from_str(&with).expect("is read for ever");
        assert_eq!(serde_json::to_string(&state).expect("writes"), with);
    }
}
