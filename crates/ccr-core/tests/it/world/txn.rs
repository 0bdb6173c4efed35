//! Downstream transactions, ingests and statements.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::call::{
    BeginAnswer, BeginTxn, CommitTxn, Committed, IngestRequest, IngestState, LabelState,
};
use doris_types::meta::Backend;

use super::catalog::{Cell, Partition, Tablet};
use super::sql::{Ddl, NewPartition, recognise};
use super::{Answer, Inner, refusal, status};

/// How long the label of a finished transaction is kept.
const LABEL_KEPT_MS: i64 = 12 * 3600 * 1000;

/// How long a publish that is late takes.
const LATE_PUBLISH_MS: i64 = 5000;

#[derive(Debug, Default)]
pub struct Transactions {
    pub all: BTreeMap<i64, Txn>,
    /// How many of the next commits are published late.
    pub publish_late: u32,
    pub committed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnState {
    Prepare,
    Committed,
    Visible,
    Aborted,
}

#[derive(Debug, Clone)]
pub struct Txn {
    pub label: String,
    pub request_id: (i64, i64),
    pub state: TxnState,
    table_ids: Vec<i64>,
    /// What each replica got.
    filled: BTreeMap<(i64, i64), Cell>,
    /// Asynchronous ingests that are not done: polls left.
    doing: BTreeMap<(i64, i64), (u32, Cell)>,
    named: BTreeSet<(i64, i64)>,
    /// Which of the commits it was.
    order: u64,
    finished_ms: i64,
    expires_ms: i64,
}

impl Transactions {
    /// Whether something is committed and not visible yet.
    pub fn is_publishing(&self) -> bool {
        self.all.values().any(|txn| txn.state == TxnState::Committed)
    }
}

impl Inner {
    /// A new master knows nothing of open transactions.
    pub fn change_master(&mut self) {
        self.transactions.all.retain(|_, txn| txn.state != TxnState::Prepare);
    }

    pub fn tick_transactions(&mut self) {
        let now = self.now_ms;
        for txn in self.transactions.all.values_mut() {
            if txn.state == TxnState::Prepare && now > txn.expires_ms {
                txn.state = TxnState::Aborted;
                txn.finished_ms = now;
            }
        }
        let is_forgotten = |txn: &Txn| {
            matches!(txn.state, TxnState::Visible | TxnState::Aborted)
                && now > txn.finished_ms + LABEL_KEPT_MS
        };
        self.transactions.all.retain(|_, txn| !is_forgotten(txn));
        // In order: a version is visible only after the one before it.
        let mut late: Vec<(u64, i64)> = self
            .transactions
            .all
            .iter()
            .filter(|(_, txn)| txn.state == TxnState::Committed)
            .map(|(id, txn)| (txn.order, *id))
            .collect();
        late.sort_unstable();
        for (_, id) in late {
            if now < self.transactions.all[&id].finished_ms + LATE_PUBLISH_MS {
                break;
            }
            self.publish(id);
        }
    }

    pub fn begin(&mut self, request: &BeginTxn) -> Answer<BeginAnswer> {
        for id in &request.table_ids {
            if !self.target.tables.contains_key(id) {
                return Err(status(2, format!("can't find table id: {id} in db: {}", request.database)));
            }
        }
        let used = self
            .transactions
            .all
            .iter()
            .find(|(_, txn)| txn.label == request.label && txn.state != TxnState::Aborted)
            .map(|(id, txn)| (*id, txn.state, txn.request_id));
        if let Some((txn_id, state, request_id)) = used {
            let state = match state {
                TxnState::Prepare if request_id == request.request_id => {
                    return Ok(BeginAnswer::Opened { txn_id, sub_txn_ids: Vec::new() });
                }
                TxnState::Prepare => LabelState::Running,
                TxnState::Committed | TxnState::Visible | TxnState::Aborted => LabelState::Finished,
            };
            return Ok(BeginAnswer::LabelUsed { txn_id: Some(txn_id), state });
        }
        let txn_id = self.id();
        let txn = Txn {
            label: request.label.clone(),
            request_id: request.request_id,
            state: TxnState::Prepare,
            table_ids: request.table_ids.clone(),
            filled: BTreeMap::new(),
            doing: BTreeMap::new(),
            named: BTreeSet::new(),
            order: 0,
            finished_ms: 0,
            expires_ms: self.now_ms + request.timeout_s * 1000,
        };
        self.transactions.all.insert(txn_id, txn);
        Ok(BeginAnswer::Opened { txn_id, sub_txn_ids: Vec::new() })
    }

    pub fn ingest(&mut self, target: &Backend, request: &IngestRequest) -> Answer<IngestState> {
        let (source_id, version) = (request.source_tablet_id, request.source_version);
        let not_found = || status(71, format!("The requested URL returned error: 404, tablet {source_id}"));
        let (table, _, position) = self.source.tablet(source_id).ok_or_else(not_found)?;
        let holds = self.source.replica_backends(table, position).contains(&request.source.id);
        if !holds || self.sick_sources.contains(&request.source.id) {
            return Err(not_found());
        }
        let (table, partition, position) = self
            .target
            .tablet(request.tablet_id)
            .ok_or_else(|| status(72, format!("tablet {} not found", request.tablet_id)))?;
        if partition.id != request.partition_id
            || !self.target.replica_backends(table, position).contains(&target.id)
        {
            return Err(status(
                72,
                format!("tablet {} not found on backend {}", request.tablet_id, target.id),
            ));
        }
        let polls = self.async_polls;
        let txn = self.transactions.all.get_mut(&request.txn_id).filter(|txn| txn.state == TxnState::Prepare);
        let txn = txn.ok_or_else(|| status(2, format!("transaction [{}] not found", request.txn_id)))?;
        let (replica, cell) = ((request.tablet_id, target.id), (source_id, version));
        match polls {
            None => {
                txn.filled.insert(replica, cell);
                Ok(IngestState::Done)
            }
            Some(polls) => {
                txn.doing.insert(replica, (polls, cell));
                Ok(IngestState::Doing)
            }
        }
    }

    pub fn query_ingest(&mut self, target: &Backend, request: &IngestRequest) -> IngestState {
        let Some(txn) = self.transactions.all.get_mut(&request.txn_id) else { return IngestState::NotFound };
        let replica = (request.tablet_id, target.id);
        match txn.doing.get_mut(&replica) {
            None if txn.filled.contains_key(&replica) => IngestState::Done,
            None => IngestState::NotFound,
            Some((0, cell)) => {
                let cell = *cell;
                txn.doing.remove(&replica);
                txn.filled.insert(replica, cell);
                IngestState::Done
            }
            Some((left, _)) => {
                *left -= 1;
                IngestState::Doing
            }
        }
    }

    pub fn commit(&mut self, request: &CommitTxn) -> Answer<Committed> {
        let id = request.txn_id;
        let txn = self.transactions.all.get(&id).cloned();
        let Some(txn) = txn else { return Err(status(2, format!("transaction [{id}] not found"))) };
        match txn.state {
            TxnState::Committed | TxnState::Visible => return Ok(Committed { visible: true }),
            TxnState::Aborted => {
                return Err(status(
                    2,
                    format!("transaction [{id}] is already aborted. abort reason: timeout"),
                ));
            }
            TxnState::Prepare => {}
        }
        for table in &txn.table_ids {
            if !self.target.tables.contains_key(table) {
                return Err(status(2, format!("table not found, tableId={table}")));
            }
        }
        let named: BTreeSet<(i64, i64)> =
            request.commits.iter().map(|commit| (commit.tablet_id, commit.backend_id)).collect();
        for replica in &named {
            if !txn.filled.contains_key(replica) {
                self.violation(format!("commit of {} names {replica:?}, which was not filled", txn.label));
            }
        }
        self.check_quorum(id, &named)?;
        self.transactions.committed += 1;
        let chosen = self.transactions.publish_late > 0;
        let waits = self.transactions.is_publishing();
        let (now, order) = (self.now_ms, self.transactions.committed);
        let txn = self.transactions.all.get_mut(&id).expect("it was just there");
        txn.state = TxnState::Committed;
        txn.finished_ms = now;
        txn.named = named;
        txn.order = order;
        if chosen || waits {
            self.transactions.publish_late -= u32::from(chosen);
            return Ok(Committed { visible: false });
        }
        self.publish(id);
        self.check_after(id);
        Ok(Committed { visible: true })
    }

    fn check_quorum(&self, id: i64, named: &BTreeSet<(i64, i64)>) -> Answer<()> {
        for table in self.target.tables.values() {
            for partition in &table.partitions {
                let is_touched = |tablet: &Tablet| named.iter().any(|(named, _)| *named == tablet.id);
                if !partition.tablets.iter().any(is_touched) {
                    continue;
                }
                for tablet in &partition.tablets {
                    let good = named.iter().filter(|(named, _)| *named == tablet.id).count();
                    let needed = table.replicas / 2 + 1;
                    if good < needed {
                        let text = format!(
                            "Failed to commit txn {id}, cause tablet {} succ replica num {good} < load required \
                             replica num {needed}. table {}",
                            tablet.id, table.name
                        );
                        return Err(status(2, text));
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes a committed transaction visible.
    fn publish(&mut self, id: i64) {
        let txn = self.transactions.all.get_mut(&id).expect("the caller has it");
        txn.state = TxnState::Visible;
        let txn = txn.clone();
        for table in self.target.tables.values_mut() {
            for partition in &mut table.partitions {
                let cells: BTreeMap<i64, BTreeSet<Cell>> = partition
                    .tablets
                    .iter()
                    .map(|tablet| {
                        let of_tablet = txn.named.iter().filter(|(named, _)| *named == tablet.id);
                        (
                            tablet.id,
                            of_tablet.filter_map(|replica| txn.filled.get(replica).copied()).collect(),
                        )
                    })
                    .collect();
                if cells.values().all(BTreeSet::is_empty) {
                    continue;
                }
                partition.version += 1;
                for tablet in &mut partition.tablets {
                    // Replicas that got different data show as two cells.
                    tablet.cells.extend(&cells[&tablet.id]);
                }
            }
        }
        self.trace.push(format!("        downstream: visible {}", txn.label));
    }

    /// Checks that the target is the source as of the transaction's commit seq.
    fn check_after(&mut self, id: i64) {
        // `ccrj-<job>-<seq>`, and `-t<table>` behind it on a table's own track.
        let mut parts = self.transactions.all[&id].label.split('-').skip(2);
        let seq = parts.next().and_then(|seq| seq.parse().ok()).unwrap_or(0);
        if parts.next().is_none() {
            self.check_at(seq);
        }
    }

    pub fn rollback(&mut self, id: i64) -> Answer<()> {
        let now = self.now_ms;
        match self.transactions.all.get_mut(&id) {
            None => Err(status(2, format!("transaction [{id}] not found"))),
            Some(txn) => match txn.state {
                TxnState::Prepare => {
                    txn.state = TxnState::Aborted;
                    txn.finished_ms = now;
                    Ok(())
                }
                TxnState::Committed => {
                    Err(status(2, format!("transaction [{id}] is already COMMITTED, could not abort.")))
                }
                TxnState::Visible | TxnState::Aborted => Err(status(2, "transaction not found")),
            },
        }
    }

    pub fn execute(&mut self, sql: &str) -> Answer<()> {
        let Some(ddl) = recognise(sql) else {
            self.violation(format!("statement that is not known: {sql}"));
            return Err(refusal(1105, "no viable alternative"));
        };
        self.trace.push(format!("        downstream: {ddl:?}"));
        self.apply(ddl)?;
        self.check_some(sql);
        Ok(())
    }

    fn apply(&mut self, ddl: Ddl) -> Answer<()> {
        match ddl {
            Ddl::CreateTable { name, partitions, buckets, replicas } => {
                if self.target.table(&name).is_none() {
                    let partitions: Vec<_> =
                        partitions.into_iter().map(|partition| (partition.name, partition.bounds)).collect();
                    let table = self.new_table(&name, &partitions, buckets, replicas);
                    self.target.tables.insert(table.id, table);
                }
            }
            Ddl::CreateView { name } => {
                let id = self.id();
                self.target.views.insert(name, id);
            }
            Ddl::DropTable { name } => {
                if let Some(id) = self.target.table(&name).map(|table| table.id) {
                    self.target.tables.remove(&id);
                }
            }
            Ddl::DropView { name } => {
                self.target.views.remove(&name);
            }
            Ddl::AddPartition { table, partition: NewPartition { name, bounds } } => {
                let found = self.target.table(&table).cloned().ok_or_else(|| unknown(&table))?;
                if found.partitions.iter().all(|partition| partition.name != name) {
                    let partition = self.target_partition(&name, Some(bounds), found.buckets);
                    self.target.table_mut(&table).ok_or_else(|| unknown(&table))?.partitions.push(partition);
                }
            }
            Ddl::DropPartition { table, name } => {
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                table.partitions.retain(|partition| partition.name != name);
            }
            Ddl::RenameTable { table, name } => {
                if self.target.table(&name).is_some() {
                    return Err(refusal(1105, format!("Table name[{name}] is already used")));
                }
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                if !table.is_partitioned {
                    table.partitions[0].name.clone_from(&name);
                }
                table.name = name;
            }
            Ddl::Truncate { table, partitions } => {
                let mut found = self.target.table(&table).cloned().ok_or_else(|| unknown(&table))?;
                for partition in &mut found.partitions {
                    if partitions.is_empty() || partitions.contains(&partition.name) {
                        let name = partition.name.clone();
                        *partition = self.target_partition(&name, partition.bounds, found.buckets);
                    }
                }
                self.target.tables.insert(found.id, found);
            }
        }
        Ok(())
    }

    fn target_partition(&mut self, name: &str, bounds: Option<(i64, i64)>, buckets: usize) -> Partition {
        let tablets = (0..buckets).map(|_| Tablet { id: self.id(), cells: Vec::new() }).collect();
        Partition { id: self.id(), name: name.to_owned(), bounds, is_temporary: false, version: 1, tablets }
    }
}

fn unknown(table: &str) -> doris_types::failure::Cause {
    refusal(1051, format!("Unknown table '{table}'"))
}
