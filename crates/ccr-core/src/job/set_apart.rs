//! What a full sync of a database goes on without, so that one table which cannot be copied stops no other.
//!
//! A table or view is set apart by the event that chooses the next label, before anything is sent that leaves it out:
//! whoever finds the backup or the restore of that label, be it a syncer that was restarted, knows what is not in it.
//! Otherwise the old target of such a table would be taken for the restored one. When the rest is restored, it begins
//! apart from the stream with a copy of its own, which may wait for an operator as any other.

use std::collections::{BTreeMap, BTreeSet};

use super::lanes;
use super::{
    Event, FullSync, FullSyncReason, IllegalEvent, JobState, Leaving, NO_TARGET, PartialSyncReason, Phase,
    Renaming, SnapshotInfo, SnapshotStep, TableLink, ViewApart,
};

/// A table or view that a full sync goes on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetApart {
    /// Its name upstream.
    pub name: String,
    /// What was said of it.
    pub why: String,
}

/// Persisted as a list: within a phase, which is told by a tag, JSON has no keys that are numbers.
pub(super) mod listed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::SetApart;

    #[derive(Serialize, Deserialize)]
    struct Entry {
        source_id: i64,
        name: String,
        why: String,
    }

    pub fn serialize<S: Serializer>(map: &BTreeMap<i64, SetApart>, to: S) -> Result<S::Ok, S::Error> {
        let entry = |(source_id, SetApart { name, why }): (&i64, &SetApart)| Entry {
            source_id: *source_id,
            name: name.clone(),
            why: why.clone(),
        };
        to.collect_seq(map.iter().map(entry))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<i64, SetApart>, D::Error> {
        let entries = Vec::<Entry>::deserialize(from)?;
        let keyed = |Entry { source_id, name, why }| (source_id, SetApart { name, why });
        Ok(entries.into_iter().map(keyed).collect())
    }
}

impl SnapshotInfo {
    /// What of the snapshot is restored when these are left out.
    pub fn without(&self, set_apart: &BTreeMap<i64, SetApart>) -> Self {
        let mut rest = self.clone();
        rest.tables.retain(|table| !set_apart.contains_key(&table.id));
        rest.views.retain(|view| !set_apart.contains_key(&view.id));
        rest
    }

    /// Whether it holds nothing that could be restored.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.views.is_empty()
    }
}

/// What the next snapshot of a full sync is taken without. A backup that was cancelled would be so again for the sake
/// of those that were left out; with any other snapshot they are tried again.
pub(super) fn kept(phase: &Phase, reason: &FullSyncReason) -> BTreeMap<i64, SetApart> {
    match (phase, reason) {
        (
            Phase::FullSync(FullSync { set_apart, step: SnapshotStep::Backup { .. }, .. }),
            FullSyncReason::BackupCancelled { .. },
        ) => set_apart.clone(),
        (Phase::FullSync(_) | Phase::Incremental(_), _) => BTreeMap::new(),
    }
}

/// The links of the tables that were left out of what has been restored, with the targets that they had before, as far
/// as those are `untouched`. Nothing says that they hold what was written up to then.
pub fn links_apart(before: &JobState, untouched: &BTreeSet<i64>) -> BTreeMap<i64, TableLink> {
    let Phase::FullSync(FullSync { set_apart, step: SnapshotStep::Restore { info, .. }, .. }) = &before.phase
    else {
        return BTreeMap::new();
    };
    let is_table = |id: &i64| info.views.iter().all(|view| view.id != *id);
    let link = |source_id: i64, name: &str| {
        let new = TableLink { named_to: Some(info.commit_seq), ..TableLink::new(name, NO_TARGET, 0) };
        match before.tables.get(&source_id).filter(|old| untouched.contains(&old.target_id)) {
            Some(TableLink { target_name, target_id, temporary, .. }) => {
                let (target_name, temporary) = (target_name.clone(), temporary.clone());
                TableLink { target_name, target_id: *target_id, temporary, ..new }
            }
            None => new,
        }
    };
    let tables = set_apart.iter().filter(|(id, _)| is_table(id));
    tables.map(|(id, apart)| (*id, link(*id, &apart.name))).collect()
}

/// The rest has been restored: what was left out begins apart.
pub(super) fn leave(
    job_id: &str,
    next: &mut JobState,
    before: &JobState,
    untouched: &BTreeSet<i64>,
    at_ms: i64,
) -> Result<(), IllegalEvent> {
    let Phase::FullSync(FullSync { set_apart, step: SnapshotStep::Restore { info, .. }, .. }) = &before.phase
    else {
        return Ok(());
    };
    let cursor = info.commit_seq;
    for (source_id, link) in links_apart(before, untouched) {
        let SetApart { name, why } = set_apart[&source_id].clone();
        let is_renamed = link.target_name != name;
        next.tables.insert(source_id, link);
        let why = Leaving::PartialSync(PartialSyncReason::SetApart { why });
        lanes::step(job_id, next, Event::TableLeft { source_id, cursor, why, at_ms })?;
        if is_renamed {
            let renaming = Renaming { commit_seq: cursor, name };
            let event = Event::RenameDeferred { source_id, target_name: None, renaming };
            lanes::step(job_id, next, event)?;
        }
    }
    for view in &info.views {
        if let Some(SetApart { name, why }) = set_apart.get(&view.id).cloned() {
            let (commit_seq, refusal, leftover, is_dropped) = (cursor, why, None, false);
            let apart = ViewApart { name, commit_seq, refusal, leftover, is_dropped, since_ms: at_ms };
            next.views_apart.insert(view.id, apart);
        }
    }
    Ok(())
}
