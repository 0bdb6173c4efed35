//! Reading the objects back and putting them in place.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use rusqlite::Connection;

use super::changes::{DatabaseHead, Head};
use super::{FORMAT, Kind};
use crate::be::Backend;
use crate::be::save::{SharedSchemas, TabletHead, TabletImage, unpack};
use crate::binlog::save::{SavedEntry, SavedLists};
use crate::catalog_ops::register_partition;
use crate::cluster::ClusterInner;
use crate::data::Rowset;
use crate::exec::{AlterJob, BuildIndexJob, Recycled, job::SchemaJob};
use crate::model::{Database, Table};
use crate::state::Ids;
use crate::txn::{Txn, TxnStatus};

/// Everything that a file held.
#[derive(Debug)]
pub struct Saved {
    head: Head,
    databases: BTreeMap<i64, Database>,
    recycle_bin: Vec<Recycled>,
    jobs: (Vec<AlterJob>, Vec<SchemaJob>, Vec<BuildIndexJob>),
    /// (database, job) to the job and, of a finished backup, its two payloads.
    snapshots: BTreeMap<(i64, i64), SavedSnapshot>,
    binlogs: BTreeMap<i64, (SavedLists, BTreeMap<i64, SavedEntry>)>,
    txns: Vec<Txn>,
    /// (backend, tablet).
    tablets: BTreeMap<(i64, i64), SavedTablet>,
    staged: Vec<(i64, Rowset)>,
}

#[derive(Debug, Default)]
struct SavedSnapshot {
    job: Vec<u8>,
    meta: Option<Vec<u8>>,
    job_info: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct SavedTablet {
    head: Option<TabletHead>,
    rowsets: BTreeMap<i64, Arc<Rowset>>,
    /// Empty: the rowset of the version.
    binlogs: BTreeMap<i64, Option<Rowset>>,
}

fn rowset(bytes: &[u8]) -> anyhow::Result<Rowset> {
    unpack(bytes).context("a rowset is damaged")
}

/// `None` when nothing was ever saved.
pub(super) fn read(connection: &Connection) -> anyhow::Result<Option<Saved>> {
    let mut databases: BTreeMap<i64, Database> = BTreeMap::new();
    let mut tables: Vec<(i64, Table)> = Vec::new();
    let (mut head, mut recycle_bin, mut jobs) = (None, Vec::new(), Default::default());
    let mut snapshots: BTreeMap<(i64, i64), SavedSnapshot> = BTreeMap::new();
    let mut lists: BTreeMap<i64, SavedLists> = BTreeMap::new();
    let mut entries: BTreeMap<i64, BTreeMap<i64, SavedEntry>> = BTreeMap::new();
    let mut txns = Vec::new();
    let mut tablets: BTreeMap<(i64, i64), SavedTablet> = BTreeMap::new();
    let mut staged = Vec::new();
    let mut statement =
        connection.prepare("SELECT kind, a, b, c, value FROM objects ORDER BY kind, a, b, c")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, a, b, c): (i64, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let value = row.get_ref(4)?.as_blob().context("an object is no blob")?;
        let damaged = || format!("object {kind} {a} {b} {c}");
        match Kind::of(kind)? {
            Kind::Head => head = Some(serde_json::from_slice::<Head>(value).with_context(damaged)?),
            Kind::Database => {
                let DatabaseHead { name, properties, transaction_quota } =
                    serde_json::from_slice(value).with_context(damaged)?;
                let (properties, tables) = (properties.into_iter().collect(), BTreeMap::new());
                databases.insert(a, Database { id: a, name, properties, transaction_quota, tables });
            }
            Kind::Table => tables.push((b, serde_json::from_slice(value).with_context(damaged)?)),
            Kind::RecycleBin => recycle_bin = serde_json::from_slice(value).with_context(damaged)?,
            Kind::Jobs => jobs = serde_json::from_slice(value).with_context(damaged)?,
            Kind::Snapshot => snapshots.entry((a, b)).or_default().job = value.to_vec(),
            Kind::Payload if c == 0 => snapshots.entry((a, b)).or_default().meta = Some(value.to_vec()),
            Kind::Payload => snapshots.entry((a, b)).or_default().job_info = Some(value.to_vec()),
            Kind::BinlogLists => {
                lists.insert(a, serde_json::from_slice(value).with_context(damaged)?);
            }
            Kind::Binlog => {
                let entry = serde_json::from_slice(value).with_context(damaged)?;
                entries.entry(a).or_default().insert(b, entry);
            }
            Kind::Txn => txns.push(serde_json::from_slice(value).with_context(damaged)?),
            Kind::Tablet => {
                let head = serde_json::from_slice(value).with_context(damaged)?;
                tablets.entry((a, b)).or_default().head = Some(head);
            }
            Kind::Rowset => {
                let rowset = Arc::new(rowset(value).with_context(damaged)?);
                tablets.entry((a, b)).or_default().rowsets.insert(c, rowset);
            }
            Kind::TabletBinlog => {
                let own = (!value.is_empty()).then(|| rowset(value).with_context(damaged)).transpose()?;
                tablets.entry((a, b)).or_default().binlogs.insert(c, own);
            }
            Kind::Staged => staged.push((a, rowset(value).with_context(damaged)?)),
        }
    }
    // Temporary tables have ended with their sessions.
    let is_temporary = |table: &Table| table.as_olap().is_some_and(|table| table.is_temporary);
    let gone: Vec<i64> =
        tables.iter().filter(|(_, table)| is_temporary(table)).map(|(_, t)| t.id()).collect();
    tablets.retain(|_, saved| saved.head.as_ref().is_none_or(|head| !gone.contains(&head.ids.table_id)));
    for (db_id, table) in tables.into_iter().filter(|(_, table)| !is_temporary(table)) {
        let db = databases.get_mut(&db_id).with_context(|| format!("no database {db_id} of a table"))?;
        db.tables.insert(table.id(), table);
    }
    let binlogs =
        lists.into_iter().map(|(db_id, lists)| (db_id, (lists, entries.remove(&db_id).unwrap_or_default())));
    let binlogs = binlogs.collect();
    Ok(head.map(|head| Saved {
        head,
        databases,
        recycle_bin,
        jobs,
        snapshots,
        binlogs,
        txns,
        tablets,
        staged,
    }))
}

impl Kind {
    fn of(number: i64) -> anyhow::Result<Self> {
        const ALL: [Kind; 14] = [
            Kind::Head,
            Kind::Database,
            Kind::Table,
            Kind::RecycleBin,
            Kind::Jobs,
            Kind::Snapshot,
            Kind::Payload,
            Kind::BinlogLists,
            Kind::Binlog,
            Kind::Txn,
            Kind::Tablet,
            Kind::Rowset,
            Kind::TabletBinlog,
            Kind::Staged,
        ];
        match ALL.iter().find(|kind| **kind as i64 == number) {
            Some(kind) => Ok(*kind),
            None => bail!("format {FORMAT} knows no object of kind {number}"),
        }
    }
}

impl Saved {
    /// Makes the cluster, which has no nodes yet, what it was. `new_backend` makes an empty backend of an id.
    pub fn install(self, cluster: &ClusterInner, new_backend: impl Fn(i64) -> Backend) -> anyhow::Result<()> {
        let state = &mut *cluster.fe.lock();
        let Head {
            next_id,
            journal_id,
            next_txn_id,
            token,
            accounts,
            backends,
            clock_offset_ms,
            restoring,
            lagging,
            resources,
            storage_policies,
            functions,
            repositories,
            view_tasks,
            nodes,
            global_variables,
            backend_config,
        } = self.head;
        cluster.clock.advance_ms(clock_offset_ms);
        state.ids = Ids::starting_at(next_id);
        state.journal_id = journal_id;
        state.token = token;
        state.accounts = accounts;
        state.global_variables = global_variables;
        state.databases = self.databases;
        state.ddl.recycle_bin = self.recycle_bin;
        state.ddl.resources = resources;
        state.ddl.storage_policies = storage_policies;
        state.ddl.functions = functions;
        state.snapshots.repositories = repositories;
        state.ddl.view_tasks = view_tasks.into_iter().map(crate::mv::Task::again).collect();
        (state.ddl.alter_jobs, state.ddl.running_jobs, state.ddl.build_index_jobs) = self.jobs;
        state.snapshots.load_restoring(restoring);
        for ((db_id, id), saved) in self.snapshots {
            let payload = saved.meta.zip(saved.job_info);
            let loaded = state.snapshots.load(db_id, &saved.job, payload);
            loaded.with_context(|| format!("backup or restore job {id}"))?;
        }
        for (db_id, (lists, entries)) in self.binlogs {
            state.binlogs.load(db_id, &lists, entries);
        }
        let now_ms = cluster.clock.now_ms();
        let label_keep_ms = state.txns.label_keep_ms;
        let remembered = |txn: &Txn| {
            matches!(txn.status, TxnStatus::Precommitted | TxnStatus::Committed)
                || txn.finish_time.saturating_add(label_keep_ms) > now_ms
        };
        let txns = self.txns.into_iter().filter(remembered).collect();
        state.txns.load(next_txn_id, txns);
        for (tablet, backend) in lagging {
            state.txns.note_lagging(tablet, backend);
        }
        let places: Vec<_> = state
            .databases
            .values()
            .flat_map(|db| db.tables.values().filter_map(Table::as_olap).map(|table| (db.id, table)))
            .flat_map(|(db_id, table)| {
                let all = table.partitions.values().chain(table.temp_partitions.values());
                all.map(move |partition| (db_id, table.id, partition.clone()))
            })
            .collect();
        for (db_id, table_id, partition) in &places {
            register_partition(state, *db_id, *table_id, partition);
        }
        let mut all: BTreeMap<i64, Arc<Backend>> =
            backends.into_iter().map(|id| (id, Arc::new(new_backend(id)))).collect();
        let mut schemas = SharedSchemas::default();
        for ((backend, tablet), saved) in self.tablets {
            let backend = all.get_mut(&backend).with_context(|| format!("no backend {backend}"))?;
            let head = saved.head.with_context(|| format!("tablet {tablet} has rowsets only"))?;
            let rowsets = saved.rowsets;
            let binlogs = saved
                .binlogs
                .into_iter()
                .filter_map(|(version, own)| {
                    let rowset = own.map(Arc::new).or_else(|| rowsets.get(&version).cloned());
                    rowset.map(|rowset| (version, rowset))
                })
                .collect();
            ensure!(head.ids.tablet_id == tablet, "tablet {tablet} is saved under another id");
            backend.load_tablet(TabletImage { head, rowsets, binlogs }, &mut schemas);
        }
        for (backend, rowset) in self.staged {
            if let Some(backend) = all.get(&backend) {
                backend.load_staged(rowset);
            }
        }
        for (id, kept) in backend_config {
            if let Some(backend) = all.get(&id) {
                backend.config.load(kept);
            }
        }
        cluster.backends.write().extend(all);
        cluster.load_nodes(nodes);
        state.moves.look_for_orphans();
        Ok(())
    }
}
