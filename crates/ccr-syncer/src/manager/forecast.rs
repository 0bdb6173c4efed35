//! Watches, for every job that could, paused ones too, how near it is to losing binlogs.
//!
//! Sources are asked beside each other, each in its own time, so that one which does not answer keeps nobody else's
//! forecast from being renewed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccr_core::job::SyncType;
use ccr_core::status::{JobStatus, ProgressState};
use doris_types::failure::{Cause, Failure};
use doris_types::meta::BinlogList;
use futures::StreamExt;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{JobView, Lag, Manager, ManagerError, ManagerResult};
use crate::forecast::{Forecast, governing};

/// The longest time for one job, and for all jobs of a source.
const JOB_TIMEOUT: Duration = Duration::from_secs(20);
const SOURCE_TIMEOUT: Duration = Duration::from_secs(50);
/// Sources that are asked at once.
const CONCURRENT_SOURCES: usize = 32;

impl Manager {
    /// The newest forecast of a job; `None` when it has nothing to lose, or that is not known.
    pub fn forecast(&self, job_id: &str) -> Option<Forecast> {
        self.forecasts.lock().get(job_id).and_then(|watch| watch.newest)
    }

    /// One round over all jobs. `lags` are those of the running ones, by job id; who is missing could not be asked.
    /// A source that cannot be asked leaves its jobs without a forecast; the jobs report it.
    pub async fn forecast_all(&self, lags: &BTreeMap<String, Lag>) {
        // By host, port and account.
        let mut sources: BTreeMap<(String, u16, String), Vec<JobView>> = BTreeMap::new();
        let mut jobs = BTreeSet::new();
        for name in self.names() {
            let Ok(view) = self.view(&name).await else { continue };
            jobs.insert(view.record.id.clone());
            if view.running && !lags.contains_key(&view.record.id) {
                self.note_forecast(&view, None);
                continue;
            }
            let spec = &view.record.spec.src;
            let key = (spec.host.clone(), spec.port, spec.user.clone());
            sources.entry(key).or_default().push(view);
        }
        futures::stream::iter(sources.into_values())
            .for_each_concurrent(CONCURRENT_SOURCES, |views| self.forecast_source(views, lags))
            .await;
        self.forecasts.lock().retain(|job_id, _| jobs.contains(job_id));
    }

    /// The jobs of one source. After one that it did not answer it is not asked for the others.
    async fn forecast_source(&self, views: Vec<JobView>, lags: &BTreeMap<String, Lag>) {
        let until = Instant::now() + SOURCE_TIMEOUT;
        let mut lists = None;
        let mut answers = true;
        for view in views {
            let name = &view.record.spec.name;
            let mut found = None;
            if answers {
                let until = until.min(Instant::now() + JOB_TIMEOUT);
                let forecast = self.forecast_of(&view, lags.get(&view.record.id), &mut lists);
                match tokio::time::timeout_at(until, forecast).await {
                    Ok(Ok(forecast)) => found = forecast,
                    Ok(Err(error)) => {
                        debug!(job = %name, %error, "no forecast");
                        answers = !is_out_of_reach(&error);
                    }
                    Err(_) => {
                        debug!(job = %name, "no forecast, the source does not answer");
                        answers = false;
                    }
                }
            }
            self.note_forecast(&view, found);
        }
    }

    fn note_forecast(&self, view: &JobView, found: Option<Forecast>) {
        let name = &view.record.spec.name;
        self.parts.metrics.set_expiry(name, found.map(|forecast| forecast.expires_in_seconds));
        let warning = self.forecasts.lock().entry(view.record.id.clone()).or_default().note(found);
        if let Some(warning) = warning {
            warn!(job = %name, "{warning}");
        }
    }

    /// `lists` are those of the source, once they have been asked for.
    async fn forecast_of(
        &self,
        view: &JobView,
        lag: Option<&Lag>,
        lists: &mut Option<Vec<BinlogList>>,
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
        let lists = match lists {
            Some(lists) => lists,
            None => lists.insert(upstream.binlog_lists().await.map_err(failed)?),
        };
        let table_id = match view.record.spec.sync_type() {
            SyncType::Database => None,
            SyncType::Table => view.status.source.table_id(),
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

/// Whether the source could not be asked at all, so that the next question would end the same way.
fn is_out_of_reach(error: &ManagerError) -> bool {
    let ManagerError::Cluster { failure, .. } = error else { return false };
    matches!(failure.cause, Cause::Connect { .. } | Cause::Lost { .. } | Cause::NoMaster { .. })
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
