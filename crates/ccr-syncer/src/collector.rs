//! Keeps the gauges of running jobs: their state, and their lag, which must be asked for; and, less often, looks for
//! all jobs whether binlogs that they need will expire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_core::status::ProgressState;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::manager::{JobView, Lag, Manager};
use crate::metrics::Metrics;

const INTERVAL: Duration = Duration::from_secs(10);
/// In one of so many rounds binlogs are looked for that will expire: once a minute.
const FORECAST_EVERY: usize = 6;
/// The longest time for that, of all jobs.
const FORECAST_TIMEOUT: Duration = Duration::from_secs(60);
const CONCURRENT_JOBS: usize = 8;
/// The longest time for the lag of one job; a source that is slow to answer must not keep the others waiting.
const LAG_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs until cancelled.
pub async fn run(manager: Arc<Manager>, metrics: Arc<Metrics>, cancel: CancellationToken) {
    for round in 0_usize.. {
        let collect = async {
            let lags = collect(&manager, &metrics).await;
            if round.is_multiple_of(FORECAST_EVERY)
                && tokio::time::timeout(FORECAST_TIMEOUT, manager.forecast_all(&lags)).await.is_err()
            {
                debug!("not all sources have told when their binlogs expire");
            }
        };
        if cancel.run_until_cancelled(collect).await.is_none()
            || cancel.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none()
        {
            return;
        }
    }
}

/// One round over all running jobs. Answers their lags, by job id.
pub async fn collect(manager: &Manager, metrics: &Metrics) -> BTreeMap<String, Lag> {
    let views = manager.running();
    metrics.set_running_jobs(views.len());
    for JobView { record, status, .. } in &views {
        let (name, seq) = (&record.spec.name, status.position.commit_seq);
        metrics.set_progress(name, status.progress, sub_state(status.progress), seq);
    }
    for name in manager.names() {
        // One that has ended by itself, or could not be started, says nothing any more.
        if views.iter().all(|view| view.record.spec.name != name) {
            metrics.job_stopped(&name);
        }
    }
    futures::stream::iter(views)
        .map(|view| async move {
            let lag = collect_job(manager, metrics, &view).await?;
            Some((view.record.id, lag))
        })
        .buffer_unordered(CONCURRENT_JOBS)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn collect_job(manager: &Manager, metrics: &Metrics, view: &JobView) -> Option<Lag> {
    let name = &view.record.spec.name;
    let mut known = None;
    match tokio::time::timeout(LAG_TIMEOUT, manager.lag_of(view)).await {
        Ok(Ok(lag)) => {
            metrics.set_lag(name, lag.binlogs, lag.seconds());
            known = Some(lag);
        }
        // The job itself meets the same failure and reports it.
        Ok(Err(error)) => {
            debug!(job = %name, %error, "lag unknown");
            metrics.lag_unknown(name);
        }
        Err(_) => {
            debug!(job = %name, "lag unknown, the source does not answer");
            metrics.lag_unknown(name);
        }
    }
    // It may have been paused or deleted meanwhile, and its series with it.
    match manager.record(name) {
        Ok(record) if record.id == view.record.id && manager.is_running(name) => {}
        Ok(record) if record.id == view.record.id => metrics.job_stopped(name),
        Ok(_) | Err(_) => metrics.job_deleted(name),
    }
    known
}

/// The sub state of the original as far as the picture of a job tells it.
fn sub_state(progress: ProgressState) -> i64 {
    match progress {
        ProgressState::DBFullSync | ProgressState::TableFullSync => 0,
        ProgressState::DBTablesIncrementalSync
        | ProgressState::DBIncrementalSync
        | ProgressState::DBPartialSync
        | ProgressState::TableIncrementalSync
        | ProgressState::TablePartialSync => -1,
    }
}
