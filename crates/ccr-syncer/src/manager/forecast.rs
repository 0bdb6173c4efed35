//! Watches, for every job that could, paused ones too, how near it is to losing binlogs.

use std::collections::{BTreeMap, BTreeSet};

use ccr_core::job::SyncType;
use ccr_core::status::{JobStatus, ProgressState};
use doris_types::failure::Failure;
use doris_types::meta::BinlogList;
use tracing::{debug, warn};

use super::{JobView, Lag, Manager, ManagerError, ManagerResult};
use crate::forecast::{Forecast, governing};

/// The lists of the clusters asked in one round, by host, port and account.
type Lists = BTreeMap<(String, u16, String), Vec<BinlogList>>;

impl Manager {
    /// The newest forecast of a job; `None` when it has nothing to lose, or that is not known.
    pub fn forecast(&self, job_id: &str) -> Option<Forecast> {
        self.forecasts.lock().get(job_id).and_then(|watch| watch.newest)
    }

    /// One round over all jobs. `lags` are those, by job id, that are known already. A source that cannot be asked
    /// leaves its jobs without a forecast; the jobs report it.
    pub async fn forecast_all(&self, lags: &BTreeMap<String, Lag>) {
        let mut lists = Lists::new();
        let mut jobs = BTreeSet::new();
        for name in self.names() {
            let Ok(view) = self.view(&name).await else { continue };
            let found = match self.forecast_of(&view, lags.get(&view.record.id), &mut lists).await {
                Ok(found) => found,
                Err(error) => {
                    debug!(job = %name, %error, "no forecast");
                    None
                }
            };
            self.parts.metrics.set_expiry(&name, found.map(|forecast| forecast.expires_in_seconds));
            let warning = self.forecasts.lock().entry(view.record.id.clone()).or_default().note(found);
            if let Some(warning) = warning {
                warn!(job = %name, "{warning}");
            }
            jobs.insert(view.record.id);
        }
        self.forecasts.lock().retain(|job_id, _| jobs.contains(job_id));
    }

    async fn forecast_of(
        &self,
        view: &JobView,
        lag: Option<&Lag>,
        lists: &mut Lists,
    ) -> ManagerResult<Option<Forecast>> {
        if !has_position(&view.status) {
            return Ok(None);
        }
        let lag = match lag {
            Some(lag) => *lag,
            None => self.lag_of(view).await?,
        };
        if lag.next_timestamp_ms <= 0 {
            return Ok(None);
        }
        let spec = &view.record.spec.src;
        let upstream = self.parts.connector.upstream(spec);
        let failed = |failure: Failure| {
            let what = "ask the source for the limits of its binlog".to_owned();
            ManagerError::Cluster { what, failure: Box::new(failure) }
        };
        let key = (spec.host.clone(), spec.port, spec.user.clone());
        if !lists.contains_key(&key) {
            lists.insert(key.clone(), upstream.binlog_lists().await.map_err(failed)?);
        }
        let lists = lists.get(&key).map(Vec::as_slice).unwrap_or_default();
        let table_id = match view.record.spec.sync_type() {
            SyncType::Database => None,
            SyncType::Table => view.status.source_table_id,
        };
        let Some((list, is_own)) =
            governing(&*upstream, lists, &spec.database, table_id).await.map_err(failed)?
        else {
            return Ok(None);
        };
        let now_ms = self.parts.clock.now_ms();
        Ok(Forecast::of(&lag, view.status.position.commit_seq, &list, is_own, now_ms))
    }
}

/// Before the first snapshot is restored, and while another is, a job needs what comes after it.
fn has_position(status: &JobStatus) -> bool {
    match status.progress {
        ProgressState::DBFullSync | ProgressState::TableFullSync => false,
        ProgressState::DBTablesIncrementalSync
        | ProgressState::DBIncrementalSync
        | ProgressState::DBPartialSync
        | ProgressState::TableIncrementalSync
        | ProgressState::TablePartialSync => true,
    }
}
