//! What becomes of a restore that was cancelled.
//!
//! Most reasons pass: a backend restarts, a table is altered, somebody cancels what runs in the database. Such a
//! restore is tried again under another label for as long as it takes, less often each time. Only what the frontend
//! will say again until somebody acts waits for an operator, after a few tries, since what the target holds may have
//! been looked at a moment too early.
//!
//! One reason looks as if it passed and never does: that a snapshot lies on an upstream backend that is gone. So after
//! many tries another snapshot is taken, of replicas that are there; nothing that was copied is lost by that, for each
//! try begins anew.

use crate::answers;
use crate::error::{Error, Origin};

/// Tries to restore something that the target objects to, before an operator is asked.
const LASTING_TRIES: u32 = 3;

/// Tries to restore one snapshot, before another is taken.
const SNAPSHOT_TRIES: u32 = 12;

/// Tries that the history tells of, one by one.
const RECORDED_TRIES: u32 = 4;

/// What follows.
pub(super) enum Verdict {
    /// It is tried again after a pause, which shows this error.
    Again(Error),
    /// Another snapshot is taken, for this reason.
    AnotherSnapshot(String),
    /// An operator must act.
    Blocked(Error),
}

/// Decides about the try of this number.
pub(super) fn judge(restore_label: &str, attempt: u32, status: &str) -> Verdict {
    if attempt >= LASTING_TRIES && answers::is_lasting_refusal(status) {
        return Verdict::Blocked(Error::blocked(
            Origin::DownstreamFe,
            "CCR0503",
            format!("restore {restore_label} was cancelled {attempt} times, the last time with {status}"),
            "remove what SHOW RESTORE objects to, then resume the job",
        ));
    }
    if attempt >= SNAPSHOT_TRIES {
        return Verdict::AnotherSnapshot(format!(
            "restores of it were cancelled {attempt} times, the last time with {status}"
        ));
    }
    let message = format!("restore {restore_label} was cancelled: {status}");
    Verdict::Again(Error::retry(Origin::DownstreamFe, "CCR0503", message))
}

/// Whether the history tells of the try of this number: it keeps only so many entries.
pub(super) fn is_recorded(attempt: u32) -> bool {
    attempt <= RECORDED_TRIES
}
