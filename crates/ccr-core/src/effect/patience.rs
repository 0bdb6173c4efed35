//! How long a statement may fail before what it is about goes on by itself.
//!
//! A refusal that can pass is repeated for ever, and everything behind the statement waits. So after a while the
//! table leaves the track, if it is not the cluster that fails: the frontend answers another question at that
//! moment. Whoever waits behind it can go on then, for transactions need nothing that this statement does.

use std::time::Duration;

use doris_types::call::MetaFilter;
use doris_types::failure::{Cause, Failure};
use parking_lot::Mutex;

use super::downstream;
use crate::error::{Disposition, Error};
use crate::runner::shell::Shell;

/// A time that several statements share, so that many which fail do not keep the others waiting one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedPatience {
    until_ms: i64,
}

impl SharedPatience {
    pub fn lasting(shell: &Shell, limit: Duration) -> Self {
        let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        Self { until_ms: shell.now_ms().saturating_add(limit_ms) }
    }

    /// With the next statement. When nothing is left it is tried once.
    pub fn rest(self, shell: &Shell) -> Patience {
        let left = self.until_ms.saturating_sub(shell.now_ms());
        Patience::lasting(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }
}

/// The patience with one statement.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Option<Duration>,
    /// When it began to fail, in milliseconds.
    since_ms: Mutex<Option<i64>>,
}

impl Patience {
    /// Nobody waits for the statement.
    pub fn endless() -> Self {
        Self { limit: None, since_ms: Mutex::new(None) }
    }

    pub fn lasting(limit: Duration) -> Self {
        Self { limit: Some(limit), ..Self::endless() }
    }

    /// Says of a failure whether it is to be repeated, or has lasted for too long. One that has not reached a
    /// frontend tells nothing of the statement.
    pub async fn judge(&self, shell: &Shell, failure: Failure) -> Error {
        let has_arrived = !matches!(failure.cause, Cause::Connect { .. } | Cause::NoMaster { .. });
        let error = downstream(failure);
        let passes = match error.disposition {
            Disposition::Retry
            | Disposition::RetryElsewhere
            | Disposition::RefreshMeta
            | Disposition::RestartTxn => true,
            Disposition::PartialSync | Disposition::Isolate | Disposition::Block | Disposition::Stop => false,
        };
        let Some(limit) = self.limit.filter(|_| passes && has_arrived) else { return error };
        let now_ms = shell.now_ms();
        let since_ms = *self.since_ms.lock().get_or_insert(now_ms);
        if Duration::from_millis(now_ms.abs_diff(since_ms)) < limit {
            return error;
        }
        match shell.ctx.downstream.meta(shell.target_database(), MetaFilter::Names).await {
            Ok(Some(_)) => Error { disposition: Disposition::Isolate, ..error },
            Ok(None) | Err(_) => error,
        }
    }

    /// A part of the statement has worked.
    pub fn recovers(&self) {
        *self.since_ms.lock() = None;
    }
}
