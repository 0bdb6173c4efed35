//! What a job has seen of what it follows upstream, beyond ids: it tells when to look whether that still exists.
//!
//! A table's own list never tells of its drop, and nothing tells of a restore that puts another table in its
//! place. So a job looks now and then; and at once where something hints at it.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The name upstream of the table of a table job, once it is linked.
    name: Mutex<Option<String>>,
    /// The list was there at the last look.
    is_listed: AtomicBool,
    /// Something was found that a table that exists does not explain.
    is_in_doubt: AtomicBool,
}

impl Followed {
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
