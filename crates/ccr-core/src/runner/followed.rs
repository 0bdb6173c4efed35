//! What a job has seen of what it follows upstream, beyond ids: it tells when to look whether that still exists.
//!
//! A table's own list never tells of its drop, and nothing tells of a restore that puts another table in its
//! place. So a job looks now and then; and at once where something hints at it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use doris_types::call::BinlogEntry;
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The upstream id of the database; 0 while it is not known.
    database: AtomicI64,
    /// Another database whose entries were seen; 0 when there was none.
    foreign: AtomicI64,
    /// The name upstream of the table of a table job, once it is linked.
    name: Mutex<Option<String>>,
    /// The list was there at the last look.
    is_listed: AtomicBool,
    /// Something was found that a table that exists does not explain.
    is_in_doubt: AtomicBool,
}

impl Followed {
    pub fn set_database(&self, id: Option<i64>) {
        if let Some(id) = id {
            self.database.store(id, Ordering::Relaxed);
        }
    }

    /// The id that the database had, when this is that of another one of its name: of a later one when it is higher, as
    /// ids grow, and otherwise of a cluster that was set up anew, or one that is told by a frontend that is behind. One
    /// that is not known is learnt.
    pub fn replaced_by(&self, id: i64) -> Option<i64> {
        match self.database.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => None,
            Err(known) => (id != known).then_some(known),
        }
    }

    /// Whether entries of a list are those of another database than the one that is followed, seen for the first time.
    pub fn is_foreign(&self, entries: &[BinlogEntry]) -> bool {
        let known = self.database.load(Ordering::Relaxed);
        let other = entries.iter().map(|entry| entry.db_id).find(|id| *id > 0 && known > 0 && *id != known);
        other.is_some_and(|id| self.foreign.swap(id, Ordering::Relaxed) != id)
    }

    pub fn set_name(&self, name: Option<&str>) {
        let mut known = self.name.lock();
        if known.as_deref() != name {
            *known = name.map(str::to_owned);
        }
    }

    pub fn name(&self) -> Option<String> {
        self.name.lock().clone()
    }

    /// Notes whether the list is there. Answers whether it has just gone, as the list of a dropped table does when its
    /// last entry expires.
    pub fn listed(&self, is_listed: bool) -> bool {
        self.is_listed.swap(is_listed, Ordering::Relaxed) && !is_listed
    }

    pub fn doubt(&self) {
        self.is_in_doubt.store(true, Ordering::Relaxed);
    }

    /// Whether there was a doubt, which is settled now.
    pub fn take_doubt(&self) -> bool {
        self.is_in_doubt.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_name_has_another_id() {
        let followed = Followed::default();
        assert_eq!(followed.replaced_by(7), None);
        assert_eq!((followed.replaced_by(7), followed.replaced_by(5)), (None, Some(7)));
        assert_eq!(followed.replaced_by(9), Some(7));
        followed.set_database(Some(9));
        assert_eq!(followed.replaced_by(9), None);
    }

    #[test]
    fn entries_of_another_database_are_told_once() {
        let followed = Followed::default();
        let entries = |ids: &[i64]| {
            let entry = |db_id: &i64| BinlogEntry {
                commit_seq: 1,
                timestamp_ms: 1,
                binlog_type: 0,
                db_id: *db_id,
                table_ids: Vec::new(),
                data: None,
            };
            ids.iter().map(entry).collect::<Vec<_>>()
        };
        assert!(!followed.is_foreign(&entries(&[9])), "which one is followed is not known yet");
        followed.set_database(Some(7));
        assert!(!followed.is_foreign(&entries(&[7, -1, 0])));
        assert!(followed.is_foreign(&entries(&[7, 9])));
        assert!(!followed.is_foreign(&entries(&[9])));
        assert!(followed.is_foreign(&entries(&[11])));
    }

    #[test]
    fn a_list_goes_once() {
        let followed = Followed::default();
        assert!(!followed.listed(false), "one that was never there has not gone");
        assert!(!followed.listed(true));
        assert!(followed.listed(false));
        assert!(!followed.listed(false));
    }

    #[test]
    fn a_doubt_is_settled_once() {
        let followed = Followed::default();
        followed.doubt();
        assert_eq!((followed.take_doubt(), followed.take_doubt()), (true, false));
    }
}
