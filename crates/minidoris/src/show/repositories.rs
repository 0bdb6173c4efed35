//! SHOW REPOSITORIES, SHOW CREATE REPOSITORY and SHOW SNAPSHOT.

use super::format::{cell, time};
use crate::error::{SqlError, SqlResult};
use crate::session::ResultSet;
use crate::snapshot::repository::{Repository, StoredPlace, storage};
use crate::snapshot::{self, JobInfo};
use crate::sql::{Operator, RepositoryKind, ShowFilter};
use crate::state::FeState;

const WHERE: &str = "Where clause should looks like: SNAPSHOT = 'your_snapshot_name' [AND TIMESTAMP = \
                     '2018-04-18-19-19-10']";

pub fn rows(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "RepoId",
        "RepoName",
        "CreateTime",
        "IsReadOnly",
        "Location",
        "Broker",
        "Type",
        "ErrMsg",
    ]);
    let mut repositories: Vec<_> = state.snapshots.repositories.iter().collect();
    repositories.sort_by_key(|(_, repository)| repository.id);
    for (name, repository) in repositories {
        let broker = match &repository.kind {
            RepositoryKind::Broker(broker) => broker.as_str(),
            RepositoryKind::S3 | RepositoryKind::Hdfs | RepositoryKind::Local => "-",
        };
        result.rows.push(vec![
            cell(repository.id),
            cell(name),
            time(repository.create_time),
            cell(repository.is_read_only),
            cell(&repository.location),
            cell(broker),
            cell(repository.kind.name()),
            None,
        ]);
    }
    result
}

/// SHOW CREATE REPOSITORY FOR r, without the secrets.
pub fn create_text(state: &FeState, name: &str) -> SqlResult<ResultSet> {
    let repository = repository(state, name)?;
    let kind = match &repository.kind {
        RepositoryKind::Broker(broker) => format!("BROKER {broker}"),
        kind @ (RepositoryKind::S3 | RepositoryKind::Hdfs | RepositoryKind::Local) => kind.name().to_owned(),
    };
    let properties: Vec<String> = repository
        .properties
        .iter()
        .map(|(key, value)| {
            let is_secret =
                ["secret", "password", "token"].iter().any(|word| key.to_lowercase().contains(word));
            format!("\"{key}\" = \"{}\"", if is_secret { "*XXX" } else { value })
        })
        .collect();
    let text = format!(
        "CREATE {}REPOSITORY {name} \nWITH {kind} \nON LOCATION \"{}\"\nPROPERTIES\n(\n{}\n)",
        if repository.is_read_only { "READ ONLY " } else { "" },
        repository.location,
        properties.join(",\n")
    );
    let mut result = ResultSet::new(&["RepoName", "CreateStmt"]);
    result.rows.push(vec![cell(name), cell(text)]);
    Ok(result)
}

/// SHOW SNAPSHOT ON r: a row per label; with a timestamp, what that snapshot holds.
pub fn snapshots(state: &FeState, name: &str, filter: &ShowFilter) -> SqlResult<ResultSet> {
    let repository = repository(state, name)?;
    let (mut label, mut timestamp) = (None, None);
    for condition in filter.comparisons().ok_or_else(|| SqlError::general(WHERE))? {
        let place = match condition.column.to_ascii_lowercase().as_str() {
            "snapshot" => &mut label,
            "timestamp" => &mut timestamp,
            _ => return Err(SqlError::general(WHERE)),
        };
        if condition.operator != Operator::Equal || place.replace(condition.value.clone()).is_some() {
            return Err(SqlError::general(WHERE));
        }
    }
    match (label, timestamp) {
        (None, Some(_)) => Err(SqlError::general(WHERE)),
        (None, None) if filter.like.is_some() => Err(SqlError::general(WHERE)),
        (Some(label), Some(timestamp)) => Ok(details(name, repository, label, timestamp)),
        (label, None) => Ok(labels(repository, label.as_deref())),
    }
}

fn labels(repository: &Repository, wanted: Option<&str>) -> ResultSet {
    let mut result = ResultSet::new(&["Snapshot", "Timestamp", "Status"]);
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (label, timestamp) in storage::list(&repository.location) {
        match found.last_mut() {
            Some((last, timestamps)) if *last == label => timestamps.push(timestamp),
            Some(_) | None => found.push((label, vec![timestamp])),
        }
    }
    found.retain(|(label, _)| wanted.is_none_or(|wanted| label == wanted));
    for (label, timestamps) in &found {
        result.rows.push(vec![cell(label), cell(timestamps.join("\n")), cell("OK")]);
    }
    if let (Some(wanted), true) = (wanted, found.is_empty()) {
        result.rows.push(vec![cell(wanted), cell(""), cell("ERROR: no snapshot")]);
    }
    result
}

fn details(name: &str, repository: &Repository, label: String, timestamp: String) -> ResultSet {
    let mut result = ResultSet::new(&["Snapshot", "Timestamp", "Database", "Details", "Status"]);
    let place =
        StoredPlace { repository: name.to_owned(), location: repository.location.clone(), label, timestamp };
    let info = storage::find(&place).and_then(|stored| serde_json::from_slice(&stored.job_info).ok());
    let (database, details, status) = match info {
        Some(info) => {
            let info: JobInfo = info;
            (cell(&info.database), cell(snapshot::objects(&info)), "OK".to_owned())
        }
        None => (None, None, format!("Failed to get info: {}", place.missing())),
    };
    result.rows.push(vec![cell(&place.label), cell(&place.timestamp), database, details, cell(status)]);
    result
}

/// The one that keeps snapshots on the backends is none.
fn repository<'a>(state: &'a FeState, name: &str) -> SqlResult<&'a Repository> {
    let found = state.snapshots.repositories.get(name);
    found.ok_or_else(|| SqlError::common(format!("Repository {name} does not exist")))
}
