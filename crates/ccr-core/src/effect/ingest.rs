//! Filling the replicas of downstream tablets within an open transaction.
//!
//! Each replica is filled on its own backend, from any upstream replica; when one fails the next is
//! tried. Repeating an ingest is always allowed, so a lost answer is simply asked for again. A backend
//! that works asynchronously is polled until it is done: the FE trusts what a commit names, so nothing is
//! named before it is there.
//!
//! An upstream that does not have a version any more says so with HTTP 404. That is proven only by every replica:
//! one that answers 404 while another is away may just not have it.
//!
//! A downstream backend that is down does not stop the transaction while a majority of each tablet's
//! replicas is filled: the FE marks the missing replica and repairs it later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use doris_types::call::{IngestRequest, IngestState};
use doris_types::failure::{Cause, Failure};
use doris_types::meta::{Backend, TabletCommit};
use futures::stream::{self, StreamExt};

use super::routes::{BackendMap, Routes};
use crate::answers;
use crate::error::{Disposition, Error, Origin, Result};
use crate::route::TabletRoute;
use crate::runner::shell::Shell;

/// Ingests of one transaction under way at a time; per backend the client has its own limit.
const PARALLEL: usize = 64;

/// Tries per source replica before the transaction as a whole pauses.
const ROUNDS: usize = 2;

/// Tries to reach a target backend before it counts as down.
const CONNECT_TRIES: usize = 3;

/// How long an asynchronous ingest may take.
const ASYNC_LIMIT_MS: i64 = 3600 * 1000;

/// A tablet to fill with one upstream version.
#[derive(Debug, Clone)]
pub(crate) struct TabletWork {
    pub tablet: TabletRoute,
    pub source_version: i64,
    /// The upstream table, and the downstream one.
    pub source_id: i64,
    pub table_id: i64,
    /// The upstream sub-transaction that made the version; -1 in an ordinary transaction.
    pub stid: i64,
}

/// A replica that was filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    /// Position of its tablet in the work.
    pub position: usize,
    pub commit: TabletCommit,
}

/// Why one replica could not be filled.
struct Missed {
    error: Error,
    backend_down: bool,
}

/// Fills every replica, each under the transaction or sub-transaction that `txn_of` gives for its tablet, and
/// returns what the commit names.
pub(crate) async fn fill(
    shell: &Shell,
    routes: &Routes,
    txn_of: impl Fn(&TabletWork) -> i64,
    load_id: (i64, i64),
    work: &[TabletWork],
) -> Result<Vec<Filled>> {
    let sources = routes.source_backends(shell).await?;
    let targets = routes.target_backends(shell).await?;
    let mut fills = Vec::new();
    for (position, work) in work.iter().enumerate() {
        let txn_id = txn_of(work);
        for (replica, &backend_id) in work.tablet.backends.iter().enumerate() {
            let one =
                Replica { shell, txn_id, load_id, work, sources: &sources, rotation: position + replica };
            let target = targets.get(&backend_id);
            fills.push(async move { (position, backend_id, one.fill(target, backend_id).await) });
        }
    }
    let results = stream::iter(fills).buffer_unordered(PARALLEL).collect().await;
    settle(work, results)
}

/// Decides whether enough replicas are filled.
fn settle(
    work: &[TabletWork],
    results: Vec<(usize, i64, std::result::Result<(), Missed>)>,
) -> Result<Vec<Filled>> {
    let mut commits = Vec::with_capacity(results.len());
    let mut filled: HashMap<usize, usize> = HashMap::new();
    let mut missed: Vec<(usize, Missed)> = Vec::new();
    for (position, backend_id, result) in results {
        match result {
            Ok(()) => {
                let commit = TabletCommit { tablet_id: work[position].tablet.tablet_id, backend_id };
                commits.push(Filled { position, commit });
                *filled.entry(position).or_default() += 1;
            }
            Err(error) => missed.push((position, error)),
        }
    }
    for (position, missed) in missed {
        let replicas = work[position].tablet.backends.len();
        let majority = replicas / 2 + 1;
        let enough = filled.get(&position).copied().unwrap_or(0) >= majority;
        if !(missed.backend_down && enough) {
            return Err(missed.error.of_table(work[position].source_id));
        }
        tracing::info!(tablet = work[position].tablet.tablet_id, error = %missed.error,
            "a downstream backend is down, going on with the majority of the replicas");
    }
    Ok(commits)
}

/// One replica to fill.
struct Replica<'a> {
    shell: &'a Shell,
    txn_id: i64,
    load_id: (i64, i64),
    work: &'a TabletWork,
    sources: &'a BackendMap,
    /// Where in the list of sources to begin, so that replicas share the reading.
    rotation: usize,
}

impl Replica<'_> {
    async fn fill(&self, target: Option<&Backend>, backend_id: i64) -> std::result::Result<(), Missed> {
        let Some(target) = target else {
            let message = format!("downstream backend {backend_id} is not in the list of backends");
            return Err(Missed {
                error: Error::retry(Origin::DownstreamFe, "CCR0309", message),
                backend_down: true,
            });
        };
        let sources = self.ordered_sources();
        if sources.is_empty() {
            let message = format!(
                "no backend with a replica of upstream tablet {} is known",
                self.work.tablet.source_tablet_id
            );
            return Err(Missed {
                error: Error::retry(Origin::UpstreamFe, "CCR0310", message),
                backend_down: false,
            });
        }
        let mut connect_failures = 0;
        // What each of the sources answered last.
        let mut answers: BTreeMap<i64, Missed> = BTreeMap::new();
        for source in sources.iter().cycle().take(sources.len() * ROUNDS + CONNECT_TRIES) {
            let missed = match self.once(target, source).await {
                Ok(()) => return Ok(()),
                Err(missed) => missed,
            };
            if missed.backend_down {
                connect_failures += 1;
                if connect_failures >= CONNECT_TRIES {
                    return Err(missed);
                }
            } else if !matches!(missed.error.disposition, Disposition::Retry | Disposition::RetryElsewhere) {
                return Err(missed);
            }
            tracing::debug!(error = %missed.error, source = source.id, "ingest failed, trying another replica");
            answers.insert(source.id, missed);
            self.shell.ctx.clock.sleep(self.shell.ctx.options.retry_min).await;
        }
        Err(self.conclude(answers))
    }

    /// The failure that tells what can be done: that the version is not stored only when every replica says so.
    fn conclude(&self, answers: BTreeMap<i64, Missed>) -> Missed {
        let ids = &self.work.tablet.source_backends;
        let unknown = ids.iter().find(|id| !answers.contains_key(id));
        let (silent, other): (Vec<_>, Vec<_>) =
            answers.into_values().partition(|missed| is_not_stored(&missed.error));
        match (other.into_iter().next(), unknown, silent.into_iter().next()) {
            (Some(missed), _, _) | (None, None, Some(missed)) => missed,
            (None, unknown, _) => {
                let message = format!(
                    "upstream tablet {} is not on every backend that was asked, and backend {} is not in the list \
                     of backends",
                    self.work.tablet.source_tablet_id,
                    unknown.copied().unwrap_or_default()
                );
                Missed { error: Error::retry(Origin::UpstreamFe, "CCR0310", message), backend_down: false }
            }
        }
    }

    /// Backends to read from: living ones first, begun at a different one for each replica.
    fn ordered_sources(&self) -> Vec<&Backend> {
        let ids = &self.work.tablet.source_backends;
        let known: Vec<&Backend> = ids
            .iter()
            .cycle()
            .skip(self.rotation % ids.len().max(1))
            .take(ids.len())
            .filter_map(|id| self.sources.get(id))
            .collect();
        let (mut alive, dead): (Vec<_>, Vec<_>) = known.into_iter().partition(|backend| backend.alive);
        alive.extend(dead);
        alive
    }

    async fn once(&self, target: &Backend, source: &Backend) -> std::result::Result<(), Missed> {
        let request = IngestRequest {
            txn_id: self.txn_id,
            partition_id: self.work.tablet.partition_id,
            tablet_id: self.work.tablet.tablet_id,
            load_id: self.load_id,
            source_tablet_id: self.work.tablet.source_tablet_id,
            source_version: self.work.source_version,
            source: source.clone(),
        };
        let state = self.shell.ctx.downstream.ingest(target, &request).await.map_err(missed)?;
        self.wait(target, &request, state).await
    }

    /// Waits for an asynchronous ingest.
    async fn wait(
        &self,
        target: &Backend,
        request: &IngestRequest,
        mut state: IngestState,
    ) -> std::result::Result<(), Missed> {
        let clock = &self.shell.ctx.clock;
        let began = clock.now_ms();
        let mut pause = Duration::from_millis(10);
        loop {
            match state {
                IngestState::Done => return Ok(()),
                IngestState::Doing if clock.now_ms() - began > ASYNC_LIMIT_MS => {
                    return Err(elsewhere(request, "the asynchronous ingest does not end"));
                }
                IngestState::Doing => {}
                IngestState::NotFound => {
                    return Err(elsewhere(request, "the backend has lost the asynchronous ingest"));
                }
                IngestState::Failed { message } => return Err(elsewhere(request, &message)),
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
            state = self.shell.ctx.downstream.query_ingest(target, request).await.map_err(missed)?;
        }
    }
}

/// Whether an upstream replica does not have the version (HTTP 404); of a whole ingest, whether none of them has.
pub(super) fn is_not_stored(error: &Error) -> bool {
    error.code == "CCR0102" && answers::is_not_stored(&error.message)
}

fn missed(failure: Failure) -> Missed {
    let backend_down = matches!(failure.cause, Cause::Connect { .. });
    Missed { error: Error::from_failure(Origin::DownstreamBe, &failure), backend_down }
}

fn elsewhere(request: &IngestRequest, problem: &str) -> Missed {
    let error = Error {
        origin: Origin::DownstreamBe,
        disposition: Disposition::RetryElsewhere,
        code: "CCR0311",
        message: format!("ingest of tablet {}: {problem}", request.tablet_id),
        hint: String::new(),
        table: None,
    };
    Missed { error, backend_down: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(backends: &[i64]) -> Vec<TabletWork> {
        let tablet = TabletRoute {
            partition_id: 1,
            tablet_id: 5,
            backends: backends.to_vec(),
            source_tablet_id: 6,
            source_backends: vec![9],
        };
        vec![TabletWork { tablet, source_version: 2, source_id: 3, table_id: 3, stid: -1 }]
    }

    fn failed(backend_down: bool) -> std::result::Result<(), Missed> {
        Err(Missed { error: Error::retry(Origin::DownstreamBe, "CCR0101", "x"), backend_down })
    }

    #[test]
    fn a_majority_is_enough_only_when_the_rest_is_down() {
        let three = work(&[1, 2, 3]);
        let results = |third| vec![(0, 1, Ok(())), (0, 2, Ok(())), (0, 3, third)];
        let commits = settle(&three, results(failed(true))).expect("two of three are enough");
        assert_eq!(commits.iter().map(|filled| filled.commit.backend_id).collect::<Vec<_>>(), [1, 2]);
        assert!(settle(&three, results(failed(false))).is_err());
        assert!(settle(&work(&[1, 2]), vec![(0, 1, Ok(())), (0, 2, failed(true))]).is_err());
        assert!(settle(&work(&[1]), vec![(0, 1, failed(true))]).is_err());
    }
}
