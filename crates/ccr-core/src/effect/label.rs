//! Under which label a transaction runs, and what the label tells of earlier tries.
//!
//! The label is made of the job and the commit seq, the request id of the label. So `beginTxn` can be
//! repeated after a lost reply or a crash: it answers with the transaction that is still open, or says
//! that the label is finished, which proves the commit.
//!
//! A transaction that an earlier try opened for more tables than are left of it can be finished in no way once one
//! of the others is gone downstream: FEs refuse to commit it and to roll it back, until it times out. The next
//! try then takes a second label, and whoever does not know about that tries this one first.
//!
//! A job that reuses upstream labels tries the upstream's label before those. That it is finished proves nothing,
//! for anybody may have used it. So before such a transaction is committed its id is *claimed*: an empty
//! transaction is committed under a label made of the job, the commit seq and that id, which then lasts as long
//! as the upstream's label does. A label that is held by a transaction without a claim is somebody else's, and
//! is left alone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use doris_types::call::{BeginAnswer, BeginTxn, CommitTxn, LabelState};
use sha2::{Digest, Sha256};

use super::absence::table_names;
use super::downstream;
use super::transaction::Transaction;
use crate::answers;
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::Unpublished;
use crate::plan::TrackId;
use crate::runner::shell::Shell;
use crate::store::HistoryEntry;

/// After this long the downstream may have forgotten a label; it keeps them for 12 hours by default.
pub(super) const LABEL_TRUST_MS: i64 = 10 * 3600 * 1000;

/// The longest label that Doris takes.
const MAX_LABEL: usize = 128;

/// How many of a transaction's labels have been given up.
#[derive(Debug, Default)]
pub(crate) struct Choice(AtomicUsize);

impl Choice {
    fn position(&self, labels: &[Label]) -> usize {
        self.0.load(Ordering::Relaxed).min(labels.len() - 1)
    }

    /// The next try takes the next label. The last one is never given up.
    pub(super) fn give_up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One of the labels that a transaction may carry.
#[derive(Debug, PartialEq, Eq)]
struct Label {
    text: String,
    /// The same for the same transaction, so that a repeated `beginTxn` finds what it opened before.
    request_id: (i64, i64),
    owner: Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Nobody else makes such a label.
    Job,
    /// Anybody may have used it.
    Upstream,
}

/// A transaction that is open.
pub(super) struct Open {
    pub txn_id: i64,
    pub sub_txn_ids: Vec<i64>,
    pub request_id: (i64, i64),
    owner: Owner,
}

/// How the begin of a transaction ended.
pub(super) enum Begun {
    Open(Open),
    /// It is known to be committed.
    Committed,
}

/// Begins the transaction under the first of its labels that nobody else holds, unless it is committed already.
pub(super) async fn begin(
    shell: &Shell,
    txn: &Transaction,
    table_ids: &[i64],
    sub_txn_num: i64,
    trusts_label: bool,
) -> Result<Begun> {
    let labels = labels(shell.job_id(), txn.track, txn.commit_seq, txn.ingest.label.as_deref());
    loop {
        let at = txn.choice.position(&labels);
        // An earlier task may have come to a later label, of which this one does not know.
        if txn.earlier.since_ms_of(txn.commit_seq).is_some() {
            for later in &labels[at + 1..] {
                let is_second = *later == labels[labels.len() - 1];
                if is_second && !txn.ingest.is_shared {
                    continue;
                }
                if settle(shell, later, txn.commit_seq, table_ids[0]).await? == Some(true) {
                    return Ok(Begun::Committed);
                }
            }
        }
        let label = &labels[at];
        let request = request(shell, label, table_ids, sub_txn_num);
        let opened = open(shell, &request).await.inspect_err(|error| {
            if is_stuck(txn, error) {
                txn.choice.give_up();
            }
        });
        match (opened?, label.owner) {
            (BeginAnswer::Opened { txn_id, sub_txn_ids }, owner) => {
                if trusts_label {
                    txn.earlier.settle_from(txn.commit_seq);
                }
                let request_id = label.request_id;
                return Ok(Begun::Open(Open { txn_id, sub_txn_ids, request_id, owner }));
            }
            (BeginAnswer::LabelUsed { state: LabelState::Finished, txn_id }, Owner::Job) => {
                found(shell, txn.commit_seq, txn_id);
                return Ok(Begun::Committed);
            }
            (BeginAnswer::LabelUsed { txn_id, state }, Owner::Job) => {
                return Err(displace(shell, &label.text, txn_id, state).await);
            }
            (BeginAnswer::LabelUsed { txn_id, state }, Owner::Upstream) => {
                if state == LabelState::Finished && is_claimed(shell, txn, txn_id, table_ids[0]).await? {
                    found(shell, txn.commit_seq, txn_id);
                    return Ok(Begun::Committed);
                }
                let own = &labels[at + 1].text;
                record_foreign(shell, txn.commit_seq, &label.text, txn_id, own).await;
                txn.choice.give_up();
            }
        }
    }
}

/// Records, before the commit of a transaction under an upstream label, that it is this job's. A claim that cannot
/// be finished, because a table of an earlier try of it is gone, makes the transaction take another label.
pub(super) async fn claim(shell: &Shell, txn: &Transaction, open: &Open, table_ids: &[i64]) -> Result<()> {
    if open.owner == Owner::Job {
        return Ok(());
    }
    let label = claim_label(shell, txn, open.txn_id);
    let answer = shell.ctx.downstream.begin_txn(&request(shell, &label, table_ids, 0)).await;
    let txn_id = match answer.map_err(downstream)? {
        BeginAnswer::Opened { txn_id, .. } => txn_id,
        BeginAnswer::LabelUsed { state: LabelState::Finished, .. } => return Ok(()),
        BeginAnswer::LabelUsed { txn_id, state } => {
            return Err(displace(shell, &label.text, txn_id, state).await);
        }
    };
    let database = shell.target_database().to_owned();
    let nothing = CommitTxn { database, txn_id, commits: Vec::new(), sub_txns: Vec::new(), waits: false };
    let committed = shell.ctx.downstream.commit_txn(&nothing).await.map_err(downstream);
    committed.map(|_| ()).inspect_err(|error| {
        if is_stuck(txn, error) {
            txn.choice.give_up();
        }
    })
}

/// Whether the transaction of the main track for this commit seq was committed; if not, it cannot be any more.
/// `None` when that cannot be told: the label may have been forgotten, or none of the job's tables is there to
/// ask with. `upstream` is the upstream's label in a job that reuses it.
pub(crate) async fn is_committed(
    shell: &Shell,
    commit_seq: i64,
    upstream: Option<&str>,
    untried_since_ms: i64,
    target_ids: &BTreeSet<i64>,
) -> Result<Option<bool>> {
    let present = table_names(shell).await?;
    let Some(table_id) = target_ids.iter().find(|id| present.contains_key(id)) else { return Ok(None) };
    if shell.now_ms() - untried_since_ms > LABEL_TRUST_MS {
        return Ok(None);
    }
    for label in labels(shell.job_id(), TrackId::Main, commit_seq, upstream).iter().rev() {
        let settled = match label.owner {
            Owner::Job => settle(shell, label, commit_seq, *table_id).await?,
            Owner::Upstream => settle_upstream(shell, label, commit_seq, *table_id).await?,
        };
        if settled != Some(false) {
            return Ok(settled);
        }
    }
    Ok(Some(false))
}

/// Whether an FE misses a table that is not one of those that are left of the transaction.
pub(super) fn is_stuck(txn: &Transaction, error: &Error) -> bool {
    let missed = answers::missed_table(&error.message);
    missed.is_some_and(|missed| txn.ingest.tables.iter().all(|table| table.target_id != missed))
}

/// Begins a transaction. One that an earlier try opened is answered without its sub-transactions, so when it
/// has some it is rolled back and begun again.
async fn open(shell: &Shell, request: &BeginTxn) -> Result<BeginAnswer> {
    let is_whole = |sub_txn_ids: &[i64]| sub_txn_ids.len() as i64 == request.sub_txn_num;
    let answer = shell.ctx.downstream.begin_txn(request).await.map_err(downstream)?;
    let txn_id = match &answer {
        BeginAnswer::Opened { txn_id, sub_txn_ids } if !is_whole(sub_txn_ids) => *txn_id,
        BeginAnswer::Opened { .. } | BeginAnswer::LabelUsed { .. } => return Ok(answer),
    };
    let reason = "begun again with its sub-transactions";
    shell.ctx.downstream.rollback_txn(shell.target_database(), txn_id, reason).await.map_err(downstream)?;
    match shell.ctx.downstream.begin_txn(request).await.map_err(downstream)? {
        BeginAnswer::Opened { txn_id, sub_txn_ids } if !is_whole(&sub_txn_ids) => Err(Error::retry(
            Origin::DownstreamFe,
            "CCR0307",
            format!(
                "transaction {txn_id} was opened with {} of {} sub-transactions",
                sub_txn_ids.len(),
                request.sub_txn_num
            ),
        )),
        answer => Ok(answer),
    }
}

/// Our label on a transaction that is not ours to go on with: it is aborted, and begun again next time.
async fn displace(shell: &Shell, label: &str, txn_id: Option<i64>, state: LabelState) -> Error {
    if let (Some(txn_id), LabelState::Running | LabelState::Precommitted) = (txn_id, state) {
        let rollback = shell
            .ctx
            .downstream
            .rollback_txn(shell.target_database(), txn_id, "left open by the syncer")
            .await;
        if let Err(failure) = rollback {
            return downstream(failure);
        }
    }
    Error::retry(
        Origin::DownstreamFe,
        "CCR0307",
        format!("label {label} was taken by transaction {txn_id:?} in state {state:?}"),
    )
}

/// Whether the transaction of one of the job's own labels was committed; if not, it cannot be any more. `None`
/// when that cannot be told.
async fn settle(shell: &Shell, label: &Label, commit_seq: i64, table_id: i64) -> Result<Option<bool>> {
    // To begin it is the only way to ask for a label.
    let answer = shell.ctx.downstream.begin_txn(&request(shell, label, &[table_id], 0)).await;
    match answer.map_err(downstream)? {
        BeginAnswer::LabelUsed { state: LabelState::Finished, txn_id } => {
            found(shell, commit_seq, txn_id);
            Ok(Some(true))
        }
        BeginAnswer::Opened { txn_id, .. } | BeginAnswer::LabelUsed { txn_id: Some(txn_id), .. } => {
            take_back(shell, txn_id).await.map(Some)
        }
        BeginAnswer::LabelUsed { txn_id: None, .. } => Ok(None),
    }
}

/// A finished transaction may not be visible yet.
fn found(shell: &Shell, commit_seq: i64, txn_id: Option<i64>) {
    if let Some(txn_id) = txn_id {
        shell.publishing.found(Unpublished { txn_id, commit_seq, since_ms: shell.now_ms() });
    }
}

/// The same of the upstream's label. What others do under it is left alone.
async fn settle_upstream(
    shell: &Shell,
    label: &Label,
    commit_seq: i64,
    table_id: i64,
) -> Result<Option<bool>> {
    let answer = shell.ctx.downstream.begin_txn(&request(shell, label, &[table_id], 0)).await;
    match answer.map_err(downstream)? {
        BeginAnswer::Opened { txn_id, .. } => take_back(shell, txn_id).await.map(Some),
        BeginAnswer::LabelUsed { state: LabelState::Finished, txn_id: Some(txn_id) } => {
            let own = own_label(shell.job_id(), TrackId::Main, commit_seq);
            settle(shell, &Label::own(claim_text(&own, txn_id)), commit_seq, table_id).await
        }
        BeginAnswer::LabelUsed { state: LabelState::Finished, txn_id: None } => Ok(None),
        BeginAnswer::LabelUsed { .. } => Ok(Some(false)),
    }
}

/// Rolls back what a question has opened; false, for it is not committed.
async fn take_back(shell: &Shell, txn_id: i64) -> Result<bool> {
    let db = shell.target_database();
    let rollback = shell.ctx.downstream.rollback_txn(db, txn_id, "asked for its state").await;
    match rollback.map_err(downstream) {
        Ok(()) => Ok(false),
        // Asked again, the label tells what became of it.
        Err(error) if error.disposition == Disposition::RestartTxn => {
            Err(Error { disposition: Disposition::Retry, ..error })
        }
        // One of its tables is gone, so it can be neither committed nor rolled back.
        Err(error) if error.disposition == Disposition::RefreshMeta => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the finished transaction of an upstream label was claimed by this job.
async fn is_claimed(shell: &Shell, txn: &Transaction, txn_id: Option<i64>, table_id: i64) -> Result<bool> {
    let claimed = match txn_id {
        Some(txn_id) => settle(shell, &claim_label(shell, txn, txn_id), txn.commit_seq, table_id).await?,
        None => None,
    };
    claimed.ok_or_else(|| {
        Error::blocked(
            Origin::DownstreamFe,
            "CCR0307",
            format!(
                "label {} is finished downstream, and it cannot be told whether commit seq {} was committed under it",
                txn.ingest.label.as_deref().unwrap_or_default(),
                txn.commit_seq
            ),
            "report the downstream Doris version with this message",
        )
    })
}

/// Somebody else has the upstream's label.
async fn record_foreign(shell: &Shell, commit_seq: i64, label: &str, txn_id: Option<i64>, own: &str) {
    let holder = txn_id.map_or("another transaction".to_owned(), |id| format!("transaction {id}"));
    let entry = HistoryEntry {
        at_ms: shell.now_ms(),
        first_commit_seq: commit_seq,
        last_commit_seq: commit_seq,
        plan: "label".to_owned(),
        reason: format!("label {label} belongs to {holder} downstream, which is not the job's"),
        outcome: format!("label {own} is used"),
        duration_ms: 0,
    };
    shell.record_history(entry).await;
}

/// In the order in which they are tried.
fn labels(job_id: &str, track: TrackId, commit_seq: i64, upstream: Option<&str>) -> Vec<Label> {
    let own = own_label(job_id, track, commit_seq);
    let of_upstream = upstream.filter(|label| is_valid(label)).map(|label| Label {
        text: label.to_owned(),
        request_id: request_id(&format!("{own} as {label}")),
        owner: Owner::Upstream,
    });
    let second = Label::own(format!("{own}-a2"));
    of_upstream.into_iter().chain([Label::own(own), second]).collect()
}

impl Label {
    fn own(text: String) -> Self {
        Self { request_id: request_id(&text), text, owner: Owner::Job }
    }
}

/// The label of a job's transaction for an upstream commit seq.
fn own_label(job_id: &str, track: TrackId, commit_seq: i64) -> String {
    match track {
        TrackId::Main => format!("ccrj-{job_id}-{commit_seq}"),
        TrackId::Table(source_id) => format!("ccrj-{job_id}-{commit_seq}-t{source_id}"),
    }
}

/// The label that claims a transaction.
fn claim_label(shell: &Shell, txn: &Transaction, txn_id: i64) -> Label {
    Label::own(claim_text(&own_label(shell.job_id(), txn.track, txn.commit_seq), txn_id))
}

fn claim_text(own: &str, txn_id: i64) -> String {
    format!("{own}-c{txn_id}")
}

/// Whether a frontend takes it in `beginTxn`; upstream statements may have labels of more kinds.
fn is_valid(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte))
}

fn request_id(label: &str) -> (i64, i64) {
    let digest = Sha256::digest(label.as_bytes());
    let part = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[from..from + 8]);
        i64::from_be_bytes(bytes)
    };
    (part(0), part(8))
}

fn request(shell: &Shell, label: &Label, table_ids: &[i64], sub_txn_num: i64) -> BeginTxn {
    BeginTxn {
        database: shell.target_database().to_owned(),
        table_ids: table_ids.to_vec(),
        request_id: label.request_id,
        label: label.text.clone(),
        timeout_s: shell.ctx.options.txn_timeout_s,
        sub_txn_num,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(labels: &[Label]) -> Vec<&str> {
        labels.iter().map(|label| label.text.as_str()).collect()
    }

    #[test]
    fn labels_and_request_ids_are_functions_of_job_and_seq() {
        let made = || labels("00ff", TrackId::Main, 7, None);
        assert_eq!(texts(&made()), ["ccrj-00ff-7", "ccrj-00ff-7-a2"]);
        assert_eq!(texts(&labels("00ff", TrackId::Table(5), 7, None))[0], "ccrj-00ff-7-t5");
        assert_eq!(made(), made());
        assert_ne!(request_id("a"), request_id("b"));
    }

    #[test]
    fn an_upstream_label_comes_first_where_it_is_one() {
        let made = |seq, label| labels("00ff", TrackId::Main, seq, Some(label));
        assert_eq!(texts(&made(7, "load:a_1")), ["load:a_1", "ccrj-00ff-7", "ccrj-00ff-7-a2"]);
        // Another transaction under that label is not taken for this one.
        assert_ne!(made(7, "load")[0].request_id, made(8, "load")[0].request_id);
        for odd in ["", "a b", "ä", &"x".repeat(129)] {
            assert_eq!(texts(&made(7, odd))[0], "ccrj-00ff-7");
        }
        assert_eq!(claim_text("ccrj-00ff-7", 71), "ccrj-00ff-7-c71");
    }
}
