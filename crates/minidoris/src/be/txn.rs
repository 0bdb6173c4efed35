//! The local transactions of a backend: what has been written but not yet published.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::data::Rowset;

/// `(txn, partition, tablet)`.
pub type TxnKey = (i64, i64, i64);

/// Hi and lo of a load id.
pub type LoadId = (i64, i64);

#[derive(Debug, Clone)]
pub enum TxnState {
    Prepared,
    Committed(Arc<Rowset>),
    Aborted,
}

#[derive(Debug, Clone)]
struct Entry {
    load_id: LoadId,
    state: TxnState,
}

/// What a commit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Stored,
    /// Another rowset was there already; the first one stays.
    AlreadyExists,
    /// The transaction was aborted or forgotten meanwhile.
    NoTransaction,
}

#[derive(Debug, Default)]
pub struct TxnMap {
    entries: Mutex<BTreeMap<TxnKey, Entry>>,
}

impl TxnMap {
    /// Opens the entry of a tablet. A committed entry of the same load is kept; anything else starts anew.
    pub fn prepare(&self, key: TxnKey, load_id: LoadId) {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(&key)
            && matches!(entry.state, TxnState::Committed(_))
            && entry.load_id == load_id
        {
            return;
        }
        entries.insert(key, Entry { load_id, state: TxnState::Prepared });
    }

    /// Attaches the rowset to a prepared entry.
    pub fn commit(&self, key: TxnKey, rowset: Arc<Rowset>) -> Committed {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&key) else { return Committed::NoTransaction };
        match entry.state {
            TxnState::Prepared => {
                entry.state = TxnState::Committed(rowset);
                Committed::Stored
            }
            TxnState::Committed(_) => Committed::AlreadyExists,
            TxnState::Aborted => Committed::NoTransaction,
        }
    }

    /// Prepares and commits in one step, as a load does. A rowset that is there already stays.
    pub fn store(&self, key: TxnKey, load_id: LoadId, rowset: Arc<Rowset>) {
        self.prepare(key, load_id);
        self.commit(key, rowset);
    }

    /// Marks a prepared entry as failed; a committed rowset stays.
    pub fn fail(&self, key: TxnKey) {
        if let Some(entry) = self.entries.lock().get_mut(&key)
            && matches!(entry.state, TxnState::Prepared)
        {
            entry.state = TxnState::Aborted;
        }
    }

    pub fn state(&self, key: TxnKey) -> Option<TxnState> {
        self.entries.lock().get(&key).map(|entry| entry.state.clone())
    }

    /// Takes the committed rowset of a tablet for publishing. Other states stay.
    pub fn take_committed(&self, key: TxnKey) -> Option<Arc<Rowset>> {
        let mut entries = self.entries.lock();
        match &entries.get(&key)?.state {
            TxnState::Committed(rowset) => {
                let rowset = Arc::clone(rowset);
                entries.remove(&key);
                Some(rowset)
            }
            TxnState::Prepared | TxnState::Aborted => None,
        }
    }

    /// The entries of these transactions.
    pub(crate) fn of(&self, txn_ids: &HashSet<i64>) -> Vec<(TxnKey, TxnState)> {
        let entries = self.entries.lock();
        let wanted = entries.iter().filter(|(key, _)| txn_ids.contains(&key.0));
        wanted.map(|(key, entry)| (*key, entry.state.clone())).collect()
    }

    /// Forgets everything of a transaction.
    pub fn remove(&self, txn_id: i64) {
        let mut entries = self.entries.lock();
        let keys: Vec<TxnKey> = entries
            .range((txn_id, i64::MIN, i64::MIN)..=(txn_id, i64::MAX, i64::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            entries.remove(&key);
        }
    }

    /// What a restart loses: everything that was not committed.
    pub fn drop_prepared(&self) {
        self.entries.lock().retain(|_, entry| matches!(entry.state, TxnState::Committed(_)));
    }

    /// Entries that wait for their data.
    pub fn running(&self) -> usize {
        self.entries.lock().values().filter(|entry| matches!(entry.state, TxnState::Prepared)).count()
    }

    /// Whether at least `limit` entries wait. Counts only when that is possible at all.
    pub fn is_full(&self, limit: usize) -> bool {
        self.entries.lock().len() >= limit && self.running() >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RowsetMeta;

    fn rowset(id: &str) -> Arc<Rowset> {
        let meta = RowsetMeta { rowset_id: id.to_owned(), ..RowsetMeta::default() };
        Arc::new(Rowset { meta, ..Rowset::default() })
    }

    fn id_of(map: &TxnMap, key: TxnKey) -> Option<String> {
        map.take_committed(key).map(|rowset| rowset.meta.rowset_id.clone())
    }

    #[test]
    fn the_first_rowset_of_a_load_stays() {
        let (map, key) = (TxnMap::default(), (1, 2, 3));
        map.prepare(key, (-1, -1));
        assert_eq!(map.commit(key, rowset("a")), Committed::Stored);
        map.prepare(key, (-1, -1));
        assert_eq!(map.commit(key, rowset("b")), Committed::AlreadyExists);
        map.fail(key);
        assert_eq!(id_of(&map, key).as_deref(), Some("a"));
        assert!(map.state(key).is_none());
    }

    #[test]
    fn another_load_id_starts_anew() {
        let (map, key) = (TxnMap::default(), (1, 2, 3));
        map.store(key, (1, 1), rowset("a"));
        map.prepare(key, (2, 2));
        assert!(matches!(map.state(key), Some(TxnState::Prepared)));
    }

    #[test]
    fn a_late_commit_of_an_aborted_transaction_is_refused() {
        let (map, key) = (TxnMap::default(), (1, 2, 3));
        map.prepare(key, (1, 1));
        map.prepare((2, 2, 3), (1, 1));
        map.remove(1);
        assert_eq!(map.commit(key, rowset("a")), Committed::NoTransaction);
        assert_eq!(map.running(), 1);
        map.drop_prepared();
        assert_eq!(map.running(), 0);
    }
}
