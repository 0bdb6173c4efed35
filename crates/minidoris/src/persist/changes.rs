//! Finding what changed since the last look.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Kind, Object};
use crate::access::Accounts;
use crate::be::Backend;
use crate::be::TxnState;
use crate::be::save::pack;
use crate::cluster::{ClusterInner, SavedNodes};
use crate::exec::{Function, RecycledObject, Resource};
use crate::snapshot::Repositories;
use crate::state::FeState;
use crate::txn::TxnStatus;
use crate::txn::save::{ID_BLOCK, Seen as SeenTxns};

/// What the file holds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    journal_id: i64,
    next_txn_id: i64,
    /// (database, job) to a mark that changes with the job.
    snapshots: BTreeMap<(i64, i64), String>,
    /// Small objects by kind and key, as bytes.
    small: BTreeMap<(u8, i64), Vec<u8>>,
    /// Table to database.
    tables: HashMap<i64, i64>,
    /// Database to the commit seqs kept.
    binlogs: BTreeMap<i64, BTreeSet<i64>>,
    txns: HashMap<i64, SeenTxns>,
    /// (database, transaction) of what has finished, in that order, until the frontends forget it.
    finished_txns: VecDeque<(i64, i64)>,
    /// (database, transaction, whether it is COMMITTED and not PRECOMMITTED).
    committed: BTreeSet<(i64, i64, bool)>,
    /// (backend, tablet).
    tablets: HashMap<(i64, i64), SeenTablet>,
    /// (backend, tablet, transaction).
    staged: BTreeSet<(i64, i64, i64)>,
    /// Marks of the recycle bin's contents, which do not change while they lie there.
    recycle_bin: Vec<(u8, i64, i64)>,
}

#[derive(Debug, Default)]
struct SeenTablet {
    /// Version to rowset id.
    rowsets: BTreeMap<i64, String>,
    /// Version to rowset id and whether the rowset is kept as that of the version, and so only once.
    binlogs: BTreeMap<i64, (String, bool)>,
}

/// The small state of the frontends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub next_id: i64,
    pub journal_id: i64,
    pub next_txn_id: i64,
    pub token: String,
    pub accounts: Accounts,
    pub backends: Vec<i64>,
    pub clock_offset_ms: i64,
    /// Partitions that running restores overwrite.
    pub restoring: Vec<i64>,
    /// (tablet, backend) of replicas that wait for repair.
    pub lagging: Vec<(i64, i64)>,
    #[serde(default)]
    pub resources: BTreeMap<String, Resource>,
    #[serde(default)]
    pub storage_policies: BTreeMap<String, Resource>,
    #[serde(default)]
    pub functions: Vec<Function>,
    #[serde(default)]
    pub repositories: Repositories,
    #[serde(default)]
    pub view_tasks: Vec<crate::mv::Task>,
    /// The nodes as [`ClusterInner::saved_nodes`] gives them; none in files of former versions.
    #[serde(default)]
    pub nodes: SavedNodes,
    #[serde(default)]
    pub global_variables: BTreeMap<String, String>,
    /// Settings of backends that were changed to stay.
    #[serde(default)]
    pub backend_config: BTreeMap<i64, BTreeMap<String, String>>,
}

/// A database without its tables.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DatabaseHead {
    pub name: String,
    pub properties: Vec<(String, String)>,
    #[serde(default)]
    pub transaction_quota: Option<i64>,
}

/// Everything that changed, collected.
#[derive(Debug, Default)]
struct Changes(Vec<Object>);

impl Changes {
    fn put(&mut self, kind: Kind, key: [i64; 3], value: Vec<u8>) {
        self.0.push(Object { kind, key, value: Some(value) });
    }

    fn delete(&mut self, kind: Kind, key: [i64; 3]) {
        self.0.push(Object { kind, key, value: None });
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the state has string and integer keys only")
}

impl Seen {
    /// The objects that differ from what the file holds; from now on it counts as holding them.
    pub fn take_changes(&mut self, cluster: &ClusterInner) -> Vec<Object> {
        let state = &*cluster.fe.lock();
        let snapshots = state.snapshots.saved_jobs();
        let same_snapshots = snapshots.len() == self.snapshots.len()
            && snapshots.iter().all(|job| self.snapshots.get(&(job.db_id, job.id)) == Some(&job.mark));
        let next_txn_id = state.txns.next_id();
        if state.journal_id == self.journal_id && next_txn_id < self.next_txn_id && same_snapshots {
            return Vec::new();
        }
        self.journal_id = state.journal_id;
        self.next_txn_id = next_txn_id + ID_BLOCK;
        let changes = &mut Changes::default();
        self.head(changes, cluster, state);
        self.catalogue(changes, state);
        self.ddl(changes, state);
        for job in &snapshots {
            self.snapshot(changes, state, job.db_id, job.id, &job.mark);
        }
        let kept: BTreeSet<(i64, i64)> = snapshots.iter().map(|job| (job.db_id, job.id)).collect();
        self.snapshots.retain(|(db_id, id), _| {
            let keeps = kept.contains(&(*db_id, *id));
            if !keeps {
                changes.delete(Kind::Snapshot, [*db_id, *id, 0]);
                changes.delete(Kind::Payload, [*db_id, *id, 0]);
                changes.delete(Kind::Payload, [*db_id, *id, 1]);
            }
            keeps
        });
        self.binlogs(changes, state);
        self.txns(changes, state);
        let committed: HashSet<i64> = state
            .txns
            .committed()
            .into_iter()
            .flat_map(|txn| [txn.id].into_iter().chain(txn.sub_txn_ids.clone()))
            .collect();
        let mut staged = BTreeSet::new();
        let backends = cluster.backends.read().clone();
        self.retain_tablets(changes, |be, _| backends.contains_key(&be));
        for backend in backends.values() {
            self.tablets(changes, backend);
            self.staged(changes, backend, &committed, &mut staged);
        }
        for (backend, tablet, txn) in self.staged.difference(&staged) {
            changes.delete(Kind::Staged, [*backend, *tablet, *txn]);
        }
        self.staged = staged;
        std::mem::take(&mut changes.0)
    }

    /// Adds a small object if it differs from the one on disk.
    fn small(&mut self, changes: &mut Changes, kind: Kind, key: i64, value: Vec<u8>) {
        let known = self.small.entry((kind as u8, key)).or_default();
        if *known != value {
            known.clone_from(&value);
            changes.put(kind, [key, 0, 0], value);
        }
    }

    /// Deletes the small objects of a kind that are not in `kept`.
    fn retain(&mut self, changes: &mut Changes, kind: Kind, kept: impl Fn(i64) -> bool) {
        self.small.retain(|(of, key), _| {
            let keeps = *of != kind as u8 || kept(*key);
            if !keeps {
                changes.delete(kind, [*key, 0, 0]);
            }
            keeps
        });
    }

    fn head(&mut self, changes: &mut Changes, cluster: &ClusterInner, state: &FeState) {
        let head = Head {
            next_id: state.ids.next(),
            journal_id: state.journal_id,
            next_txn_id: self.next_txn_id,
            token: state.token.clone(),
            accounts: state.accounts.clone(),
            backends: cluster.backends.read().keys().copied().collect(),
            clock_offset_ms: cluster.clock.offset_ms(),
            restoring: state.snapshots.restoring_partitions(),
            lagging: state.txns.lagging().collect(),
            resources: state.ddl.resources.clone(),
            storage_policies: state.ddl.storage_policies.clone(),
            functions: state.ddl.functions.clone(),
            repositories: state.snapshots.repositories.clone(),
            view_tasks: state.ddl.view_tasks.clone(),
            nodes: cluster.saved_nodes(),
            global_variables: state.global_variables.clone(),
            backend_config: cluster
                .backends
                .read()
                .iter()
                .map(|(id, backend)| (*id, backend.config.kept()))
                .filter(|(_, kept)| !kept.is_empty())
                .collect(),
        };
        self.small(changes, Kind::Head, 0, json(&head));
    }

    fn catalogue(&mut self, changes: &mut Changes, state: &FeState) {
        let mut known = std::mem::take(&mut self.tables);
        for db in state.databases.values() {
            let properties = db.properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let (name, transaction_quota) = (db.name.clone(), db.transaction_quota);
            let head = DatabaseHead { name, properties, transaction_quota };
            self.small(changes, Kind::Database, db.id, json(&head));
            for (id, table) in &db.tables {
                let moved = match known.remove(id) {
                    Some(former) if former != db.id => {
                        changes.delete(Kind::Table, [*id, former, 0]);
                        true
                    }
                    Some(_) => false,
                    None => true,
                };
                let changed = match table {
                    crate::model::Table::Olap(table) => table.take_changed(),
                    // Views are small and change seldom, so they go with every save of their database.
                    crate::model::Table::View(_) => true,
                };
                if changed || moved {
                    changes.put(Kind::Table, [*id, db.id, 0], json(table));
                }
                self.tables.insert(*id, db.id);
            }
        }
        for (id, db) in known {
            changes.delete(Kind::Table, [id, db, 0]);
        }
        self.retain(changes, Kind::Database, |id| state.databases.contains_key(&id));
    }

    fn ddl(&mut self, changes: &mut Changes, state: &FeState) {
        let marks: Vec<(u8, i64, i64)> = state
            .ddl
            .recycle_bin
            .iter()
            .map(|recycled| {
                let (kind, id) = match &recycled.object {
                    RecycledObject::Database(db) => (0, db.id),
                    RecycledObject::Table { table, .. } => (1, table.id()),
                    RecycledObject::Partition { partition, .. } => (2, partition.id),
                };
                (kind, id, recycled.drop_time)
            })
            .collect();
        if marks != self.recycle_bin {
            self.recycle_bin = marks;
            changes.put(Kind::RecycleBin, [0; 3], json(&state.ddl.recycle_bin));
        }
        // A light change leaves its row in memory only.
        let heavy = |job: &&crate::exec::AlterJob| job.is_rollup || job.index_id != job.origin_index_id;
        let rows: Vec<_> = state.ddl.alter_jobs.iter().filter(heavy).collect();
        let jobs = json(&(rows, &state.ddl.running_jobs, &state.ddl.build_index_jobs));
        self.small(changes, Kind::Jobs, 0, jobs);
    }

    fn snapshot(&mut self, changes: &mut Changes, state: &FeState, db_id: i64, id: i64, mark: &str) {
        if self.snapshots.get(&(db_id, id)).is_some_and(|known| known == mark) {
            return;
        }
        let Some((job, payload)) = state.snapshots.parts(db_id, id) else { return };
        changes.put(Kind::Snapshot, [db_id, id, 0], job);
        if let Some((meta, job_info)) = payload {
            changes.put(Kind::Payload, [db_id, id, 0], meta.to_vec());
            changes.put(Kind::Payload, [db_id, id, 1], job_info.to_vec());
        }
        self.snapshots.insert((db_id, id), mark.to_owned());
    }

    fn binlogs(&mut self, changes: &mut Changes, state: &FeState) {
        for (db_id, binlog) in state.binlogs.all() {
            self.small(changes, Kind::BinlogLists, db_id, json(&binlog.saved_lists()));
            let list = binlog.list();
            let known = self.binlogs.entry(db_id).or_default();
            for entry in list.after(known.last().copied().unwrap_or(i64::MIN)) {
                changes.put(Kind::Binlog, [db_id, entry.commit_seq, 0], json(&binlog.saved_entry(entry)));
                known.insert(entry.commit_seq);
            }
            if known.len() != list.len() {
                known.retain(|seq| {
                    let keeps = list.contains(*seq);
                    if !keeps {
                        changes.delete(Kind::Binlog, [db_id, *seq, 0]);
                    }
                    keeps
                });
            }
        }
    }

    fn txns(&mut self, changes: &mut Changes, state: &FeState) {
        let committed = state.txns.committed();
        for txn in &committed {
            let is_committed = txn.status == TxnStatus::Committed;
            if self.committed.insert((txn.db_id, txn.id, is_committed)) {
                changes.put(Kind::Txn, [txn.db_id, txn.id, 0], json(txn));
            }
        }
        for db_id in state.txns.database_ids() {
            let seen = self.txns.entry(db_id).or_default();
            for txn in state.txns.finished_since(db_id, seen) {
                self.committed.remove(&(db_id, txn.id, true));
                self.committed.remove(&(db_id, txn.id, false));
                changes.put(Kind::Txn, [db_id, txn.id, 0], json(txn));
                self.finished_txns.push_back((db_id, txn.id));
            }
        }
        while let Some((db_id, id)) = self.finished_txns.front().copied() {
            if state.txns.get(db_id, id).is_some() {
                break;
            }
            self.finished_txns.pop_front();
            changes.delete(Kind::Txn, [db_id, id, 0]);
        }
    }

    fn tablets(&mut self, changes: &mut Changes, backend: &Backend) {
        let (changed, all) = backend.take_changed_tablets();
        let be = backend.id();
        for tablet in changed {
            let id = tablet.id;
            let image = tablet.image();
            changes.put(Kind::Tablet, [be, id, 0], json(&image.head));
            let known = self.tablets.entry((be, id)).or_default();
            for (version, rowset) in &image.rowsets {
                if known.rowsets.get(version) != Some(&rowset.meta.rowset_id) {
                    changes.put(Kind::Rowset, [be, id, *version], pack(rowset));
                }
            }
            let mut binlogs = BTreeMap::new();
            for (version, rowset) in &image.binlogs {
                let same = image.rowsets.get(version).map(|own| &own.meta.rowset_id);
                let shared = same == Some(&rowset.meta.rowset_id);
                let mark = (rowset.meta.rowset_id.clone(), shared);
                if known.binlogs.get(version) != Some(&mark) {
                    let value = if shared { Vec::new() } else { pack(rowset) };
                    changes.put(Kind::TabletBinlog, [be, id, *version], value);
                }
                binlogs.insert(*version, mark);
            }
            for version in known.rowsets.keys().filter(|version| !image.rowsets.contains_key(version)) {
                changes.delete(Kind::Rowset, [be, id, *version]);
            }
            for version in known.binlogs.keys().filter(|version| !image.binlogs.contains_key(version)) {
                changes.delete(Kind::TabletBinlog, [be, id, *version]);
            }
            let ids = |rowsets: &BTreeMap<i64, std::sync::Arc<crate::data::Rowset>>| {
                rowsets.iter().map(|(version, rowset)| (*version, rowset.meta.rowset_id.clone())).collect()
            };
            *known = SeenTablet { rowsets: ids(&image.rowsets), binlogs };
        }
        self.retain_tablets(changes, |of, id| of != be || all.contains(&id));
    }

    /// Deletes the tablets that are not in `kept`, with their rowsets.
    fn retain_tablets(&mut self, changes: &mut Changes, kept: impl Fn(i64, i64) -> bool) {
        self.tablets.retain(|(be, id), known| {
            let keeps = kept(*be, *id);
            if !keeps {
                changes.delete(Kind::Tablet, [*be, *id, 0]);
                for version in known.rowsets.keys() {
                    changes.delete(Kind::Rowset, [*be, *id, *version]);
                }
                for version in known.binlogs.keys() {
                    changes.delete(Kind::TabletBinlog, [*be, *id, *version]);
                }
            }
            keeps
        });
    }

    /// Rowsets that committed transactions have yet to publish.
    fn staged(
        &self,
        changes: &mut Changes,
        backend: &Backend,
        committed: &HashSet<i64>,
        staged: &mut BTreeSet<(i64, i64, i64)>,
    ) {
        if committed.is_empty() {
            return;
        }
        for ((txn, _, tablet), entry) in backend.txns().of(committed) {
            let TxnState::Committed(rowset) = entry else { continue };
            let key = (backend.id(), tablet, txn);
            staged.insert(key);
            if !self.staged.contains(&key) {
                changes.put(Kind::Staged, [key.0, key.1, key.2], pack(&rowset));
            }
        }
    }
}
