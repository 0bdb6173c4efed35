//! Whether the copies that were made had to be: a copy is never the answer to a fault.

use std::collections::BTreeMap;

use ccr_core::job::{FullSyncReason, PartialSyncReason, Recovered};

use super::Inner;

impl Inner {
    /// The first copy, of a table or of everything, that nothing upstream demanded.
    pub fn undemanded_copy(&self) -> Option<String> {
        let full = self.store.full_syncs.iter().find(|(_, reason)| !self.demands_full(reason));
        if let Some((label, reason)) = full {
            return Some(format!("full sync {label}: {}", reason.describe()));
        }
        let copy = self.store.partial_syncs.iter().find(|(_, id, reason)| !self.demands(*id, reason));
        if let Some(id) = self.copied_too_often_for_restores() {
            return Some(format!("copies of table {id} beyond those for each of its restores"));
        }
        copy.map(|(label, id, reason)| format!("copy {label} of table {id}: {}", reason.describe()))
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
            FullSyncReason::Requested { .. } => false,
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
                is_restored
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
            PartialSyncReason::BinlogExpired { .. } => self.journal.expired_to.is_some(),
            // The name that was backed up was another table's by then, or the backup was cancelled.
            PartialSyncReason::SnapshotLost { detail, .. } => {
                detail.contains("name") || self.backups.cancelled + self.backups.forgotten > 0
            }
            // No run puts a foreign table into the target while it looks at copies; but a snapshot may have
            // another table under a name that it got later, and lack one for it.
            PartialSyncReason::NameTaken { .. } if !self.names_kept.is_empty() => true,
            PartialSyncReason::Appeared { .. } | PartialSyncReason::NameTaken { .. } => {
                self.journal.moved_in_backup || self.upstream_restores.has_restored(id)
            }
            PartialSyncReason::Restored { .. } => self.restores_naming(id) > 0,
            PartialSyncReason::Requested { .. } => false,
        }
    }
}
