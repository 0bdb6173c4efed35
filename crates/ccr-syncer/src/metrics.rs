//! What `/metrics` shows: the names and labels of the Go program, from one registry that is passed around.
//!
//! Counters are registered without `_total`, which the encoder appends. Series of a job disappear with it.

use std::time::Duration;

use ccr_core::observer::Observer;
use ccr_core::status::ProgressState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// The default buckets of the Prometheus client libraries.
const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// For work that can take as long as a timeout.
const LARGE_BUCKETS: [f64; 19] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0,
    50.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: String,
    addr: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SqlLabels {
    host: String,
    db: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    error: String,
    r#type: &'static str,
}

type Timer<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    errors: Family<ErrorLabels, Counter>,
    fe_calls: Family<CallLabels, Counter>,
    fe_call_seconds: Timer<CallLabels>,
    be_calls: Family<CallLabels, Counter>,
    be_call_seconds: Timer<CallLabels>,
    statements: Family<SqlLabels, Counter>,
    statement_seconds: Timer<SqlLabels>,
    commit_seq: Family<JobLabel, Gauge>,
    binlogs: Family<JobLabel, Counter>,
    binlog_seconds: Timer<JobLabel>,
    persists: Family<JobLabel, Counter>,
    persist_seconds: Timer<JobLabel>,
    running: Gauge,
    sync_state: Family<JobLabel, Gauge>,
    sub_sync_state: Family<JobLabel, Gauge>,
    lag: Family<JobLabel, Gauge>,
    lag_seconds: Family<JobLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    expiry_seconds: Family<JobLabel, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let metrics = Self {
            errors: add(r, "ccr_error", "Errors of jobs by category", Family::default()),
            fe_calls: add(r, "ccr_fe_rpc", "Thrift calls to frontends", Family::default()),
            fe_call_seconds: add(
                r,
                "ccr_fe_rpc_duration_seconds",
                "Time of thrift calls to frontends",
                default_timer(),
            ),
            be_calls: add(r, "ccr_be_rpc", "Calls to backends", Family::default()),
            be_call_seconds: add(
                r,
                "ccr_be_rpc_duration_seconds",
                "Time of calls to backends",
                large_timer(),
            ),
            statements: add(r, "ccr_sql_exec", "Statements sent to frontends", Family::default()),
            statement_seconds: add(r, "ccr_sql_exec_duration_seconds", "Time of statements", default_timer()),
            commit_seq: add(r, "ccr_binlog_commit_seq", "Last applied commit seq", Family::default()),
            binlogs: add(r, "ccr_handle_binlog", "Binlogs applied or skipped", Family::default()),
            binlog_seconds: add(
                r,
                "ccr_handle_binlog_duration_seconds",
                "Time to handle a binlog",
                large_timer(),
            ),
            persists: add(r, "ccr_job_progress_persist", "Writes of progress", Family::default()),
            persist_seconds: add(
                r,
                "ccr_job_progress_persist_duration_seconds",
                "Time to write progress",
                default_timer(),
            ),
            running: add(r, "ccr_job_running_total", "Jobs of this node that are running", Gauge::default()),
            sync_state: add(r, "ccr_job_running_sync_state", "Progress state as a number", Family::default()),
            sub_sync_state: add(r, "ccr_job_running_sub_sync_state", "Step as a number", Family::default()),
            lag: add(r, "ccr_job_running_lag_total", "Binlogs not yet applied", Family::default()),
            lag_seconds: add(
                r,
                "ccr_job_running_lag_seconds",
                "Age of the oldest binlog not yet applied",
                Family::default(),
            ),
            expiry_seconds: add(
                r,
                "ccr_job_binlog_expires_seconds",
                "Time until the binlog needed next expires, at the growth since it was written",
                Family::default(),
            ),
            registry: Registry::default(),
        };
        registry.register_collector(Box::new(ProcessCollector));
        Self { registry, ..metrics }
    }

    /// The OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("formatting into a string does not fail");
        text
    }

    pub fn frontend_call(&self, method: &str, addr: &str, duration: Duration) {
        let labels = CallLabels { method: method.to_owned(), addr: addr.to_owned() };
        self.fe_calls.get_or_create(&labels).inc();
        self.fe_call_seconds.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    pub fn backend_call(&self, method: &str, addr: &str, duration: Duration) {
        let labels = CallLabels { method: method.to_owned(), addr: addr.to_owned() };
        self.be_calls.get_or_create(&labels).inc();
        self.be_call_seconds.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    pub fn statement(&self, host: &str, db: &str, duration: Duration) {
        let labels = SqlLabels { host: host.to_owned(), db: db.to_owned() };
        self.statements.get_or_create(&labels).inc();
        self.statement_seconds.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    pub fn set_running_jobs(&self, count: usize) {
        self.running.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn set_progress(&self, job: &str, progress: ProgressState, sub_state: i64, commit_seq: i64) {
        self.sync_state.get_or_create(&label(job)).set(progress.number());
        self.sub_sync_state.get_or_create(&label(job)).set(sub_state);
        self.commit_seq.get_or_create(&label(job)).set(commit_seq);
    }

    pub fn set_lag(&self, job: &str, binlogs: i64, seconds: f64) {
        self.lag.get_or_create(&label(job)).set(binlogs);
        self.lag_seconds.get_or_create(&label(job)).set(seconds);
    }

    /// Of a job, running or not; none when it needs no binlog, or it is not known when that expires.
    pub fn set_expiry(&self, job: &str, seconds: Option<i64>) {
        match seconds {
            Some(seconds) => drop(self.expiry_seconds.get_or_create(&label(job)).set(seconds)),
            None => drop(self.expiry_seconds.remove(&label(job))),
        }
    }

    /// Removes a lag that is not known any more: an old one would read as if all were well.
    pub fn lag_unknown(&self, job: &str) {
        self.lag.remove(&label(job));
        self.lag_seconds.remove(&label(job));
    }

    /// Removes what only a running job has.
    pub fn job_stopped(&self, job: &str) {
        let label = label(job);
        self.sync_state.remove(&label);
        self.sub_sync_state.remove(&label);
        self.lag_unknown(job);
    }

    /// Removes all series of a job.
    pub fn job_deleted(&self, job: &str) {
        self.job_stopped(job);
        let label = label(job);
        self.commit_seq.remove(&label);
        self.expiry_seconds.remove(&label);
        self.binlogs.remove(&label);
        self.binlog_seconds.remove(&label);
        self.persists.remove(&label);
        self.persist_seconds.remove(&label);
    }
}

impl Observer for Metrics {
    fn binlog_handled(&self, job: &str, _binlog_type: &str, duration: Duration) {
        self.binlogs.get_or_create(&label(job)).inc();
        self.binlog_seconds.get_or_create(&label(job)).observe(duration.as_secs_f64());
    }

    fn position(&self, job: &str, commit_seq: i64) {
        self.commit_seq.get_or_create(&label(job)).set(commit_seq);
    }

    fn persisted(&self, job: &str, duration: Duration) {
        self.persists.get_or_create(&label(job)).inc();
        self.persist_seconds.get_or_create(&label(job)).observe(duration.as_secs_f64());
    }

    fn error(&self, _job: &str, origin: &str, recoverable: bool) {
        // The categories of the original: which kind of peer failed, not on which side it was.
        let category = match origin {
            "upstream_fe" | "downstream_fe" => "fe",
            "upstream_be" | "downstream_be" => "be",
            "store" => "db",
            _ => "normal",
        };
        let r#type = if recoverable { "recoverable" } else { "panic" };
        self.errors.get_or_create(&ErrorLabels { error: category.to_owned(), r#type }).inc();
    }
}

fn label(job: &str) -> JobLabel {
    JobLabel { name: job.to_owned() }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn default_timer<L: Clone + std::hash::Hash + Eq>() -> Timer<L> {
    Family::new_with_constructor(|| Histogram::new(DEFAULT_BUCKETS))
}

fn large_timer<L: Clone + std::hash::Hash + Eq>() -> Timer<L> {
    Family::new_with_constructor(|| Histogram::new(LARGE_BUCKETS))
}

/// Figures of the process, read when asked for.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            let help = "Resident memory of the process in bytes";
            let name = "process_resident_memory_bytes";
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// `None` where there is no /proc.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Metrics {
        let metrics = Metrics::new();
        metrics.frontend_call("getBinlog", "fe:9020", Duration::from_millis(3));
        metrics.backend_call("ingest_binlog", "be:9060", Duration::from_millis(3));
        metrics.statement("fe:9030", "d", Duration::from_millis(3));
        metrics.set_running_jobs(1);
        metrics.set_progress("j", ProgressState::DBIncrementalSync, -1, 7);
        metrics.set_lag("j", 3, 1.5);
        metrics.set_expiry("j", Some(7));
        metrics.binlog_handled("j", "UPSERT", Duration::from_millis(3));
        metrics.persisted("j", Duration::from_millis(3));
        metrics.error("j", "upstream_fe", true);
        metrics
    }

    #[test]
    fn names_and_labels_are_those_of_the_original() {
        let text = filled().render();
        for sample in [
            r#"ccr_error_total{error="fe",type="recoverable"} 1"#,
            r#"ccr_fe_rpc_total{method="getBinlog",addr="fe:9020"} 1"#,
            r#"ccr_fe_rpc_duration_seconds_bucket{le="0.005",method="getBinlog",addr="fe:9020"} 1"#,
            r#"ccr_be_rpc_total{method="ingest_binlog",addr="be:9060"} 1"#,
            r#"ccr_be_rpc_duration_seconds_bucket{le="50.0",method="ingest_binlog",addr="be:9060"} 1"#,
            r#"ccr_binlog_commit_seq{name="j"} 7"#,
            r#"ccr_handle_binlog_total{name="j"} 1"#,
            r#"ccr_handle_binlog_duration_seconds_count{name="j"} 1"#,
            "ccr_job_running_total 1",
            r#"ccr_job_running_sync_state{name="j"} 3"#,
            r#"ccr_job_running_sub_sync_state{name="j"} -1"#,
            r#"ccr_job_running_lag_total{name="j"} 3"#,
            r#"ccr_job_running_lag_seconds{name="j"} 1.5"#,
            r#"ccr_job_progress_persist_total{name="j"} 1"#,
            r#"ccr_job_binlog_expires_seconds{name="j"} 7"#,
            r#"ccr_job_progress_persist_duration_seconds_sum{name="j"} 0.003"#,
            r#"ccr_sql_exec_total{host="fe:9030",db="d"} 1"#,
            r#"ccr_sql_exec_duration_seconds_count{host="fe:9030",db="d"} 1"#,
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} is missing in:\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes "));
    }

    #[test]
    fn series_go_with_their_job() {
        let metrics = filled();
        metrics.job_stopped("j");
        let text = metrics.render();
        assert!(!text.contains("ccr_job_running_lag_total{") && text.contains("ccr_binlog_commit_seq{"));
        metrics.job_deleted("j");
        assert!(!metrics.render().contains(r#"name="j""#));
    }
}
