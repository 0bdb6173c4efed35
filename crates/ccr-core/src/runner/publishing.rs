//! Transactions that are committed downstream and not known to be visible.
//!
//! A commit waits for the publish only when no other transaction is behind it, so that a stream of them is not held up
//! by the time that backends take, nor by a table that cannot be published at all. The target equals the source
//! once everything is visible, so what is not is counted as lag, and asked for.
//!
//! The versions of a partition become visible in the order of the commits. So of the transactions that touch the same
//! partitions only the newest has to be asked for, and one that is seen settles those before it.
//!
//! They are few then, unless a table cannot be published and has very many partitions: such a table is given no more
//! commits, and leaves the stream if that lasts.

use std::collections::BTreeSet;
use std::time::Duration;

use doris_types::call::TxnState;
use parking_lot::Mutex;

use crate::job::Unpublished;
use crate::status::PublishStatus;

use super::shell::Shell;

/// More of one table at once, and its further commits wait until some are visible.
pub(crate) const MOST: usize = 1024;

/// More of all tables, and everybody's do.
const MOST_OF_ALL: usize = 16 * MOST;

/// How long what puts other rows in the place of some waits until they are visible.
const BEFORE_SWAP_MS: i64 = 10_000;

/// The first pause while it waits.
const SOON: Duration = Duration::from_millis(50);

/// Asked for in one round.
const ROUND: usize = 8;

/// What is not visible after this long is not only on its way.
pub(super) const LATE_MS: i64 = 5_000;

/// And after this long somebody should look at it.
const WARN_MS: i64 = 60_000;

/// A transaction that is not known so long after its commit is one that ended long ago; before, an FE that answers so
/// may be behind. FEs remember them for 12 hours after they became visible.
const FORGOTTEN_MS: i64 = 10 * 3600 * 1000;

#[derive(Debug, Default)]
pub(crate) struct Publishing(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pending: Vec<Pending>,
    /// The publish of some commit was waited for in vain since everything was visible.
    is_slow: bool,
    /// How many were asked for without anything new.
    rounds_in_vain: u32,
}

/// What a transaction has written to downstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub tables: BTreeSet<i64>,
    pub partitions: BTreeSet<i64>,
}

#[derive(Debug, Clone)]
struct Pending {
    txn: Unpublished,
    /// Unknown after a restart.
    touched: Option<Touched>,
    /// When it was last asked for.
    asked_ms: i64,
    is_warned: bool,
}

impl Pending {
    /// Whether it is visible when another, committed later, is.
    fn is_before(&self, later: &Touched) -> bool {
        self.touched.as_ref().is_some_and(|touched| touched.partitions.is_subset(&later.partitions))
    }

    /// Whether it has written to one of these tables, as far as is known.
    fn touches(&self, tables: &[i64]) -> bool {
        self.touched.as_ref().is_none_or(|touched| tables.iter().any(|table| touched.tables.contains(table)))
    }
}

impl Publishing {
    /// Those that an earlier task has left.
    pub fn restore(&self, txns: &[Unpublished]) {
        txns.iter().for_each(|txn| self.found(*txn));
        self.0.lock().is_slow |= !txns.is_empty();
    }

    /// A transaction is committed. `waited` is whether its publish was waited for.
    pub fn committed(&self, txn: Unpublished, touched: Touched, is_visible: bool, waited: bool) {
        let mut inner = self.0.lock();
        inner.pending.retain(|pending| pending.txn.txn_id != txn.txn_id && !pending.is_before(&touched));
        if !is_visible {
            let asked_ms = txn.since_ms;
            inner.pending.push(Pending { txn, touched: Some(touched), asked_ms, is_warned: false });
        }
        inner.is_slow = !inner.pending.is_empty() && (inner.is_slow || waited && !is_visible);
        inner.rounds_in_vain = 0;
    }

    /// A transaction turns out to be committed, by an earlier task or before a lost answer.
    pub fn found(&self, txn: Unpublished) {
        let mut inner = self.0.lock();
        if inner.pending.iter().all(|pending| pending.txn.txn_id != txn.txn_id) {
            let asked_ms = txn.since_ms;
            inner.pending.push(Pending { txn, touched: None, asked_ms, is_warned: false });
            inner.rounds_in_vain = 0;
        }
    }

    /// Whether it is worth while to let a commit wait for its publish.
    pub fn is_prompt(&self) -> bool {
        !self.0.lock().is_slow
    }

    /// Whether so many are on their way that no more should be committed.
    pub fn is_full(&self) -> bool {
        self.0.lock().pending.len() >= MOST_OF_ALL
    }

    /// Whether so many of a table are.
    pub fn is_full_of(&self, table: i64) -> bool {
        let inner = self.0.lock();
        if inner.pending.len() < MOST {
            return false;
        }
        let is_of = |pending: &&Pending| pending.touched.is_some() && pending.touches(&[table]);
        inner.pending.iter().filter(is_of).count() >= MOST
    }

    /// Those that may have written to the tables, and are not so old that nobody waits for them.
    fn of_late(&self, tables: &[i64], now_ms: i64) -> Vec<i64> {
        let inner = self.0.lock();
        let is_late = |pending: &&Pending| {
            pending.touches(tables) && now_ms.saturating_sub(pending.txn.since_ms) < BEFORE_SWAP_MS
        };
        inner.pending.iter().filter(is_late).map(|pending| pending.txn.txn_id).take(ROUND).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().pending.is_empty()
    }

    /// Whether one of them would be forgotten if the process died, and only these were stored.
    pub fn has_more_than(&self, stored: &[Unpublished]) -> bool {
        let inner = self.0.lock();
        let is_stored = |pending: &Pending| stored.iter().any(|txn| txn.txn_id == pending.txn.txn_id);
        !inner.pending.iter().all(is_stored)
    }

    /// What must survive a restart, oldest first.
    pub fn all(&self) -> Vec<Unpublished> {
        self.0.lock().pending.iter().map(|pending| pending.txn).collect()
    }

    /// The target is another from here on.
    pub fn clear(&self) {
        *self.0.lock() = Inner::default();
    }

    /// How many rounds of questions in a row have brought nothing.
    pub fn rounds_in_vain(&self) -> u32 {
        self.0.lock().rounds_in_vain
    }

    pub fn status(&self) -> Option<PublishStatus> {
        PublishStatus::of(&self.all())
    }

    /// Those that were asked for the longest ago.
    fn to_ask(&self) -> Vec<i64> {
        let inner = self.0.lock();
        let mut pending: Vec<(i64, i64)> =
            inner.pending.iter().map(|pending| (pending.asked_ms, pending.txn.txn_id)).collect();
        pending.sort_unstable();
        pending.into_iter().take(ROUND).map(|(_, id)| id).collect()
    }

    fn answered(&self, txn_id: i64, state: Option<TxnState>, now_ms: i64) {
        let mut inner = self.0.lock();
        let Some(at) = inner.pending.iter().position(|pending| pending.txn.txn_id == txn_id) else { return };
        let txn = inner.pending[at].txn;
        let age_ms = now_ms.saturating_sub(txn.since_ms);
        let is_visible = match state {
            Some(TxnState::Visible) => true,
            Some(TxnState::Committed | TxnState::Open) => false,
            Some(TxnState::Aborted) => {
                // Doris promises that this cannot be; it stays counted as lag.
                tracing::error!(txn_id, txn.commit_seq, "committed, and aborted nevertheless");
                false
            }
            None => age_ms > FORGOTTEN_MS,
        };
        if is_visible {
            let seen = inner.pending.remove(at);
            if let Some(touched) = &seen.touched {
                inner
                    .pending
                    .retain(|other| other.txn.commit_seq > seen.txn.commit_seq || !other.is_before(touched));
            }
            inner.is_slow &= !inner.pending.is_empty();
            inner.rounds_in_vain = 0;
            if seen.is_warned {
                tracing::info!(txn_id, txn.commit_seq, age_ms, "visible at last");
            }
            return;
        }
        let pending = &mut inner.pending[at];
        pending.asked_ms = now_ms;
        let is_due = age_ms >= WARN_MS && !pending.is_warned;
        pending.is_warned |= is_due;
        inner.is_slow |= age_ms >= LATE_MS;
        if is_due {
            tracing::warn!(txn_id, txn.commit_seq, age_ms, "committed downstream and not visible yet");
        }
    }
}

/// Asks for some of those that are not known to be visible.
pub(super) async fn ask(shell: &Shell) {
    shell.publishing.0.lock().rounds_in_vain += 1;
    for txn_id in shell.publishing.to_ask() {
        match shell.ctx.downstream.txn_state(shell.target_database(), txn_id).await {
            Ok(state) => shell.publishing.answered(txn_id, state, shell.now_ms()),
            Err(failure) => {
                tracing::info!(txn_id, %failure, "cannot be asked for, asked again later");
                return;
            }
        }
    }
}

/// Waits until what was committed to these downstream tables is visible. Rows that are about to take the place of others
/// would be missed between the two, as an INSERT OVERWRITE upstream waits for them too. It does so for so long, and a
/// table that cannot be published keeps nobody longer.
pub(crate) async fn until_visible(shell: &Shell, tables: &[i64]) {
    for tries in 0.. {
        let txn_ids = shell.publishing.of_late(tables, shell.now_ms());
        if txn_ids.is_empty() {
            return;
        }
        for txn_id in txn_ids {
            // Who cannot be asked is asked again; the time ends by itself.
            if let Ok(state) = shell.ctx.downstream.txn_state(shell.target_database(), txn_id).await {
                shell.publishing.answered(txn_id, state, shell.now_ms());
            }
        }
        if shell.publishing.of_late(tables, shell.now_ms()).is_empty() {
            return;
        }
        shell.ctx.clock.sleep(SOON * 2_u32.pow(tries.min(4))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of table 70, and of these partitions.
    fn touched<const N: usize>(partitions: [i64; N]) -> Touched {
        Touched { tables: [70].into(), partitions: partitions.into() }
    }

    fn txn(txn_id: i64) -> Unpublished {
        Unpublished { txn_id, commit_seq: txn_id * 10, since_ms: 0 }
    }

    fn ids(publishing: &Publishing) -> Vec<i64> {
        publishing.all().iter().map(|txn| txn.txn_id).collect()
    }

    #[test]
    fn the_newest_of_the_same_partitions_stands_for_those_before() {
        let publishing = Publishing::default();
        publishing.committed(txn(1), touched([7, 8]), false, false);
        publishing.committed(txn(2), touched([8]), false, false);
        publishing.committed(txn(3), touched([8, 9]), false, false);
        assert_eq!(ids(&publishing), [1, 3]);
        assert!(publishing.is_prompt());
        publishing.committed(txn(4), touched([7, 8]), true, true);
        assert_eq!(ids(&publishing), [3]);
        publishing.answered(3, Some(TxnState::Visible), 10);
        assert!(publishing.is_empty());
    }

    #[test]
    fn one_that_is_seen_settles_only_those_before_it() {
        let publishing = Publishing::default();
        publishing.committed(txn(1), touched([7]), false, false);
        publishing.committed(txn(2), touched([7, 8]), false, false);
        publishing.committed(txn(3), touched([8]), false, false);
        assert_eq!(ids(&publishing), [2, 3]);
        publishing.answered(2, Some(TxnState::Visible), 10);
        assert_eq!(ids(&publishing), [3]);
    }

    #[test]
    fn nobody_waits_while_one_is_slow() {
        let publishing = Publishing::default();
        publishing.committed(txn(1), touched([7]), false, true);
        assert!(!publishing.is_prompt());
        publishing.committed(txn(2), touched([8]), true, true);
        assert!(!publishing.is_prompt());
        publishing.answered(1, Some(TxnState::Committed), 10);
        assert_eq!(ids(&publishing), [1]);
        publishing.answered(1, Some(TxnState::Visible), 20);
        assert!(publishing.is_prompt() && publishing.is_empty());
        publishing.committed(txn(3), touched([7]), false, false);
        publishing.answered(3, Some(TxnState::Committed), LATE_MS);
        assert!(!publishing.is_prompt());
    }

    #[test]
    fn what_an_earlier_task_has_left_is_asked_for() {
        let publishing = Publishing::default();
        publishing.restore(&[txn(1)]);
        publishing.committed(txn(2), touched([7]), true, true);
        assert_eq!(publishing.to_ask(), [1]);
        publishing.answered(1, None, FORGOTTEN_MS);
        assert_eq!(ids(&publishing), [1], "an FE may be behind");
        publishing.answered(1, None, FORGOTTEN_MS + 1);
        assert!(publishing.is_empty());
    }

    #[test]
    fn a_table_that_is_full_of_them_holds_up_itself_only() {
        let publishing = Publishing::default();
        let most = i64::try_from(MOST).expect("it is small");
        for id in 0..most {
            assert!(!publishing.is_full_of(70));
            publishing.committed(txn(id), touched([id]), false, false);
        }
        assert!(publishing.is_full_of(70) && !publishing.is_full_of(71) && !publishing.is_full());
        publishing.answered(5, Some(TxnState::Visible), 10);
        assert!(!publishing.is_full_of(70));
    }

    #[test]
    fn what_was_committed_to_a_table_lately_is_waited_for() {
        let publishing = Publishing::default();
        publishing.committed(txn(1), touched([7]), false, false);
        assert_eq!(publishing.of_late(&[70], BEFORE_SWAP_MS - 1), [1]);
        assert!(publishing.of_late(&[71], 0).is_empty(), "another table");
        assert!(publishing.of_late(&[70], BEFORE_SWAP_MS).is_empty(), "it has had its time");
        publishing.found(txn(2));
        assert_eq!(publishing.of_late(&[71], 0), [2], "it may be of any table");
    }

    #[test]
    fn those_asked_for_the_longest_ago_come_first() {
        let publishing = Publishing::default();
        for id in 0..10 {
            publishing.committed(txn(id), touched([id]), false, false);
        }
        let round: Vec<i64> = publishing.to_ask();
        assert_eq!(round, (0..8).collect::<Vec<i64>>());
        for id in round {
            publishing.answered(id, Some(TxnState::Committed), 100);
        }
        assert_eq!(publishing.to_ask()[..2], [8, 9]);
    }
}
