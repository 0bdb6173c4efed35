//! What must hold before a job is created. All failed checks are reported, each with what fixes it.
//!
//! Nothing is changed here. A check that cannot be carried out counts as failed; one that would only repeat
//! the failure of another is left out (no table is looked at on a cluster that cannot be reached).

mod nodes;
mod source;
mod target;

use std::time::Duration;

use ccr_core::job::{ClusterSpec, JobSpec};
use ccr_core::ports::{Downstream, Upstream};
use doris_types::failure::{Cause, Failure};
use serde::Serialize;

/// More failed checks than this are counted, not listed: a database can have thousands of tables.
const MAX_PROBLEMS: usize = 100;

/// A failed check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What was looked at: a field of the request, or an object of a cluster.
    pub check: String,
    pub message: String,
    /// The statement, setting or change of the request that resolves it.
    pub fix: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; fix: {}", self.check, self.message, self.fix)
    }
}

/// The outcome of all checks.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Empty when the job can be created.
    pub problems: Vec<Problem>,
    /// What an operator should know and what forbids nothing.
    pub warnings: Vec<String>,
    /// The target database does not exist.
    pub create_database: bool,
}

/// Asks both clusters. Ends within `limit`; checks that did not are one more problem.
pub async fn check(
    spec: &JobSpec,
    upstream: &dyn Upstream,
    downstream: &dyn Downstream,
    limit: Duration,
) -> Report {
    let mut report = match tokio::time::timeout(limit, check_all(spec, upstream, downstream)).await {
        Ok(report) => report,
        Err(_) => Report {
            problems: vec![problem(
                "creation checks",
                format!("did not finish within {limit:?}"),
                "check that all frontends and backends of both clusters answer quickly, and try again",
            )],
            ..Report::default()
        },
    };
    if report.problems.len() > MAX_PROBLEMS {
        let more = report.problems.len() - MAX_PROBLEMS;
        report.problems.truncate(MAX_PROBLEMS);
        report.problems.push(problem(
            "more checks",
            format!("{more} more failed in the same ways"),
            "resolve those listed and try again to see the others",
        ));
    }
    report
}

async fn check_all(spec: &JobSpec, upstream: &dyn Upstream, downstream: &dyn Downstream) -> Report {
    let (source, target) = futures::join!(
        async {
            let nodes = nodes::check("src", &spec.src, upstream).await;
            let objects = match nodes.reachable {
                true => source::check(&spec.src, upstream, nodes.binlog_enabled).await,
                false => source::Source::default(),
            };
            (nodes, objects)
        },
        async {
            let nodes = nodes::check("dest", &spec.dest, downstream).await;
            let objects = match nodes.reachable {
                true => target::check(spec, downstream).await,
                false => target::Target::default(),
            };
            (nodes, objects)
        },
    );
    let (source_nodes, source) = source;
    let (target_nodes, target) = target;
    let mut report = Report { create_database: target.create_database, ..Report::default() };
    report.problems.extend(source_nodes.problems);
    report.problems.extend(target_nodes.problems);
    report.problems.extend(source.problems);
    report.problems.extend(target.problems);
    if source.inverted_indexes && target.resets_index_ids {
        report.problems.push(problem(
            "dest",
            "restore_reset_index_id is on, which breaks the inverted indexes of restored tables".to_owned(),
            "on the target: ADMIN SET FRONTEND CONFIG (\"restore_reset_index_id\" = \"false\")",
        ));
    }
    report.warnings.extend(source_nodes.warnings);
    report.warnings.extend(target_nodes.warnings);
    report.warnings.extend(source.warnings);
    report.warnings.extend(target.warnings);
    report
}

fn problem(check: impl Into<String>, message: String, fix: impl Into<String>) -> Problem {
    Problem { check: check.into(), message, fix: fix.into() }
}

/// A check that could not be carried out.
fn failed(side: &str, spec: &ClusterSpec, failure: &Failure) -> Problem {
    let addresses = || {
        format!(
            "check {side}.host, {side}.port and {side}.thrift_port, and that the cluster can be reached from \
             the syncer"
        )
    };
    let fix = match &failure.cause {
        Cause::Sql { code: 1045, .. } => format!("correct {side}.user or {side}.password"),
        Cause::Sql { message, .. } if message.to_ascii_lowercase().contains("denied") => {
            format!("grant the account {} the missing privilege; ADMIN suffices", spec.user)
        }
        Cause::Status { messages, .. } if messages.iter().any(|text| text.contains("denied")) => {
            format!("correct {side}.user or {side}.password, or grant the account {} ADMIN", spec.user)
        }
        Cause::Connect { .. } | Cause::Lost { .. } => addresses(),
        Cause::NoMaster { .. } => format!("check that the cluster has a living master, and {}", addresses()),
        Cause::UnmappedHost { host } => {
            format!("add the public address of {host} to {side}.host_mapping")
        }
        Cause::UnknownMethod => "use Doris 2.1 or later".to_owned(),
        Cause::Status { .. } | Cause::Sql { .. } | Cause::Malformed { .. } | Cause::Http { .. } => {
            "resolve what the peer reports".to_owned()
        }
    };
    problem(side, failure.to_string(), fix)
}

/// The value of a property in the text of SHOW CREATE TABLE or SHOW CREATE DATABASE.
pub(crate) fn property<'a>(create: &'a str, key: &str) -> Option<&'a str> {
    // Comments and indexes come before the properties of the table, which are the last part.
    let (_, properties) = create.rsplit_once("PROPERTIES (")?;
    let (_, value) = properties.split_once(&format!("\"{key}\" = \""))?;
    value.split_once('"').map(|(value, _)| value)
}

pub(crate) fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_from_their_own_part_only() {
        let create = "CREATE TABLE `t` (\n  `c` int COMMENT '\"binlog.enable\" = \"true\"',\n  \
             INDEX i (`c`) USING INVERTED PROPERTIES(\"light_schema_change\" = \"true\")\n) ENGINE=OLAP\n\
             PROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 1\",\n\
             \"light_schema_change\" = \"false\"\n);";
        assert_eq!(property(create, "binlog.enable"), None);
        assert_eq!(property(create, "light_schema_change"), Some("false"));
        assert_eq!(property("CREATE DATABASE `d`", "binlog.enable"), None);
        let database = "CREATE DATABASE `d`\nPROPERTIES (\n\"binlog.enable\" = \"true\"\n)";
        assert!(is_true(property(database, "binlog.enable")));
    }
}
