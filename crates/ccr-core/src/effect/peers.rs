//! What the transactions of a track tell of each other while one of them keeps failing.
//!
//! In source order everything waits for the oldest transaction. When it has failed for long it matters whose the
//! failure is: if it is one table's, that table goes on by itself; if it is the cluster's, nothing is gained by
//! letting tables leave one after the other. Two things prove it to be a table's: the peer has answered, and has
//! named the table or one of its tablets, while no other table fails; or other tables were filled meanwhile.
//!
//! In table order only those wait that share transactions with the table. There it need not be the oldest of all,
//! but of its table; and a table that goes on by itself because it is slow keeps telling, for others wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::label::LABEL_TRUST_MS;
use super::transaction::{Transaction, UNPUBLISHED};
use crate::error::{Disposition, Error, Origin};
use crate::runner::shell::Shell;

/// The transactions under way on a track, by commit seq.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_table: bool,
    under_way: Mutex<BTreeMap<i64, Peer>>,
}

#[derive(Debug)]
struct Peer {
    tables: Vec<i64>,
    /// When it was begun, or its commit.
    since_ms: i64,
    filled_at_ms: Option<i64>,
    fails: bool,
}

/// What a failure tells of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub table: i64,
    /// The peer has answered, and has named the table or one of its tablets.
    pub is_named: bool,
}

impl Peers {
    pub fn new(by_table: bool) -> Self {
        Self { by_table, under_way: Mutex::default() }
    }

    /// A transaction is begun, or its commit.
    pub fn begins(&self, commit_seq: i64, tables: impl IntoIterator<Item = i64>, now_ms: i64) {
        let mut peers = self.under_way.lock();
        let peer = peers.entry(commit_seq).or_insert_with(|| Peer {
            tables: tables.into_iter().collect(),
            since_ms: now_ms,
            filled_at_ms: None,
            fails: false,
        });
        (peer.since_ms, peer.fails) = (now_ms, false);
    }

    /// Every replica of it is filled.
    pub fn filled(&self, commit_seq: i64, now_ms: i64) {
        if let Some(peer) = self.under_way.lock().get_mut(&commit_seq) {
            (peer.filled_at_ms, peer.fails) = (Some(now_ms), false);
        }
    }

    pub fn done(&self, commit_seq: i64) {
        self.under_way.lock().remove(&commit_seq);
    }

    /// A transaction fails. Answers whether that is proven to be its table's business, and has lasted for so long,
    /// and others wait for it.
    pub fn fails(&self, commit_seq: i64, evidence: Option<Evidence>, now_ms: i64, lasts: Duration) -> bool {
        let mut peers = self.under_way.lock();
        let Some(peer) = peers.get_mut(&commit_seq) else { return false };
        peer.fails = true;
        let since_ms = peer.since_ms;
        let Some(Evidence { table, is_named }) = evidence else { return false };
        let mut before = peers.range(..commit_seq);
        let is_behind = before.any(|(_, peer)| !self.by_table || peer.tables.contains(&table));
        if is_behind || Duration::from_millis(now_ms.abs_diff(since_ms)) < lasts {
            return false;
        }
        let mut others = peers.values().filter(|peer| !peer.tables.contains(&table));
        let contrast = others.clone().any(|peer| peer.filled_at_ms.is_some_and(|at| at >= since_ms));
        contrast || is_named && !others.any(|peer| peer.fails)
    }
}

impl Transaction {
    pub(super) fn begins(&self, shell: &Shell) {
        if let Some(peers) = &self.peers {
            let tables = self.ingest.tables.iter().map(|table| table.source_id);
            peers.begins(self.commit_seq, tables, shell.now_ms());
        }
    }

    /// The error with which the table leaves the track, if it is time. `tablets` are those that a commit names.
    pub(super) fn isolated(&self, shell: &Shell, error: &Error, tablets: &[i64]) -> Option<Error> {
        match error.disposition {
            Disposition::Retry
            | Disposition::RetryElsewhere
            | Disposition::RefreshMeta
            | Disposition::RestartTxn => {}
            Disposition::PartialSync | Disposition::Isolate | Disposition::Block | Disposition::Stop => {
                return None;
            }
        }
        let peers = self.peers.as_ref()?;
        let evidence = self.evidence(error, tablets);
        let lasts = shell.ctx.options.quarantine_after;
        if !peers.fails(self.commit_seq, evidence, shell.now_ms(), lasts)
            || shell.now_ms() - self.untried.since_ms() > LABEL_TRUST_MS
        {
            return None;
        }
        let table = evidence.map(|evidence| evidence.table);
        Some(Error { disposition: Disposition::Isolate, table, ..error.clone() })
    }

    /// What the error tells of one of the tables. A frontend has to name the table or, of the only one, a tablet;
    /// a backend was asked about a tablet, and unless it has answered it may be the backend's failure.
    fn evidence(&self, error: &Error, tablets: &[i64]) -> Option<Evidence> {
        if let (Some(table), Origin::DownstreamBe) = (error.table, error.origin) {
            let is_named = !matches!(error.code, "CCR0101" | "CCR0102");
            return Some(Evidence { table, is_named });
        }
        if let (Some(table), UNPUBLISHED) = (error.table, error.code) {
            return Some(Evidence { table, is_named: true });
        }
        if let (Some(table), "CCR0309" | "CCR0310") = (error.table, error.code) {
            return Some(Evidence { table, is_named: false });
        }
        let tables = &self.ingest.tables;
        let has_tablet = || tablets.iter().any(|tablet| has_word(&error.message, &tablet.to_string()));
        let mut named = tables.iter().filter(|table| {
            has_word(&error.message, &table.target_id.to_string())
                || names_table(&error.message, &table.target_name)
                || tables.len() == 1 && has_tablet()
        });
        match (named.next(), named.next()) {
            (Some(table), None) if error.code != "CCR0101" => {
                Some(Evidence { table: table.source_id, is_named: true })
            }
            (_, _) => None,
        }
    }
}

/// Whether a text speaks of a table of that name: `Table t1 is in restore process`, `tableList=(t1)`.
fn names_table(text: &str, name: &str) -> bool {
    let spoken_of = text.to_ascii_lowercase().find("table").map(|at| &text[at + "table".len()..]);
    spoken_of.is_some_and(|text| has_word(text, name))
}

/// Whether a text has the word in it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    !word.is_empty() && text.split(|letter| !is_part(letter)).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(100);

    /// Transaction 1 is of table 10, 2 of table 20; both were begun at 0.
    fn two() -> Peers {
        let peers = Peers::default();
        peers.begins(1, [10], 0);
        peers.begins(2, [20], 0);
        peers
    }

    fn named(is_named: bool) -> Option<Evidence> {
        Some(Evidence { table: 10, is_named })
    }

    #[test]
    fn what_a_peer_says_of_a_table_is_believed_after_a_while() {
        let peers = two();
        assert!(!peers.fails(1, named(true), 99, LONG));
        assert!(peers.fails(1, named(true), 100, LONG));
        assert!(!peers.fails(1, named(false), 100, LONG), "it may be the cluster");
        assert!(!peers.fails(1, None, 100, LONG));
    }

    #[test]
    fn when_others_fail_too_it_is_the_cluster() {
        let peers = two();
        assert!(!peers.fails(2, Some(Evidence { table: 20, is_named: true }), 100, LONG), "not the oldest");
        assert!(!peers.fails(1, named(true), 100, LONG));
        peers.filled(2, 120);
        assert!(peers.fails(1, named(false), 120, LONG), "others are filled meanwhile");
    }

    #[test]
    fn others_that_were_filled_before_prove_nothing() {
        let peers = two();
        peers.filled(1, 5);
        peers.filled(2, 5);
        peers.begins(1, [10], 50);
        assert!(!peers.fails(1, named(false), 500, LONG));
        peers.done(1);
        assert!(!peers.fails(1, named(true), 500, LONG), "it is done");
    }

    #[test]
    fn in_table_order_the_oldest_of_its_table_tells() {
        let peers = Peers::new(true);
        for (commit_seq, table) in [(1, 20), (2, 10), (3, 10)] {
            peers.begins(commit_seq, [table], 0);
        }
        assert!(!peers.fails(3, named(true), 100, LONG), "not the oldest of its table");
        peers.done(3);
        assert!(peers.fails(2, named(true), 100, LONG));
        assert!(!two().fails(2, Some(Evidence { table: 20, is_named: true }), 100, LONG));
    }

    #[test]
    fn words_are_whole() {
        assert!(names_table("get tableList write lock timeout, tableList=(t1)", "t1"));
        assert!(names_table("commitTxn: Table t1 is in restore process", "t1"));
        assert!(!names_table("commitTxn: Table t12 is in restore process", "t1"));
        assert!(!names_table("status 2: Table t1 is in restore process", "status"));
        assert!(!names_table("status 2", "status"));
        assert!(has_word("tablet 17, backend", "17"));
        assert!(!has_word("x", ""));
    }
}
