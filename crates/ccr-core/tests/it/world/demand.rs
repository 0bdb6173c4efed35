//! Whether the copies that were made had to be: a copy is never the answer to a fault.

use std::collections::BTreeMap;

use ccr_core::job::{
    ApartWork, FullSyncReason, JobState, Lane, PartialSyncReason, Phase, Recovered, SnapshotStep, TableLink,
};

use doris_types::call::{BinlogPage, BinlogScope};
use doris_types::record::BinlogType;

use super::{Inner, SOURCE_DB};

impl Inner {
    /// The first copy, of a table or of everything, that nothing upstream demanded.
    pub fn undemanded_copy(&self) -> Option<String> {
        if let Some(full) = self.undemanded_full_sync() {
            return Some(full);
        }
        let copies = self.store.partial_syncs.iter();
        let copy = copies.filter(|(label, id, reason)| !self.is_for_gap(label, *id, reason));
        let copy = copy.into_iter().find(|(_, id, reason)| !self.demands(*id, reason));
        if let Some(id) = self.copied_too_often_for_restores() {
            return Some(format!("copies of table {id} beyond those for each of its restores"));
        }
        copy.map(|(label, id, reason)| format!("copy {label} of table {id}: {}", reason.describe()))
    }

    pub fn undemanded_full_sync(&self) -> Option<String> {
        let full = self.store.full_syncs.iter().find(|(_, reason)| !self.demands_full(reason));
        full.map(|(label, reason)| format!("full sync {label}: {}", reason.describe()))
    }

    /// Whether a table that is new behind a gap was copied when the gap was crossed. That what it lost was lost is
    /// checked then; see [`Inner::check_gap`].
    fn is_for_gap(&self, label: &str, id: i64, reason: &PartialSyncReason) -> bool {
        let is_known =
            matches!(reason, PartialSyncReason::Appeared { .. }) && self.journal.created.contains_key(&id);
        is_known && self.store.for_gaps.contains(label)
    }

    /// Checks, when the job writes down what it does about a gap, that it copies what it has to and nothing else.
    pub fn check_gap(&mut self, next: &JobState) {
        let Some(state) = self.store.state.clone() else { return };
        if let Some(position) = gap_of(next).filter(|_| gap_of(&state).is_none())
            && !self.demands_everything(&state, position)
        {
            self.violation(format!("a gap behind {position} needs no full sync"));
        }
        for (source_id, link) in &next.tables {
            let Some(cursor) = expired_after(link) else { continue };
            let known = state.tables.get(source_id).and_then(expired_after);
            if known.is_none() && !self.may_be_copied(*source_id, cursor, link) {
                self.violation(format!("table {source_id} is copied, and has lost nothing after {cursor}"));
            }
        }
        if is_crossing(next) && !is_crossing(&state) {
            let position = self.store.position.commit_seq;
            // What has expired behind where it goes on is another gap.
            let expired_to = next.crossing.as_ref().map_or(i64::MAX, |crossing| crossing.expired_to);
            for (source_id, link) in next.tables.iter().filter(|(_, link)| link.lane.is_flowing()) {
                let after = position.max(link.synced_to);
                let mut lost = self.journal.expired_of.get(source_id).into_iter().flatten();
                if lost.any(|seq| (after + 1..=expired_to).contains(seq)) {
                    self.violation(format!("table {source_id} flows over a gap behind {position}"));
                }
            }
        }
    }

    /// Whether no table can be kept, of those that are still there, or a statement is in doubt.
    fn demands_everything(&self, state: &JobState, position: i64) -> bool {
        let Phase::Incremental(incremental) = &state.phase else { return true };
        let expired_to = self.journal.expired_to.unwrap_or(-1);
        let in_doubt = incremental.statement_in_doubt.filter(|_| incremental.creating.is_none());
        let mut present = state.tables.iter().filter(|(id, _)| self.source.tables.contains_key(*id));
        if self.only_table.is_some() {
            return present.all(|(id, link)| self.has_lost(*id, position, link));
        }
        // One that was submitted, and of which no task knows the outcome.
        let is_half_in_place = |link: &TableLink| match link.lane.apart().map(|apart| &apart.work) {
            Some(ApartWork::PartialSync { step: SnapshotStep::Restore { restore_label, .. }, .. }) => {
                self.restores.jobs.iter().any(|job| job.label == *restore_label)
            }
            Some(_) | None => false,
        };
        state.tables.values().any(is_half_in_place)
            || in_doubt.is_some_and(|seq| seq > position && seq <= expired_to)
            || self.hides_views && !self.source.views.is_empty()
            || present.all(|(id, link)| match &link.lane {
                Lane::Flowing => self.may_be_copied(*id, position.max(link.synced_to), link),
                Lane::Apart(apart) => match &apart.work {
                    ApartWork::CatchUp { trails, .. } => {
                        *trails && self.has_lost(*id, apart.cursor, link) || self.restores_naming(*id) > 0
                    }
                    ApartWork::PartialSync { .. } | ApartWork::Blocked(_) => false,
                },
            })
    }

    /// Whether that is so, or a restore may have changed the table, which behind a gap cannot be told.
    fn may_be_copied(&self, id: i64, after: i64, link: &TableLink) -> bool {
        self.has_lost(id, after, link) || self.restores_naming(id) > 0
    }

    /// Whether something of a table after this commit seq is in no list any more.
    fn has_lost(&self, id: i64, after: i64, link: &TableLink) -> bool {
        let scope = BinlogScope { database: SOURCE_DB.to_owned(), table_id: Some(id) };
        match self.binlogs(&scope, after, 1) {
            BinlogPage::TooOld { .. } => true,
            BinlogPage::NotFound => link.restored_to != Some(id),
            BinlogPage::Entries(_) | BinlogPage::CaughtUp | BinlogPage::Disabled => false,
        }
    }

    /// A table that was copied more often for restores than it was restored.
    fn copied_too_often_for_restores(&self) -> Option<i64> {
        let is_restored = |reason: &PartialSyncReason| matches!(reason, PartialSyncReason::Restored { .. });
        let copies = self.store.partial_syncs.iter().filter(|(.., reason)| is_restored(reason));
        let mut of_tables: BTreeMap<i64, usize> = BTreeMap::new();
        for (_, id, _) in copies {
            *of_tables.entry(*id).or_default() += 1;
        }
        of_tables.into_iter().find(|(id, copies)| *copies > self.restores_naming(*id)).map(|(id, _)| id)
    }

    /// Restores of a table, and of others under a name that it has had: which of them had it then is not told.
    fn restores_naming(&self, id: i64) -> usize {
        let has_had = |name: &str| {
            let views = self.journal.history.iter().map(|(_, view)| view);
            views.into_iter().any(|view| view.tables.get(name).is_some_and(|table| table.id == id))
        };
        let jobs = self.upstream_restores.jobs.iter();
        jobs.filter(|job| job.restored == id || has_had(&job.table)).count()
    }

    fn demands_full(&self, reason: &FullSyncReason) -> bool {
        match reason {
            FullSyncReason::Created => true,
            // Checked when it was written down.
            FullSyncReason::BinlogExpired { .. } => self.journal.expired_to.is_some(),
            // The run has told the upstream to lose it.
            FullSyncReason::BackupCancelled { .. } => self.backups.cancelled > 0,
            // The name that was backed up was another table's by then, or nobody's.
            FullSyncReason::SnapshotLost { detail, .. } => {
                detail.contains("name") || self.backups.forgotten > 0
            }
            FullSyncReason::SourceTableReplaced { old_id, .. } => {
                self.journal.gone.contains(old_id) || self.upstream_restores.has_replaced(*old_id)
            }
            FullSyncReason::SourceDatabaseReplaced { new_id, .. } => *new_id == self.source.database_id,
            // Only a test does.
            FullSyncReason::Requested { .. } => true,
        }
    }

    fn demands(&self, id: i64, reason: &PartialSyncReason) -> bool {
        match reason {
            PartialSyncReason::Change { commit_seq, .. } => self.journal.demands_copy.contains(commit_seq),
            // Rows that were loaded before a schema change cannot be fetched any more; and drops are reported for
            // as long as binlogs are kept.
            PartialSyncReason::Mismatch { commit_seq, message } => {
                let is_forgotten = message.contains("not reported") && self.journal.expired_to.is_some();
                let changed = self.journal.schema_changed_at.get(&id);
                // The rows of before a restore are gone.
                let is_restored =
                    self.upstream_restores.has_restored(id) || self.upstream_restores.has_replaced(id);
                // An old FE does not say what was renamed, and it is gone.
                let is_nameless = message.contains("was renamed") && self.hides_old_names;
                // Of a partition that is gone only its name is known to a new task, and another one may have it.
                let is_another = message.contains("the target has none that is it")
                    && self.journal.types.contains(&BinlogType::RENAME_PARTITION.0);
                is_restored
                    || is_another
                    || is_forgotten
                    || is_nameless
                    || changed.is_some_and(|changed| changed > commit_seq)
                    || {
                        // A change that a partition may have come with.
                        message.contains("copied by itself") && !self.journal.recovered.is_empty()
                    }
            }
            PartialSyncReason::Recovered(Recovered { commit_seq, .. }) => {
                self.journal.recovered.contains(commit_seq)
            }
            // The table was changed beside its copy, or has temporary partitions, which restores do not take.
            PartialSyncReason::NotAlone { recovered: Recovered { commit_seq, .. }, detail } => {
                let changed = self.journal.changed_at.get(&id).is_some_and(|changed| changed > commit_seq);
                self.journal.recovered.contains(commit_seq) && (changed || detail.contains("temp partitions"))
            }
            // Checked when it was written down.
            PartialSyncReason::BinlogExpired { .. } => self.journal.expired_to.is_some(),
            // The name that was backed up was another table's by then, or the backup was cancelled.
            PartialSyncReason::SnapshotLost { detail, .. } => {
                detail.contains("name") || self.backups.cancelled + self.backups.forgotten > 0
            }
            // No run puts a foreign table into the target while it looks at copies; but a snapshot may have
            // another table under a name that it got later, and lack one for it.
            PartialSyncReason::NameTaken { .. } if !self.names_kept.is_empty() => true,
            // Behind a gap the others have the names of later, like behind a snapshot that was taken meanwhile.
            PartialSyncReason::Appeared { commit_seq } | PartialSyncReason::NameTaken { commit_seq } => {
                self.journal.moved_in_backup
                    // One that was restored under its name before, and dropped, may not be noticed yet.
                    || self.restores_naming(id) > 0
                    || self.journal.recovered_tables.contains(&id)
                    || *commit_seq <= self.store.gap_named_to
            }
            PartialSyncReason::Restored { .. } => self.restores_naming(id) > 0,
            PartialSyncReason::SetApart { .. } => self.may_set_apart.contains(&id),
            PartialSyncReason::Requested { .. } => false,
        }
    }
}

/// Whether a gap is being crossed table by table.
pub fn is_crossing(state: &JobState) -> bool {
    matches!(state.phase, Phase::Incremental(_)) && state.crossing.is_some()
}

/// Where the job stood when it found that a gap needs a full sync.
fn gap_of(state: &JobState) -> Option<i64> {
    let held = state.held_full_sync.as_ref().map(|held| &held.reason);
    let running = match &state.phase {
        Phase::FullSync(full_sync) => Some(&full_sync.reason),
        Phase::Incremental(_) => None,
    };
    match held.or(running)? {
        FullSyncReason::BinlogExpired { position, .. } => Some(*position),
        _ => None,
    }
}

/// After which commit seq the table's own list has expired, if it is copied for that.
fn expired_after(link: &TableLink) -> Option<i64> {
    match &link.lane.apart()?.work {
        ApartWork::PartialSync { reason, .. } => match **reason {
            PartialSyncReason::BinlogExpired { cursor } => Some(cursor),
            _ => None,
        },
        ApartWork::CatchUp { .. } | ApartWork::Blocked(_) => None,
    }
}
