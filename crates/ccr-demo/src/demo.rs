//! The run: two clusters, data, a job, changes while it works, and the comparison at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use crate::compare::{self, Comparison};
use crate::options::Options;
use crate::progress::Progress;
use crate::report::Facts;
use crate::site::Site;
use crate::syncer::{POLL, Syncer};
use crate::tpch::{Generator, initial_tables, late_table, queries};
use crate::workload::{sales_of, steps};

pub const DATABASE: &str = "tpch";
pub const JOB: &str = "tpch";
/// Longest time a job may need for its full sync, and then for catching up.
const SYNC_TIMEOUT: Duration = Duration::from_secs(300);
/// This share of the changes is made while the full sync runs, the others after it.
const SHARE_DURING_FULL_SYNC: usize = 4;

/// What a finished run leaves: the processes, and what it found.
#[derive(Debug)]
pub struct Outcome {
    pub upstream: Arc<Site>,
    pub downstream: Arc<Site>,
    pub syncer: Syncer,
    pub facts: Facts,
    pub tables: Vec<Comparison>,
    pub queries: Vec<Comparison>,
}

impl Outcome {
    pub fn is_equal(&self) -> bool {
        self.tables.iter().chain(&self.queries).all(|comparison| comparison.difference.is_none())
    }
}

/// Runs the demo with its files in `dir`.
pub async fn run(options: &Options, progress: &Progress, dir: &Path) -> Result<Outcome> {
    let generator = Generator { scale: options.scale };
    let upstream = Arc::new(Site::start("upstream", options.seed).await?);
    let downstream = Arc::new(Site::start("downstream", options.seed.wrapping_add(1)).await?);
    create_and_load(&upstream, generator, progress).await.context("prepare the upstream")?;

    let syncer = Syncer::start(dir).await?;
    let full_sync_bar = progress.spinner("full sync");
    let started = Instant::now();
    syncer.create_job(JOB, DATABASE, upstream.ports, downstream.ports).await?;

    let plan = steps(generator, options.seed);
    let changes = plan.len();
    let changes_bar = progress.bar("changes", changes as u64);
    let (full_sync_done, may_go_on) = watch::channel(false);
    let writer = tokio::spawn({
        let (upstream, bar) = (Arc::clone(&upstream), changes_bar.clone());
        let mut may_go_on = may_go_on;
        async move {
            for (number, step) in plan.iter().enumerate() {
                if number == changes / SHARE_DURING_FULL_SYNC {
                    may_go_on.wait_for(|done| *done).await.context("the full sync did not finish")?;
                }
                step.run(&upstream, DATABASE, number).await.with_context(|| format!("change {number}"))?;
                bar.inc(1);
            }
            Ok::<_, anyhow::Error>(Instant::now())
        }
    });

    let mut watcher = Watcher { syncer: &syncer, largest_lag: 0 };
    watcher
        .wait(|standing| {
            full_sync_bar.set_message(standing.progress_state.clone());
            !standing.progress_state.ends_with("FullSync")
        })
        .await
        .context("full sync")?;
    let full_sync = started.elapsed();
    progress.done(&full_sync_bar, format!("{:.2} s", full_sync.as_secs_f64()));
    let calls_before = calls(&upstream, &downstream);
    full_sync_done.send_replace(true);

    let lag_bar = progress.spinner("lag");
    while !writer.is_finished() {
        watcher.look().await.map(|standing| lag_bar.set_message(format!("{} binlogs", standing.lag)))?;
        tokio::time::sleep(POLL).await;
    }
    let last_change = writer.await.context("the writer ended early")??;
    progress.done(&changes_bar, format!("{changes} changes made upstream"));
    watcher
        .wait(|standing| {
            lag_bar.set_message(format!("{} binlogs", standing.lag));
            standing.lag == 0
        })
        .await
        .context("catch-up")?;
    let catch_up = last_change.elapsed();
    progress.done(&lag_bar, format!("none {:.2} s after the last change", catch_up.as_secs_f64()));

    let mut facts = Facts {
        full_sync,
        catch_up,
        largest_lag: watcher.largest_lag,
        changes,
        calls: calls(&upstream, &downstream),
    };
    for (call, before) in calls_before {
        facts.calls.entry(call).and_modify(|count| *count = count.saturating_sub(before));
    }
    let (tables, queries) = compare_all(&upstream, &downstream, progress).await?;
    Ok(Outcome { upstream, downstream, syncer, facts, tables, queries })
}

async fn create_and_load(upstream: &Site, generator: Generator, progress: &Progress) -> Result<()> {
    upstream
        .execute(&format!("CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\")"))
        .await?;
    for table in initial_tables() {
        upstream.execute_in(DATABASE, &table.create).await?;
    }
    let batches = generator.history();
    let rows: usize = batches.iter().map(|batch| batch.rows).sum();
    let bar = progress.bar("load", rows as u64);
    for (number, batch) in batches.iter().enumerate() {
        upstream.stream_load(DATABASE, &format!("history_{number}"), batch).await?;
        bar.inc(batch.rows as u64);
    }
    for year in 1992..=1995 {
        upstream.execute_in(DATABASE, &sales_of(year)).await?;
    }
    progress.done(&bar, format!("{rows} rows in {} stream loads", batches.len()));
    Ok(())
}

/// Watches a job and remembers its largest lag.
struct Watcher<'a> {
    syncer: &'a Syncer,
    largest_lag: i64,
}

impl Watcher<'_> {
    async fn look(&mut self) -> Result<crate::syncer::Standing> {
        let standing = self.syncer.standing(JOB).await?;
        self.largest_lag = self.largest_lag.max(standing.lag);
        if let Some(blocked) = self.syncer.blocked(JOB).await? {
            bail!("the job is blocked: {blocked}");
        }
        Ok(standing)
    }

    /// Looks again and again until `reached`.
    async fn wait(&mut self, reached: impl Fn(&crate::syncer::Standing) -> bool) -> Result<()> {
        let deadline = Instant::now() + SYNC_TIMEOUT;
        loop {
            let standing = self.look().await?;
            if reached(&standing) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not done after {} s, at {standing:?}", SYNC_TIMEOUT.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Calls on both clusters together.
fn calls(upstream: &Site, downstream: &Site) -> BTreeMap<String, u64> {
    let mut all = upstream.calls();
    for (call, count) in downstream.calls() {
        *all.entry(call).or_insert(0) += count;
    }
    all
}

async fn compare_all(
    upstream: &Site,
    downstream: &Site,
    progress: &Progress,
) -> Result<(Vec<Comparison>, Vec<Comparison>)> {
    let mut names: Vec<&str> = initial_tables().iter().map(|table| table.name).collect();
    names.push(late_table().name);
    let queries = queries();
    let bar = progress.bar("compare", (names.len() + queries.len()) as u64);
    let (mut tables, mut results) = (Vec::new(), Vec::new());
    for name in names {
        tables.push(compare::table(upstream, downstream, DATABASE, name).await?);
        bar.inc(1);
    }
    for query in queries {
        results.push(compare::query(upstream, downstream, DATABASE, query.name, query.sql).await?);
        bar.inc(1);
    }
    progress.done(&bar, format!("{} tables, {} queries", tables.len(), results.len()));
    Ok((tables, results))
}
