//! The binlog lists of the upstream database: its own, and one of each table.
//!
//! A list may be a million entries long and is read page by page, so whoever reads finds his place by binary search.

use std::collections::BTreeMap;

use doris_types::call::{BinlogEntry, BinlogScope};
use doris_types::record::BinlogType;

/// What is kept of the lists.
#[derive(Debug, Clone, Default)]
pub struct Binlogs {
    /// The list of the database, by commit seq.
    entries: Vec<BinlogEntry>,
    /// The commit seqs of each table's list, growing.
    of_table: BTreeMap<i64, Vec<i64>>,
}

impl Binlogs {
    pub fn push(&mut self, entry: BinlogEntry) {
        let seq = entry.commit_seq;
        let last = self.entries.last().map_or(0, |last| last.commit_seq);
        assert!(last < seq, "{seq} is written behind {last}");
        for table_id in tables_listing(&entry) {
            let list = self.of_table.entry(table_id).or_default();
            if list.last() != Some(&seq) {
                list.push(seq);
            }
        }
        self.entries.push(entry);
    }

    pub fn last(&self) -> Option<&BinlogEntry> {
        self.entries.last()
    }

    /// In place of what Doris writes differently later; the tables of an entry, and whether their lists have it, stay.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut BinlogEntry> {
        self.entries.iter_mut()
    }

    /// The entry of that commit seq; what is said of [`Self::iter_mut`] holds here too.
    pub fn at_mut(&mut self, seq: i64) -> Option<&mut BinlogEntry> {
        let at = self.entries.binary_search_by_key(&seq, |entry| entry.commit_seq).ok()?;
        self.entries.get_mut(at)
    }

    pub fn is_empty(&self, scope: &BinlogScope) -> bool {
        self.list(scope).is_empty()
    }

    /// The commit seq of the newest entry of a list up to `to`.
    pub fn newest(&self, scope: &BinlogScope, to: i64) -> Option<i64> {
        let list = self.list(scope);
        let end = list.end_of(to);
        end.checked_sub(1).map(|at| list.seq(at))
    }

    /// The first entries of a list behind `after` and up to `to`.
    pub fn page(&self, scope: &BinlogScope, after: i64, to: i64, limit: usize) -> Vec<BinlogEntry> {
        let list = self.list(scope);
        let (from, end) = (list.end_of(after), list.end_of(to));
        (from..end).take(limit).map(|at| list.entry(at).clone()).collect()
    }

    /// Takes away all entries up to this commit seq.
    pub fn take_to(&mut self, seq: i64) -> Vec<BinlogEntry> {
        for list in self.of_table.values_mut() {
            list.drain(..list.partition_point(|one| *one <= seq));
        }
        self.of_table.retain(|_, list| !list.is_empty());
        let end = self.entries.partition_point(|one| one.commit_seq <= seq);
        self.entries.drain(..end).collect()
    }

    fn list(&self, scope: &BinlogScope) -> List<'_> {
        let of = |table_id| self.of_table.get(&table_id).map_or(&[][..], Vec::as_slice);
        List { entries: &self.entries, seqs: scope.table_id.map(of) }
    }
}

/// One list: all entries, or those of a table.
struct List<'a> {
    entries: &'a [BinlogEntry],
    seqs: Option<&'a [i64]>,
}

impl<'a> List<'a> {
    fn is_empty(&self) -> bool {
        self.seqs.map_or(self.entries.is_empty(), <[i64]>::is_empty)
    }

    /// How many entries there are up to this commit seq.
    fn end_of(&self, seq: i64) -> usize {
        match self.seqs {
            None => self.entries.partition_point(|entry| entry.commit_seq <= seq),
            Some(seqs) => seqs.partition_point(|one| *one <= seq),
        }
    }

    fn seq(&self, at: usize) -> i64 {
        self.seqs.map_or_else(|| self.entries[at].commit_seq, |seqs| seqs[at])
    }

    fn entry(&self, at: usize) -> &'a BinlogEntry {
        let Some(seqs) = self.seqs else { return &self.entries[at] };
        let at = self.entries.binary_search_by_key(&seqs[at], |entry| entry.commit_seq);
        &self.entries[at.expect("what a table's list has is in that of the database")]
    }
}

/// The tables whose lists have it. Only the list of the database has the creation and the drop of a table.
pub fn tables_listing(entry: &BinlogEntry) -> impl Iterator<Item = i64> + '_ {
    let kind = BinlogType(entry.binlog_type);
    let is_unlisted = [BinlogType::CREATE_TABLE, BinlogType::DROP_TABLE].contains(&kind);
    entry.table_ids.iter().copied().filter(move |_| !is_unlisted)
}
