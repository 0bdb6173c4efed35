//! The transitions of tables apart from the stream, and the effects of statements on the links.

use super::state::{partial_label, restore_label};
use super::transition::illegal;
use super::{
    Apart, ApartWork, Event, IllegalEvent, JobState, Lane, Leaving, LinkEffect, NO_TARGET, PartialSyncReason,
    PartitionAhead, Phase, Renaming, SnapshotStep, Stale, TableLink, ViewApart,
};

/// The state after an event of one table.
pub(super) fn step(job_id: &str, next: &mut JobState, event: Event) -> Result<(), IllegalEvent> {
    let name = event.name();
    let refused = illegal(name, next);
    match event {
        Event::TableLeft { source_id, cursor, why, at_ms } => {
            next.snapshots_taken += u64::from(matches!(why, Leaving::PartialSync(_)));
            let label = partial_label(job_id, next.snapshots_taken);
            let doubt = match &why {
                Leaving::HoldingUp { statement_in_doubt } | Leaving::Failing { statement_in_doubt, .. } => {
                    *statement_in_doubt
                }
                Leaving::Undropped { commit_seq, .. } => Some(*commit_seq),
                Leaving::PartialSync(_)
                | Leaving::Blocked(_)
                | Leaving::InDoubt(..)
                | Leaving::Vanished { .. } => None,
            };
            if let (Some(_), Phase::Incremental(incremental)) = (doubt, &mut next.phase)
                && incremental.statement_in_doubt == doubt
            {
                // It is the table's own from now on.
                (incremental.statement_in_doubt, incremental.creating) = (None, None);
            }
            let link = next.tables.get_mut(&source_id).ok_or(refused)?;
            let copy_again = match (&why, link.lane.apart()) {
                (Leaving::InDoubt(_, reason), _) => Some(Box::new(reason.clone())),
                (Leaving::Blocked(_), Some(Apart { work: ApartWork::PartialSync { reason, .. }, .. })) => {
                    Some(reason.clone())
                }
                (Leaving::Blocked(_), Some(Apart { copy_again, .. })) => copy_again.clone(),
                (Leaving::Blocked(_), None)
                | (
                    Leaving::PartialSync(_)
                    | Leaving::Failing { .. }
                    | Leaving::Undropped { .. }
                    | Leaving::Vanished { .. }
                    | Leaving::HoldingUp { .. },
                    _,
                ) => None,
            };
            let dropped_at = match &why {
                Leaving::Undropped { commit_seq, .. } | Leaving::Vanished { commit_seq, .. } => {
                    Some(*commit_seq)
                }
                Leaving::Blocked(_)
                | Leaving::InDoubt(..)
                | Leaving::Failing { .. }
                | Leaving::HoldingUp { .. } => link.lane.apart().and_then(|apart| apart.dropped_at),
                // It is there again.
                Leaving::PartialSync(_) => None,
            };
            let work = match why {
                Leaving::Blocked(blocked)
                | Leaving::InDoubt(blocked, _)
                | Leaving::Undropped { blocked: Some(blocked), .. } => ApartWork::Blocked(blocked),
                Leaving::PartialSync(reason) => {
                    let reason = Box::new(reason);
                    ApartWork::PartialSync { reason, step: SnapshotStep::Backup { label } }
                }
                Leaving::HoldingUp { statement_in_doubt } => {
                    ApartWork::CatchUp { statement_in_doubt, trails: true, failed: None }
                }
                Leaving::Failing { error, statement_in_doubt } => {
                    ApartWork::CatchUp { statement_in_doubt, trails: false, failed: Some(error) }
                }
                Leaving::Undropped { error, blocked: None, .. } | Leaving::Vanished { reason: error, .. } => {
                    ApartWork::CatchUp { statement_in_doubt: None, trails: false, failed: Some(error) }
                }
            };
            // What it has passed over in the stream is not in the target, if it was apart already.
            let cursor = link.lane.apart().map_or(cursor, |apart| cursor.min(apart.cursor));
            // A table that leaves again from its own lane keeps the moment it first left.
            let since_ms = link.lane.apart().map_or(at_ms, |apart| apart.since_ms);
            let renaming = link.lane.apart().and_then(|apart| apart.renaming.clone());
            link.lane = Lane::Apart(Apart { copy_again, dropped_at, renaming, cursor, since_ms, work });
        }
        Event::TableAdopted { source_id, name, was_created, cursor, reason, at_ms } => {
            let link = TableLink { was_created, ..TableLink::new(&name, NO_TARGET, 0) };
            next.tables.insert(source_id, link);
            let why = Leaving::PartialSync(reason);
            step(job_id, next, Event::TableLeft { source_id, cursor, why, at_ms })?;
        }
        Event::TableTakenOver { source_id, by_id, name, cursor, reason, at_ms } => {
            let link = next.tables.remove(&source_id).ok_or(refused)?;
            let (ahead, lane) = (None, Lane::Flowing);
            let (synced_to, named_to, was_created) = (0, None, false);
            let source_name = name;
            let link = TableLink { source_name, synced_to, named_to, ahead, lane, was_created, ..link };
            next.tables.insert(by_id, link);
            let why = Leaving::PartialSync(reason);
            step(job_id, next, Event::TableLeft { source_id: by_id, cursor, why, at_ms })?;
        }
        Event::PartialSnapshotReady { source_id, info } => match partial_step(next, source_id) {
            Some(step @ SnapshotStep::Backup { .. }) => {
                let SnapshotStep::Backup { label } = &*step else { return Err(refused) };
                *step = SnapshotStep::Restore {
                    backup_label: label.clone(),
                    restore_label: restore_label(label, 1),
                    attempt: 1,
                    info,
                    aside: false,
                };
            }
            Some(SnapshotStep::Restore { .. }) | None => return Err(refused),
        },
        Event::PartialRestoreCancelled { source_id, aside } => match partial_step(next, source_id) {
            Some(SnapshotStep::Restore {
                backup_label,
                restore_label: label,
                attempt,
                aside: is_aside,
                ..
            }) => {
                *is_aside |= aside;
                *attempt += 1;
                *label = restore_label(backup_label, *attempt);
            }
            Some(SnapshotStep::Backup { .. }) | None => return Err(refused),
        },
        Event::PartialRestored { source_id, mut link } => {
            let Some(SnapshotStep::Restore { .. }) = partial_step(next, source_id) else {
                return Err(refused);
            };
            let old = next.tables.get(&source_id).ok_or_else(|| refused.clone())?;
            // The copy took the place of the table, under the name it has in the order of the job's list.
            link.named_to = Some(old.named_to.unwrap_or(old.synced_to));
            link.source_name.clone_from(&old.source_name);
            link.was_created = old.was_created || old.restored_to == Some(source_id);
            let since_ms = old.lane.apart().map_or(0, |apart| apart.since_ms);
            let work = ApartWork::CatchUp { statement_in_doubt: None, trails: false, failed: None };
            let cursor = link.synced_to;
            let renaming = old.lane.apart().and_then(|apart| apart.renaming.clone());
            link.lane =
                Lane::Apart(Apart { copy_again: None, dropped_at: None, renaming, cursor, since_ms, work });
            next.tables.insert(source_id, *link);
        }
        Event::PartitionRestored { source_id, synced_to } => {
            let link = next.tables.get_mut(&source_id).ok_or_else(|| refused.clone())?;
            let Lane::Apart(Apart { cursor, work, .. }) = &mut link.lane else { return Err(refused) };
            let ApartWork::PartialSync { reason, step: SnapshotStep::Restore { .. } } = &*work else {
                return Err(refused);
            };
            let recovered = reason.partition().ok_or(refused)?;
            link.ahead = Some(PartitionAhead { partition_id: recovered.partition_id, synced_to });
            // The others stand where it was recovered, which is done with this.
            *cursor = recovered.commit_seq.max(*cursor);
            *work = ApartWork::CatchUp { statement_in_doubt: None, trails: false, failed: None };
        }
        Event::CursorMoved { source_id, cursor } => {
            let Some(apart) = apart_mut(next, source_id) else { return Err(refused) };
            apart.cursor = apart.cursor.max(cursor);
        }
        Event::ApartStatementStarted { source_id, commit_seq } => match apart_mut(next, source_id) {
            Some(Apart { work: ApartWork::CatchUp { statement_in_doubt, .. }, .. }) => {
                *statement_in_doubt = Some(commit_seq);
            }
            Some(_) | None => return Err(refused),
        },
        Event::ApartStatementDone { source_id, commit_seq, effect } => {
            match apart_mut(next, source_id) {
                Some(Apart { work: ApartWork::CatchUp { statement_in_doubt, .. }, cursor, .. }) => {
                    *statement_in_doubt = None;
                    *cursor = commit_seq;
                }
                Some(_) | None => return Err(refused),
            }
            effect.apply(next, commit_seq);
        }
        Event::RenameDeferred { source_id, target_name, renaming } => {
            apart_mut(next, source_id).ok_or_else(|| refused.clone())?.renaming = Some(renaming);
            let link = next.tables.get_mut(&source_id).ok_or(refused)?;
            link.target_name = target_name.unwrap_or_else(|| link.target_name.clone());
        }
        Event::RenameMade { source_id } => {
            let renaming = apart_mut(next, source_id).and_then(|apart| apart.renaming.take());
            let Renaming { commit_seq, name } = renaming.ok_or_else(|| refused.clone())?;
            let link = next.tables.get_mut(&source_id).ok_or(refused)?;
            link.target_name.clone_from(&name);
            if link.source_name != name {
                link.former_names.insert(std::mem::replace(&mut link.source_name, name));
            }
            link.named_to = Some(link.named_to.unwrap_or(link.synced_to).max(commit_seq));
        }
        Event::TableJoined { source_id } => {
            let link = next.tables.get_mut(&source_id).ok_or_else(|| refused.clone())?;
            let Some(Apart { work: ApartWork::CatchUp { .. }, cursor, .. }) = link.lane.apart() else {
                return Err(refused);
            };
            link.named_to = Some(link.named_to.unwrap_or(link.synced_to));
            link.synced_to = link.synced_to.max(*cursor);
            link.ahead = link.ahead.filter(|ahead| ahead.synced_to > link.synced_to);
            link.lane = Lane::Flowing;
        }
        Event::ViewLeft { source_id, name, commit_seq, refusal, leftover, is_dropped, at_ms } => {
            next.views.insert(source_id, name.clone());
            let before = next.views_apart.get(&source_id);
            let since_ms = before.map_or(at_ms, |apart| apart.since_ms);
            // The first name is the one that the target knows; under a later one it may have been tried.
            let (leftover, tried) = match before.and_then(|apart| apart.leftover.clone()) {
                Some(first) => (Some(first), leftover),
                None => (leftover, None),
            };
            let leftover = leftover.filter(|first| *first != name);
            if let Some(tried) = tried.filter(|tried| *tried != name) {
                let refusal = refusal.clone();
                next.stale.insert(tried, Stale { is_view: true, commit_seq, refusal, since_ms });
            }
            let apart = ViewApart { name, commit_seq, refusal, leftover, is_dropped, since_ms };
            next.views_apart.insert(source_id, apart);
        }
        Event::ViewCopied { source_id } => {
            let apart = next.views_apart.remove(&source_id).ok_or(refused)?;
            if apart.is_dropped {
                next.views.remove(&source_id);
            }
        }
        Event::FullSyncNeeded { .. }
        | Event::SourceTableFound { .. }
        | Event::SourceDatabaseFound { .. }
        | Event::OutOfOrder
        | Event::GapCrossed(_)
        | Event::GapSettled { .. }
        | Event::StaleGone { .. }
        | Event::RestoresSeen { .. }
        | Event::TableVanished { .. }
        | Event::TableLeftOut { .. }
        | Event::ChangeLeftOut { .. }
        | Event::FormerNamesForgotten { .. }
        | Event::FullSyncHeld { .. }
        | Event::BackupRefused { .. }
        | Event::SnapshotReady { .. }
        | Event::RestoreCancelled { .. }
        | Event::Restored { .. }
        | Event::StatementStarted { .. }
        | Event::StatementDone { .. }
        | Event::SkipRequested { .. }
        | Event::SkipWithdrawn { .. }
        | Event::Blocked(_)
        | Event::Unblocked => return Err(refused),
    }
    Ok(())
}

/// Lets every blocked table try again from its cursor. One whose copy was blocked is copied, and so is one that never
/// was.
pub(super) fn unblock(job_id: &str, state: &mut JobState) {
    for link in state.tables.values_mut() {
        if let Lane::Apart(apart) = &mut link.lane
            && matches!(apart.work, ApartWork::Blocked(_))
        {
            // Of one that was never copied there is no target, or that of a table whose place it has taken.
            let never_copied = (link.target_id == NO_TARGET || link.synced_to == 0)
                .then(|| Box::new(PartialSyncReason::NameTaken { commit_seq: apart.cursor + 1 }));
            apart.work = if let Some(reason) = apart.copy_again.take().or(never_copied) {
                state.snapshots_taken += 1;
                let label = partial_label(job_id, state.snapshots_taken);
                ApartWork::PartialSync { reason, step: SnapshotStep::Backup { label } }
            } else {
                ApartWork::CatchUp { statement_in_doubt: None, trails: false, failed: None }
            };
        }
    }
}

/// A change of these tables was passed over; what they were copied after contains it.
pub(super) fn note_left_out(state: &mut JobState, commit_seq: i64, tables: &[i64]) {
    for source_id in tables {
        let link = state.tables.get_mut(source_id);
        if let Some(link) = link.filter(|link| commit_seq > link.synced_to) {
            link.lacks_changes = true;
        }
    }
}

fn apart_mut(state: &mut JobState, source_id: i64) -> Option<&mut Apart> {
    match &mut state.tables.get_mut(&source_id)?.lane {
        Lane::Flowing => None,
        Lane::Apart(apart) => Some(apart),
    }
}

fn partial_step(state: &mut JobState, source_id: i64) -> Option<&mut SnapshotStep> {
    match &mut apart_mut(state, source_id)?.work {
        ApartWork::PartialSync { step, .. } => Some(step),
        ApartWork::CatchUp { .. } | ApartWork::Blocked(_) => None,
    }
}

impl LinkEffect {
    /// The tables that have another name now.
    pub fn renamed(&self) -> Vec<i64> {
        match self {
            LinkEffect::Renamed { source_id, .. } => vec![*source_id],
            LinkEffect::Swapped { first_id, second_id } => vec![*first_id, *second_id],
            LinkEffect::Replaced { by_id, .. } => vec![*by_id],
            LinkEffect::None
            | LinkEffect::Created { .. }
            | LinkEffect::Dropped { .. }
            | LinkEffect::TemporaryAdded { .. }
            | LinkEffect::TemporaryGone { .. }
            | LinkEffect::ViewCreated { .. }
            | LinkEffect::ViewDropped { .. } => Vec::new(),
        }
    }

    /// Changes the links as the statement changed the tables.
    pub(super) fn apply(self, state: &mut JobState, commit_seq: i64) {
        match self {
            LinkEffect::None => {}
            LinkEffect::Created { source_id, link } => {
                state.tables.insert(source_id, *link);
            }
            LinkEffect::Dropped { source_id } => {
                state.tables.remove(&source_id);
            }
            LinkEffect::Renamed { source_id, source_name, target_name } => {
                if let Some(link) = state.tables.get_mut(&source_id) {
                    link.former_names.insert(std::mem::take(&mut link.source_name));
                    link.source_name = source_name;
                    link.target_name = target_name;
                    link.settle_name(commit_seq);
                }
            }
            LinkEffect::Swapped { first_id, second_id } => {
                if let (Some(mut first), Some(mut second)) =
                    (state.tables.remove(&first_id), state.tables.remove(&second_id))
                {
                    exchange_names(&mut first, &mut second);
                    first.former_names.insert(second.source_name.clone());
                    second.former_names.insert(first.source_name.clone());
                    first.settle_name(commit_seq);
                    second.settle_name(commit_seq);
                    state.tables.insert(first_id, first);
                    state.tables.insert(second_id, second);
                }
            }
            LinkEffect::Replaced { gone_id, by_id, name } => {
                state.tables.remove(&gone_id);
                if let Some(by) = state.tables.get_mut(&by_id) {
                    by.former_names.insert(std::mem::take(&mut by.source_name));
                    by.source_name.clone_from(&name);
                    by.target_name = name;
                    by.settle_name(commit_seq);
                }
            }
            LinkEffect::TemporaryAdded { source_id, partition_id, name } => {
                if let Some(link) = state.tables.get_mut(&source_id) {
                    link.temporary.insert(partition_id, name);
                }
            }
            LinkEffect::TemporaryGone { source_id, names } => {
                if let Some(link) = state.tables.get_mut(&source_id) {
                    link.temporary.retain(|_, name| !names.contains(name));
                }
            }
            LinkEffect::ViewCreated { source_id, name } => {
                if let Some(apart) = state.views_apart.get_mut(&source_id) {
                    apart.name.clone_from(&name);
                }
                // One of the name that a restore upstream has put away is gone without a word.
                state.views.retain(|id, known| *id == source_id || *known != name);
                state.views.insert(source_id, name);
                let views = &state.views;
                let gone = state.views_apart.extract_if(.., |id, _| !views.contains_key(id));
                let left = gone.filter_map(|(_, apart)| {
                    let ViewApart { commit_seq, refusal, since_ms, .. } = apart;
                    Some((apart.leftover?, Stale { is_view: true, commit_seq, refusal, since_ms }))
                });
                state.stale.extend(left);
            }
            LinkEffect::ViewDropped { source_id } => {
                state.views.remove(&source_id);
                state.views_apart.remove(&source_id);
            }
        }
    }
}

fn exchange_names(first: &mut TableLink, second: &mut TableLink) {
    std::mem::swap(&mut first.source_name, &mut second.source_name);
    std::mem::swap(&mut first.target_name, &mut second.target_name);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Blocked, Incremental, transition};
    use super::*;

    fn flowing() -> JobState {
        let link = TableLink::new("t", 9, 10);
        let phase = Phase::Incremental(Incremental { since_ms: 1, ..Incremental::default() });
        JobState { phase, tables: BTreeMap::from([(1, link)]), ..JobState::new("j", 1) }
    }

    fn after<const N: usize>(state: &JobState, events: [Event; N]) -> JobState {
        let next = |state: JobState, event| transition("j", &state, event).expect("is legal");
        events.into_iter().fold(state.clone(), next)
    }

    #[test]
    fn a_table_whose_copy_is_blocked_is_copied_when_it_is_tried_again() {
        let blocked = Blocked {
            code: "CCR0503".to_owned(),
            message: "m".to_owned(),
            hint: "h".to_owned(),
            commit_seq: 20,
            binlog_type: String::new(),
            since_ms: 1,
        };
        let reason = PartialSyncReason::Requested { detail: "force".to_owned() };
        let left = |why| Event::TableLeft { source_id: 1, cursor: 20, why, at_ms: 2 };
        let copied = after(&flowing(), [left(Leaving::PartialSync(reason.clone()))]);
        let held = after(&copied, [left(Leaving::Blocked(blocked.clone())), Event::Unblocked]);
        let again = held.apart(1).map(|apart| apart.work.clone());
        assert!(
            matches!(&again, Some(ApartWork::PartialSync { reason: kept, .. }) if **kept == reason),
            "{again:?}"
        );
        // One that was caught up with goes on with that.
        let caught = after(&flowing(), [left(Leaving::Blocked(blocked)), Event::Unblocked]);
        let again = caught.apart(1).map(|apart| apart.work.clone());
        assert!(matches!(again, Some(ApartWork::CatchUp { .. })), "{again:?}");
    }
}

#[cfg(test)]
mod tests_of_recovery {
    use super::super::transition::transition;
    use super::super::{SnapshotInfo, SnapshotTable};
    use super::*;

    const JOB: &str = "0011223344556677";
    const TABLE: i64 = 10;

    /// A table whose partition 7 was recovered at commit seq 30, and whose copy is being put in place.
    const RECOVERED: &str = r#"{"version":1,"snapshots_taken":2,"phase":{"phase":"incremental","since_ms":1,"statement_in_doubt":null},"tables":{"10":{"source_name":"t","target_name":"t","target_id":9,"synced_to":11,"lane":{"lane":"apart","cursor":28,"since_ms":5,"work":{"work":"partial_sync","reason":{"kind":"recovered","partition_id":7,"partition":"p","commit_seq":30},"step":{"step":"restore","backup_label":"b","restore_label":"b_r1","attempt":1,"info":{"commit_seq":40,"tables":[{"id":10,"name":"t","commit_seq":40,"partition":"p"}],"views":[]}}}}}},"blocked":null,"last_full_sync":null}"#;

    fn recovered() -> JobState {
        serde_json::from_str(RECOVERED).expect("version 1 is read for ever")
    }

    fn link(state: &JobState) -> &TableLink {
        &state.tables[&TABLE]
    }

    #[test]
    fn the_persisted_form_of_a_recovered_partition_is_stable() {
        assert_eq!(serde_json::to_string(&recovered()).expect("writes"), RECOVERED);
    }

    #[test]
    fn a_restored_partition_is_ahead_until_its_table_has_come_to_it() {
        let event = Event::PartitionRestored { source_id: TABLE, synced_to: 40 };
        let restored = transition(JOB, &recovered(), event.clone()).expect("it was being restored");
        let ahead = Some(PartitionAhead { partition_id: 7, synced_to: 40 });
        assert_eq!((link(&restored).ahead, link(&restored).target_id), (ahead, 9));
        let apart = link(&restored).lane.apart().expect("it catches up");
        assert_eq!(apart.cursor, 30, "the others stand where it was recovered");
        assert!(transition(JOB, &restored, event).is_err(), "nothing is being restored any more");

        let joined_at = |cursor| {
            let moved = Event::CursorMoved { source_id: TABLE, cursor };
            let moved = transition(JOB, &restored, moved).expect("it is apart");
            let joined = transition(JOB, &moved, Event::TableJoined { source_id: TABLE });
            link(&joined.expect("it catches up")).ahead
        };
        assert_eq!((joined_at(39), joined_at(40)), (ahead, None));
    }

    #[test]
    fn the_whole_table_is_no_partition() {
        let mut state = recovered();
        let why = PartialSyncReason::Requested { detail: "x".to_owned() };
        let left =
            Event::TableLeft { source_id: TABLE, cursor: 28, why: Leaving::PartialSync(why), at_ms: 6 };
        state = transition(JOB, &state, left).expect("it starts over");
        let table = SnapshotTable { id: TABLE, name: "t".to_owned(), commit_seq: 50, partition: None };
        let info = SnapshotInfo { commit_seq: 50, job_id: 0, tables: vec![table], views: Vec::new() };
        state = transition(JOB, &state, Event::PartialSnapshotReady { source_id: TABLE, info })
            .expect("a backup was under way");
        let event = Event::PartitionRestored { source_id: TABLE, synced_to: 50 };
        assert!(transition(JOB, &state, event).is_err());
    }
}
