//! Downstream transactions and ingests.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::call::{
    self, BeginAnswer, BeginTxn, CommitTxn, Committed, IngestRequest, IngestState, LabelState,
};
use doris_types::failure::Cause;
use doris_types::meta::Backend;

use super::catalog::{Cell, Tablet};
use super::{Answer, Inner, status};

/// How long the label of a finished transaction is kept.
const LABEL_KEPT_MS: i64 = 12 * 3600 * 1000;

/// How long a publish that is late takes.
const LATE_PUBLISH_MS: i64 = 5000;

/// A publish takes so long when nothing is wrong.
const SOON_MS: i64 = 30;

#[derive(Debug, Default)]
pub struct Transactions {
    pub all: BTreeMap<i64, Txn>,
    /// How many of the next commits are published late.
    pub publish_late: u32,
    pub committed: u64,
    /// Downstream tables of which nothing is published.
    pub stuck: Vec<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnState {
    Prepare,
    Committed,
    Visible,
    Aborted,
}

/// A replica that a transaction, or one of its sub-transactions, fills: its id, the tablet, the backend.
type Replica = (i64, i64, i64);

#[derive(Debug, Clone)]
pub struct Txn {
    pub label: String,
    pub request_id: (i64, i64),
    pub state: TxnState,
    /// The first is the id of the transaction itself; empty without sub-transactions.
    sub_txn_ids: Vec<i64>,
    table_ids: Vec<i64>,
    /// What each replica got.
    filled: BTreeMap<Replica, Cell>,
    /// Asynchronous ingests that are not done: polls left.
    doing: BTreeMap<Replica, (u32, Cell)>,
    /// What the commit named, each of its sub-transactions in turn.
    named: Vec<BTreeSet<Replica>>,
    /// Which of the commits it was.
    order: u64,
    /// Its publish takes long.
    is_late: bool,
    began_ms: i64,
    finished_ms: i64,
    expires_ms: i64,
}

impl Transactions {
    /// Whether something is committed and not visible yet.
    pub fn is_publishing(&self) -> bool {
        self.all.values().any(|txn| txn.state == TxnState::Committed)
    }

    /// A transaction of a table that was committed within that time and is not visible yet.
    pub fn publishing_to(&self, table_id: i64, since_ms: i64) -> Option<&Txn> {
        self.all.values().find(|txn| {
            txn.state == TxnState::Committed
                && txn.table_ids.contains(&table_id)
                && txn.finished_ms > since_ms
        })
    }

    /// Those that are committed and not visible yet, in their order, and when each would be by itself.
    fn publishing(&self) -> Vec<(i64, i64)> {
        let is_stuck = |txn: &Txn| txn.table_ids.iter().any(|id| self.stuck.contains(id));
        let is_open = |txn: &Txn| txn.state == TxnState::Committed && !is_stuck(txn);
        let mut all: Vec<_> = self.all.iter().filter(|(_, txn)| is_open(txn)).collect();
        all.sort_unstable_by_key(|(_, txn)| txn.order);
        let takes = |txn: &Txn| if txn.is_late { LATE_PUBLISH_MS } else { SOON_MS };
        all.into_iter().map(|(id, txn)| (*id, txn.finished_ms + takes(txn))).collect()
    }
}

impl Inner {
    /// A new master knows nothing of them.
    pub fn forget_open_transactions(&mut self) {
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
        for (id, publish_ms) in self.transactions.publishing() {
            if now < publish_ms {
                break;
            }
            self.publish(id);
        }
    }

    /// As whoever answers knows it.
    pub fn txn_state(&self, id: i64) -> Option<call::TxnState> {
        let txn = self.transactions.all.get(&id)?;
        let seen_ms = self.seen_ms.unwrap_or(i64::MAX);
        if txn.began_ms > seen_ms {
            return None;
        }
        if txn.finished_ms > seen_ms {
            return Some(call::TxnState::Open);
        }
        Some(match txn.state {
            TxnState::Prepare => call::TxnState::Open,
            TxnState::Committed => call::TxnState::Committed,
            TxnState::Visible => call::TxnState::Visible,
            TxnState::Aborted => call::TxnState::Aborted,
        })
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
        let fresh: Vec<i64> = (1..request.sub_txn_num).map(|_| self.id()).collect();
        let sub_txn_ids: Vec<i64> =
            (request.sub_txn_num > 0).then_some(txn_id).into_iter().chain(fresh).collect();
        let txn = Txn {
            label: request.label.clone(),
            request_id: request.request_id,
            state: TxnState::Prepare,
            sub_txn_ids: sub_txn_ids.clone(),
            table_ids: request.table_ids.clone(),
            filled: BTreeMap::new(),
            doing: BTreeMap::new(),
            named: Vec::new(),
            order: 0,
            is_late: false,
            began_ms: self.now_ms,
            finished_ms: 0,
            expires_ms: self.now_ms + request.timeout_s * 1000,
        };
        self.transactions.all.insert(txn_id, txn);
        Ok(BeginAnswer::Opened { txn_id, sub_txn_ids })
    }

    /// An open transaction, by its id or that of one of its sub-transactions.
    fn open_txn(&mut self, id: i64) -> Option<&mut Txn> {
        let mut all = self.transactions.all.iter_mut();
        let found = all.find(|(own, txn)| **own == id || txn.sub_txn_ids.contains(&id));
        found.map(|(_, txn)| txn).filter(|txn| txn.state == TxnState::Prepare)
    }

    pub fn ingest(&mut self, target: &Backend, request: &IngestRequest) -> Answer<IngestState> {
        let (source_id, version) = (request.source_tablet_id, request.source_version);
        let not_found = || status(71, format!("The requested URL returned error: 404, tablet {source_id}"));
        if self.dead_sources.contains(&request.source.id) {
            return Err(status(71, format!("Couldn't connect to server, tablet {source_id}")));
        }
        let (table, partition, position) = self.source.tablet(source_id).ok_or_else(not_found)?;
        let slow_id = table.id;
        if version > partition.version || version < partition.tablets[position].kept_from {
            return Err(not_found());
        }
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
        if self.full_tables.contains(&slow_id) {
            let text = format!(
                "[E-235]failed to init rowset builder. version count: 2001, tablet: {}",
                request.tablet_id
            );
            return Err(status(6, text));
        }
        if self.slow_tables.contains(&slow_id) {
            return Err(Cause::Lost { detail: "no answer in time".to_owned() });
        }
        let polls = self.async_polls;
        let gone = || status(2, format!("transaction [{}] not found", request.txn_id));
        let txn = self.open_txn(request.txn_id).ok_or_else(gone)?;
        let (replica, cell) = ((request.txn_id, request.tablet_id, target.id), (source_id, version));
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
        let Some(txn) = self.open_txn(request.txn_id) else { return IngestState::NotFound };
        let replica = (request.txn_id, request.tablet_id, target.id);
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
        self.refuse_dropped_tables(&txn)?;
        if let Some(id) = txn.table_ids.iter().find(|id| self.is_in_restore(**id)) {
            return Err(status(2, format!("Table {id} is in restore process. Can not load into it")));
        }
        let mut tables = txn.table_ids.iter().filter_map(|id| self.target.tables.get(id));
        if let Some(table) = tables.find(|table| self.locked_tables.contains(&table.name)) {
            let text = format!("get tableList write lock timeout, tableList=({})", table.name);
            return Err(status(2, text));
        }
        let named = self.named(request);
        for replica in named.iter().flatten() {
            if !txn.filled.contains_key(replica) {
                self.violation(format!("commit of {} names {replica:?}, which was not filled", txn.label));
            }
        }
        for named in &named {
            self.check_quorum(id, named)?;
        }
        self.transactions.committed += 1;
        let is_late = self.transactions.publish_late > 0;
        let (now, order) = (self.now_ms, self.transactions.committed);
        let txn = self.transactions.all.get_mut(&id).expect("it was just there");
        txn.state = TxnState::Committed;
        txn.finished_ms = now;
        txn.named = named;
        txn.order = order;
        txn.is_late = is_late;
        self.transactions.publish_late -= u32::from(is_late);
        if !request.waits {
            return Ok(Committed { visible: false });
        }
        // It waits for those before it, too.
        for (id, publish_ms) in self.transactions.publishing() {
            if publish_ms > now + SOON_MS {
                return Ok(Committed { visible: false });
            }
            self.publish(id);
        }
        if self.transactions.all[&id].state == TxnState::Committed {
            return Ok(Committed { visible: false });
        }
        self.check_after(id);
        Ok(Committed { visible: true })
    }

    fn refuse_dropped_tables(&self, txn: &Txn) -> Answer<()> {
        let mut gone = txn.table_ids.iter().filter(|id| !self.target.tables.contains_key(id));
        gone.next().map_or(Ok(()), |table| Err(status(7, format!("table not found, tableId={table}"))))
    }

    /// What a commit names. Of sub-transactions, those of tables that are gone are passed over.
    fn named(&mut self, request: &CommitTxn) -> Vec<BTreeSet<Replica>> {
        if request.sub_txns.is_empty() {
            let all = request.commits.iter();
            return vec![all.map(|commit| (request.txn_id, commit.tablet_id, commit.backend_id)).collect()];
        }
        let known =
            request.sub_txns.iter().filter(|sub_txn| self.target.tables.contains_key(&sub_txn.table_id));
        let named = known.map(|sub_txn| {
            let all = sub_txn.commits.iter();
            all.map(|commit| (sub_txn.sub_txn_id, commit.tablet_id, commit.backend_id)).collect()
        });
        named.collect()
    }

    fn check_quorum(&self, id: i64, named: &BTreeSet<Replica>) -> Answer<()> {
        for table in self.target.tables.values() {
            for partition in &table.partitions {
                let is_touched = |tablet: &Tablet| named.iter().any(|(_, named, _)| *named == tablet.id);
                if !partition.tablets.iter().any(is_touched) {
                    continue;
                }
                for tablet in &partition.tablets {
                    let good = named.iter().filter(|(_, named, _)| *named == tablet.id).count();
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
        for named in &txn.named {
            self.publish_version(&txn.filled, named);
        }
        self.trace.push(format!("        downstream: visible {}", txn.label));
    }

    /// Gives each partition that is touched one version more.
    fn publish_version(&mut self, filled: &BTreeMap<Replica, Cell>, named: &BTreeSet<Replica>) {
        for partition in self.target.tables.values_mut().flat_map(|table| &mut table.partitions) {
            let cells_of = |tablet: &Tablet| -> BTreeSet<Cell> {
                let of_tablet = named.iter().filter(|(_, named, _)| *named == tablet.id);
                of_tablet.filter_map(|replica| filled.get(replica).copied()).collect()
            };
            let cells: Vec<BTreeSet<Cell>> = partition.tablets.iter().map(cells_of).collect();
            if cells.iter().all(BTreeSet::is_empty) {
                continue;
            }
            partition.version += 1;
            for (tablet, cells) in partition.tablets.iter_mut().zip(cells) {
                // Replicas that got different data show as two cells.
                tablet.cells.extend(cells);
            }
        }
    }

    /// Checks that the target is the source as of the transaction's commit seq.
    fn check_after(&mut self, id: i64) {
        // `ccrj-<job>-<seq>`, and `-t<table>` behind it on a table's own track. A second label ends in `-a2`, that of
        // an empty transaction which claims another one in `-c<id>`.
        let label = &self.transactions.all[&id].label;
        let Some(own) = label.strip_prefix("ccrj-") else {
            let claim = format!("-c{id}");
            let is_claimed_by_lane = |label: &str| label.ends_with(&claim) && label.contains("-t");
            if !self.transactions.all.values().any(|txn| is_claimed_by_lane(&txn.label)) {
                let seq = self.journal.labels.get(label).copied();
                seq.into_iter().for_each(|seq| self.check_written(id, seq));
            }
            return;
        };
        let mut parts = own.split('-').skip(1);
        let seq = parts.next().and_then(|seq| seq.parse().ok()).unwrap_or(0);
        if parts.all(|part| !part.starts_with(['t', 'c'])) {
            self.check_written(id, seq);
        }
    }

    /// Somebody else loads into some other table of the target database under this label.
    pub fn foreign_load(&mut self, label: &str, state: TxnState) {
        let id = self.id();
        let (finished_ms, expires_ms) = (self.now_ms, i64::MAX);
        let txn = Txn {
            label: label.to_owned(),
            request_id: (0, 0),
            state,
            sub_txn_ids: Vec::new(),
            table_ids: Vec::new(),
            filled: BTreeMap::new(),
            doing: BTreeMap::new(),
            named: Vec::new(),
            order: 0,
            is_late: false,
            began_ms: finished_ms,
            finished_ms,
            expires_ms,
        };
        self.transactions.all.insert(id, txn);
    }

    /// Checks the target, or in table order what the transaction has written, against the source as of `seq`.
    fn check_written(&mut self, id: i64, seq: i64) {
        if !self.by_table {
            return self.check_at(seq);
        }
        let written = self.transactions.all[&id].table_ids.clone();
        self.check_tables(&format!("the commit of {seq}"), |id| written.contains(&id).then_some(seq));
    }

    pub fn rollback(&mut self, id: i64) -> Answer<()> {
        let now = self.now_ms;
        if let Some(txn) = self.transactions.all.get(&id).filter(|txn| txn.state == TxnState::Prepare) {
            self.refuse_dropped_tables(txn)?;
        }
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
}
