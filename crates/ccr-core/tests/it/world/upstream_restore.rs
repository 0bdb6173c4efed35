//! Restores that users make upstream: they leave no binlog.

use doris_types::meta::{RestoredObjects, SnapshotJob};

use super::Inner;
use super::catalog::{Table, View as SqlView};

/// The restores of the upstream database, all of them finished.
#[derive(Debug, Default)]
pub struct UpstreamRestores {
    pub jobs: Vec<UpstreamRestore>,
    /// Tables as they were when somebody backed them up.
    pub kept: Vec<Table>,
}

#[derive(Debug, Clone)]
pub struct UpstreamRestore {
    pub id: i64,
    label: String,
    /// The name in the snapshot; none in a restore of a view.
    pub table: String,
    view: Option<String>,
    /// The table that is there for it, under its own id or another.
    pub restored: i64,
    /// The table that is gone for it, without a drop.
    replaced: Option<i64>,
    /// When it was finished.
    at_ms: i64,
}

impl UpstreamRestore {
    pub fn job(&self) -> SnapshotJob {
        SnapshotJob {
            id: self.id,
            label: self.label.clone(),
            state: "FINISHED".to_owned(),
            status: "[OK]".to_owned(),
            progress: String::new(),
        }
    }

    pub fn objects(&self) -> RestoredObjects {
        let tables = vec![self.table.clone()];
        match &self.view {
            Some(view) => RestoredObjects { tables: Vec::new(), views: vec![view.clone()] },
            None => RestoredObjects { tables, views: Vec::new() },
        }
    }
}

impl Inner {
    /// An atomic restore of the table as it was in a snapshot: another table has its name then. Under the name of no
    /// table it brings a new one.
    pub fn restore_atomically(&mut self, name: &str, snapshot: &Table) -> i64 {
        let id = self.id();
        let fresh = self.copy_of(snapshot, name);
        let restored = fresh.id;
        let replaced = self.source.table(name).map(|table| table.id);
        if let Some(old) = replaced {
            self.source.tables.remove(&old);
        }
        self.source.tables.insert(restored, fresh);
        self.restored_upstream(id, &snapshot.name, restored, replaced);
        restored
    }

    /// A restore of the table as it was in a snapshot, into the partitions that are still there.
    pub fn restore_in_place(&mut self, snapshot: &Table) {
        let id = self.id();
        let table = self.source.tables.get_mut(&snapshot.id).expect("the table exists");
        for old in snapshot.partitions.iter().filter(|partition| !partition.is_temporary) {
            if let Some(partition) = table.partitions.iter_mut().find(|partition| partition.id == old.id) {
                (partition.version, partition.tablets) = (old.version, old.tablets.clone());
            }
        }
        let (name, restored) = (table.name.clone(), table.id);
        self.restored_upstream(id, &name, restored, None);
    }

    /// An atomic restore of a view, which takes the place of one of its name. It is refused where that is another one.
    pub fn restore_view(&mut self, name: &str, of: &str) {
        assert!(self.source.views.get(name).is_none_or(|view| view.of == of), "{name} has another schema");
        assert!(!self.backups.is_running(), "a database runs one backup or restore at a time");
        let (id, view_id) = (self.id(), self.id());
        self.trace.push(format!("        upstream: restored view {name}"));
        let comment = self.source.views.get(name).map(|view| view.comment.clone()).unwrap_or_default();
        self.source.views.insert(name.to_owned(), SqlView { id: view_id, of: of.to_owned(), comment });
        let (label, view) = (format!("user_{id}"), Some(name.to_owned()));
        let (table, restored) = (String::new(), 0);
        let at_ms = self.now_ms;
        let restore = UpstreamRestore { id, label, table, view, restored, replaced: None, at_ms };
        self.upstream_restores.jobs.push(restore);
    }

    fn restored_upstream(&mut self, id: i64, table: &str, restored: i64, replaced: Option<i64>) {
        assert!(!self.backups.is_running(), "a database runs one backup or restore at a time");
        self.trace.push(format!("        upstream: restored {table}"));
        let (label, table) = (format!("user_{id}"), table.to_owned());
        let at_ms = self.now_ms;
        let restore = UpstreamRestore { id, label, table, view: None, restored, replaced, at_ms };
        self.upstream_restores.jobs.push(restore);
    }

    /// Whether what a restore did to a table is not in its target.
    pub fn misses_restore(&self, source_id: i64) -> bool {
        let mut jobs = self.upstream_restores.jobs.iter();
        jobs.any(|restore| {
            (restore.restored == source_id || restore.replaced == Some(source_id)) && self.is_missing(restore)
        })
    }

    fn is_missing(&self, restore: &UpstreamRestore) -> bool {
        let Some(state) = &self.store.state else { return false };
        let is_linked = |id: i64| state.tables.contains_key(&id);
        let is_followed = |id: i64| {
            let table = self.source.tables.get(&id);
            table.is_some_and(|table| self.only_table.as_ref().is_none_or(|(name, _)| *name == table.name))
        };
        let known_to = state.tables.get(&restore.restored).map(|link| link.restored_to);
        restore.replaced.is_some_and(is_linked)
            || match known_to {
                None => is_followed(restore.restored),
                Some(known_to) => restore.id > restore.restored && known_to < Some(restore.id),
            }
    }
}

impl UpstreamRestores {
    /// Those that whoever answers knows.
    pub fn seen_at(&self, seen_ms: Option<i64>) -> impl Iterator<Item = &UpstreamRestore> {
        self.jobs.iter().filter(move |job| seen_ms.is_none_or(|ms| job.at_ms <= ms))
    }

    /// Whether a table is gone for a restore.
    pub fn has_replaced(&self, id: i64) -> bool {
        self.jobs.iter().any(|job| job.replaced == Some(id))
    }

    /// Whether a restore has changed a table, or brought it.
    pub fn has_restored(&self, id: i64) -> bool {
        self.jobs.iter().any(|job| job.restored == id)
    }
}
