//! A frontend becomes the master in the place of another one.
//!
//! The new one has replayed all of the journal before it answers, so nothing that was journalled is lost, and nothing
//! that it says is old. What was kept in memory is gone: transactions that were begun and not committed, and how far
//! backups and restores have come since their last journalled state. A backup whose snapshots were being taken begins
//! again, with barriers of its own; a restore that was downloading downloads again. A local snapshot is kept by the
//! frontend that made it, and may be unknown to the new master though its backup is listed as finished. The binlogs
//! are the same, but for the indexes of a load, which a frontend that replays knows all of.
//!
//! Who was being asked loses the connection, whether or not the work was done; until somebody is elected nobody is the
//! master. Backends go on all the while.

use doris_types::record::BinlogType;
use serde_json::Value;

use super::Inner;

/// How long an election takes, where no run says otherwise.
pub const ELECTION_MS: i64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

/// The masters of one cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reign {
    /// How many there were before this one.
    number: u32,
    /// When it answers.
    since_ms: i64,
}

impl Side {
    /// Whose frontends a call goes to, if it goes to any.
    fn of(operation: &str) -> Option<Self> {
        match operation {
            "target.ingest" | "target.query_ingest" => None,
            _ if operation.starts_with("source.") => Some(Self::Source),
            _ if operation.starts_with("target.") => Some(Self::Target),
            _ => None,
        }
    }
}

impl Inner {
    fn reign(&self, operation: &str) -> Option<Reign> {
        Side::of(operation).map(|side| self.reigns[side as usize])
    }

    /// Which master a call goes to.
    pub fn reign_number(&self, operation: &str) -> Option<u32> {
        self.reign(operation).map(|reign| reign.number)
    }

    /// Whether there is no master to ask.
    pub fn is_masterless(&self, operation: &str, now_ms: i64) -> bool {
        self.reign(operation).is_some_and(|reign| now_ms < reign.since_ms)
    }

    pub fn change_master(&mut self, side: Side) {
        self.trace.push(format!("        another master: {side:?}"));
        let since_ms = self.now_ms + self.plan.election_ms;
        let reign = &mut self.reigns[side as usize];
        *reign = Reign { number: reign.number + 1, since_ms };
        match side {
            Side::Target => {
                self.forget_open_transactions();
                self.resume_restore(since_ms);
            }
            Side::Source => {
                self.resume_backup(since_ms);
                self.lose_snapshots();
                self.tell_all_indexes();
            }
        }
    }

    /// A frontend that replays the journal knows all indexes that a load has written.
    fn tell_all_indexes(&mut self) {
        let known = &self.journal.written_indexes;
        let loads = self.journal.entries.iter_mut();
        for load in loads.filter(|entry| entry.binlog_type == BinlogType::UPSERT.0) {
            let Some(mut record) = load.data.as_deref().and_then(|data| serde_json::from_str(data).ok())
            else {
                continue;
            };
            let record: &mut Value = &mut record;
            let Some(tables) = record["tableRecords"].as_object_mut() else { continue };
            for (table, written) in tables {
                let table = table.parse().expect("tables are named by their ids");
                if let Some(all) = known.get(&(load.commit_seq, table)) {
                    written["indexIds"] = serde_json::json!(all);
                }
            }
            load.data = Some(record.to_string());
        }
    }
}
