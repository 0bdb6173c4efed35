//! One upstream transaction, repeated downstream exactly once.
//!
//! [`super::label`] tells whether an earlier try has committed it, or left it open. `commitTxn` can be repeated.
//! A transaction that a new master has forgotten is begun again under the same label.
//!
//! A label is forgotten some hours after its transaction finished. When a commit may have been tried so long
//! ago (`untried`), the partition versions decide instead: snapshot and replay keep them equal on both
//! sides, so a downstream version that has reached the upstream one means the commit took place. Of a table of which
//! some change was passed over they tell nothing.

use std::sync::Arc;

use doris_types::call::{CommitTxn, MetaFilter};
use doris_types::record::PartitionRecord;
use doris_types::sql::quote_identifier;

use super::absence::{MISSING, missing, missing_database};
use super::ingest::{self, TabletWork};
use super::label::{self, Begun, Choice, LABEL_TRUST_MS};
use super::peers::Peers;
use super::routes::{Found, Looked, Routes};
use super::{downstream, look_for, rollup, sub_txn, upstream};
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::Unpublished;
use crate::plan::{Ingest, TableIngest, TrackId};
use crate::route::{RouteError, TableRoute};
use crate::runner::doubt::{EarlierCommits, Untried};
use crate::runner::publishing::Touched;
use crate::runner::shell::Shell;

/// The code of too many transactions that are committed and not visible.
pub(super) const UNPUBLISHED: &str = "CCR0316";

/// Looks at the upstream metadata, one after the other, before a table is copied for something that stays missing.
const MISSING_TRIES: u32 = 8;

/// Rounds over all upstream replicas before a version that none of them has is taken for gone.
const GONE_ROUNDS: u32 = 5;

/// A transaction on its way.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    /// Tracks have labels of their own, for the same transaction may reach its tables on several.
    pub track: TrackId,
    pub commit_seq: i64,
    pub ingest: Ingest,
    pub untried: Arc<Untried>,
    pub earlier: Arc<EarlierCommits>,
    /// Which of its labels it carries.
    pub choice: Arc<Choice>,
    /// Those under way on the same track, where a table that keeps failing can leave it.
    pub peers: Option<Arc<Peers>>,
}

/// How far a transaction is.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// Nothing is left of it: its tables or partitions were dropped later upstream.
    Nothing,
    /// It is known to be committed.
    Committed,
    /// Every replica is filled; only the commit is missing.
    Ready { request: CommitTxn, touched: Touched },
}

/// Opens the transaction and fills every replica. Repeats itself until that has worked, or the table has to leave.
pub(crate) async fn prepare(
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    txn: Arc<Transaction>,
) -> Result<Prepared> {
    txn.begins(&shell);
    fill(shell, routes, txn).await
}

async fn fill(shell: Arc<Shell>, routes: Arc<Routes>, txn: Arc<Transaction>) -> Result<Prepared> {
    let mut tries = 0;
    let mut gone_rounds = 0;
    let mut missing_tries = 0;
    loop {
        let is_last_look = missing_tries + 1 >= MISSING_TRIES;
        let error = match try_prepare(&shell, &routes, &txn, is_last_look).await {
            Ok(prepared) => {
                shell.recovered(tries);
                if let Some(peers) = &txn.peers {
                    peers.filled(txn.commit_seq, shell.now_ms());
                }
                return Ok(prepared);
            }
            Err(error) => error,
        };
        match error.disposition {
            Disposition::Block | Disposition::Stop | Disposition::PartialSync | Disposition::Isolate => {
                shell.gave_way(tries);
                return Err(error);
            }
            Disposition::RefreshMeta | Disposition::RetryElsewhere => {
                for table in &txn.ingest.tables {
                    routes.forget(table.source_id);
                }
                routes.forget_backends();
            }
            Disposition::Retry => routes.forget_backends(),
            Disposition::RestartTxn => {}
        }
        tries += 1;
        gone_rounds = if ingest::is_not_stored(&error) { gone_rounds + 1 } else { 0 };
        missing_tries = if error.code == MISSING { missing_tries + 1 } else { 0 };
        if gone_rounds >= GONE_ROUNDS || missing_tries >= MISSING_TRIES {
            // Neither there nor dropped: what became of it cannot be found out any more. Or the rowset is
            // not kept: an index that a schema change has made since holds no binlogs of what came before
            // it. A copy of the table holds whatever came of it.
            shell.gave_way(tries);
            return Err(Error { disposition: Disposition::PartialSync, ..error });
        }
        if let Some(error) = txn.isolated(&shell, &error, &[]) {
            shell.gave_way(tries);
            return Err(error);
        }
        shell.pause(&error, tries).await;
    }
}

/// Commits, and repeats what is needed until the commit is certain, or the table has to leave. It `waits` until the
/// rows are visible, for some seconds, if nobody else wants to commit.
pub(crate) async fn commit(
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    txn: Arc<Transaction>,
    prepared: Prepared,
    waits: bool,
) -> Result<()> {
    txn.begins(&shell);
    try_commit(shell, routes, &txn, prepared, waits).await?;
    if let Some(peers) = &txn.peers {
        peers.done(txn.commit_seq);
    }
    Ok(())
}

async fn try_commit(
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    txn: &Arc<Transaction>,
    mut prepared: Prepared,
    waits: bool,
) -> Result<()> {
    let mut tries = 0;
    loop {
        let (mut request, touched) = match prepared {
            Prepared::Nothing | Prepared::Committed => {
                shell.recovered(tries);
                return Ok(());
            }
            Prepared::Ready { request, touched } => (request, touched),
        };
        request.waits = waits && shell.publishing.is_prompt();
        let answer = if let Some(error) = too_many_unpublished(&shell, txn) {
            Err(error)
        } else {
            shell.stop_if_lost().await?;
            shell.ctx.downstream.commit_txn(&request).await.map_err(downstream)
        };
        let error = match answer {
            Ok(committed) => {
                let since_ms = shell.now_ms();
                let done = Unpublished { txn_id: request.txn_id, commit_seq: txn.commit_seq, since_ms };
                // An FE that finds it committed, by a try whose answer was lost, does not wait.
                let is_visible = committed.visible && tries == 0;
                shell.publishing.committed(done, touched, is_visible, request.waits && tries == 0);
                shell.recovered(tries);
                return Ok(());
            }
            Err(error) => error,
        };
        tries += 1;
        let tablets: Vec<i64> = request.commits.iter().map(|commit| commit.tablet_id).collect();
        if let Some(error) = txn.isolated(&shell, &error, &tablets) {
            shell.gave_way(tries);
            return Err(error);
        }
        match error.disposition {
            Disposition::Block | Disposition::Stop | Disposition::PartialSync | Disposition::Isolate => {
                shell.gave_way(tries);
                return Err(error);
            }
            Disposition::Retry | Disposition::RetryElsewhere => {
                shell.pause(&error, tries).await;
                prepared = Prepared::Ready { request, touched };
            }
            Disposition::RefreshMeta | Disposition::RestartTxn => {
                for table in &txn.ingest.tables {
                    routes.forget(table.source_id);
                }
                if label::is_stuck(txn, &error) {
                    let db = shell.target_database();
                    let reason = "a table of it is gone";
                    let rollback = shell.ctx.downstream.rollback_txn(db, request.txn_id, reason).await;
                    if rollback.is_err() {
                        txn.choice.give_up();
                    }
                }
                shell.pause(&error, tries).await;
                prepared = fill(Arc::clone(&shell), Arc::clone(&routes), Arc::clone(txn)).await?;
            }
        }
    }
}

async fn try_prepare(
    shell: &Shell,
    routes: &Routes,
    txn: &Transaction,
    is_last_look: bool,
) -> Result<Prepared> {
    check_unlinked(shell, txn, is_last_look).await?;
    let mut work = Vec::new();
    let mut table_ids = Vec::new();
    for table in &txn.ingest.tables {
        let tablets = route_table(shell, routes, txn.commit_seq, table).await;
        let tablets = tablets.map_err(|error| error.of_table(table.source_id))?;
        if !tablets.is_empty() {
            table_ids.push(table.target_id);
            work.extend(tablets);
        }
    }
    if work.is_empty() {
        return Ok(Prepared::Nothing);
    }
    let now_ms = shell.now_ms();
    let trusts_label = now_ms - txn.untried.since_ms() <= LABEL_TRUST_MS;
    if !trusts_label {
        match is_already_applied(shell, routes, txn).await? {
            Some(true) => return Ok(Prepared::Committed),
            Some(false) => {
                txn.earlier.settle_from(txn.commit_seq);
                txn.untried.not_at(now_ms);
            }
            None => {}
        }
    }
    let order = sub_txn::order(&txn.ingest.stids, &work);
    let begun = label::begin(shell, txn, &table_ids, order.len() as i64, trusts_label).await?;
    let Begun::Open(open) = begun else { return Ok(Prepared::Committed) };
    let (txn_id, sub_txn_ids) = (open.txn_id, &open.sub_txn_ids);
    let txn_of = |work: &TabletWork| sub_txn::txn_of(work, &order, sub_txn_ids, txn_id);
    let filled = ingest::fill(shell, routes, txn_of, open.request_id, &work).await?;
    label::claim(shell, txn, &open, &table_ids).await?;
    let database = shell.target_database().to_owned();
    let mut commit = CommitTxn { database, txn_id, commits: Vec::new(), sub_txns: Vec::new(), waits: true };
    if order.is_empty() {
        commit.commits = filled.iter().map(|filled| filled.commit).collect();
    } else {
        commit.sub_txns = sub_txn::commits(&order, sub_txn_ids, &work, &filled);
    }
    let partitions = work.iter().map(|work| work.tablet.partition_id).collect();
    let touched = Touched { tables: table_ids.into_iter().collect(), partitions };
    Ok(Prepared::Ready { request: commit, touched })
}

/// Why no more may be committed now, if that is so.
fn too_many_unpublished(shell: &Shell, txn: &Transaction) -> Option<Error> {
    let retry = |text: String| Error::retry(Origin::DownstreamFe, UNPUBLISHED, text);
    if shell.publishing.is_full() {
        let text = "very many transactions are committed downstream and not visible yet";
        return Some(retry(text.to_owned()));
    }
    let full = txn.ingest.tables.iter().find(|table| shell.publishing.is_full_of(table.target_id))?;
    let name = quote_identifier(&full.target_name);
    let text = format!("very many transactions of table {name} are committed downstream and not visible yet");
    Some(retry(text).of_table(full.source_id))
}

/// The tablets a table's part of the transaction fills; partitions that were dropped upstream later are
/// left out, for nothing of them remains to be fetched.
async fn route_table(
    shell: &Shell,
    routes: &Routes,
    commit_seq: i64,
    table: &TableIngest,
) -> Result<Vec<TabletWork>> {
    let route = routes
        .find(shell, table, commit_seq, &|route, gone| {
            let present = |partition: &&PartitionRecord| !gone.contains(&partition.partition_id);
            partitions_work(route, table, table.partitions.iter().filter(present)).ok()
        })
        .await?;
    let route = match route {
        Found::Enough(work) => return Ok(work),
        Found::Read(route) => route,
        Found::SourceGone => {
            let reason = format!("the rows of table {} are gone: it was dropped upstream", table.target_name);
            shell.record_skip(commit_seq, reason);
            return Ok(Vec::new());
        }
    };
    let (present, gone): (Vec<&PartitionRecord>, Vec<&PartitionRecord>) =
        table.partitions.iter().partition(|partition| {
            route.versions(partition, temporary(table, partition)).is_some()
                || !is_source_gone(&route, table, partition)
        });
    if !gone.is_empty() {
        check_partitions_gone(shell, table, &gone).await?;
    }
    for partition in gone {
        routes.partition_is_gone(table.source_id, partition.partition_id, &partition.range);
        let reason = format!(
            "the rows of partition {} of table {} are gone: it was dropped upstream",
            partition.partition_id, table.target_name
        );
        shell.record_skip(commit_seq, reason);
    }
    let error = match partitions_work(&route, table, present.iter().copied()) {
        Ok(work) => return Ok(work),
        Err(error) => error,
    };
    let RouteError::SourceIndexMissing { .. } = error else { return Err(route_error(table, &error)) };
    let names = routes.rollups_at(shell, table, commit_seq).await?.unwrap_or_default();
    let route = route.with_index_names(&names);
    if let Ok(work) = partitions_work(&route, table, present.iter().copied()) {
        return Ok(work);
    }
    if !rollup::drop_first(shell, table, &route, &present, commit_seq).await? {
        return Err(route_error(table, &error));
    }
    let Looked::Route(route) = routes.read(shell, table, commit_seq).await? else { return Ok(Vec::new()) };
    // Read after the metadata, or a rename in between would be missed.
    let names = routes.rollups_at(shell, table, commit_seq).await?.unwrap_or_default();
    partitions_work(&route.with_index_names(&names), table, present)
        .map_err(|error| route_error(table, &error))
}

fn partitions_work<'a>(
    route: &TableRoute,
    table: &TableIngest,
    partitions: impl IntoIterator<Item = &'a PartitionRecord>,
) -> std::result::Result<Vec<TabletWork>, RouteError> {
    let mut work = Vec::new();
    for partition in partitions {
        for tablet in route.tablets(partition, temporary(table, partition), table.index_ids.as_deref())? {
            work.push(TabletWork {
                tablet,
                source_version: partition.version,
                source_id: table.source_id,
                table_id: table.target_id,
                stid: partition.stid,
            });
        }
    }
    Ok(work)
}

/// The name of a temporary partition, by which it is found.
fn temporary<'a>(table: &'a TableIngest, partition: &PartitionRecord) -> Option<&'a str> {
    let name = partition.is_temp_partition.then(|| table.temporary.get(&partition.partition_id));
    name.flatten().map(String::as_str)
}

fn is_source_gone(route: &TableRoute, table: &TableIngest, partition: &PartitionRecord) -> bool {
    matches!(
        route.tablets(partition, temporary(table, partition), table.index_ids.as_deref()),
        Err(RouteError::SourcePartitionGone { .. })
    )
}

/// Partitions that the route lacks must have been dropped upstream; else rows would be lost.
async fn check_partitions_gone(
    shell: &Shell,
    table: &TableIngest,
    partitions: &[&PartitionRecord],
) -> Result<()> {
    let source_id = table.source_id;
    let ids: Vec<i64> = partitions.iter().map(|partition| partition.partition_id).collect();
    let what = format!("one of partitions {ids:?} of table {source_id}");
    let look = async || {
        let filter = MetaFilter::Tables(vec![source_id]);
        let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
        let Some(db) = db else { return Err(missing_database(shell)) };
        let mut present = db.tables.iter().flat_map(|table| &table.partitions);
        let is_dropped =
            |id| db.dropped_partitions.contains_key(id) || db.dropped_tables.contains_key(&source_id);
        Ok(if present.any(|partition| ids.contains(&partition.id)) {
            Some(Gone::Never)
        } else if ids.iter().all(is_dropped) {
            Some(Gone::Reported)
        } else {
            // An old frontend reports no drops, so it is asked several times.
            db.reports_drops.then_some(Gone::Unreported)
        })
    };
    match look_for(shell, &what, look).await? {
        Some(Gone::Reported) | None => Ok(()),
        Some(Gone::Unreported) => Err(missing(&what)),
        Some(Gone::Never) => {
            let message = format!("{what} was missing in the upstream metadata, and is there again");
            Err(Error::retry(Origin::UpstreamFe, MISSING, message))
        }
    }
}

/// What the upstream says of something that is not in its metadata.
enum Gone {
    Reported,
    Unreported,
    /// It is there after all.
    Never,
}

fn route_error(table: &TableIngest, error: &RouteError) -> Error {
    let table = table.source_id;
    match error {
        RouteError::SourcePartitionGone { partition_id } => Error::retry(
            Origin::UpstreamFe,
            "CCR0303",
            format!("partition {partition_id} of table {table} vanished while it was being replicated"),
        ),
        RouteError::TargetPartitionMissing { range } => Error::partial_sync(
            Origin::DownstreamFe,
            "CCR0304",
            format!("the target of table {table} has no partition {range}"),
        ),
        RouteError::TemporaryPartitionMissing { name } => Error::partial_sync(
            Origin::DownstreamFe,
            "CCR0304",
            format!("the target of table {table} has no temporary partition {name}"),
        ),
        RouteError::SourceIndexMissing { index } => Error::partial_sync(
            Origin::UpstreamFe,
            "CCR0305",
            format!("index {index} of the target of table {table} was not written by the upstream load"),
        ),
        RouteError::TabletCount { index, source, target } => Error::partial_sync(
            Origin::DownstreamFe,
            "CCR0306",
            format!("index {index} of table {table} has {source} tablets upstream and {target} downstream"),
        ),
    }
}

/// A table of the transaction without a link must have been dropped upstream; else rows would be lost.
async fn check_unlinked(shell: &Shell, txn: &Transaction, is_last_look: bool) -> Result<()> {
    if txn.ingest.unlinked.is_empty() {
        return Ok(());
    }
    let unlinked = &txn.ingest.unlinked;
    let look = async || {
        let filter = MetaFilter::Tables(unlinked.clone());
        let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
        let Some(db) = db else { return Err(missing_database(shell)) };
        // An old frontend reports no drops, so what it has not shown in several looks is taken for dropped.
        let is_certain = db.reports_drops
            || txn.ingest.only_looks
            || unlinked.iter().all(|id| db.tables.iter().any(|t| t.id == *id));
        Ok((is_certain || db.tables.iter().any(|table| table.kind == "OLAP")).then_some(db))
    };
    let found = look_for(shell, &format!("tables {unlinked:?}"), look).await?;
    let Some(db) = found else { return Ok(()) };
    if let Some(table) = db.tables.iter().find(|table| table.kind == "OLAP") {
        return Err(Error::blocked(
            Origin::UpstreamFe,
            "CCR0204",
            format!(
                "commit seq {} concerns table {} ({}), which was neither in the snapshot nor created since",
                txn.commit_seq, table.name, table.id
            ),
            "was the table restored upstream? such tables are not in the binlog: create the job again",
        ));
    }
    let doubtful = unlinked
        .iter()
        .find(|id| !db.tables.iter().any(|table| table.id == **id) && !db.dropped_tables.contains_key(id));
    match doubtful {
        Some(id) if txn.ingest.only_looks => {
            // A view that a restore has brought, or a table of another engine, is never listed.
            let reason = format!("{id} is not among the upstream tables");
            shell.record_skip(txn.commit_seq, reason);
            Ok(())
        }
        Some(id) if !is_last_look => Err(missing(&format!("table {id}"))),
        Some(id) => {
            // The list of drops is kept for a time only, as binlogs are. What stays missing has been dropped.
            tracing::warn!(commit_seq = txn.commit_seq, table = id, "the table stays missing upstream");
            let reason = format!("the rows of table {id} are left out: it stays missing upstream");
            shell.record_skip(txn.commit_seq, reason);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Whether the transaction was committed before, by the versions of its partitions; `None` when there are
/// none left to tell.
async fn is_already_applied(shell: &Shell, routes: &Routes, txn: &Transaction) -> Result<Option<bool>> {
    let mut applied = 0;
    let mut missing = 0;
    let mut lacking = None;
    for table in &txn.ingest.tables {
        let read = routes.read(shell, table, txn.commit_seq).await;
        let read = read.map_err(|error| error.of_table(table.source_id));
        let Looked::Route(route) = read? else { continue };
        for partition in &table.partitions {
            match route.versions(partition, temporary(table, partition)) {
                None => {}
                Some(_) if table.lacks_changes => lacking = Some(table),
                Some((source, target)) if target > source => {
                    let doubt = version_doubt(txn, partition, target);
                    return Err(doubt.of_table(table.source_id));
                }
                Some((_, target)) if target >= partition.version => applied += 1,
                Some(_) => missing += 1,
            }
        }
    }
    match (applied, missing) {
        (0, 0) => lacking.map_or(Ok(None), |table| {
            // The others are told by their versions, when it is not with them.
            Err(lacks_changes(txn, table).of_table(table.source_id))
        }),
        (0, _) => Ok(Some(false)),
        (_, 0) => {
            tracing::info!(commit_seq = txn.commit_seq, "already applied, by the versions of its partitions");
            Ok(Some(true))
        }
        (_, _) => Err(Error::blocked(
            Origin::DownstreamFe,
            "CCR0308",
            format!("commit seq {} seems to be applied to some of its partitions only", txn.commit_seq),
            "something else wrote to the target: remove it, or let the table be copied",
        )),
    }
}

/// Somebody has asked to pass over a change of the table, and since then its versions are others than upstream.
fn lacks_changes(txn: &Transaction, table: &TableIngest) -> Error {
    Error::blocked(
        Origin::DownstreamFe,
        "CCR0308",
        format!(
            "table {} goes without a change that was passed over, so its versions do not tell whether commit seq {} \
             was applied before the long pause",
            table.source_id, txn.commit_seq
        ),
        "ask for a partial sync of the table",
    )
}

fn version_doubt(txn: &Transaction, partition: &PartitionRecord, target: i64) -> Error {
    Error::blocked(
        Origin::DownstreamFe,
        "CCR0308",
        format!(
            "the target of partition {} is at version {target}, ahead of the source, so it cannot be told \
             whether commit seq {} was applied before the long pause",
            partition.partition_id, txn.commit_seq
        ),
        "something else wrote to the target: remove it, or let the table be copied",
    )
}
