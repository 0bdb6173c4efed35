//! Restores that users make upstream: they leave no binlog.

use super::Inner;
use super::catalog::Table;

/// The finished restores of the upstream database.
#[derive(Debug, Default)]
pub struct UpstreamRestores {
    pub jobs: Vec<UpstreamRestore>,
}

#[derive(Debug, Clone)]
pub struct UpstreamRestore {
    /// Tables that are gone for it, without a drop.
    pub replaced: Vec<i64>,
}

impl Inner {
    /// An atomic restore of the table as it was in a snapshot: another table has its name then.
    pub fn restore_atomically(&mut self, name: &str, snapshot: &Table) -> i64 {
        let fresh = self.copy_of(snapshot, name);
        let fresh_id = fresh.id;
        let old = self.source.table(name).map(|table| table.id);
        if let Some(old) = old {
            self.source.tables.remove(&old);
        }
        self.source.tables.insert(fresh_id, fresh);
        self.restored_upstream(name, old);
        fresh_id
    }

    fn restored_upstream(&mut self, table: &str, replaced: Option<i64>) {
        assert!(!self.backups.is_running(), "a database runs one backup or restore at a time");
        self.trace.push(format!("        upstream: restored {table}"));
        let replaced = replaced.into_iter().collect();
        self.upstream_restores.jobs.push(UpstreamRestore { replaced });
    }
}

impl UpstreamRestores {
    /// Whether a table is gone for a restore.
    pub fn has_replaced(&self, id: i64) -> bool {
        self.jobs.iter().any(|job| job.replaced.contains(&id))
    }
}
