//! Whether the target of a job that has applied every binlog equals its source: a binlog does not tell that the
//! database or the table it belongs to was dropped and made again, that another table took the name of the one that is
//! followed, or that something was restored upstream.
//!
//! The job finds these out by itself, some seconds later. Who says now that there is no lag looks first.

use doris_types::call::MetaFilter;
use doris_types::failure::Result as CallResult;
use doris_types::meta::{DatabaseMeta, SnapshotJob};

use crate::job::JobRecord;
use crate::ports::Upstream;
use crate::status::JobStatus;

/// What the upstream shows of what a job follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// The database of that name, with the names of its tables for a table job; `None` when there is none.
    pub database: Option<DatabaseMeta>,
    /// The restore jobs of the database.
    pub restores: Vec<SnapshotJob>,
}

/// What is to be asked for; nothing below the names of tables, however large they are.
pub fn filter(status: &JobStatus) -> MetaFilter {
    match status.source.table {
        Some(_) => MetaFilter::Names,
        None => MetaFilter::Tables(Vec::new()),
    }
}

/// Looks: one call and one statement.
pub async fn look(upstream: &dyn Upstream, record: &JobRecord, status: &JobStatus) -> CallResult<Sight> {
    let name = &record.spec.src.database;
    let Some(database) = upstream.meta(name, filter(status)).await? else { return Ok(Sight::default()) };
    Ok(Sight { database: Some(database), restores: upstream.restore_jobs(name).await? })
}

/// Why the target may differ from what was seen; `None` when it equals it, given that every binlog is applied. A job
/// without a task knows nothing of restores.
pub fn doubt(record: &JobRecord, status: &JobStatus, sight: &Sight, is_running: bool) -> Option<String> {
    let name = &record.spec.src.database;
    let Some(db) = &sight.database else { return Some(format!("upstream database {name} is not there")) };
    if let Some(known) = status.source.database_id.filter(|known| *known != db.id) {
        return Some(format!("upstream database {name} is another one now, {} in place of {known}", db.id));
    }
    if let Some((id, known)) = &status.source.table {
        let Some(table) = db.tables.iter().find(|table| table.id == *id) else {
            return Some(format!("upstream table {known} ({id}) is not there"));
        };
        let successor = db.tables.iter().find(|other| other.id != *id && other.name == *known);
        if let Some(successor) = successor.filter(|_| table.name != *known) {
            return Some(format!(
                "upstream table {known} is another one now, {} in place of {id}",
                successor.id
            ));
        }
    }
    if !is_running {
        return None;
    }
    let Some(seen) = status.restores_seen else {
        return Some("restores upstream have not been looked for yet".to_owned());
    };
    let others = sight.restores.iter().filter(|job| !job.is_cancelled() && !is_own(&record.id, &job.label));
    let unseen = others.filter(|job| !job.is_finished() || job.id > seen).map(|job| &job.label).next();
    unseen.map(|label| format!("restore {label} upstream has not been looked into"))
}

/// Whether a restore is that of the job, whose target may be in the same database.
pub(crate) fn is_own(job_id: &str, label: &str) -> bool {
    label.starts_with("ccr") && label.contains(job_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{ClusterSpec, DesiredState, JobOptions, JobSpec};
    use crate::status::SourceIdentity;
    use doris_types::meta::TableMeta;

    fn record() -> JobRecord {
        let cluster = ClusterSpec {
            host: "fe".to_owned(),
            port: 9030,
            thrift_port: 9020,
            user: "root".to_owned(),
            password: String::new(),
            database: "d".to_owned(),
            table: String::new(),
            frontends: Vec::new(),
            host_mapping: std::collections::BTreeMap::new(),
        };
        let (src, dest) = (cluster.clone(), cluster);
        let spec = JobSpec { name: "j".to_owned(), src, dest, options: JobOptions::default() };
        JobRecord { id: "j1".to_owned(), spec, desired: DesiredState::Running, created_at_ms: 1 }
    }

    fn sight(tables: &[(i64, &str)], restores: &[(i64, &str, &str)]) -> Sight {
        let named = |(id, name): &(i64, &str)| TableMeta {
            id: *id,
            name: (*name).to_owned(),
            ..TableMeta::default()
        };
        let tables = tables.iter().map(named).collect();
        let job = |(id, label, state): &(i64, &str, &str)| SnapshotJob {
            id: *id,
            label: (*label).to_owned(),
            state: (*state).to_owned(),
            ..SnapshotJob::default()
        };
        let database = Some(DatabaseMeta { id: 7, tables, ..DatabaseMeta::default() });
        Sight { database, restores: restores.iter().map(job).collect() }
    }

    fn doubt_of(
        source: SourceIdentity,
        restores_seen: Option<i64>,
        sight: &Sight,
        runs: bool,
    ) -> Option<String> {
        let record = record();
        let status = JobStatus { source, restores_seen, ..JobStatus::starting(&record) };
        doubt(&record, &status, sight, runs)
    }

    fn database(id: Option<i64>) -> SourceIdentity {
        SourceIdentity { database_id: id, table: None }
    }

    fn table(id: i64, name: &str) -> SourceIdentity {
        SourceIdentity { database_id: Some(7), table: Some((id, name.to_owned())) }
    }

    #[test]
    fn another_database_of_the_name_is_none() {
        let here = sight(&[], &[]);
        assert_eq!(doubt_of(database(Some(7)), Some(0), &here, true), None);
        assert_eq!(doubt_of(database(None), Some(0), &here, true), None, "one that is not known yet");
        for known in [6, 8] {
            let text = doubt_of(database(Some(known)), Some(0), &here, true).unwrap();
            assert!(text.contains(&format!("7 in place of {known}")), "{text}");
        }
        let text = doubt_of(database(Some(7)), Some(0), &Sight::default(), true).unwrap();
        assert!(text.contains("d is not there"), "{text}");
    }

    #[test]
    fn a_table_may_have_another_name_but_no_other_table_its_own() {
        let followed = || table(10, "t");
        assert_eq!(doubt_of(followed(), Some(0), &sight(&[(10, "t"), (11, "u")], &[]), true), None);
        assert_eq!(doubt_of(followed(), Some(0), &sight(&[(10, "other"), (11, "u")], &[]), true), None);
        let swapped = doubt_of(followed(), Some(0), &sight(&[(10, "u"), (11, "t")], &[]), true).unwrap();
        assert!(swapped.contains("11 in place of 10"), "{swapped}");
        let gone = doubt_of(followed(), Some(0), &sight(&[(11, "t")], &[]), true).unwrap();
        assert!(gone.contains("t (10) is not there"), "{gone}");
    }

    #[test]
    fn restores_are_to_be_seen_but_for_the_jobs_own() {
        let seen = |restores: &[(i64, &str, &str)], seen: Option<i64>, runs: bool| {
            doubt_of(database(Some(7)), seen, &sight(&[], restores), runs)
        };
        let finished = [(20, "user", "FINISHED"), (30, "ccrr_j1_5", "FINISHED"), (40, "bad", "CANCELLED")];
        assert_eq!(seen(&finished, Some(20), true), None);
        assert!(seen(&finished, Some(19), true).unwrap().contains("restore user"));
        assert!(seen(&[(20, "user", "DOWNLOADING")], Some(20), true).unwrap().contains("restore user"));
        assert!(seen(&[], None, true).unwrap().contains("not been looked for"));
        assert_eq!(seen(&finished, None, false), None, "a job without a task does not look");
    }
}
